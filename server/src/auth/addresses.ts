import type { Config } from '../config/config.ts';

type Outside = Pick<Config, 'externalUrl'>;

/** Where the provider tells us who has signed out there. */
export const BACKCHANNEL_PATH = '/api/backchannel-logout';

/** Where the provider sends the browser back to: to be entered there, letter by letter, like the two below. */
export const redirectUriOf = ({ externalUrl }: Outside): string => `${externalUrl}/callback`;

/** Where it sends the browser after signing out. */
export const signedOutUriOf = ({ externalUrl }: Outside): string => `${externalUrl}/signed-out`;

/** Where it says who has signed out there. */
export const backchannelUriOf = ({ externalUrl }: Outside): string => `${externalUrl}${BACKCHANNEL_PATH}`;
