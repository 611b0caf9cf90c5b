import type { DirectorySettings } from '#shared/host-api.ts';
import type { LdapConfig } from '../config/config.ts';

/** What a host needs to reach the directory as itself; with a password in it, a secret. */
export interface HostSettings {
  of(host: { id: string; hostname: string }, nonce: string): Promise<DirectorySettings>;
  /** As a token by the trust root. */
  signed(host: { id: string; hostname: string }, nonce: string): Promise<string>;
}

/** @param deps.bindAs name and password under which a host binds, from a secret of the server. */
export function createHostSettings(deps: {
  ldap: Pick<LdapConfig, 'externalUrl' | 'clientCertificates' | 'allowAnonymous' | 'provisionEnabled' | 'secret'>;
  serverId: string;
  baseDn: string;
  mode: DirectorySettings['mode'];
  /** Whose certificate the directory may have, PEM without keys. */
  caBundle: () => Promise<string>;
  bindAs: (secret: string, hostname: string) => { dn: string; password: string };
  sign: (settings: DirectorySettings) => Promise<string>;
}): HostSettings {
  const { ldap, serverId, baseDn, mode } = deps;
  const of: HostSettings['of'] = async (host, nonce) => ({
    v: 1,
    hostId: host.id,
    ldapUrl: ldap.externalUrl,
    baseDn,
    mode,
    caBundle: await deps.caBundle(),
    clientCertificates: ldap.clientCertificates,
    anonymous: ldap.allowAnonymous,
    bind: ldap.provisionEnabled && ldap.secret !== null ? deps.bindAs(ldap.secret, host.hostname) : null,
    nonce,
    serverId,
  });
  return { of, signed: async (host, nonce) => deps.sign(await of(host, nonce)) };
}
