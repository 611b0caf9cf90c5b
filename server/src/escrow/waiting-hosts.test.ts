import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { STATE_WAIT_SECONDS } from '#shared/break-glass-api.ts';
import type { App } from '../app/app.ts';
import type { Database } from '../db/database.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';

const LOCAL = {
  IDENTREE_ESCROW_BACKEND: 'local',
  IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
  IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
};
/** What was not answered in this time is being kept back, milliseconds. */
const KEPT_MS = 1000;
/** Far less than a question is kept, and enough for a busy machine, milliseconds. */
const AT_ONCE_MS = 20_000;

const after = (ms: number) => new Promise<'kept'>((resolve) => setTimeout(() => resolve('kept'), ms).unref());

async function world(t: TestContext, driver: Database['driver']) {
  const provider = createTestProvider();
  const site = await createTestApp({ driver, env: LOCAL, app: { provider } });
  t.after(site.close);
  const { app, clock } = site;
  const dana = await signInTestPerson(app, provider, clock, 'dana', { groups: ['admins'] });
  const host = await enrolTestHost(app, clock, 'web1.example.com');
  const other = await enrolTestHost(app, clock, 'web2.example.com');

  /** A host asks, and says what it has. Its question is kept when this resolves, unless it is answered. */
  async function asks(who: TestHost, at: App = app, wait = STATE_WAIT_SECONDS) {
    const current = { createdAt: clock.now(), type: 'random', escrowId: null };
    const body = { enabled: true, current, problem: null };
    const answer = who.send('POST', `/break-glass/state?wait=${wait}`, body, {}, at);
    assert.equal(await Promise.race([answer, after(KEPT_MS)]), 'kept');
    clock.advance(1000);
    return {
      answer: () => Promise.race([answer, after(AT_ONCE_MS)]),
      isKept: async () => (await Promise.race([answer, after(KEPT_MS)])) === 'kept',
    };
  }
  const rotate = async ({ id }: TestHost) =>
    assert.equal((await dana.mutate('breakGlass.rotate', { hostId: id })).status, 200);
  return { ...site, dana, host, other, asks, rotate };
}

forEachDriver('hosts that wait until another break-glass password is wanted', (driver) => {
  test('one is told at once, and nobody else', async (t) => {
    const w = await world(t, driver);
    const asked = await w.asks(w.host);
    const elsewhere = await w.asks(w.other);
    await w.rotate(w.host);
    assert.deepEqual(await asked.answer(), { status: 200, body: { escrow: true, rotateBefore: w.clock.now() } });
    assert.equal(await elsewhere.isKept(), true);
    await w.rotate(w.other);
    assert.notEqual(await elsewhere.answer(), 'kept');
  });

  test('what was wanted before it asked is not waited for, whatever it says of how long', async (t) => {
    const w = await world(t, driver);
    const createdAt = w.clock.now();
    w.clock.advance(1000);
    await w.rotate(w.host);
    const body = { enabled: true, current: { createdAt, type: 'random', escrowId: null }, problem: null };
    const ask = (wait: number | string) => w.host.send('POST', `/break-glass/state?wait=${wait}`, body);
    assert.equal((await ask(STATE_WAIT_SECONDS)).body.rotateBefore, w.clock.now());
    for (const wrong of [STATE_WAIT_SECONDS + 1, -1, 'long'])
      assert.equal((await ask(wrong)).body.error?.code, 'bad_request');
  });

  test('without news it is answered when its time is over', async (t) => {
    const w = await world(t, driver);
    const asked = await w.asks(w.host, w.app, 2);
    assert.deepEqual(await asked.answer(), { status: 200, body: { escrow: true, rotateBefore: null } });
  });

  test('one that is revoked meanwhile is refused at once', async (t) => {
    const w = await world(t, driver);
    const asked = await w.asks(w.host);
    assert.equal((await w.dana.mutate('hosts.revoke', { hostId: w.host.id })).status, 200);
    const answer = await asked.answer();
    assert.ok(answer !== 'kept');
    assert.deepEqual([answer.status, answer.body.error?.code], [403, 'host_revoked']);
    const refused = (await w.app.events.read(0, 1000)).filter(({ event }) => event === 'host_request_refused');
    assert.deepEqual(
      refused.map(({ hostId, data }) => [hostId, data.refusal]),
      [[w.host.id, 'host_revoked']],
    );
  });

  test('a server that stops keeps nobody', async (t) => {
    const w = await world(t, driver);
    const asked = await w.asks(w.host);
    w.app.leave();
    assert.deepEqual(await asked.answer(), { status: 200, body: { escrow: true, rotateBefore: null } });
  });

  if (driver === 'postgres')
    test('what is asked for at one server reaches a host that waits at another', async (t) => {
      const w = await world(t, driver);
      const asked = await w.asks(w.host, await w.replica());
      await w.rotate(w.host);
      assert.notEqual(await asked.answer(), 'kept');
    });
});
