import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeTestPostgres } from '../db/test-databases.ts';
import { testPostgres, whyNoPostgres } from '../db/test-postgres.ts';
import { until } from './load.ts';
import { openTcpGate } from './tcp-gate.ts';
import { createTestApp } from './test-app.ts';
import { enrolTestHost } from './test-host.ts';

test('packets between server and database vanish: nobody waits for long, and all goes on without a restart', {
  skip: whyNoPostgres() ?? false,
}, async (t) => {
  const postgres = await makeTestPostgres();
  t.after(postgres.drop);
  const gate = await openTcpGate((await testPostgres()).socket);
  t.after(() => gate.close());
  const { pathname } = new URL(postgres.dsn);
  const site = await createTestApp({
    env: {
      IDENTREE_DATABASE_DRIVER: 'postgres',
      IDENTREE_DATABASE_DSN: `postgres://identree@127.0.0.1:${gate.port}${pathname}`,
    },
    now: Date.now(),
  });
  t.after(() => site.close());
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const { challengeId } = await host.create();
  const timed = async (answer: ReturnType<typeof host.send>) => {
    const before = performance.now();
    const { status, body } = await answer;
    return { status, code: body.error?.code, ms: performance.now() - before };
  };
  const create = () => timed(host.send('POST', '/challenges', host.createBody()));
  assert.equal((await create()).status, 201);

  const poll = timed(host.send('GET', `/challenges/${challengeId}?wait=25`));
  // Until the poll has been admitted and waits: only then is nothing asked for it.
  await new Promise((resolve) => setTimeout(resolve, 500));
  gate.lose();
  const lostAt = performance.now();
  const unwell = until(async () => (await site.app.health()).checks.database !== 'ok');
  const asked = await Promise.all(Array.from({ length: 60 }, create));
  for (const { status, code, ms } of asked) {
    assert.deepEqual([status, code], [503, 'unavailable']);
    assert.ok(ms < 10_000, `a request took ${Math.round(ms)} ms`);
  }
  assert.ok((await unwell) < 5000);
  const polled = await poll;
  assert.deepEqual([polled.status, polled.code], [503, 'unavailable'], 'the host asks elsewhere');
  assert.ok(performance.now() - lostAt < 10_000);
  const later = await create();
  assert.equal(later.code, 'unavailable');
  assert.ok(later.ms < 1000, 'what is known is not waited for');

  gate.forward();
  const took = await until(async () => (await create()).status === 201);
  assert.ok(took < 3000, `goes on after ${Math.round(took)} ms`);
  await until(async () => (await site.app.health()).checks.database === 'ok');
});
