import type { Config } from '../config/config.ts';

/** This server in WebAuthn terms. */
export interface RelyingParty {
  id: string;
  name: 'identree';
  /** The one origin that assertions may come from. */
  origin: string;
}

export function relyingPartyOf(config: Pick<Config, 'externalUrl'>): RelyingParty {
  const url = new URL(config.externalUrl);
  return { id: url.hostname, name: 'identree', origin: url.origin };
}
