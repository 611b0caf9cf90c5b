import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listSettings } from './config.ts';
import { loadConfig } from './load-config.ts';
import { DEPENDENCES } from './without-effect.ts';

const BASE = {
  IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
  IDENTREE_OIDC_ISSUER_URL: 'https://id.example.com',
  IDENTREE_OIDC_CLIENT_ID: 'identree',
  IDENTREE_OIDC_CLIENT_SECRET: 'not-used-here',
  IDENTREE_ADMIN_GROUPS: 'admins',
};

const SERVED = { IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com' };

/** A value that is not the default, for settings that have no example. */
const VALUES: Readonly<Record<string, string>> = {
  IDENTREE_DATABASE_POOLER: 'transaction',
  IDENTREE_DATABASE_MAX_OPEN_CONNS: '10',
  IDENTREE_POCKETID_API_URL: 'https://id.example.com',
  IDENTREE_POCKETID_CA_CERT: '/etc/ca.pem',
  IDENTREE_SCIM_GROUP_RENAME: 'follow',
  IDENTREE_LDAP_ALLOWED_SHELLS: '/bin/bash',
  IDENTREE_LDAP_ACCESS_ALLOW_ALL: 'true',
  IDENTREE_LDAP_TLS_SERVER_CA_CERT: '/etc/ca.pem',
  IDENTREE_ESCROW_HKDF_SALT: 'ab'.repeat(32),
  IDENTREE_ESCROW_AUTH_ID: 'role',
  IDENTREE_BREAKGLASS_SECOND_PERSON: 'true',
};
/** What else has to be said so that a setting has no effect, where nothing said is not enough. */
const BESIDE: Readonly<Record<string, Record<string, string>>> = {
  IDENTREE_POCKETID_API_KEY: { IDENTREE_DIRECTORY_SOURCE: 'scim' },
  IDENTREE_ESCROW_ENCRYPTION_KEY: { IDENTREE_ESCROW_BACKEND: 'vault' },
  'an IDENTREE_ESCROW_BACKEND other than local': { IDENTREE_ESCROW_BACKEND: 'local' },
};

const metas = new Map(listSettings().map(({ meta }) => [meta.env as string, meta]));
const load = (env: Record<string, string>) =>
  loadConfig({
    env: { ...BASE, ...env },
    readFile: () => {
      throw Object.assign(new Error('there is none'), { code: 'ENOENT' });
    },
  });
const typedFor = (setting: string): string => {
  const meta = metas.get(setting);
  assert.ok(meta, `${setting} is no setting`);
  return VALUES[setting] ?? meta.example ?? (meta.secret ? 'b4bQ1wWqvJ7m0r9cXk2ZsT5uA8cDeFgHiJ' : 'x');
};

for (const { settings, needs } of DEPENDENCES) {
  test(`without ${needs}, what needs it is named`, () => {
    for (const setting of settings) {
      const beside = BESIDE[setting] ?? BESIDE[needs] ?? {};
      const { warnings } = load({ ...SERVED, ...beside, [setting]: typedFor(setting) });
      const about = warnings.filter((warning) => warning.setting === setting).map(({ problem }) => problem);
      const errors = load({ ...SERVED, ...beside, [setting]: typedFor(setting) });
      // What would leave somebody unprotected refuses the start instead.
      const refused = !errors.ok && errors.errors.some((error) => error.setting === setting);
      assert.ok(refused || about.includes(`has no effect without ${needs}`), `${setting}: ${JSON.stringify(errors)}`);
    }
  });
}

test('without a directory nothing of it has an effect, unless it was switched off on purpose', () => {
  const env = {
    IDENTREE_LDAP_LISTEN_ADDR: ':1389',
    IDENTREE_LDAP_REQUIRE_TLS: 'true',
    IDENTREE_LDAP_SUDO_STRICT: 'true',
    IDENTREE_DIRECTORY_SOURCE: 'scim',
    IDENTREE_SUDO_RULES_FILE: '/config/sudorules.json',
    IDENTREE_WEBHOOK_SECRET: 'b4bQ1wWqvJ7m0r9cXk2ZsT5uA8cDeFgHiJ',
  };
  const named = (more: Record<string, string>) =>
    load({ ...env, ...more })
      .warnings.filter(({ problem }) => problem === 'has no effect without IDENTREE_LDAP_BASE_DN')
      .map(({ setting }) => setting);
  assert.deepEqual(named({}).sort(), Object.keys(env).sort());
  assert.deepEqual(named({ IDENTREE_LDAP_ENABLED: 'false' }), []);
  assert.deepEqual(named({ IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com' }), []);
});

test('what stands at its default, and what has all that it needs, is not spoken of', () => {
  const defaults = Object.fromEntries(
    DEPENDENCES.flatMap(({ settings }) => settings).flatMap((setting) => {
      const value = metas.get(setting)?.default;
      return value === undefined ? [] : [[setting, value]];
    }),
  );
  const all = load({
    ...SERVED,
    ...defaults,
    IDENTREE_DATABASE_DRIVER: 'postgres',
    IDENTREE_DATABASE_DSN: 'postgres://identree@db.example.com/identree',
    IDENTREE_DATABASE_POOLER: 'transaction',
    IDENTREE_AUDIT_LOG: 'file:/var/log/audit.jsonl',
    IDENTREE_AUDIT_LOG_MAX_SIZE: '1MB',
    IDENTREE_AUDIT_BUFFER_SIZE: '10',
    IDENTREE_POCKETID_API_KEY: 'b4bQ1wWqvJ7m0r9cXk2ZsT5u',
    IDENTREE_POCKETID_API_URL: 'https://id.example.com',
    IDENTREE_ESCROW_COMMAND: '/usr/local/bin/keep',
    IDENTREE_ESCROW_COMMAND_ENV: 'AWS_',
    IDENTREE_ESCROW_WEB_URL: 'https://vault.example.com',
    IDENTREE_BREAKGLASS_SECOND_PERSON: 'true',
  });
  assert.ok(all.ok, JSON.stringify(all));
  assert.deepEqual(
    [...load({ ...SERVED, ...defaults }).warnings, ...all.warnings].filter(({ problem }) =>
      problem.startsWith('has no effect'),
    ),
    [],
  );
});
