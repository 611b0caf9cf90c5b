import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoggedEvent } from '#shared/events.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createLogger } from '../platform/logger.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import { TOLD_EVERY_MS } from './log-reads.ts';
import { breakEvents } from './testing/break-events.ts';

const told = async ({ app }: Pick<TestApp, 'app'>): Promise<LoggedEvent[]> =>
  (await app.events.read(0, 1000)).filter(({ event }) => event === 'audit_read');

forEachDriver('[A-42] who reads the log', (driver) => {
  test('is in the log with what was asked for and how much it was, once a minute, and nothing is left out', async (t) => {
    const provider = createTestProvider();
    const site = await createTestApp({ driver, app: { provider, log: createLogger('error', { write: () => {} }) } });
    t.after(() => site.close());
    const { app, clock } = site;
    const olga = await signInTestPerson(app, provider, clock, 'olga', { groups: ['admins'], passkey: false });
    const alice = await signInTestPerson(app, provider, clock, 'alice', { passkey: false });
    const host = await enrolTestHost(app, clock, 'web1.example.com');
    for (let i = 0; i < 3; i += 1) await host.create();

    await alice.query('challenges.history', {});
    assert.deepEqual(await told(site), [], 'what is their own');

    await olga.query('challenges.history', { search: 'web1' });
    const [first] = await told(site);
    assert.partialDeepStrictEqual(first, {
      at: clock.now(),
      username: '',
      actor: 'olga',
      remoteAddr: '192.0.2.7',
      data: {
        what: 'requests',
        filter: { search: 'web1', status: null },
        rows: 3,
        reads: 1,
        issuer: 'https://idp.example.com',
        subject: 'subject of olga',
      },
    });
    // Another page of the same, and at another server: none of it is an event of its own.
    await olga.query('challenges.history', { search: 'web1', limit: 1 });
    const elsewhere = driver === 'postgres' ? await olga.at(await site.replica()) : olga;
    await elsewhere.query('challenges.history', { search: 'web1', limit: 2 });
    await app.reads.settle();
    assert.equal((await told(site)).length, 1);
    // Something else is.
    await olga.query('challenges.history', { status: 'pending' });
    assert.equal((await told(site)).length, 2);

    clock.advance(TOLD_EVERY_MS);
    await app.reads.settle();
    const [, , rest, ...more] = await told(site);
    assert.partialDeepStrictEqual(rest, { actor: 'olga', data: { filter: { search: 'web1' }, rows: 3, reads: 2 } });
    assert.deepEqual(more, []);
    // It was told just now, so it is not told again at once.
    await olga.query('challenges.history', { search: 'web1' });
    assert.equal((await told(site)).length, 3);
    for (let minutes = 0; minutes < 3; minutes += 1) {
      clock.advance(TOLD_EVERY_MS);
      await app.reads.settle();
    }
    assert.equal((await told(site)).length, 4);
  });

  test('is in the log also when its clock was ahead and was put right', async (t) => {
    const provider = createTestProvider();
    const site = await createTestApp({ driver, app: { provider } });
    t.after(() => site.close());
    const { app, clock } = site;
    const olga = await signInTestPerson(app, provider, clock, 'olga', { groups: ['admins'], passkey: false });
    const now = clock.now();
    const ahead = now + 5 * TOLD_EVERY_MS;
    clock.set(ahead);
    for (const search of ['web1', 'web2', 'web2']) await olga.query('challenges.history', { search });
    clock.set(now);
    await olga.query('challenges.history', { search: 'web1' });
    const heard = async () =>
      (await told(site)).map(({ at, data }) => [at, (data.filter as { search: string }).search]);
    const first = [
      [ahead, 'web1'],
      [ahead, 'web2'],
      [now, 'web1'],
    ];
    assert.deepEqual(await heard(), first);
    await app.reads.settle();
    assert.deepEqual(await heard(), [...first, [now, 'web2']], 'what it had not told yet');
  });

  test('is told nothing while that cannot be written', async (t) => {
    const provider = createTestProvider();
    const site = await createTestApp({ driver, app: { provider, log: createLogger('error', { write: () => {} }) } });
    t.after(() => site.close());
    const olga = await signInTestPerson(site.app, provider, site.clock, 'olga', { groups: ['admins'], passkey: false });
    await site.app.db.transaction(({ query }) => breakEvents(query, driver));
    assert.notEqual((await olga.query('challenges.history', {})).refusal, null);
    assert.notEqual((await olga.query('audit.events.list', {})).refusal, null);
    const cookie = { cookie: olga.cookie };
    const file = await site.app.http.inject({ url: '/api/v1/audit/export?format=csv', headers: cookie });
    assert.notEqual(file.statusCode, 200);
  });

  test('events, one of them and an export of them are told apart; what is their own is told of nobody', async (t) => {
    const provider = createTestProvider();
    const site = await createTestApp({ driver, app: { provider } });
    t.after(() => site.close());
    const { app, clock } = site;
    const olga = await signInTestPerson(app, provider, clock, 'olga', { groups: ['admins'], passkey: false });
    const alice = await signInTestPerson(app, provider, clock, 'alice', { passkey: false });
    const { data } = await olga.query<{ events: { seq: number }[] }>('audit.events.list', { user: 'alice' });
    const [{ seq }] = data.events as [{ seq: number }];
    for (const reader of [olga, alice]) {
      await reader.query('audit.events.get', { seq });
      const headers = { cookie: reader.cookie };
      const file = await app.http.inject({ url: '/api/v1/audit/export?format=csv&user=alice', headers });
      assert.equal(file.statusCode, 200);
    }
    await alice.query('audit.events.list', {});
    const rows = data.events.length;
    const seen = (await told(site)).map(({ actor, data }) => [actor, data.what, data.filter, data.rows]);
    assert.deepEqual(seen, [
      ['olga', 'events', { user: 'alice' }, rows],
      ['olga', 'event', { seq }, 1],
      ['olga', 'export', { user: 'alice', format: 'csv' }, 0],
    ]);
    clock.advance(TOLD_EVERY_MS);
    await app.reads.settle();
    assert.deepEqual((await told(site)).at(-1)?.data.rows, rows, 'how much was taken in the end');
  });
});

test('[A-42] evidence that an operator takes out on the command line is in the log', async (t) => {
  const provider = createTestProvider();
  const site = await createTestApp({ app: { provider } });
  t.after(() => site.close());
  const alice = await signInTestPerson(site.app, provider, site.clock, 'alice');
  const { challengeId } = await (await enrolTestHost(site.app, site.clock, 'web1.example.com')).create();
  await alice.mutate('challenges.deny', { challengeId });
  const { code, out } = await runOn(['export-approval', challengeId], site.config);
  assert.equal(code, 0);
  const { events } = JSON.parse(out) as { events: unknown[] };
  assert.partialDeepStrictEqual(await told(site), [
    { actor: 'identree-server', data: { what: 'evidence', filter: { request: challengeId }, rows: events.length } },
  ]);
});
