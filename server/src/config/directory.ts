import { z } from 'zod';
import { optional, type SettingMeta, withDefault } from './setting.ts';
import {
  baseDn,
  choice,
  duration,
  durationOrSeconds,
  flag,
  homePattern,
  idRange,
  idRanges,
  integer,
  issuedSecret,
  issuer,
  ldapUrl,
  list,
  listenAddressOrOff,
  octets,
  path,
  pemOrPath,
  plainPath,
  secret,
  text,
} from './values.ts';

const ldap = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_LDAP_${name}`,
  toml: `ldap.${name.toLowerCase()}`,
  section: 'LDAP directory',
  description,
  ...more,
});
const names = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  ...ldap(name, description, more),
  section: 'Accounts, groups and numbers',
});
const sudo = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  ...ldap(`SUDO_${name}`, description, more),
  section: 'Sudo rules',
});
const source = (env: string, toml: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_${env}`,
  toml: toml as SettingMeta['toml'],
  section: 'Where people come from',
  description,
  ...more,
});
const by = <T extends SettingMeta>(meta: T, value: string): T & { default: string } => ({ ...meta, default: value });
const hidden = { toml: null, secret: true } as const;

/** Where people, groups and their claims come from. */
export const sourceSettings = {
  directory: z.object({
    source: optional(
      choice('pocketid', 'scim', 'file', 'none'),
      source(
        'DIRECTORY_SOURCE',
        'directory.source',
        'Where people and groups come from: pocketid, scim, file, or none for bridge mode, in which only sudo rules are served.',
        { defaultNote: '`pocketid` when `IDENTREE_POCKETID_API_KEY` is set, else `none`' },
      ),
    ),
    file: optional(
      path,
      source(
        'DIRECTORY_FILE',
        'directory.file',
        'People and groups for IDENTREE_DIRECTORY_SOURCE=file, as JSON, or as YAML when its name ends in .yaml or .yml. Read again when it changes.',
        { example: '/etc/identree/directory.yaml' },
      ),
    ),
    guardPower: withDefault(
      choice('hold', 'publish'),
      by(
        source(
          'DIRECTORY_GUARD_POWER',
          'directory.guard_power',
          'hold: new members and new rules of a group that produces root wait for an administrator. publish: they are served at once.',
        ),
        'hold',
      ),
    ),
    guardBindings: withDefault(
      choice('all', 'changed', 'publish'),
      by(
        source(
          'DIRECTORY_GUARD_BINDINGS',
          'directory.guard_bindings',
          'Which links of a person to a Linux account wait for an administrator: all, changed (a renamed person, or a name that was somebody else’s), or none with publish.',
        ),
        'changed',
      ),
    ),
  }),
  pocketId: z.object({
    apiKey: optional(
      issuedSecret,
      source('POCKETID_API_KEY', '', 'API key of an administrator of PocketID. Selects full mode.', hidden),
    ),
    apiUrl: optional(
      issuer,
      source('POCKETID_API_URL', 'pocketid.api_url', 'Where the API of PocketID is.', {
        defaultNote: 'the issuer, `IDENTREE_OIDC_ISSUER_URL`',
      }),
    ),
    caCertFile: optional(
      path,
      source(
        'POCKETID_CA_CERT',
        'pocketid.ca_cert',
        'Certificate authority of PocketID in PEM, beside those of the system.',
      ),
    ),
  }),
  webhookSecret: optional(
    secret(32),
    source(
      'WEBHOOK_SECRET',
      '',
      'Signs calls of POST /api/webhook/pocketid, which ask for a refresh. Unset: the webhook answers 403. PocketID itself calls no webhook; this is for scripts and other identity providers.',
      hidden,
    ),
  ),
  scimGroupRename: withDefault(
    choice('keep', 'follow'),
    by(
      source(
        'SCIM_GROUP_RENAME',
        'directory.scim_group_rename',
        'keep: the POSIX name of a group stays when a SCIM client renames it. follow: it changes too.',
      ),
      'keep',
    ),
  ),
};

/** How the LDAP directory is served and what is in it. */
export const ldapSettings = z.object({
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
    by(ldap('LISTEN_ADDR', 'Address for plain LDAP and StartTLS, or off.'), ':389'),
  ),
  tlsListen: withDefault(listenAddressOrOff, by(ldap('TLS_LISTEN_ADDR', 'Address for LDAPS, or off.'), ':636')),
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
    by(
      ldap(
        'ALLOW_ANONYMOUS',
        'Searches without authentication. Then anybody who reaches the port can read every account and sudo rule.',
      ),
      'false',
    ),
  ),
  requireTls: withDefault(flag, by(ldap('REQUIRE_TLS', 'Passwords and searches over TLS only.'), 'false')),
  provisionEnabled: withDefault(
    flag,
    by(
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
    by(ldap('REFRESH_INTERVAL', 'How often people and groups are fetched.'), '300s'),
  ),
  cacheMaxAgeMs: withDefault(
    duration('1m', '365d'),
    by(ldap('CACHE_MAX_AGE', 'How long the last good directory is served while its source does not answer.'), '7d'),
  ),
  syncMaxDeletePercent: withDefault(
    integer(0, 100),
    by(
      ldap(
        'SYNC_MAX_DELETE_PCT',
        'A refresh that would remove a larger share of users, groups or memberships waits for an administrator. 0: any share.',
      ),
      '30',
    ),
  ),
  netgroups: withDefault(flag, by(ldap('NETGROUPS', 'Serve groups of hosts as netgroups.'), 'false')),
  maxSearchResults: withDefault(
    integer(0, 10_000_000),
    by(
      ldap('MAX_SEARCH_RESULTS', 'Entries per search that is not paged. 0: any number. Paged searches get everything.'),
      '10000',
    ),
  ),
  maxMessageSize: withDefault(
    octets(16_384, 16_777_216),
    by(ldap('MAX_MESSAGE_SIZE', 'Largest request of an authenticated client; others get 64KB at most.'), '1MB'),
  ),
  maxConnections: withDefault(
    integer(1, 65_535),
    by(ldap('MAX_CONNECTIONS', 'Connections at once. Further ones are told to come back later.'), '4096'),
  ),
  maxConnectionsPerAddress: withDefault(
    integer(1, 65_535),
    by(
      ldap('MAX_CONNECTIONS_PER_IP', 'Connections at once from one address. Raise it for hosts behind one gateway.'),
      '64',
    ),
  ),
  searchRate: withDefault(
    integer(0, 1_000_000),
    by(
      ldap(
        'SEARCH_RATE',
        'Searches a second on one connection; five times as many may come at once, and a large one counts as one for each KiB that it takes. 0: any number.',
      ),
      '200',
    ),
  ),
  searchRatePerAddress: withDefault(
    integer(0, 1_000_000),
    by(
      ldap('SEARCH_RATE_PER_IP', 'The same for all connections of one address. Raise it for hosts behind one gateway.'),
      '1000',
    ),
  ),

  uidMapFile: withDefault(
    path,
    by(
      names(
        'UID_MAP_FILE',
        'Copy of the UID/GID map, written after each change; earlier installations are imported from it.',
      ),
      '/var/lib/identree-server/uidmap.json',
    ),
  ),
  uidMapInit: withDefault(
    choice('refuse', 'force'),
    by(
      names(
        'UIDMAP_INIT',
        'What to do when a directory was published and its UID/GID map is gone. force: begin with the copy, or with nothing, which gives people other numbers than their files have. Take it out again afterwards.',
      ),
      'refuse',
    ),
  ),
  uidBase: withDefault(integer(1000, 2_147_483_647), by(names('UID_BASE', 'First uid that is given.'), '200000')),
  gidBase: withDefault(integer(1000, 2_147_483_647), by(names('GID_BASE', 'First gid that is given.'), '200000')),
  uidMax: withDefault(
    integer(1000, 2_147_483_647),
    by(names('UID_MAX', 'Last uid and gid that is given.'), '2147483647'),
  ),
  idExclude: withDefault(
    idRanges,
    by(
      names('ID_EXCLUDE', 'Numbers that are never given, as ranges.'),
      '61184-65519, 100000-165535, 524288-1879048191',
    ),
  ),
  claimIdRange: optional(
    idRange,
    names(
      'CLAIM_ID_RANGE',
      'Range in which a claim uidNumber or gidNumber is honoured at first sight, to move from another directory.',
      { example: '1000-60000' },
    ),
  ),
  usernamePolicy: withDefault(
    choice('strict', 'fold', 'localpart', 'preserve'),
    by(
      names(
        'USERNAME_POLICY',
        'What becomes of names that Linux does not accept: strict leaves them out, fold makes them lower case, localpart also cuts at @, preserve serves upper case.',
      ),
      'fold',
    ),
  ),
  reservedNames: withDefault(
    list,
    by(names('RESERVED_NAMES', 'Names that are never served, beside those of the system.'), ''),
  ),
  nameQuarantineMs: withDefault(
    duration('0s', '3650d'),
    by(names('NAME_QUARANTINE', 'How long a name that its owner left is kept from others.'), '30d'),
  ),
  defaultShell: withDefault(
    plainPath,
    by(names('DEFAULT_SHELL', 'Shell of people without the claim loginShell.'), '/bin/bash'),
  ),
  defaultHome: withDefault(
    homePattern,
    by(
      names('DEFAULT_HOME', 'Home folder of people without the claim homeDirectory; %s is the user name.'),
      '/home/%s',
    ),
  ),
  allowedShells: withDefault(
    list,
    by(names('ALLOWED_SHELLS', 'Shells that a claim may name. Empty: any absolute path.'), ''),
  ),
  accessDefault: withDefault(
    choice('deny', 'allow'),
    by(
      names(
        'ACCESS_DEFAULT',
        'For hosts that check the attribute host: deny people whose groups have no claim accessHosts, or allow them everywhere.',
      ),
      'deny',
    ),
  ),
  accessAllowAll: withDefault(
    flag,
    by(names('ACCESS_ALLOW_ALL', 'Whether the claim accessHosts may say ALL.'), 'false'),
  ),

  sudoNoAuthenticate: withDefault(
    choice('false', 'true', 'claims'),
    by(
      sudo(
        'NO_AUTHENTICATE',
        'false: no rule ever says !authenticate. true: every rule does, so sudo asks nobody. claims: those whose options ask for it. Connections that have not authenticated never see it.',
      ),
      'false',
    ),
  ),
  sudoDefaults: withDefault(
    list,
    by(
      sudo(
        'DEFAULTS',
        'Options of the entry cn=defaults, or none. Without timestamp_timeout=0 sudo asks once in 15 minutes only.',
      ),
      'timestamp_timeout=0',
    ),
  ),
  sudoStrict: withDefault(
    flag,
    by(sudo('STRICT', 'One bad value drops the whole rule instead of the value.'), 'false'),
  ),
  sudoHostWildcards: withDefault(
    choice('off', 'expand', 'raw'),
    by(
      sudo(
        'HOST_WILDCARDS',
        'Patterns in sudoHosts: off refuses them, expand writes the enrolled hosts that match, raw leaves them, which sssd asks for only with ldap_sudo_include_regexp.',
      ),
      'expand',
    ),
  ),
  sudoHostScope: withDefault(
    choice('all', 'bound'),
    by(sudo('HOST_SCOPE', 'bound: a host that authenticated as itself sees only rules that may apply to it.'), 'all'),
  ),
  sudoUserStyle: withDefault(
    choice('users', 'group'),
    by(sudo('USER_STYLE', 'Whether rules from claims name the members or the group.'), 'users'),
  ),
  sudoMaxTimestampTimeout: withDefault(
    integer(0, 1440),
    by(sudo('MAX_TIMESTAMP_TIMEOUT', 'Most minutes that the option timestamp_timeout may ask for.'), '0'),
  ),
  sudoAllowNegated: withDefault(
    flag,
    by(sudo('ALLOW_NEGATED', 'Accept commands with ! in front, which are easy to get around.'), 'false'),
  ),
  sudoAllowSudoedit: withDefault(flag, by(sudo('ALLOW_SUDOEDIT', 'Accept sudoedit as a command.'), 'false')),
  sudoAllowRegex: withDefault(
    flag,
    by(sudo('ALLOW_REGEX', 'Accept commands as regular expressions, which sudo knows since 1.9.10.'), 'false'),
  ),
  sudoAllowMac: withDefault(
    flag,
    by(sudo('ALLOW_MAC', 'Accept the options role, type and apparmor_profile.'), 'false'),
  ),
  sudoEnvironment: withDefault(
    list,
    by(sudo('ENVIRONMENT', 'Variables that env_keep+= and env_check+= may name.'), 'LANG, LC_*, TZ, COLORS'),
  ),
});

/** Sudo rules that do not come from claims. */
export const sudoRuleSettings = z.object({
  source: optional(choice('claims', 'store', 'both'), {
    ...sudo('', ''),
    env: 'IDENTREE_SUDO_SOURCE',
    toml: 'ldap.sudo_source',
    description: 'Where sudo rules come from: claims of groups, the rules in the database, or both.',
    defaultNote: '`store` in bridge mode, else `claims`',
  }),
  rulesFile: optional(path, {
    ...sudo('', ''),
    env: 'IDENTREE_SUDO_RULES_FILE',
    toml: 'ldap.sudo_rules_file',
    description: 'sudorules.json of an earlier installation, imported at the first start.',
    example: '/config/sudorules.json',
  }),
  groupSyntax: withDefault(choice('strict', 'relaxed'), {
    ...sudo('', ''),
    env: 'IDENTREE_SUDO_GROUP_SYNTAX',
    toml: 'ldap.sudo_group_syntax',
    description: 'relaxed: rules in the database may name groups of another directory, with upper case and @.',
    default: 'strict',
  }),
});
