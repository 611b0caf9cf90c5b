import { type ClientDefaults, defaultsDigest, type ToldDefaults } from '#shared/client-defaults.ts';
import { signToken, tokenType } from '#shared/token.ts';
import type { Config } from '../config/config.ts';
import type { ServerKeys } from '../platform/keys.ts';

/** The settings that this server tells hosts, for where their own file says nothing. */
export interface HostDefaults {
  /** Whether a host that has heard these, by their digest, has something else to hear. */
  isNews(heard: string): boolean;
  /** They themselves as a JWS, for this host and the question with this nonce. */
  signed(hostId: string, nonce: string): Promise<string>;
}

/** @param deps.config settings that are null are not told */
export function createHostDefaults({
  config,
  keys,
}: {
  config: Pick<Config, 'clientDefaults'>;
  keys: Pick<ServerKeys, 'serverId' | 'verdict'>;
}): HostDefaults {
  const given = Object.entries(config.clientDefaults).filter(([, value]) => value !== null);
  const defaults = Object.fromEntries(given) as ClientDefaults;
  const digest = defaultsDigest(defaults);
  return {
    isNews: (heard) => heard !== digest,
    signed: (hostId, nonce) =>
      signToken(
        tokenType.clientDefaults,
        { v: 1, iss: keys.serverId, aud: hostId, nonce, defaults } satisfies ToldDefaults,
        keys.verdict,
      ),
  };
}
