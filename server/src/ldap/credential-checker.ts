import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { nameParts } from './filter/dn-values.ts';
import { dnKey } from './matching/dn.ts';
import type { BindAttempt, ClientCertificate, CredentialChecker, Identity } from './session/credentials.ts';

/** A registered host as far as LDAP is concerned. */
export interface LdapHost {
  id: string;
  /** As registered; lower case. */
  hostname: string;
}

/** What the checker needs to know about hosts; asked anew each time, so that a removal counts at once. */
export interface HostLookup {
  /** The host of this name if it may connect now. */
  byName(hostname: string): Promise<LdapHost | null>;
  /** The host that a certificate was issued to if neither is revoked. The TLS layer has verified the signature. */
  byCertificate(certificate: ClientCertificate): Promise<LdapHost | null>;
  /** Whether a host may connect now, with this certificate serial if there is one. */
  isActive(hostId: string, serial: string | null): Promise<boolean>;
}

export interface ServiceAccount {
  dn: string;
  password: string;
}

export interface CredentialCheckerDeps {
  baseDn: string;
  /** Secrets that host passwords derive from, the current one first; empty: hosts have no passwords. */
  hostSecrets: readonly string[];
  hosts: HostLookup;
}

/** Password of a host: hex(HMAC(HMAC(secret, "ldap-bind"), host name)), HMAC-SHA256 throughout. */
export function hostBindPassword(secret: string, hostname: string): string {
  const key = createHmac('sha256', secret).update('ldap-bind').digest();
  return createHmac('sha256', key).update(hostname.toLowerCase()).digest('hex');
}

/** The entry that stands for a host. */
export function hostDn(hostname: string, baseDn: string): string {
  return `uid=${hostname.toLowerCase()},ou=identree-hosts,${baseDn}`;
}

const digest = (data: string | Uint8Array): Buffer => hash('sha256', data, 'buffer');

/** Compares without telling by its time how much was right, or how long the secret is. */
const isSame = (given: Uint8Array, expected: string): boolean => timingSafeEqual(digest(given), digest(expected));

/**
 * The account that sssd.conf may name, checked where the connection is; everything else is left to `others`.
 *
 * @throws when its name is not a distinguished name.
 */
export function withServiceAccount(account: ServiceAccount | null, others: CredentialChecker): CredentialChecker {
  if (account === null) return others;
  const key = dnKey(account.dn);
  if (key === null) throw new Error(`${account.dn} is not a distinguished name`);
  const expected = digest(account.password);
  const identity: Identity = { kind: 'service', dn: account.dn, hostNames: [], reference: 'service' };
  return {
    checkBind(attempt) {
      if (attempt.dn !== account.dn && dnKey(attempt.dn) !== key) return others.checkBind(attempt);
      return timingSafeEqual(digest(attempt.password), expected) ? identity : null;
    },
    identify: others.identify,
    isCurrent: async (candidate) => candidate.reference === identity.reference || others.isCurrent(candidate),
  };
}

const HOSTNAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Checks host passwords and client certificates. Both are looked up anew each time: a revocation counts at once. */
export function createCredentialChecker(deps: CredentialCheckerDeps): CredentialChecker {
  /** Host name in `uid=<host>,ou=identree-hosts,<base>`; null for any other name. */
  function hostnameOf(dn: string): string | null {
    const [first] = nameParts(dn);
    const hostname = first?.value.toString('utf8').toLowerCase();
    if (hostname === undefined || !HOSTNAME.test(hostname)) return null;
    return dnKey(dn) === dnKey(hostDn(hostname, deps.baseDn)) ? hostname : null;
  }

  function identityOf(host: LdapHost, serial: string | null): Identity {
    const full = host.hostname.toLowerCase();
    const short = full.split('.')[0]!;
    return {
      kind: 'host',
      dn: hostDn(full, deps.baseDn),
      hostNames: [...new Set([full, short])],
      reference: JSON.stringify([host.id, serial]),
    };
  }

  async function checkHost({ dn, password, certificate }: BindAttempt): Promise<Identity | null> {
    const hostname = hostnameOf(dn);
    if (hostname === null) return null;
    if (certificate !== null) {
      // The certificate of this very connection decides; no password makes up for another host's.
      if (!certificate.names.includes(hostname)) return null;
      const host = await deps.hosts.byCertificate(certificate);
      if (host === null || host.hostname.toLowerCase() !== hostname) return null;
      return identityOf(host, certificate.serial);
    }
    const matches = deps.hostSecrets.map((secret) => isSame(password, hostBindPassword(secret, hostname)));
    if (!matches.includes(true)) return null;
    const host = await deps.hosts.byName(hostname);
    return host === null ? null : identityOf(host, null);
  }

  return {
    checkBind: checkHost,

    async identify(certificate) {
      const host = await deps.hosts.byCertificate(certificate);
      return host === null ? null : identityOf(host, certificate.serial);
    },

    async isCurrent(identity) {
      const [hostId, serial] = JSON.parse(identity.reference) as [string, string | null];
      return deps.hosts.isActive(hostId, serial);
    },
  };
}
