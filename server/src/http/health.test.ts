import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { diskCheck } from '../db/module.ts';
import { createLogger } from '../platform/logger.ts';
import type { HealthCheck } from '../platform/module.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { createTestProvider } from '../testing/test-person.ts';
import { checkHealth } from './health.ts';

const check = (name: string, severity: HealthCheck['severity'], failure: string | null): HealthCheck => ({
  name,
  about: '',
  values: {},
  severity,
  run: async () => failure,
});

test('one critical failure outweighs everything, a lesser one only degrades', async () => {
  const well = check('disk', 'critical', null);
  const away = check('oidc', 'degraded', 'unreachable');
  const broken = check('policy', 'critical', 'broken');
  assert.deepEqual(await checkHealth([well]), { status: 'ok', checks: { disk: 'ok' } });
  assert.deepEqual(await checkHealth([well, away]), {
    status: 'degraded',
    checks: { disk: 'ok', oidc: 'unreachable' },
  });
  assert.equal((await checkHealth([well, away, broken])).status, 'unhealthy');
});

test('a check that throws or never ends is a failure, and holds nobody up for long', async () => {
  const throwing: HealthCheck = { ...check('database', 'critical', null), run: () => Promise.reject(new Error('x')) };
  const hanging: HealthCheck = { ...check('oidc', 'degraded', null), run: () => new Promise(() => {}) };
  const report = await checkHealth([throwing, hanging]);
  assert.deepEqual(report, { status: 'unhealthy', checks: { database: 'error', oidc: 'timeout' } });
});

test('a folder that cannot be written is said to be so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-health-'));
  assert.equal(await diskCheck(folder).run(), null);
  await rm(folder, { recursive: true });
  assert.equal(await diskCheck(folder).run(), 'not_writable');
});

test('a folder that has no room left is said to be so, also where only the database has found it', async () => {
  assert.equal(await diskCheck(tmpdir(), () => true).run(), 'full');
});

describe('/healthz', () => {
  let t: TestApp;
  const provider = createTestProvider();
  before(async () => {
    t = await createTestApp({ app: { provider } });
  });
  after(() => t.close());

  test('names each component that is on, and nothing else, to anybody who asks', async () => {
    const answer = await t.app.http.inject('/healthz');
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), {
      status: 'ok',
      checks: {
        proxy: 'ok',
        disk: 'ok',
        database: 'ok',
        policy: 'ok',
        oidc: 'ok',
        event_log: 'ok',
        event_readers: 'ok',
      },
      now: t.clock.now(),
    });
    assert.equal((await t.app.http.inject({ method: 'HEAD', url: '/healthz' })).statusCode, 200);
  });

  test('[M-10] it and what an orchestrator asks take GET and HEAD alone', async () => {
    for (const url of ['/healthz', '/livez', '/readyz']) {
      const asked = (method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE') => t.app.http.inject({ method, url });
      assert.deepEqual(
        [(await asked('GET')).statusCode, (await asked('HEAD')).statusCode, (await asked('HEAD')).body],
        [200, 200, ''],
      );
      for (const method of ['POST', 'PUT', 'DELETE'] as const) {
        const { statusCode, headers } = await asked(method);
        assert.deepEqual([statusCode, headers.allow], [405, 'GET, HEAD'], `${method} ${url}`);
      }
    }
  });

  test('a database file that was moved or replaced is said to be gone, though every statement goes well', async () => {
    const said: string[] = [];
    const log = createLogger('info', { write: (line) => void said.push(line) });
    const own = await createTestApp({ app: { provider, log } });
    const { dsn } = own.config.database;
    /** What was found is told for a second. */
    const becomes = async (word: string, status: number): Promise<void> => {
      for (;;) {
        const { statusCode, json } = await own.app.http.inject('/healthz');
        if (json().checks.database === word) return assert.equal(statusCode, status);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await becomes('ok', 200);
    await rename(dsn, `${dsn}.moved`);
    await becomes('gone', 503);
    await rename(`${dsn}.moved`, dsn);
    await becomes('ok', 200);
    await rename(dsn, `${dsn}.moved`);
    await copyFile(`${dsn}.moved`, dsn);
    await becomes('gone', 503);
    assert.equal(said.filter((line) => line.includes('was removed or replaced')).length, 2, 'once each time');
    await rename(`${dsn}.moved`, dsn);
    await own.close();
  });

  test('settings that there is a warning about are counted for everybody, and named to nobody', async () => {
    const own = await createTestApp({ app: { provider: createTestProvider(), oddSettings: 2 } });
    const answer = await own.app.http.inject('/healthz');
    assert.equal(answer.json().status, 'ok');
    assert.equal(
      answer.json().details.settings,
      '2 settings are odd or without effect; the log of the server says which at its start',
    );
    assert.equal(answer.body.includes('IDENTREE_'), false);
    await own.close();
  });

  test('an identity provider that is away degrades, but approvals by sessions go on', async () => {
    provider.away = { problem: 'provider_unreachable', detail: 'connect ECONNREFUSED 10.0.0.7:443' };
    const answer = await t.app.http.inject('/healthz');
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.json().status, 'degraded');
    assert.equal(answer.json().checks.oidc, 'unreachable');
    assert.equal(answer.body.includes('10.0.0.7'), false, 'where it was looked for is for the log only');
    provider.away = null;
  });

  test('a proxy that nobody listed as one is said once in the log, and for an hour here; the status stays', async () => {
    const warned: string[] = [];
    const log = createLogger('info', { write: (line) => void warned.push(line) });
    const own = await createTestApp({ app: { provider, log }, env: { IDENTREE_TRUSTED_PROXIES: '10.0.0.0/8' } });
    const from = (remoteAddress: string) =>
      own.app.http.inject({ url: '/healthz', remoteAddress, headers: { 'x-forwarded-for': '203.0.113.9' } });
    assert.equal((await from('10.0.0.5')).json().details, undefined, 'a trusted one is as it should be');
    await from('127.0.0.1');
    const answer = (await from('127.0.0.1')).json();
    assert.deepEqual([answer.status, answer.checks.proxy], ['ok', 'ok'], 'anybody can send the header');
    assert.match(answer.details.proxy, /IDENTREE_TRUSTED_PROXIES does not list/);
    const lines = warned.filter((line) => line.includes('IDENTREE_TRUSTED_PROXIES'));
    assert.deepEqual([lines.length, lines[0]?.includes('"peer":"127.0.0.1"')], [1, true]);
    own.clock.advance(60 * 60_000);
    assert.equal((await own.app.http.inject('/healthz')).json().details, undefined);
    await own.close();
  });

  test('without its database the server is unhealthy', async () => {
    const own = await createTestApp({ app: { provider } });
    await own.app.db.close();
    const answer = await own.app.http.inject('/healthz');
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.json().status, 'unhealthy');
    assert.equal(answer.json().checks.database, 'error');
    await own.app.http.close();
  });
});

test('[M-10] strangers are not told what the server is made of, where the metrics have a token', async () => {
  const token = 'a token of the health tests';
  const env = { IDENTREE_AUDIT_LOG: '/dev/null/audit.jsonl', IDENTREE_METRICS_TOKEN: token };
  const log = createLogger('error', { write: () => {} });
  const t = await createTestApp({ app: { provider: createTestProvider(), log }, env });
  await t.app.start();
  const told = async (authorization?: string) => {
    const { statusCode, body } = await t.app.http.inject({
      url: '/healthz',
      headers: authorization === undefined ? {} : { authorization },
    });
    const { status, checks, details } = JSON.parse(body);
    return { seen: [statusCode, status, checks.audit_sinks, details?.audit_sinks !== undefined], body };
  };
  while ((await t.app.health()).checks.audit_sinks === 'ok') await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual((await told(`Bearer ${token}`)).seen, [200, 'degraded', 'failing: jsonlog', true]);
  for (const authorization of [undefined, `Bearer ${token}x`, `Basic ${token}`]) {
    const { seen, body } = await told(authorization);
    assert.deepEqual(seen, [200, 'degraded', 'failing', false], authorization);
    assert.doesNotMatch(body, /jsonlog|to deliver/);
  }
  await t.close();
});

test('[M-10] a server that cannot do its work lives, is not ready, and says no more than that to an orchestrator', async () => {
  const t = await createTestApp({ app: { provider: createTestProvider() } });
  const ask = async (url: string) => {
    const { statusCode, body } = await t.app.http.inject(url);
    return [statusCode, body];
  };
  assert.deepEqual(await ask('/livez'), [200, '{"status":"ok"}']);
  assert.deepEqual(await ask('/readyz'), [200, '{"status":"ok"}']);
  await rm(t.config.keysDir, { recursive: true });
  await rm(dirname(t.config.database.dsn), { recursive: true });
  assert.equal((await t.app.http.inject('/healthz')).statusCode, 503);
  assert.deepEqual(await ask('/livez'), [200, '{"status":"ok"}']);
  assert.deepEqual(await ask('/readyz'), [503, '{"status":"not_ready"}']);
  await t.close().catch(() => {});
});
