import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Config, listSettings } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { bufferSizeOf } from './create-sinks.ts';

const SERVER = {
  IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
  IDENTREE_OIDC_ISSUER_URL: 'https://id.example.com/',
  IDENTREE_OIDC_CLIENT_ID: 'identree',
  IDENTREE_OIDC_CLIENT_SECRET: 'k3yFromTheProvider',
  IDENTREE_ADMIN_GROUPS: 'admins',
};
const TOKEN = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const SPLUNK = 'https://splunk.example.com:8088/services/collector/event';

function load(env: Record<string, string>) {
  return loadConfig({
    env: { ...SERVER, ...env },
    readFile: (path) => {
      throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
    },
  });
}

/** Where events go with these settings, and what somebody who starts the server is told of them. */
function audit(env: Record<string, string>): { audit: Config['audit']; warned: string[] } {
  const loaded = load(env);
  assert.ok(loaded.ok, `${Object.entries(env)}: ${JSON.stringify(loaded)}`);
  const warned = loaded.warnings
    .map(({ setting }) => setting)
    .filter((setting) => setting.startsWith('IDENTREE_AUDIT'));
  return { audit: loaded.config.audit, warned };
}

/** What the operations guide has of each variable, and what comes of it. */
const GUIDE: readonly { lines: Record<string, string>; kinds: string[]; means: object; warns?: string[] }[] = [
  { lines: { IDENTREE_AUDIT_LOG: 'stdout' }, kinds: ['jsonlog'], means: { to: { to: 'stdout' } } },
  {
    lines: { IDENTREE_AUDIT_LOG: 'file:/var/log/identree/audit.jsonl' },
    kinds: ['jsonlog'],
    means: { to: { to: 'file', path: '/var/log/identree/audit.jsonl' }, maxSize: 100 * 1024 ** 2, maxFiles: 5 },
  },
  {
    lines: { IDENTREE_AUDIT_LOG: '/a.jsonl', IDENTREE_AUDIT_LOG_MAX_SIZE: '0', IDENTREE_AUDIT_LOG_MAX_FILES: '9' },
    kinds: ['jsonlog'],
    means: { to: { to: 'file', path: '/a.jsonl' }, maxSize: 0, maxFiles: 9 },
  },
  {
    lines: { IDENTREE_AUDIT_SYSLOG_URL: 'tcp://syslog.local:601' },
    kinds: ['syslog'],
    means: { to: { transport: 'tcp', host: 'syslog.local', port: 601 } },
  },
  {
    lines: { IDENTREE_AUDIT_SYSLOG_URL: 'udp://syslog.local:514' },
    kinds: ['syslog'],
    means: { to: { transport: 'udp', host: 'syslog.local', port: 514 } },
    warns: ['IDENTREE_AUDIT_SYSLOG_URL'],
  },
  {
    lines: { IDENTREE_AUDIT_SPLUNK_HEC_URL: SPLUNK, IDENTREE_AUDIT_SPLUNK_HEC_TOKEN: TOKEN },
    kinds: ['splunk_hec'],
    means: { to: SPLUNK, token: TOKEN },
  },
  {
    lines: { IDENTREE_AUDIT_LOKI_URL: 'https://loki.example.com', IDENTREE_AUDIT_LOKI_TOKEN: TOKEN },
    kinds: ['loki'],
    means: { to: 'https://loki.example.com', token: TOKEN },
  },
  {
    lines: {
      IDENTREE_AUDIT_LOG: 'stdout',
      IDENTREE_AUDIT_SPLUNK_HEC_URL: SPLUNK,
      IDENTREE_AUDIT_SPLUNK_HEC_TOKEN: TOKEN,
      IDENTREE_AUDIT_SYSLOG_URL: 'tcp://syslog.local:601',
    },
    kinds: ['jsonlog', 'syslog', 'splunk_hec'],
    means: { to: { to: 'stdout' } },
  },
];

test('every line of the operations guide about the audit log means here what it means there', () => {
  for (const { lines, kinds, means, warns = [] } of GUIDE) {
    const { audit: found, warned } = audit(lines);
    assert.deepEqual(
      found.sinks.map(({ kind }) => kind),
      kinds,
    );
    assert.partialDeepStrictEqual(found.sinks[0], means);
    assert.deepEqual(warned, warns, JSON.stringify(lines));
  }
});

test('the buffer is as large as it says, and 4096 where it says nothing', () => {
  const sizes = { '8192': 8192, '0': 4096, '-1': 4096, '': 4096 };
  for (const [written, size] of Object.entries(sizes)) {
    const loaded = audit({ IDENTREE_AUDIT_LOG: 'stdout', IDENTREE_AUDIT_BUFFER_SIZE: written });
    assert.equal(bufferSizeOf(loaded.audit), size, `IDENTREE_AUDIT_BUFFER_SIZE=${written}`);
  }
});

test('what the recommended configuration of the guide leaves out is asked for by name', () => {
  const recommended = {
    IDENTREE_AUDIT_LOG: 'stdout',
    IDENTREE_AUDIT_SPLUNK_HEC_URL: 'https://splunk.example.com:8088/...',
    IDENTREE_AUDIT_SYSLOG_URL: 'tcp://syslog.local:601',
  };
  const loaded = load(recommended);
  assert.deepEqual(loaded.ok ? [] : loaded.errors.map(({ setting }) => setting), ['IDENTREE_AUDIT_SPLUNK_HEC_TOKEN']);
});

test('each variable that the guide and the earlier version have stands in the reference', () => {
  const known = new Set<string>(listSettings().map(({ meta }) => meta.env));
  const asked = new Set([...GUIDE.flatMap(({ lines }) => Object.keys(lines)), 'IDENTREE_AUDIT_BUFFER_SIZE']);
  assert.deepEqual(
    [...asked].filter((env) => !known.has(env)),
    [],
  );
});
