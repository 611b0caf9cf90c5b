import { z } from 'zod';
import { ldapSettings, sourceSettings, sudoRuleSettings } from './directory.ts';
import { optional, required, type SettingMeta, settingMeta, withDefault } from './setting.ts';
import {
  choice,
  duration,
  flag,
  integer,
  issuedSecret,
  issuer,
  list,
  listenAddress,
  networks,
  origin,
  path,
  type RawValue,
  secret,
  text,
} from './values.ts';

/**
 * The settings of the server: the one place to add one. Reading, errors, the warning about unknown names and
 * docs/configuration.md follow from this.
 */
export const settings = z.object({
  externalUrl: required(origin, {
    env: 'IDENTREE_EXTERNAL_URL',
    toml: 'server.external_url',
    section: 'Server',
    description: 'Where people and hosts reach this server. Passkeys are bound to this name, so choose one that stays.',
    example: 'https://identree.example.com',
  }),
  listen: withDefault(listenAddress, {
    env: 'IDENTREE_LISTEN_ADDR',
    toml: 'server.listen_addr',
    section: 'Server',
    description: 'Address and port to listen on. Without an address: all of them.',
    default: ':8090',
  }),
  tls: z.object({
    certFile: optional(path, {
      env: 'IDENTREE_TLS_CERT_FILE',
      toml: 'server.tls_cert_file',
      section: 'Server',
      description: 'Certificate chain in PEM, when this server ends TLS itself. Needs IDENTREE_TLS_KEY_FILE.',
    }),
    keyFile: optional(path, {
      env: 'IDENTREE_TLS_KEY_FILE',
      toml: 'server.tls_key_file',
      section: 'Server',
      description: 'Private key in PEM that belongs to IDENTREE_TLS_CERT_FILE.',
    }),
  }),
  trustedProxies: withDefault(networks, {
    env: 'IDENTREE_TRUSTED_PROXIES',
    toml: 'server.trusted_proxies',
    section: 'Server',
    description:
      'Addresses or networks of the proxies in front of this server. Only their X-Forwarded-For and X-Forwarded-Proto count; ' +
      'the right-most address that is no proxy is the client.',
    default: '',
    example: '10.0.0.5, 10.1.0.0/24',
  }),
  keysDir: withDefault(path, {
    env: 'IDENTREE_KEYS_DIR',
    toml: 'server.keys_dir',
    section: 'Server',
    description: 'Folder of the signing keys, readable by the server only. Back it up apart from the database.',
    default: '/var/lib/identree-server/keys',
  }),
  logLevel: withDefault(choice('debug', 'info', 'warn', 'error'), {
    env: 'IDENTREE_LOG_LEVEL',
    toml: 'server.log_level',
    section: 'Server',
    description: 'How much is logged: debug, info, warn or error.',
    default: 'info',
  }),
  metricsToken: optional(secret(16), {
    env: 'IDENTREE_METRICS_TOKEN',
    toml: null,
    section: 'Server',
    description: 'Bearer token that /metrics asks for. Unset: anyone who reaches the server can read the metrics.',
    secret: true,
  }),

  database: z.object({
    driver: withDefault(choice('sqlite', 'postgres'), {
      env: 'IDENTREE_DATABASE_DRIVER',
      toml: 'database.driver',
      section: 'Database',
      description: 'sqlite for one server, postgres for one or several.',
      default: 'sqlite',
    }),
    dsn: withDefault(text(), {
      env: 'IDENTREE_DATABASE_DSN',
      toml: null,
      section: 'Database',
      description: 'Path of the SQLite file, or the postgres:// URL, which has to be given.',
      default: '/var/lib/identree-server/identree.db',
      example: 'postgres://identree@db.example.com/identree',
      secret: true,
    }),
    maxConnections: withDefault(integer(0, 1000), {
      env: 'IDENTREE_DATABASE_MAX_OPEN_CONNS',
      toml: 'database.max_open_conns',
      section: 'Database',
      description: 'Most connections to Postgres at once. 0: 25. SQLite always has one.',
      default: '0',
    }),
  }),

  oidc: z.object({
    issuerUrl: required(issuer, {
      env: 'IDENTREE_OIDC_ISSUER_URL',
      toml: 'oidc.issuer_url',
      section: 'Sign-in',
      description: 'Issuer of the OpenID Connect identity provider, exactly as it calls itself.',
      example: 'https://id.example.com',
    }),
    clientId: required(text(), {
      env: 'IDENTREE_OIDC_CLIENT_ID',
      toml: 'oidc.client_id',
      section: 'Sign-in',
      description: 'Client identifier that the identity provider gave to this server.',
    }),
    clientSecret: required(issuedSecret, {
      env: 'IDENTREE_OIDC_CLIENT_SECRET',
      toml: null,
      section: 'Sign-in',
      description: 'Client secret that the identity provider gave to this server.',
      secret: true,
    }),
  }),
  adminGroups: required(list, {
    env: 'IDENTREE_ADMIN_GROUPS',
    toml: 'admin.groups',
    section: 'Sign-in',
    description:
      "Groups in the identity provider's groups claim whose members are administrators, separated by commas.",
    example: 'identree-admins',
  }),
  firstPasskeyNeedsCode: withDefault(flag, {
    env: 'IDENTREE_FIRST_PASSKEY_NEEDS_CODE',
    toml: 'auth.first_passkey_needs_code',
    section: 'Sign-in',
    description:
      "A person's first passkey needs a code from an administrator besides a fresh sign-in, so that the identity provider alone cannot make an approver.",
    default: 'false',
  }),

  challengeTtlMs: withDefault(duration('30s', '24h'), {
    env: 'IDENTREE_CHALLENGE_TTL',
    toml: 'auth.challenge_ttl',
    section: 'Approvals',
    description: 'How long a request waits for an answer, from 30s to 24h.',
    default: '120s',
  }),
  policiesFile: optional(path, {
    env: 'IDENTREE_APPROVAL_POLICIES_FILE',
    toml: 'admin.approval_policies_file',
    section: 'Approvals',
    description: 'Approval policies. Unset: every request needs a passkey.',
    example: '/etc/identree/policies.json',
  }),

  sharedSecret: optional(secret(32), {
    env: 'IDENTREE_SHARED_SECRET',
    toml: null,
    section: 'Hosts',
    description:
      'Lets a host enrol without a token, and nothing else. A host that enrols with it waits until an operator confirms its key. Unset: tokens only.',
    secret: true,
  }),
  enrolmentAutoConfirm: withDefault(flag, {
    env: 'IDENTREE_ENROLMENT_AUTO_CONFIRM',
    toml: 'hosts.enrolment_auto_confirm',
    section: 'Hosts',
    description:
      'Accept hosts that enrol with IDENTREE_SHARED_SECRET at once. Then the secret is all that a stranger needs.',
    default: 'false',
  }),
  certificateTtlMs: withDefault(duration('24h', '3650d'), {
    env: 'IDENTREE_MTLS_CERT_TTL',
    toml: 'hosts.cert_ttl',
    section: 'Hosts',
    description:
      'How long the certificate of a host is valid. Its agent renews it when two thirds of that have passed.',
    default: '8760h',
  }),

  ...sourceSettings,
  ldap: ldapSettings,
  sudoRules: sudoRuleSettings,
});

type Settings = z.output<typeof settings>;

type KeyPairFiles = { certFile: string; keyFile: string };
type LdapSettings = Settings['ldap'];

/** The LDAP directory as it is served. */
export interface LdapConfig
  extends Omit<
    LdapSettings,
    | 'enabled'
    | 'baseDn'
    | 'tlsCertFile'
    | 'tlsKeyFile'
    | 'clientCertificates'
    | 'bindDn'
    | 'bindPassword'
    | 'externalUrl'
  > {
  baseDn: string;
  externalUrl: string;
  /** Null: the embedded CA issues a certificate. */
  tls: KeyPairFiles | null;
  clientCertificates: 'off' | 'optional' | 'required';
  /** The service account; null: none. */
  service: { dn: string; password: string } | null;
}

/** What the rest of the server is told. */
export interface Config extends Omit<Settings, 'tls' | 'ldap' | 'directory' | 'sudoRules'> {
  tls: KeyPairFiles | null;
  directory: Omit<Settings['directory'], 'source'> & { source: 'pocketid' | 'scim' | 'file' | 'none' };
  sudoRules: Omit<Settings['sudoRules'], 'source'> & { source: 'claims' | 'store' | 'both' };
  /** Null: no directory is served. */
  ldap: LdapConfig | null;
  /** Evaluation mode; no source can set it, only the evaluation entry. */
  evaluation: boolean;
}

type Leaf = z.ZodType<unknown, RawValue>;

/** Every setting with its place in {@link Config}. */
export function listSettings(): { path: string[]; type: Leaf; meta: SettingMeta }[] {
  const walk = (object: z.ZodObject, path: string[]): { path: string[]; type: Leaf; meta: SettingMeta }[] =>
    Object.entries(object.shape).flatMap(([key, type]) => {
      if (type instanceof z.ZodObject) return walk(type, [...path, key]);
      const meta = settingMeta.get(type);
      if (!meta) throw new TypeError(`setting without description: ${[...path, key].join('.')}`);
      return [{ path: [...path, key], type: type as Leaf, meta }];
    });
  return walk(settings, []);
}
