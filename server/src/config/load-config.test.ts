import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Config } from './config.ts';
import { listSettings } from './config.ts';
import { DEAD_SETTINGS } from './dead-settings.ts';
import { loadConfig } from './load-config.ts';
import { formatProblems } from './problems.ts';
import { DEFAULT_TOML_FILE } from './sources.ts';

const STRONG = 'b7e0f19c5a2d4836b7e0f19c5a2d4836';
const MINIMAL = {
  IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
  IDENTREE_OIDC_ISSUER_URL: 'https://id.example.com/',
  IDENTREE_OIDC_CLIENT_ID: 'identree',
  IDENTREE_OIDC_CLIENT_SECRET: 'k3yFromTheProvider',
  IDENTREE_ADMIN_GROUPS: 'admins, ops',
};

/** A directory is served. */
const LDAP = { IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com' };

function load(env: Record<string, string | undefined> = {}, files: Record<string, string> = {}) {
  return loadConfig({
    env: { ...MINIMAL, ...env },
    readFile: (path) => {
      const content = files[path];
      if (content === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
      return content;
    },
  });
}

function config(env: Record<string, string | undefined> = {}, files: Record<string, string> = {}): Config {
  const result = load(env, files);
  assert.ok(result.ok, result.ok ? '' : formatProblems(result.errors));
  return result.config;
}

function wrongSettings(env: Record<string, string | undefined> = {}, files: Record<string, string> = {}): string[] {
  const result = load(env, files);
  return result.ok ? [] : result.errors.map(({ setting }) => setting);
}

test('five settings make a server; everything else has a default', () => {
  assert.deepEqual(config(), {
    externalUrl: 'https://identree.example.com',
    listen: { host: '::', port: 8090 },
    stopDelayMs: 0,
    tls: null,
    trustedProxies: [],
    keysDir: '/var/lib/identree-server/keys',
    logLevel: 'info',
    metricsToken: null,
    database: { driver: 'sqlite', dsn: '/var/lib/identree-server/identree.db', maxConnections: 1, pooler: 'none' },
    oidc: {
      issuerUrl: 'https://id.example.com/',
      clientId: 'identree',
      clientSecret: 'k3yFromTheProvider',
      scopes: null,
      groupsClaim: 'groups',
      userIdClaim: 'sub',
      endSession: true,
    },
    adminGroups: ['admins', 'ops'],
    firstPasskeyNeedsCode: false,
    challengeTtlMs: 120_000,
    offlineGrantMs: 0,
    policiesFile: null,
    sharedSecret: null,
    enrolmentAutoConfirm: false,
    certificateTtlMs: 8760 * 3_600_000,
    directory: { source: 'none', file: null, guardPower: 'hold', guardBindings: 'changed' },
    pocketId: { apiKey: null, apiUrl: null, caCertFile: null },
    webhookSecret: null,
    scimGroupRename: 'keep',
    escrow: {
      backend: null,
      url: null,
      authId: null,
      authSecret: null,
      path: null,
      encryptionKey: null,
      encryptionKeyPrevious: null,
      hkdfSalt: null,
      command: null,
      rotateBefore: null,
      secondPerson: false,
      webUrl: null,
    },
    clientDefaults: {
      timeoutMs: null,
      breakGlassEnabled: null,
      breakGlassPasswordType: null,
      breakGlassRotationDays: null,
    },
    audit: {
      sinks: [],
      bufferSize: 4096,
      retention: {},
      archiveDir: null,
    },
    notify: { allowCidrs: [], timeoutMs: 15_000, secrets: Object.create(null), environment: {} },
    installer: { folder: null, verifyKeyFile: null },
    sudoRules: { source: 'store', rulesFile: null, groupSyntax: 'strict' },
    ldap: null,
    evaluation: false,
  });
});

test('all that is wrong is told at once, with the variable and the way out', () => {
  const nothing = Object.fromEntries(Object.keys(MINIMAL).map((name) => [name, undefined]));
  const result = load({
    ...nothing,
    IDENTREE_CHALLENGE_TTL: '5s',
    IDENTREE_TLS_CERT_FILE: '/etc/identree/tls.pem',
    IDENTREE_LDAP_ENABLED: 'true',
    IDENTREE_DATABASE_DRIVER: 'postgres',
  });
  assert.ok(!result.ok);
  assert.deepEqual(result.errors.map(({ setting }) => setting).sort(), [
    'IDENTREE_ADMIN_GROUPS',
    'IDENTREE_CHALLENGE_TTL',
    'IDENTREE_DATABASE_DSN',
    'IDENTREE_EXTERNAL_URL',
    'IDENTREE_LDAP_BASE_DN',
    'IDENTREE_OIDC_CLIENT_ID',
    'IDENTREE_OIDC_CLIENT_SECRET',
    'IDENTREE_OIDC_ISSUER_URL',
    'IDENTREE_TLS_KEY_FILE',
  ]);
  for (const { problem, fix } of result.errors) assert.ok(problem !== '' && fix !== '');
});

const REFUSED: [name: string, value: string][] = [
  ['IDENTREE_ADMIN_GROUPS', ''],
  ['IDENTREE_ADMIN_GROUPS', ' , '],
  ['IDENTREE_EXTERNAL_URL', 'identree.example.com'],
  ['IDENTREE_EXTERNAL_URL', 'ftp://identree.example.com'],
  ['IDENTREE_EXTERNAL_URL', 'javascript:alert(1)'],
  ['IDENTREE_EXTERNAL_URL', 'https:identree.example.com'],
  ['IDENTREE_EXTERNAL_URL', 'http://identree.example.com'],
  ['IDENTREE_EXTERNAL_URL', 'http://10.0.0.1'],
  ['IDENTREE_EXTERNAL_URL', 'http://localhost.example.com'],
  ['IDENTREE_EXTERNAL_URL', 'https://example.com/identree'],
  ['IDENTREE_EXTERNAL_URL', 'https://example.com/?x'],
  ['IDENTREE_EXTERNAL_URL', 'https://example.com#'],
  ['IDENTREE_EXTERNAL_URL', 'https://me:pw@example.com'],
  ['IDENTREE_OIDC_ISSUER_URL', 'http://id.example.com'],
  ['IDENTREE_OIDC_ISSUER_URL', 'https://id.example.com/?tenant=1'],
  ['IDENTREE_OIDC_CLIENT_SECRET', 'your-client-secret'],
  ['IDENTREE_OIDC_CLIENT_SECRET', 'changeme'],
  ['IDENTREE_OIDC_CLIENT_ID', 'a\nb'],
  ['IDENTREE_AUDIT_SPLUNK_HEC_TOKEN', 'a\nb'],
  ['IDENTREE_AUDIT_LOKI_TOKEN', 'schlüssel'],
  ['IDENTREE_LISTEN_ADDR', '8090'],
  ['IDENTREE_LISTEN_ADDR', ':99999'],
  ['IDENTREE_LISTEN_ADDR', '[nonsense]:80'],
  ['IDENTREE_TRUSTED_PROXIES', '10.0.0.0/33'],
  ['IDENTREE_TRUSTED_PROXIES', 'proxy.example.com'],
  ['IDENTREE_TRUSTED_PROXIES', '10.1'],
  ['IDENTREE_TRUSTED_PROXIES', '0.0.0.0/0'],
  ['IDENTREE_TRUSTED_PROXIES', '::/0'],
  ['IDENTREE_KEYS_DIR', 'keys'],
  ['IDENTREE_LOG_LEVEL', 'loud'],
  ['IDENTREE_METRICS_TOKEN', 'short'],
  ['IDENTREE_SHARED_SECRET', STRONG.slice(1)],
  ['IDENTREE_SHARED_SECRET', 'changeme-changeme-changeme-changeme'],
  ['IDENTREE_SHARED_SECRET', 'a'.repeat(40)],
  ['IDENTREE_DATABASE_DRIVER', 'mysql'],
  ['IDENTREE_DATABASE_MAX_OPEN_CONNS', '-1'],
  ['IDENTREE_DATABASE_MAX_OPEN_CONNS', '4.5'],
  ['IDENTREE_DATABASE_DSN', 'identree.db'],
  ['IDENTREE_CHALLENGE_TTL', '29s'],
  ['IDENTREE_CHALLENGE_TTL', '25h'],
  ['IDENTREE_CHALLENGE_TTL', '120'],
  ['IDENTREE_CHALLENGE_TTL', '1w'],
  ['IDENTREE_APPROVAL_POLICIES_FILE', './policies.json'],
  ['IDENTREE_FIRST_PASSKEY_NEEDS_CODE', 'yes'],
  ['IDENTREE_ENROLMENT_AUTO_CONFIRM', 'on'],
  ['IDENTREE_MTLS_CERT_TTL', '4m'],
  ['IDENTREE_MTLS_CERT_TTL', '3651d'],
  ['IDENTREE_DIRECTORY_SOURCE', 'ldap'],
  ['IDENTREE_POCKETID_API_URL', 'http://id.example.com'],
  ['IDENTREE_WEBHOOK_SECRET', STRONG.slice(1)],
  ['IDENTREE_LDAP_ENABLED', 'maybe'],
  ['IDENTREE_LDAP_BASE_DN', 'example.com'],
  ['IDENTREE_LDAP_BASE_DN', 'cn=x,dc=example,dc=com'],
  ['IDENTREE_LDAP_LISTEN_ADDR', '389'],
  ['IDENTREE_LDAP_LISTEN_ADDR', 'none'],
  ['IDENTREE_LDAP_EXTERNAL_URL', 'https://ldap.example.com'],
  ['IDENTREE_LDAP_EXTERNAL_URL', 'ldaps://ldap.example.com/dc=example'],
  ['IDENTREE_LDAP_TLS_CA_CERT', 'ca.pem'],
  ['IDENTREE_LDAP_REFRESH_INTERVAL', '9s'],
  ['IDENTREE_LDAP_REFRESH_INTERVAL', '9'],
  ['IDENTREE_LDAP_REFRESH_INTERVAL', 'often'],
  ['IDENTREE_LDAP_UID_BASE', '999'],
  ['IDENTREE_LDAP_ID_EXCLUDE', '20-10'],
  ['IDENTREE_LDAP_CLAIM_ID_RANGE', '1000-2000,3000-4000'],
  ['IDENTREE_LDAP_DEFAULT_SHELL', '/bin/bash -c id'],
  ['IDENTREE_LDAP_DEFAULT_SHELL', 'bash'],
  ['IDENTREE_LDAP_DEFAULT_HOME', '/home/../root'],
  ['IDENTREE_LDAP_DEFAULT_HOME', '/home/%d'],
  ['IDENTREE_LDAP_SUDO_NO_AUTHENTICATE', 'yes'],
  ['IDENTREE_LDAP_MAX_MESSAGE_SIZE', '1TB'],
  ['IDENTREE_LDAP_SYNC_MAX_DELETE_PCT', '101'],
  ['IDENTREE_SUDO_SOURCE', 'file'],
];
for (const [name, value] of REFUSED) {
  test(`refused: ${name}=${JSON.stringify(value)}`, () => {
    assert.deepEqual([...new Set(wrongSettings({ [name]: value }))], [name]);
  });
}

test('every flag is read into its own place', () => {
  assert.equal(config({ IDENTREE_FIRST_PASSKEY_NEEDS_CODE: 'T' }).firstPasskeyNeedsCode, true);
  assert.equal(config({ IDENTREE_FIRST_PASSKEY_NEEDS_CODE: 'T' }).enrolmentAutoConfirm, false);
  assert.equal(config({ IDENTREE_ENROLMENT_AUTO_CONFIRM: '1' }).enrolmentAutoConfirm, true);
  assert.deepEqual(new Set(listSettings().map(({ meta }) => meta.env)).size, listSettings().length);
});

test('addresses, proxies and durations in the forms that people write', () => {
  assert.deepEqual(config({ IDENTREE_LISTEN_ADDR: '127.0.0.1:443' }).listen, { host: '127.0.0.1', port: 443 });
  assert.deepEqual(config({ IDENTREE_LISTEN_ADDR: '[::1]:8090' }).listen, { host: '::1', port: 8090 });
  assert.deepEqual(config({ IDENTREE_TRUSTED_PROXIES: '10.0.0.5, fd00::/8,::1' }).trustedProxies, [
    '10.0.0.5/32',
    'fd00::/8',
    '::1/128',
  ]);
  assert.equal(config({ IDENTREE_CHALLENGE_TTL: '1h30m' }).challengeTtlMs, 5_400_000);
  assert.equal(
    config({ IDENTREE_EXTERNAL_URL: 'https://Identree.example.com:443/' }).externalUrl,
    MINIMAL.IDENTREE_EXTERNAL_URL,
  );
  assert.equal(config({ IDENTREE_EXTERNAL_URL: 'http://localhost:8090' }).externalUrl, 'http://localhost:8090');
});

test('postgres needs an address and gets a pool', () => {
  assert.deepEqual(wrongSettings({ IDENTREE_DATABASE_DRIVER: 'postgres' }), ['IDENTREE_DATABASE_DSN']);
  const dsn = 'postgres://identree:pw@db/identree';
  assert.deepEqual(config({ IDENTREE_DATABASE_DRIVER: 'postgres', IDENTREE_DATABASE_DSN: dsn }).database, {
    driver: 'postgres',
    dsn,
    maxConnections: 25,
    pooler: 'none',
  });
});

test('both TLS files or neither, and https outside when TLS ends here', () => {
  const tls = { IDENTREE_TLS_CERT_FILE: '/c.pem', IDENTREE_TLS_KEY_FILE: '/k.pem' };
  assert.deepEqual(config(tls).tls, { certFile: '/c.pem', keyFile: '/k.pem' });
  assert.deepEqual(wrongSettings({ IDENTREE_TLS_KEY_FILE: '/k.pem' }), ['IDENTREE_TLS_CERT_FILE']);
  assert.deepEqual(wrongSettings({ ...tls, IDENTREE_EXTERNAL_URL: 'http://localhost:1' }), ['IDENTREE_EXTERNAL_URL']);
});

test('environment beats the TOML file, which beats the default; an empty variable clears', () => {
  const files = {
    [DEFAULT_TOML_FILE]:
      '[auth]\nchallenge_ttl = "5m"\n[server]\ntrusted_proxies = ["10.0.0.1"]\n[admin]\napproval_policies_file = "/p.json"\ngroups = ["a", "b,c"]\n',
  };
  const fromFile = config({ IDENTREE_ADMIN_GROUPS: undefined }, files);
  assert.equal(fromFile.challengeTtlMs, 300_000);
  assert.equal(fromFile.policiesFile, '/p.json');
  assert.deepEqual(fromFile.adminGroups, ['a', 'b,c']);
  assert.deepEqual(fromFile.trustedProxies, ['10.0.0.1/32']);
  const both = config({ IDENTREE_CHALLENGE_TTL: '10m', IDENTREE_APPROVAL_POLICIES_FILE: '' }, files);
  assert.equal(both.challengeTtlMs, 600_000);
  assert.equal(both.policiesFile, null);
  assert.equal(config({ IDENTREE_CHALLENGE_TTL: ' ' }, files).challengeTtlMs, 120_000);
  assert.deepEqual(wrongSettings({ IDENTREE_ADMIN_GROUPS: '' }, files), ['IDENTREE_ADMIN_GROUPS']);
});

test('a TOML file that is named must be there, and must be TOML', () => {
  assert.deepEqual(wrongSettings({ IDENTREE_TOML_CONFIG_FILE: '/gone.toml' }), ['IDENTREE_TOML_CONFIG_FILE']);
  const broken = load({}, { [DEFAULT_TOML_FILE]: '[auth]\nclient_secret = hunter2hunter2\n' });
  assert.ok(!broken.ok);
  assert.match(formatProblems(broken.errors), /identree\.toml is not valid TOML at line 2/);
  assert.doesNotMatch(JSON.stringify(broken), /hunter2/);
  const wrongType = wrongSettings({}, { [DEFAULT_TOML_FILE]: '[auth]\nchallenge_ttl = { s = 1 }\n' });
  assert.deepEqual(wrongType, ['auth.challenge_ttl']);
});

test('an unreadable TOML file is an error even at the default place', () => {
  const result = loadConfig({
    env: MINIMAL,
    readFile: () => {
      throw Object.assign(new Error('no'), { code: 'EACCES' });
    },
  });
  assert.ok(!result.ok);
  assert.deepEqual(
    result.errors.map(({ setting }) => setting),
    [DEFAULT_TOML_FILE],
  );
});

/** Without these a secret has no effect, which is refused. */
const NEEDED_BY_SECRETS: Record<string, Record<string, string>> = {
  IDENTREE_LDAP_BIND_PASSWORD: { IDENTREE_LDAP_BIND_DN: 'cn=readonly,dc=x' },
  IDENTREE_ESCROW_ENCRYPTION_KEY: { IDENTREE_ESCROW_BACKEND: 'local' },
  IDENTREE_ESCROW_AUTH_SECRET: {
    IDENTREE_ESCROW_BACKEND: 'vault',
    IDENTREE_ESCROW_URL: 'https://vault.example.com:8200',
    IDENTREE_ESCROW_PATH: 'secret/identree',
  },
};

for (const { meta } of listSettings().filter(({ meta }) => meta.secret)) {
  test(`${meta.env} can come from a file, and only from a readable one`, () => {
    const name = `${meta.env}_FILE`;
    const value = meta.env === 'IDENTREE_DATABASE_DSN' ? '/db' : STRONG;
    // The token of an audit sink is of no use without its address.
    const sink = /^IDENTREE_AUDIT_(?:SPLUNK_HEC|LOKI)(?:_\d)?_(?=TOKEN$)/.exec(meta.env);
    const needed = sink ? { [`${sink[0]}URL`]: 'https://sink.example.com' } : NEEDED_BY_SECRETS[meta.env];
    const more = { ...LDAP, ...needed };
    const read = load({ ...more, [meta.env]: undefined, [name]: '/run/secrets/x' }, { '/run/secrets/x': `${value}\n` });
    assert.ok(read.ok);
    assert.ok(JSON.stringify(read.config).includes(`"${value}"`));
    assert.deepEqual(wrongSettings({ [meta.env]: undefined, [name]: '/gone' }), [name]);
    assert.deepEqual(wrongSettings({ [meta.env]: undefined, [name]: '/e' }, { '/e': '\n' }), [name]);
    assert.deepEqual(wrongSettings({ [meta.env]: value, [name]: '/s' }, { '/s': value }), [meta.env]);
  });
}

test('a secret of few characters is refused, any that the recommended command makes is not', () => {
  const isRefused = (value: string) => !load({ IDENTREE_METRICS_TOKEN: value }).ok;
  assert.deepEqual(['ababababababababcdcd', '0011223344550011'].map(isRefused), [true, false]);
});

test('secrets are never printed, whatever is wrong with them', () => {
  const leaky = 'hunter2-hunter2';
  const result = load(
    {
      IDENTREE_SHARED_SECRET: leaky,
      IDENTREE_METRICS_TOKEN: 'hunter2',
      IDENTREE_DATABASE_DRIVER: 'postgres',
      IDENTREE_DATABASE_DSN: `x:${leaky}@db`,
    },
    { [DEFAULT_TOML_FILE]: `[oidc]\nclient_secret = "${leaky}"\n[server]\nshared_secret = "${leaky}"\n` },
  );
  assert.ok(!result.ok);
  assert.equal(result.errors.length, 3);
  assert.doesNotMatch(formatProblems([...result.errors, ...result.warnings]), /hunter2/);
  assert.deepEqual(
    result.warnings.map(({ setting }) => setting),
    ['oidc.client_secret', 'server.shared_secret'],
  );
});

describe('one secret does not serve two purposes', () => {
  const secrets = listSettings().filter(({ meta }) => meta.secret);
  const checked = secrets.filter(({ meta }) => meta.mayRepeat === undefined).map(({ meta }) => meta.env);
  for (const [i, one] of checked.entries()) {
    for (const other of checked.slice(i + 1)) {
      test(`${one} and ${other}`, () => {
        const result = load({ [one]: STRONG, [other]: STRONG });
        assert.ok(!result.ok);
        const same = result.errors.filter(({ problem }) => /^is the same as /.test(problem));
        assert.deepEqual(
          same.map(({ setting, problem }) => `${setting} ${problem}`),
          [`${other} is the same as ${one}`],
        );
        assert.ok(!JSON.stringify(result).includes(STRONG));
      });
    }
  }

  test('every secret is held against the others, but for those that say why not', () => {
    const exempt = secrets.filter(({ meta }) => meta.mayRepeat !== undefined).map(({ meta }) => meta.env);
    assert.deepEqual(exempt, ['IDENTREE_DATABASE_DSN']);
    // What only the environment may give is a secret, so that a new one cannot be left out by forgetting to say so.
    for (const { meta } of listSettings())
      assert.equal(meta.toml === null, meta.secret === true, `${meta.env}: secret and TOML`);
  });
});

test('a name that means nothing gets a warning with the one that was probably meant', () => {
  const result = load(
    { IDENTREE_ADMIN_GROUP: 'x', IDENTREE_FROBNICATE: '1', PATH: '/bin' },
    { [DEFAULT_TOML_FILE]: '[auth]\nchalenge_ttl = "5m"\n' },
  );
  const warnings = Object.fromEntries(result.warnings.map(({ setting, fix }) => [setting, fix]));
  assert.equal(warnings.IDENTREE_ADMIN_GROUP, 'Did you mean IDENTREE_ADMIN_GROUPS?');
  assert.equal(warnings['auth.chalenge_ttl'], 'Did you mean auth.challenge_ttl?');
  assert.match(warnings.IDENTREE_FROBNICATE!, /^Remove it/);
  assert.equal(warnings.PATH, undefined);
});

test('who keeps break-glass passwords is named with all that it needs, or nothing of it', () => {
  const key = { IDENTREE_ESCROW_ENCRYPTION_KEY: STRONG };
  const wrong = (env: Record<string, string>) => {
    const result = load(env);
    return result.ok ? [] : result.errors.map(({ setting }) => setting).sort();
  };
  assert.deepEqual(wrong(key), ['IDENTREE_ESCROW_ENCRYPTION_KEY'], 'whoever set it believes that passwords are kept');
  assert.deepEqual(wrong({ IDENTREE_ESCROW_BACKEND: 'local' }), ['IDENTREE_ESCROW_ENCRYPTION_KEY']);
  assert.deepEqual(wrong({ IDENTREE_ESCROW_BACKEND: 'filing-cabinet' }), ['IDENTREE_ESCROW_BACKEND']);
  const outside = ['IDENTREE_ESCROW_AUTH_SECRET', 'IDENTREE_ESCROW_PATH', 'IDENTREE_ESCROW_URL'];
  for (const backend of ['vault', '1password-connect', 'bitwarden'])
    assert.deepEqual(wrong({ IDENTREE_ESCROW_BACKEND: backend }), outside);
  assert.deepEqual(wrong({ IDENTREE_ESCROW_BACKEND: 'infisical' }), ['IDENTREE_ESCROW_AUTH_ID', ...outside]);
  const local = { IDENTREE_ESCROW_BACKEND: 'local', ...key };
  const warned = (env: Record<string, string>) =>
    load(env).warnings.some(({ setting }) => setting === 'IDENTREE_ESCROW_HKDF_SALT');
  assert.equal(warned(local), true);
  for (const salt of ['not hex', 'abc', '00'.repeat(15)])
    assert.deepEqual(wrong({ ...local, IDENTREE_ESCROW_HKDF_SALT: salt }), ['IDENTREE_ESCROW_HKDF_SALT']);
  const salt = { IDENTREE_ESCROW_HKDF_SALT: '0f'.repeat(16) };
  const salted = load({ ...local, ...salt });
  assert.equal(warned({ ...local, ...salt }), false);
  assert.ok(salted.ok && salted.config.escrow.hkdfSalt?.length === 16);
  for (const time of ['yesterday', '2026-13-01T00:00:00Z', '2026-01-31'])
    assert.deepEqual(wrong({ IDENTREE_BREAKGLASS_ROTATE_BEFORE: time }), ['IDENTREE_BREAKGLASS_ROTATE_BEFORE']);
});

test('a program that keeps break-glass passwords is named without a shell, and is given none of our secrets', () => {
  const wrong = (env: Record<string, string>) => {
    const result = load(env);
    return result.ok ? [] : result.errors.map(({ setting }) => setting);
  };
  const command = (value: string, more: Record<string, string> = {}) =>
    load({ IDENTREE_ESCROW_COMMAND: value, ...more });
  const words = command('/usr/local/bin/keep --team  ops');
  assert.deepEqual(words.ok && words.config.escrow.command?.words, ['/usr/local/bin/keep', '--team', 'ops']);
  for (const value of [
    'keep',
    'sh -c keep',
    '/bin/sh -c "keep"',
    '/bin/keep; id',
    '/bin/keep $HOME',
    '/bin/keep | tee',
  ])
    assert.deepEqual(wrong({ IDENTREE_ESCROW_COMMAND: value }), ['IDENTREE_ESCROW_COMMAND'], value);
  const local = { IDENTREE_ESCROW_BACKEND: 'local', IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex') };
  assert.deepEqual(wrong({ IDENTREE_ESCROW_COMMAND: '/bin/keep', ...local }), ['IDENTREE_ESCROW_COMMAND']);
  for (const prefix of ['IDENTREE_', 'IDENTREE_ESCROW', 'I', 'AWS_,IDENT'])
    assert.deepEqual(wrong({ IDENTREE_ESCROW_COMMAND_ENV: prefix }), ['IDENTREE_ESCROW_COMMAND_ENV'], prefix);
  const passed = command('/bin/keep', {
    IDENTREE_ESCROW_COMMAND_ENV: 'AWS_, SECRETS_',
    PATH: '/usr/bin',
    HOME: '/root',
    LD_PRELOAD: '/tmp/evil.so',
    AWS_REGION: 'eu-central-1',
    MY_AWS_KEY: 'x',
  });
  const given = { PATH: '/usr/bin', HOME: '/root', AWS_REGION: 'eu-central-1' };
  assert.deepEqual(passed.ok && passed.config.escrow.command?.env, given);
  for (const url of ['ftp://vault.example.com', 'javascript:alert(1)', 'https://user:pass@vault.example.com'])
    assert.deepEqual(wrong({ IDENTREE_ESCROW_WEB_URL: url }), ['IDENTREE_ESCROW_WEB_URL'], url);
});

test('settings of earlier installations are recognised and said to have no effect', () => {
  const result = load({
    IDENTREE_GRACE_PERIOD: '10m',
    IDENTREE_NOTIFY_BACKEND: 'ntfy',
    IDENTREE_ESCROW_VAULT_MAP: '',
  });
  assert.deepEqual(
    result.warnings.filter(({ problem }) => problem === 'has no effect').map(({ setting }) => setting),
    ['IDENTREE_GRACE_PERIOD', 'IDENTREE_NOTIFY_BACKEND'],
  );
  const known = new Set(listSettings().map(({ meta }) => meta.env as string));
  assert.deepEqual(
    DEAD_SETTINGS.filter((name) => known.has(name)),
    [],
  );
});

test('whoever asks for an audit sink is not given a server without one', () => {
  const result = load(
    {
      IDENTREE_AUDIT_KAFKA_URL: 'kafka://example.com',
      IDENTREE_AUDIT_KAFKA_TOKEN: 'a token that must not be told',
      IDENTREE_AUDIT_SYSLOG_URI: 'a typing error asks for one too',
      IDENTREE_AUDIT_KAFKA_NAME: '',
    },
    { [DEFAULT_TOML_FILE]: '[audit]\nbuffer = 8192\n' },
  );
  assert.ok(!result.ok);
  assert.deepEqual(result.errors.map(({ setting }) => setting).sort(), [
    'IDENTREE_AUDIT_KAFKA_TOKEN',
    'IDENTREE_AUDIT_KAFKA_URL',
    'IDENTREE_AUDIT_SYSLOG_URI',
    'audit.buffer',
  ]);
  assert.ok(!JSON.stringify(result).includes('must not be told'));
  assert.ok(load({ IDENTREE_AUDIT_KAFKA_URL: '' }).ok);
});

test('a syslog receiver has a transport, and what belongs to TLS is not set for another one', () => {
  const urlOf = (url: string) => {
    const sink = config({ IDENTREE_AUDIT_SYSLOG_URL: url }).audit.sinks.find(({ kind }) => kind === 'syslog');
    return sink?.kind === 'syslog' ? sink.to : null;
  };
  const counted = { host: 'syslog.local', framing: 'octet-counting' };
  assert.deepEqual(urlOf('tcp://syslog.local:601'), { ...counted, transport: 'tcp', port: 601 });
  assert.deepEqual(urlOf('udp://syslog.local'), { ...counted, transport: 'udp', port: 514 });
  assert.deepEqual(urlOf('tls://syslog.local?framing=newline'), {
    host: 'syslog.local',
    framing: 'newline',
    transport: 'tls',
    port: 6514,
  });
  assert.equal(urlOf('tcp://[2001:db8::1]:601')?.host, '2001:db8::1');
  for (const wrong of [
    'syslog.local:601',
    'http://syslog.local',
    'tcp://',
    'tcp://a:0',
    'tcp://a:70000',
    'tcp://a?x=y',
  ])
    assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_SYSLOG_URL: wrong }), ['IDENTREE_AUDIT_SYSLOG_URL']);
  const tls = { IDENTREE_AUDIT_SYSLOG_CA_CERT: '/ca.pem', IDENTREE_AUDIT_SYSLOG_URL: 'tls://syslog.local' };
  assert.deepEqual(wrongSettings(tls), []);
  assert.deepEqual(wrongSettings({ ...tls, IDENTREE_AUDIT_SYSLOG_URL: 'tcp://syslog.local' }), [
    'IDENTREE_AUDIT_SYSLOG_CA_CERT',
  ]);
  assert.deepEqual(wrongSettings({ ...tls, IDENTREE_AUDIT_SYSLOG_CLIENT_CERT_FILE: '/c.pem' }), [
    'IDENTREE_AUDIT_SYSLOG_CLIENT_KEY_FILE',
  ]);
});

test('Splunk needs address and token, and a token has an address', () => {
  const url = { IDENTREE_AUDIT_SPLUNK_HEC_URL: 'https://splunk.example.com:8088/services/collector/event' };
  const token = { IDENTREE_AUDIT_SPLUNK_HEC_TOKEN: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0' };
  assert.deepEqual(wrongSettings({ ...url, ...token }), []);
  assert.deepEqual(wrongSettings(url), ['IDENTREE_AUDIT_SPLUNK_HEC_TOKEN']);
  assert.deepEqual(wrongSettings(token), ['IDENTREE_AUDIT_SPLUNK_HEC_TOKEN']);
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_LOKI_TOKEN: 'glc_eyJvIjoi' }), ['IDENTREE_AUDIT_LOKI_TOKEN']);
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_LOKI_URL: 'https://loki.example.com' }), []);
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_LOKI_URL: 'http://loki.example.com' }), ['IDENTREE_AUDIT_LOKI_URL']);
});

test('the file for events is a path or the standard output, with the sizes of earlier versions', () => {
  const fileOf = (env: Record<string, string>, files: Record<string, string> = {}) => {
    const [sink] = config(env, files).audit.sinks;
    return sink?.kind === 'jsonlog' ? sink : null;
  };
  assert.equal(fileOf({}), null);
  assert.deepEqual(fileOf({ IDENTREE_AUDIT_LOG: 'stdout' }), {
    kind: 'jsonlog',
    name: 'jsonlog',
    to: { to: 'stdout' },
    maxSize: 100 * 1024 * 1024,
    maxFiles: 5,
    events: [],
  });
  for (const written of ['file:/var/log/audit.jsonl', '/var/log/audit.jsonl'])
    assert.deepEqual(fileOf({ IDENTREE_AUDIT_LOG: written })?.to, { to: 'file', path: '/var/log/audit.jsonl' });
  for (const wrong of ['stderr', 'file:audit.jsonl', 'audit.jsonl', '/var/log/', 'file:'])
    assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_LOG: wrong }), ['IDENTREE_AUDIT_LOG']);
  const inFile = { [DEFAULT_TOML_FILE]: '[audit]\nlog = "stdout"\nbuffer_size = 8192\n' };
  assert.deepEqual([fileOf({}, inFile)?.to, config({}, inFile).audit.bufferSize], [{ to: 'stdout' }, 8192]);
  assert.equal(fileOf({ IDENTREE_AUDIT_LOG: '/a.jsonl', IDENTREE_AUDIT_LOG_MAX_SIZE: '0' })?.maxSize, 0);
});

test('further sinks of a kind have a number in their settings, and a name that follows from it', () => {
  const env = {
    IDENTREE_AUDIT_LOG: 'stdout',
    IDENTREE_AUDIT_LOG_3: '/var/log/identree/attempts.jsonl',
    IDENTREE_AUDIT_LOG_3_MAX_FILES: '9',
    IDENTREE_AUDIT_LOG_3_EVENTS: 'attempts',
    IDENTREE_AUDIT_SYSLOG_2_URL: 'tls://syslog.example.com',
    IDENTREE_AUDIT_SYSLOG_2_CA_CERT: '/ca.pem',
    IDENTREE_AUDIT_SPLUNK_HEC_2_URL: 'https://splunk.example.com:8088',
    IDENTREE_AUDIT_SPLUNK_HEC_2_TOKEN: STRONG,
  };
  const { sinks } = config(env, { [DEFAULT_TOML_FILE]: '[audit]\nloki_9_url = "https://loki.example.com"\n' }).audit;
  assert.deepEqual(
    sinks.map(({ name, events }) => [name, events]),
    [
      ['jsonlog', []],
      ['jsonlog_3', ['attempts']],
      ['syslog_2', []],
      ['splunk_hec_2', []],
      ['loki_9', []],
    ],
  );
  const wrong = (more: Record<string, string>) => wrongSettings({ ...env, ...more });
  assert.deepEqual(wrong({ IDENTREE_AUDIT_LOG_2: 'stdout' }), ['IDENTREE_AUDIT_LOG_2']);
  assert.deepEqual(wrong({ IDENTREE_AUDIT_LOG_4: 'file:/var/log/identree/attempts.jsonl' }), ['IDENTREE_AUDIT_LOG_4']);
  // However it is written; and what one is renamed to when it is full would be written on by the other, and deleted.
  for (const [place, setting] of [
    ['/var/log//identree/./attempts.jsonl', 'IDENTREE_AUDIT_LOG_4'],
    ['/var/log/identree/old/../attempts.jsonl', 'IDENTREE_AUDIT_LOG_4'],
    ['/var/log/identree/attempts.jsonl.2', 'IDENTREE_AUDIT_LOG_4'],
    ['/var/log/identree/attempts.jsonl.old', null],
    ['/var/log/identree/attempts.jsonl.0', null],
  ] as const)
    assert.deepEqual(wrong({ IDENTREE_AUDIT_LOG_4: place }), setting === null ? [] : [setting], place);
  assert.deepEqual(wrong({ IDENTREE_AUDIT_LOG: '/var/log/identree/attempts.jsonl.1' }), ['IDENTREE_AUDIT_LOG_3']);
  // A number that there is not, and one that nobody needs, ask for a sink that would not be there.
  assert.deepEqual(wrong({ IDENTREE_AUDIT_SYSLOG_10_URL: 'tcp://a' }), ['IDENTREE_AUDIT_SYSLOG_10_URL']);
  assert.deepEqual(wrong({ IDENTREE_AUDIT_SYSLOG_1_URL: 'tcp://a' }), ['IDENTREE_AUDIT_SYSLOG_1_URL']);
  assert.deepEqual(wrong({ IDENTREE_AUDIT_SYSLOG_3_EVENTS: '' }), []);
  assert.deepEqual(wrong({ IDENTREE_AUDIT_SPLUNK_HEC_3_URL: 'https://splunk.example.com' }), [
    'IDENTREE_AUDIT_SPLUNK_HEC_3_TOKEN',
  ]);
  assert.deepEqual(wrong({ IDENTREE_AUDIT_SYSLOG_2_URL: 'tcp://syslog.example.com' }), [
    'IDENTREE_AUDIT_SYSLOG_2_CA_CERT',
  ]);
});

test('what is set of an audit trail that goes nowhere is counted on by somebody: the server does not start', () => {
  const trail = { IDENTREE_AUDIT_LOG_5: '/var/log/identree/audit.jsonl' };
  for (const [name, value] of [
    ['MAX_SIZE', '1MB'],
    ['EVENTS', 'attempts'],
    ['CA_CERT', '/ca.pem'],
    ['ACK', 'true'],
    ['TENANT', 'ops'],
    ['TOKEN', 'glc_eyJvIjoi'],
  ] as const) {
    const settings = listSettings()
      .map(({ meta }) => meta.env)
      .filter((env) => env.startsWith('IDENTREE_AUDIT_') && env.endsWith(`_${name}`) && !env.includes('_LOG_5_'));
    assert.ok(settings.length >= 8, name);
    for (const env of settings) assert.deepEqual(wrongSettings({ ...trail, [env]: value }), [env]);
  }
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_BUFFER_SIZE: '10' }), ['IDENTREE_AUDIT_BUFFER_SIZE']);
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_ARCHIVE_DIR: '/var/lib/x' }), ['IDENTREE_AUDIT_ARCHIVE_DIR']);
  const standardOutput = { IDENTREE_AUDIT_LOG_2: 'stdout', IDENTREE_AUDIT_LOG_2_MAX_SIZE: '1MB' };
  assert.deepEqual(wrongSettings(standardOutput), ['IDENTREE_AUDIT_LOG_2_MAX_SIZE']);
  // What is empty or as it is anyway asks for nothing.
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_SYSLOG_EVENTS: '', IDENTREE_AUDIT_BUFFER_SIZE: '4096' }), []);
});

test('an audit sink is refused wherever it is written: as one variable, at the top of the file, in any section', () => {
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT: 'stdout' }), ['IDENTREE_AUDIT']);
  const inFile = (toml: string) => wrongSettings({}, { [DEFAULT_TOML_FILE]: toml });
  assert.deepEqual(inFile('audit_log = "stdout"\n'), ['audit_log']);
  assert.deepEqual(inFile('audit = "stdout"\n'), ['audit']);
  assert.deepEqual(inFile('[server]\naudit_log = "stdout"\naudit_syslog_url = "udp://x"\n'), [
    'server.audit_log',
    'server.audit_syslog_url',
  ]);
  assert.deepEqual(inFile('[server]\naudit = true\n'), ['server.audit']);
  // Words that only begin alike are typing errors as before.
  assert.deepEqual([wrongSettings({ IDENTREE_AUDITOR: 'x' }), inFile('auditors = "x"\n')], [[], []]);
});

test('whoever counts on an escrow or on break-glass is not given a server without them', () => {
  for (const name of ['IDENTREE_ESCROW_NO_SUCH', 'IDENTREE_BREAKGLASS_NO_SUCH', 'IDENTREE_CLIENT_BREAKGLASS_NO_SUCH']) {
    assert.deepEqual(wrongSettings({ [name]: 'x' }), [name]);
    assert.deepEqual(wrongSettings({ [name]: '' }), [], 'nobody counts on what is empty');
  }
  assert.deepEqual(wrongSettings({}, { [DEFAULT_TOML_FILE]: '[escrow]\nno_such = "x"\n' }), ['escrow.no_such']);
});

test('what hosts are told is held to the bounds that client.conf has', () => {
  const told = { timeoutMs: 600_000, breakGlassEnabled: false, breakGlassPasswordType: 'passphrase' };
  const env = {
    IDENTREE_CLIENT_TIMEOUT: '10m',
    IDENTREE_CLIENT_BREAKGLASS_ENABLED: 'false',
    IDENTREE_CLIENT_BREAKGLASS_PASSWORD_TYPE: 'passphrase',
    IDENTREE_CLIENT_BREAKGLASS_ROTATION_DAYS: '30',
  };
  assert.deepEqual(config(env).clientDefaults, { ...told, breakGlassRotationDays: 30 });
  const file =
    '[client_defaults]\ntimeout = "10m"\nbreakglass_enabled = false\nbreakglass_password_type = "passphrase"\n';
  assert.deepEqual(config({}, { [DEFAULT_TOML_FILE]: file }).clientDefaults, { ...told, breakGlassRotationDays: null });
  for (const [name, value] of [
    ['TIMEOUT', '4999ms'],
    ['TIMEOUT', '0'],
    ['TIMEOUT', '24h1s'],
    ['BREAKGLASS_ENABLED', 'maybe'],
    ['BREAKGLASS_PASSWORD_TYPE', 'unknown'],
    ['BREAKGLASS_ROTATION_DAYS', '0'],
    ['BREAKGLASS_ROTATION_DAYS', '3651'],
  ])
    assert.deepEqual(wrongSettings({ [`IDENTREE_CLIENT_${name}`]: value! }), [`IDENTREE_CLIENT_${name}`], value);
});

test('of what hosts were told once, what no host of this version knows is said to have no effect', () => {
  const nothing = { IDENTREE_CLIENT_POLL_INTERVAL: '2s', IDENTREE_CLIENT_TOKEN_CACHE_ENABLED: 'true' };
  const odd = (env: Record<string, string>, toml: Record<string, string> = {}) =>
    load(env, toml).warnings.flatMap(({ setting, problem }) => (problem === 'has no effect' ? [setting] : []));
  assert.deepEqual(odd(nothing), Object.keys(nothing));
  const file = '[client_defaults]\npoll_interval = "2s"\ntimeout = "10m"\n';
  assert.deepEqual(odd({}, { [DEFAULT_TOML_FILE]: file }), ['client_defaults.poll_interval']);
});

test('scopes are separated by blanks or commas, and openid is always one of them', () => {
  const scopesOf = (value: string) => config({ IDENTREE_OIDC_SCOPES: value }).oidc.scopes;
  assert.deepEqual(scopesOf('openid profile  roles'), ['openid', 'profile', 'roles']);
  assert.deepEqual(scopesOf('profile,https://example.com/groups'), ['openid', 'profile', 'https://example.com/groups']);
  const file = { [DEFAULT_TOML_FILE]: '[oidc]\nscopes = ["openid", "groups"]\ngroups_claim = "roles"\n' };
  assert.deepEqual(config({}, file).oidc.scopes, ['openid', 'groups']);
  assert.equal(config({}, file).oidc.groupsClaim, 'roles');
  assert.deepEqual(wrongSettings({ IDENTREE_OIDC_SCOPES: 'openid "groups"' }), ['IDENTREE_OIDC_SCOPES']);
});

test('evaluation mode cannot be switched on by configuration', () => {
  const result = load({ IDENTREE_EVALUATION: 'true' }, { [DEFAULT_TOML_FILE]: 'evaluation = true\n' });
  assert.ok(result.ok);
  assert.equal(result.config.evaluation, false);
});

test('[M-05] warned: an address where browsers offer no passkeys, and open metrics', () => {
  const settings = (env: Record<string, string>) => load(env).warnings.map(({ setting }) => setting);
  assert.deepEqual(settings({ IDENTREE_EXTERNAL_URL: 'http://127.0.0.1:8090' }), ['IDENTREE_EXTERNAL_URL']);
  assert.deepEqual(settings({}), ['IDENTREE_METRICS_TOKEN']);
  assert.deepEqual(settings({ IDENTREE_METRICS_TOKEN: STRONG }), []);
});

test('the directory: served when it has a base, unless it is switched off', () => {
  assert.equal(config({ IDENTREE_LDAP_ENABLED: 'false', ...LDAP }).ldap, null);
  assert.deepEqual(wrongSettings({ IDENTREE_LDAP_ENABLED: 'true' }), ['IDENTREE_LDAP_BASE_DN']);
  const { ldap } = config(LDAP);
  assert.deepEqual(ldap?.listen, { host: '::', port: 389 });
  assert.deepEqual(ldap?.tlsListen, { host: '::', port: 636 });
  assert.equal(ldap?.externalUrl, 'ldaps://identree.example.com:636');
  assert.equal(ldap?.clientCertificates, 'optional');
  assert.equal(ldap?.allowAnonymous, false);
  assert.deepEqual(ldap?.sudoDefaults, ['timestamp_timeout=0']);
  const plain = config({ ...LDAP, IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off', IDENTREE_LDAP_LISTEN_ADDR: '10.0.0.1:1389' });
  assert.equal(plain.ldap?.externalUrl, 'ldap://identree.example.com:1389');
  assert.deepEqual(wrongSettings({ ...LDAP, IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off', IDENTREE_LDAP_LISTEN_ADDR: 'off' }), [
    'IDENTREE_LDAP_LISTEN_ADDR',
  ]);
  assert.equal(config({ ...LDAP, IDENTREE_LDAP_TLS_CA_CERT: '/ca.pem' }).ldap?.clientCertificates, 'required');
});

test('the modes of the mission: an API key makes full mode, none makes bridge mode', () => {
  const full = config({ ...LDAP, IDENTREE_POCKETID_API_KEY: 'k3yOfAnAdmin' });
  assert.deepEqual([full.directory.source, full.sudoRules.source], ['pocketid', 'claims']);
  const bridge = config(LDAP);
  assert.deepEqual([bridge.directory.source, bridge.sudoRules.source], ['none', 'store']);
  assert.deepEqual(wrongSettings({ ...LDAP, IDENTREE_DIRECTORY_SOURCE: 'pocketid' }), ['IDENTREE_POCKETID_API_KEY']);
  assert.deepEqual(wrongSettings({ ...LDAP, IDENTREE_DIRECTORY_SOURCE: 'file' }), ['IDENTREE_DIRECTORY_FILE']);
  assert.deepEqual(wrongSettings({ ...LDAP, IDENTREE_DIRECTORY_SOURCE: 'none', IDENTREE_SUDO_SOURCE: 'claims' }), [
    'IDENTREE_SUDO_SOURCE',
  ]);
});

test('durations, sizes and ranges of the directory', () => {
  const { ldap } = config({
    ...LDAP,
    IDENTREE_LDAP_REFRESH_INTERVAL: '300',
    IDENTREE_LDAP_CACHE_MAX_AGE: '2d12h',
    IDENTREE_LDAP_MAX_MESSAGE_SIZE: '512KB',
    IDENTREE_LDAP_ID_EXCLUDE: '5000, 6000 - 7000',
    IDENTREE_LDAP_CLAIM_ID_RANGE: '1000-60000',
    IDENTREE_LDAP_EXTERNAL_URL: 'ldap://[fd00::1]:389/',
  });
  assert.equal(ldap?.refreshIntervalMs, 300_000);
  assert.equal(ldap?.cacheMaxAgeMs, 60 * 3_600_000);
  assert.equal(ldap?.maxMessageSize, 524_288);
  assert.deepEqual(ldap?.idExclude, [
    [5000, 5000],
    [6000, 7000],
  ]);
  assert.deepEqual(ldap?.claimIdRange, [1000, 60_000]);
  assert.equal(ldap?.externalUrl, 'ldap://[fd00::1]:389');
});

test('halves of the directory are refused: account, certificate, passwords of hosts', () => {
  assert.deepEqual(wrongSettings({ ...LDAP, IDENTREE_LDAP_BIND_DN: 'cn=x,dc=example' }), [
    'IDENTREE_LDAP_BIND_PASSWORD',
  ]);
  assert.deepEqual(wrongSettings({ ...LDAP, IDENTREE_LDAP_TLS_KEY_FILE: '/k' }), ['IDENTREE_LDAP_TLS_CERT_FILE']);
  // Hosts know the shared secret: any of them could compute the password of any other.
  assert.deepEqual(
    wrongSettings({ ...LDAP, IDENTREE_LDAP_PROVISION_ENABLED: 'true', IDENTREE_SHARED_SECRET: STRONG }),
    ['IDENTREE_LDAP_SECRET'],
  );
});

test('warned: sudo that asks nobody, and accounts that everybody can read', () => {
  const settings = (env: Record<string, string>) =>
    load({ ...LDAP, IDENTREE_METRICS_TOKEN: STRONG, ...env }).warnings.map(({ setting }) => setting);
  assert.deepEqual(settings({}), []);
  assert.deepEqual(settings({ IDENTREE_LDAP_SUDO_NO_AUTHENTICATE: 'true' }), ['IDENTREE_LDAP_SUDO_NO_AUTHENTICATE']);
  assert.deepEqual(settings({ IDENTREE_LDAP_ALLOW_ANONYMOUS: 'true' }), ['IDENTREE_LDAP_ALLOW_ANONYMOUS']);
  const local = { IDENTREE_LDAP_ALLOW_ANONYMOUS: 'true', IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:389' };
  assert.deepEqual(settings(local), []);
});

test('a retention names topics that can be erased, and needs an archive', () => {
  const archive = { IDENTREE_AUDIT_ARCHIVE_DIR: '/var/lib/identree-server/audit-archive' };
  assert.deepEqual(config({ ...archive, IDENTREE_AUDIT_RETENTION: 'attempts=30, sessions = 90' }).audit.retention, {
    attempts: 30,
    sessions: 90,
  });
  for (const wrong of [
    'server=30',
    'sessions',
    'sessions=0',
    'sessions=-1',
    'sessions=90d',
    'logins=5',
    'sessions=90,sessions=9',
  ])
    assert.deepEqual(wrongSettings({ ...archive, IDENTREE_AUDIT_RETENTION: wrong }), ['IDENTREE_AUDIT_RETENTION']);
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_RETENTION: 'sessions=90' }), ['IDENTREE_AUDIT_ARCHIVE_DIR']);
});

test('the events of a sink are those that there are', () => {
  const { sinks } = config({
    IDENTREE_AUDIT_SYSLOG_URL: 'tcp://syslog.local',
    IDENTREE_AUDIT_SYSLOG_EVENTS: 'attempts, break_glass_used',
    IDENTREE_AUDIT_LOKI_URL: 'https://loki.example.com',
  }).audit;
  assert.deepEqual(
    sinks.map(({ events }) => events),
    [['attempts', 'break_glass_used'], []],
  );
  assert.deepEqual(wrongSettings({ IDENTREE_AUDIT_LOKI_EVENTS: 'attempts,user_loged_in' }), [
    'IDENTREE_AUDIT_LOKI_EVENTS',
  ]);
});

describe('secrets of channels', () => {
  const TOKEN = 'xoxb-0123456789-secret';

  test('[N-23] are read by the name of the channel, from the environment or a file, and from nowhere else', () => {
    const { notify } = config(
      {
        IDENTREE_NOTIFY_CHANNEL_OPS_WEST_TOKEN: ` ${TOKEN} `,
        IDENTREE_NOTIFY_CHANNEL_PAGER_COMMAND: 'page "$NOTIFY_HOSTNAME" || logger x',
        IDENTREE_NOTIFY_CHANNEL_MAIL_TOKEN_FILE: '/run/mail',
        IDENTREE_NOTIFY_CHANNEL_EMPTY_TOKEN: '',
      },
      { '/run/mail': `${TOKEN}-of-mail\n` },
    );
    assert.deepEqual(
      { ...notify.secrets },
      {
        OPS_WEST: { token: TOKEN, command: null },
        PAGER: { token: null, command: 'page "$NOTIFY_HOSTNAME" || logger x' },
        MAIL: { token: `${TOKEN}-of-mail`, command: null },
      },
    );
    const { warnings } = load({ IDENTREE_NOTIFY_CHANNEL_OPS_TOKEN: TOKEN, IDENTREE_NOTIFY_CHANNEL_OPS_TOEKN: TOKEN });
    const odd = warnings.filter(({ setting }) => setting.startsWith('IDENTREE_NOTIFY'));
    assert.deepEqual(
      odd.map(({ setting }) => setting),
      ['IDENTREE_NOTIFY_CHANNEL_OPS_TOEKN'],
    );
    assert.ok(!JSON.stringify(warnings).includes(TOKEN));
  });

  test('[N-23] two channels may share one, but none is a secret of this server', () => {
    const shared = { IDENTREE_NOTIFY_CHANNEL_A_TOKEN: STRONG, IDENTREE_NOTIFY_CHANNEL_B_TOKEN: STRONG };
    assert.deepEqual(wrongSettings(shared), []);
    const result = load({ ...shared, IDENTREE_METRICS_TOKEN: STRONG });
    assert.ok(!result.ok);
    assert.deepEqual(
      result.errors.map(({ setting }) => setting),
      ['IDENTREE_NOTIFY_CHANNEL_A_TOKEN', 'IDENTREE_NOTIFY_CHANNEL_B_TOKEN'],
    );
    assert.ok(!JSON.stringify(result.errors).includes(STRONG));
  });

  test('[N-23] a file with one that cannot be read, is empty or stands beside the variable stops the start', () => {
    const NAME = 'IDENTREE_NOTIFY_CHANNEL_OPS_TOKEN';
    assert.deepEqual(wrongSettings({ [`${NAME}_FILE`]: '/no/such' }), [`${NAME}_FILE`]);
    assert.deepEqual(wrongSettings({ [`${NAME}_FILE`]: '/run/ops' }, { '/run/ops': '\n' }), [`${NAME}_FILE`]);
    assert.deepEqual(wrongSettings({ [NAME]: 'x', [`${NAME}_FILE`]: '/run/ops' }, { '/run/ops': TOKEN }), [NAME]);
  });
});

test('[N-18] how long a receiver has is a duration, under its name and key of earlier installations', () => {
  assert.equal(config({}).notify.timeoutMs, 15_000);
  assert.equal(config({ IDENTREE_NOTIFY_TIMEOUT: '1m30s' }).notify.timeoutMs, 90_000);
  const ofFile = load({}, { [DEFAULT_TOML_FILE]: '[notifications]\ntimeout = "5s"\n' });
  assert.equal(ofFile.ok && ofFile.config.notify.timeoutMs, 5000);
  assert.ok(!ofFile.warnings.some(({ setting }) => setting.includes('timeout')));
  for (const wrong of ['0s', '-5s', 'soon', '1h'])
    assert.deepEqual(wrongSettings({ IDENTREE_NOTIFY_TIMEOUT: wrong }), ['IDENTREE_NOTIFY_TIMEOUT'], wrong);
});

test('[N-21] networks that channels may lead into are named one by one, never all at once', () => {
  assert.deepEqual(config({ IDENTREE_NOTIFY_ALLOW_CIDRS: '192.168.10.5, fd00::/8' }).notify.allowCidrs, [
    '192.168.10.5/32',
    'fd00::/8',
  ]);
  const all = ['0.0.0.0/0', '0.0.0.0/00', '::/0', '::ffff:0:0/96', '::ffff:0.0.0.0/96', '::ffff:10.0.0.0/95'];
  for (const wrong of [...all, '0x7f.1', '2130706433', 'localhost'])
    for (const setting of ['IDENTREE_NOTIFY_ALLOW_CIDRS', 'IDENTREE_TRUSTED_PROXIES'])
      assert.deepEqual(wrongSettings({ [setting]: wrong }), [setting], wrong);
  const mapped = { IDENTREE_NOTIFY_ALLOW_CIDRS: '::ffff:10.0.0.0/104' };
  assert.deepEqual(config(mapped).notify.allowCidrs, ['::ffff:10.0.0.0/104']);
});
