import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breakEvents } from '../audit/testing/break-events.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createLogger } from '../platform/logger.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';

forEachDriver('who was shown a request', (driver) => {
  async function open(t: { after(run: () => unknown): void }) {
    const provider = createTestProvider();
    const log = createLogger('error', { write: () => {} });
    const site = await createTestApp({ driver, app: { provider, log } });
    t.after(() => site.close());
    const { app, clock } = site;
    const signIn = (name: string, options?: Parameters<typeof signInTestPerson>[4]) =>
      signInTestPerson(app, provider, clock, name, options);
    const olga = await signIn('olga', { groups: ['admins'], passkey: false });
    const alice = await signIn('alice');
    const bob = await signIn('bob', { passkey: false });
    const host = await enrolTestHost(app, clock, 'web1.example.com');
    const page = async (person: TestPerson, code: string, headers: Record<string, string> = {}) => {
      const url = `/approve/${code}`;
      return (await app.http.inject({ url, headers: { cookie: person.cookie, ...headers } })).statusCode;
    };
    return { ...site, olga, alice, bob, host, page, told: () => told(site) };
  }

  async function told({ app }: TestApp): Promise<string[]> {
    const events = (await app.events.read(0, 1000)).filter(({ event }) => event === 'challenge_shown');
    return events.map(({ actor, data }) => `${actor} ${data.where}`);
  }

  test('is told once for each person, however often and wherever they look', async (t) => {
    const { olga, alice, bob, host, page, told, app } = await open(t);
    const { challengeId, userCode } = await host.create();
    // What waits is listed, and a page that is open keeps up to date: nobody has opened anything by that.
    await alice.query('challenges.inbox');
    await olga.query('challenges.history');
    assert.equal((await olga.query('challenges.get', { code: userCode })).refusal, null);
    // A browser that fetches ahead.
    assert.equal(await page(alice, userCode, { 'sec-purpose': 'prefetch;prerender' }), 200);
    // Who may not decide is shown nothing.
    assert.equal(await page(bob, userCode), 404);
    assert.deepEqual(await told(), []);

    assert.equal(await page(alice, userCode), 200);
    assert.deepEqual(await told(), ['alice approval_page']);
    assert.equal((await olga.query('challenges.get', { code: userCode, open: true })).refusal, null);
    const everything = ['alice approval_page', 'olga console'];
    assert.deepEqual(await told(), everything);
    for (const person of [alice, olga, alice]) {
      assert.equal(await page(person, userCode), 200);
      await person.query('challenges.get', { code: userCode, open: true });
    }
    assert.deepEqual(await told(), everything);

    const [event] = (await app.events.read(0, 1000)).filter(({ event }) => event === 'challenge_shown');
    assert.partialDeepStrictEqual(event, {
      username: 'alice',
      hostname: 'web1.example.com',
      challengeId,
      code: userCode,
    });
    // What belongs together, as its owner reads it.
    await alice.mutate('challenges.deny', { challengeId });
    const { data } = await alice.query<{ together: { event: string }[] }>('audit.events.get', { seq: event!.seq });
    assert.deepEqual(
      data.together.map(({ event }) => event),
      ['challenge_created', 'challenge_shown', 'challenge_shown', 'challenge_rejected'],
    );
  });

  test('is told once where they look twice at the same time', async (t) => {
    const { alice, host, page, told } = await open(t);
    const { userCode } = await host.create();
    const looks = Array.from({ length: 8 }, () => page(alice, userCode));
    assert.deepEqual(new Set(await Promise.all(looks)), new Set([200]));
    assert.deepEqual(await told(), ['alice approval_page']);
  });

  test('is not told of a request that is over: nobody decides it any more', async (t) => {
    const { alice, host, page, told } = await open(t);
    const { challengeId, userCode } = await host.create();
    await host.send('DELETE', `/challenges/${challengeId}`);
    assert.equal(await page(alice, userCode), 200);
    assert.deepEqual(await told(), []);
  });

  test('keeps nobody from looking where it cannot be told', async (t) => {
    const { app, alice, host, page, told } = await open(t);
    const { userCode } = await host.create();
    await app.db.transaction(({ query }) => breakEvents(query, driver));
    assert.equal(await page(alice, userCode), 200);
    assert.deepEqual(await told(), []);
  });
});
