import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
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

export interface CredentialCheckerDeps {
  baseDn: string;
  /** The account that sssd.conf may name; null: none. */
  service: { dn: string; password: string } | null;
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

/** Compares without telling by its time how much was right, or how long the secret is. */
function isSame(given: Uint8Array, expected: string): boolean {
  const digest = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

const SERVICE = 'service';
const HOSTNAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Checks service account, host passwords and client certificates (directory.md 2.1). */
export function createCredentialChecker(deps: CredentialCheckerDeps): CredentialChecker {
  const serviceKey = deps.service === null ? null : dnKey(deps.service.dn);
  if (deps.service !== null && serviceKey === null) throw new Error(`${deps.service.dn} is not a distinguished name`);

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
    async checkBind(attempt) {
      if (deps.service !== null && dnKey(attempt.dn) === serviceKey) {
        if (!isSame(attempt.password, deps.service.password)) return null;
        return { kind: 'service', dn: deps.service.dn, hostNames: [], reference: SERVICE };
      }
      return checkHost(attempt);
    },

    async identify(certificate) {
      const host = await deps.hosts.byCertificate(certificate);
      return host === null ? null : identityOf(host, certificate.serial);
    },

    async isCurrent(identity) {
      if (identity.kind === 'service') return deps.service !== null;
      const [hostId, serial] = JSON.parse(identity.reference) as [string, string | null];
      return deps.hosts.isActive(hostId, serial);
    },
  };
}
