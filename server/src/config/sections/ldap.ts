import type { z } from 'zod';
import { bothOrNeither, type Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { defaultsTo, hidden, optional, type SettingMeta, withDefault } from '../setting.ts';
import {
  baseDn,
  choice,
  duration,
  durationOrSeconds,
  flag,
  integer,
  isLoopback,
  ldapUrl,
  listenAddressOrOff,
  octets,
  path,
  pemOrPath,
  secret,
  text,
} from '../values.ts';

/** A setting of the directory: its names in environment and file follow from one. */
export const ldap = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_LDAP_${name}`,
  toml: `ldap.${name.toLowerCase()}`,
  section: 'LDAP directory',
  description,
  ...more,
});

/** How the LDAP directory is served and what is in it. */
export const ldapSettings = {
  enabled: optional(
    flag,
    ldap('ENABLED', 'Serve the LDAP directory.', { defaultNote: 'true when `IDENTREE_LDAP_BASE_DN` is set' }),
  ),
  baseDn: optional(
    baseDn,
    ldap('BASE_DN', 'Suffix of the directory. Required when it is served.', { example: 'dc=example,dc=com' }),
  ),
  listen: withDefault(
    listenAddressOrOff,
    defaultsTo(ldap('LISTEN_ADDR', 'Address for plain LDAP and StartTLS, or off.'), ':389'),
  ),
  tlsListen: withDefault(listenAddressOrOff, defaultsTo(ldap('TLS_LISTEN_ADDR', 'Address for LDAPS, or off.'), ':636')),
  externalUrl: optional(
    ldapUrl,
    ldap('EXTERNAL_URL', 'Where hosts reach the directory; `identree setup --sssd` writes it into sssd.conf.', {
      defaultNote: '`ldaps://` and the name in `IDENTREE_EXTERNAL_URL`, with the port of the LDAPS listener',
    }),
  ),
  tlsCertFile: optional(
    path,
    ldap('TLS_CERT_FILE', 'Certificate chain of the directory in PEM. Unset: the embedded CA issues one.'),
  ),
  tlsKeyFile: optional(path, ldap('TLS_KEY_FILE', 'Private key in PEM that belongs to IDENTREE_LDAP_TLS_CERT_FILE.')),
  tlsCaCert: optional(
    pemOrPath,
    ldap(
      'TLS_CA_CERT',
      'Further certificate authority for client certificates, as a path or in PEM; hosts get it to verify the directory with. The embedded CA is always accepted.',
    ),
  ),
  tlsServerCaCert: optional(
    pemOrPath,
    ldap(
      'TLS_SERVER_CA_CERT',
      'Who signed IDENTREE_LDAP_TLS_CERT_FILE, as a path or in PEM, when it is neither the embedded CA nor that of IDENTREE_LDAP_TLS_CA_CERT. Hosts get it to verify the directory with; client certificates of it count for nothing.',
    ),
  ),
  clientCertificates: optional(
    choice('off', 'optional', 'required'),
    ldap('TLS_CLIENT_CERTIFICATES', 'Whether TLS connections need a client certificate.', {
      defaultNote: '`required` when `IDENTREE_LDAP_TLS_CA_CERT` is set, else `optional`',
    }),
  ),
  bindDn: optional(
    text(512),
    ldap('BIND_DN', 'Name of the service account that may read everything.', {
      example: 'cn=readonly,dc=example,dc=com',
    }),
  ),
  bindPassword: optional(secret(10), ldap('BIND_PASSWORD', 'Password of IDENTREE_LDAP_BIND_DN.', hidden)),
  allowAnonymous: withDefault(
    flag,
    defaultsTo(
      ldap(
        'ALLOW_ANONYMOUS',
        'Searches without authentication. Then anybody who reaches the port can read every account and sudo rule.',
      ),
      'false',
    ),
  ),
  requireTls: withDefault(flag, defaultsTo(ldap('REQUIRE_TLS', 'Passwords and searches over TLS only.'), 'false')),
  provisionEnabled: withDefault(
    flag,
    defaultsTo(
      ldap(
        'PROVISION_ENABLED',
        'Give every host a bind password of its own, for clients that cannot use certificates. Needs IDENTREE_LDAP_SECRET.',
      ),
      'false',
    ),
  ),
  secret: optional(secret(32), ldap('SECRET', 'Bind passwords of hosts derive from it.', hidden)),
  secretPrevious: optional(
    secret(32),
    ldap(
      'SECRET_PREVIOUS',
      'The IDENTREE_LDAP_SECRET before the current one, accepted while hosts change over.',
      hidden,
    ),
  ),
  refreshIntervalMs: withDefault(
    durationOrSeconds('10s', '24h'),
    defaultsTo(ldap('REFRESH_INTERVAL', 'How often people and groups are fetched.'), '300s'),
  ),
  cacheMaxAgeMs: withDefault(
    duration('1m', '365d'),
    defaultsTo(
      ldap('CACHE_MAX_AGE', 'How long the last good directory is served while its source does not answer.'),
      '7d',
    ),
  ),
  syncMaxDeletePercent: withDefault(
    integer(0, 100),
    defaultsTo(
      ldap(
        'SYNC_MAX_DELETE_PCT',
        'A refresh that would remove more than five users, groups or memberships, and a larger share of them than this, waits for an administrator. 0: any share. One that would leave nobody waits always.',
      ),
      '30',
    ),
  ),
  netgroups: withDefault(flag, defaultsTo(ldap('NETGROUPS', 'Serve groups of hosts as netgroups.'), 'false')),
  maxSearchResults: withDefault(
    integer(0, 10_000_000),
    defaultsTo(
      ldap('MAX_SEARCH_RESULTS', 'Entries per search that is not paged. 0: any number. Paged searches get everything.'),
      '10000',
    ),
  ),
  maxMessageSize: withDefault(
    octets(16_384, 16_777_216),
    defaultsTo(ldap('MAX_MESSAGE_SIZE', 'Largest request of an authenticated client; others get 64KB at most.'), '1MB'),
  ),
  maxConnections: withDefault(
    integer(1, 65_535),
    defaultsTo(ldap('MAX_CONNECTIONS', 'Connections at once. Further ones are told to come back later.'), '4096'),
  ),
  maxConnectionsPerAddress: withDefault(
    integer(1, 65_535),
    defaultsTo(
      ldap('MAX_CONNECTIONS_PER_IP', 'Connections at once from one address. Raise it for hosts behind one gateway.'),
      '64',
    ),
  ),
  searchRate: withDefault(
    integer(0, 1_000_000),
    defaultsTo(
      ldap(
        'SEARCH_RATE',
        'Lookups a second on one connection. Five times as many may come at once, and a search counts for what it costs: a large filter as one lookup for each KiB, a long answer as one for every 24 entries. A client that asks more waits, and is never refused. 0: any number.',
      ),
      '1000',
    ),
  ),
  searchRatePerAddress: withDefault(
    integer(0, 1_000_000),
    defaultsTo(
      ldap(
        'SEARCH_RATE_PER_IP',
        'Searches a second from one address, over all its connections. Those that have asked least go first. 0: any number.',
      ),
      '5000',
    ),
  ),
};

/** Rules over several of these settings. */
export function checkLdap(
  { ldap = {} }: Readable<{ ldap: z.ZodObject<typeof ldapSettings> }>,
  { errors, warnings }: Report,
): void {
  if (ldap.enabled && ldap.baseDn === null) {
    errors.push({
      setting: 'IDENTREE_LDAP_BASE_DN',
      problem: 'is not set, but IDENTREE_LDAP_ENABLED is true',
      fix: 'Set it, like dc=example,dc=com.',
    });
  }
  bothOrNeither(errors, ['IDENTREE_LDAP_BIND_DN', ldap.bindDn], ['IDENTREE_LDAP_BIND_PASSWORD', ldap.bindPassword]);
  bothOrNeither(
    errors,
    ['IDENTREE_LDAP_TLS_CERT_FILE', ldap.tlsCertFile],
    ['IDENTREE_LDAP_TLS_KEY_FILE', ldap.tlsKeyFile],
  );
  if (ldap.provisionEnabled && ldap.secret === null) {
    errors.push({
      setting: 'IDENTREE_LDAP_SECRET',
      problem: 'is not set, but IDENTREE_LDAP_PROVISION_ENABLED is true',
      fix: 'Make one with: openssl rand -hex 32. IDENTREE_SHARED_SECRET is not used in its place, because hosts know it.',
    });
  }
  if (ldap.listen === null && ldap.tlsListen === null && ldap.enabled !== false && ldap.baseDn) {
    errors.push({
      setting: 'IDENTREE_LDAP_LISTEN_ADDR',
      problem: 'is off, and so is IDENTREE_LDAP_TLS_LISTEN_ADDR',
      fix: 'Open one of them, or set IDENTREE_LDAP_ENABLED to false.',
    });
  }
  const address = ldap.listen?.host ?? '';
  const isOpen = ldap.allowAnonymous && ldap.baseDn && ldap.listen && !isLoopback(address);
  if (isOpen && !ldap.requireTls) {
    warnings.push({
      setting: 'IDENTREE_LDAP_ALLOW_ANONYMOUS',
      problem: 'is true on an address that others reach: everybody there can read all accounts and sudo rules',
      fix: 'Use client certificates or a service account, or let a firewall admit managed hosts only.',
    });
  }
}
