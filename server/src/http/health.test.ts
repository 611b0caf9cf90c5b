import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { diskCheck } from '../db/module.ts';
import { FAKE_API_KEY, startFakePocketId } from '../directory/pocketid/test-pocketid.ts';
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

test('[M-10] one critical failure outweighs everything, a lesser one only degrades', async () => {
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

test('[M-10] a check that throws or never ends is a failure, and holds nobody up for long', async () => {
  const throwing: HealthCheck = { ...check('database', 'critical', null), run: () => Promise.reject(new Error('x')) };
  const hanging: HealthCheck = { ...check('oidc', 'degraded', null), run: () => new Promise(() => {}) };
  const report = await checkHealth([throwing, hanging]);
  assert.deepEqual(report, { status: 'unhealthy', checks: { database: 'error', oidc: 'timeout' } });
});

test('[M-10] a folder that cannot be written is said to be so', async () => {
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

  test('[M-10] names each component that is on, and nothing else, to anybody who asks', async () => {
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

  test('[M-05] settings that there is a warning about are counted for everybody, and named to nobody', async () => {
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

  test('[M-10] an identity provider that is away degrades, but approvals by sessions go on', async () => {
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

  test('[M-10] without its database the server is unhealthy', async () => {
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

test('[M-10] each row of the operations guide in both directions: what fails is named, with its status, and is well again', async (t) => {
  const pocketId = await startFakePocketId(t);
  pocketId.content = { users: [{ id: 'a1', username: 'alice' }], groups: [] };
  const provider = createTestProvider();
  const site = await createTestApp({
    app: { provider, log: createLogger('error', { write: () => {} }) },
    now: Date.now(),
    env: {
      IDENTREE_OIDC_ISSUER_URL: 'https://idp.example.com',
      IDENTREE_DIRECTORY_SOURCE: 'pocketid',
      IDENTREE_POCKETID_API_KEY: FAKE_API_KEY,
      IDENTREE_POCKETID_API_URL: pocketId.url,
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
    },
  });
  t.after(() => site.close());
  const { http } = site.app;
  const { directory } = site.app.directory!;
  const GUIDE = ['disk', 'ldap_sync', 'ldap_server', 'pocketid', 'oidc'];
  /** What is told comes to this; what is found is told for a second. */
  async function becomes(statusCode: number, status: string, odd: Record<string, string>): Promise<void> {
    const wanted = [statusCode, status, { ...Object.fromEntries(GUIDE.map((name) => [name, 'ok'])), ...odd }];
    const read = async () => {
      const answer = await http.inject('/healthz');
      const body = answer.json() as { status: string; checks: Record<string, string> };
      const checks = Object.entries(body.checks).filter(([name, value]) => GUIDE.includes(name) || value !== 'ok');
      return [answer.statusCode, body.status, Object.fromEntries(checks)];
    };
    for (let tries = 0; tries < 600 && !isDeepStrictEqual(await read(), wanted); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(await read(), wanted);
    assert.equal((await http.inject('/livez')).statusCode, 200);
    assert.equal((await http.inject('/readyz')).statusCode, statusCode);
    assert.deepEqual((await http.inject({ method: 'HEAD', url: '/healthz' })).statusCode, statusCode);
  }
  const isWell = () => becomes(200, 'ok', {});

  await becomes(503, 'unhealthy', { ldap_server: 'not_started' });
  await site.app.start();
  await directory.settled();
  await isWell();

  pocketId.intercept = (_path, response) => {
    response.writeHead(500).end();
    return true;
  };
  directory.refresh('console');
  await directory.settled();
  await becomes(200, 'degraded', { pocketid: 'unreachable' });
  // It was the source that was asked last a while ago: what hosts see is old by now.
  site.clock.advance(1.6 * 300_000);
  await becomes(503, 'unhealthy', { pocketid: 'unreachable', ldap_sync: 'stale' });
  pocketId.intercept = null;
  directory.refresh('console');
  await directory.settled();
  await isWell();

  provider.away = { problem: 'provider_unreachable', detail: 'connect ECONNREFUSED' };
  await becomes(200, 'degraded', { oidc: 'unreachable' });
  provider.away = null;
  await isWell();

  const folder = dirname(site.config.database.dsn);
  await rename(folder, `${folder}-moved`);
  await becomes(503, 'unhealthy', { disk: 'not_writable', database: 'gone' });
  await rename(`${folder}-moved`, folder);
  await isWell();
});

test('[M-10] an identity provider that accepts and never answers holds up nobody who asks how the server is', async (t) => {
  const held = new Set<Socket>();
  const silent = createServer((socket) => {
    held.add(socket);
    socket.on('error', () => {});
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const env = { IDENTREE_OIDC_ISSUER_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` };
  const site = await createTestApp({ app: { log: createLogger('error', { write: () => {} }) }, env });
  t.after(async () => {
    for (const socket of held) socket.destroy();
    silent.close();
    await site.close();
  });
  await site.app.start();
  /** Twice as long as anybody is to wait: this machine may be busy, and who is not held to two seconds waits for ten. */
  const MOST_MS = 4000;
  for (const [url, seen] of [
    ['/livez', 'ok'],
    ['/healthz', 'degraded'],
    ['/readyz', 'ok'],
    // It is not known yet how the provider is: nobody who asks again is let wait for longer either.
    ['/healthz', 'degraded'],
  ] as const) {
    const began = performance.now();
    const answer = await site.app.http.inject(url);
    const took = performance.now() - began;
    assert.deepEqual([answer.statusCode, answer.json().status], [200, seen], url);
    assert.ok(took < MOST_MS, `${url} took ${took} ms`);
    if (url === '/healthz') assert.equal(answer.json().checks.oidc, 'timeout');
  }
  assert.ok(held.size > 0, 'it was asked');
});
