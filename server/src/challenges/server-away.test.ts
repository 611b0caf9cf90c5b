import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ChallengeAnswer, LEASE_SECONDS } from '#shared/host-api.ts';
import { type App, createApp } from '../app/app.ts';
import type { Database } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { DatabaseTrouble } from '../db/trouble.ts';
import { manualClock } from '../platform/clock.ts';
import { createTestApp, passTime, type TestApp } from '../testing/test-app.ts';
import { testConfig } from '../testing/test-config.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import { settlingModule } from './module.ts';
import type { Approval } from './showing.ts';
import { countAllPending } from './store.ts';

test('a request is still waiting when the server comes back, can be approved at once, and ends when its host does not', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-away-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const clock = manualClock();
  const provider = createTestProvider();
  const config = testConfig(folder);
  const before = await createApp(config, { clock, provider });
  await before.start();
  const host = await enrolTestHost(before, clock, 'web1.example.com');
  const [approved, left] = [await host.create(), await host.create()];
  await before.close();

  clock.advance((LEASE_SECONDS + 10) * 1000);
  const now = await createApp(config, { clock, provider });
  t.after(() => now.close());
  await now.start();
  // What is overdue is looked for in any case, not only when its time comes round.
  await now.settling.reap();
  const poll = async ({ challengeId }: ChallengeAnswer) =>
    (await host.send('GET', `/challenges/${challengeId}?wait=0`, undefined, {}, now)).body.status;
  // Before its host asks again.
  const alice = await signInTestPerson(now, provider, clock, 'alice');
  const { data } = await alice.query<Approval>('challenges.get', { code: approved.userCode });
  const assertion = alice.passkey.assert(data.passkey!.options as never);
  assert.equal(
    (await alice.mutate('challenges.approve', { challengeId: approved.challengeId, assertion })).status,
    200,
  );
  assert.equal(await poll(approved), 'approved');

  await passTime({ app: now, clock }, LEASE_SECONDS * 1000);
  assert.equal(await poll(left), 'cancelled');
});

test('a thousand hosts that are gone hold up nobody who asks meanwhile', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-gone-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const clock = manualClock();
  const app = await createApp(testConfig(folder), { clock, provider: createTestProvider() });
  t.after(() => app.close());
  const host = await enrolTestHost(app, clock, 'web1.example.com');
  const { challengeId } = await host.create();
  await app.db.transaction(async (work) => {
    const select = kysely(work.query).selectFrom('challenges').selectAll().where('id', '=', challengeId);
    const row = await select.executeTakeFirstOrThrow();
    for (let index = 1; index < 1000; index += 1) {
      const own = { id: index.toString(16).padStart(32, '0'), nonce: `n${index}`, user_code: `c${index}` };
      await kysely(work.query)
        .insertInto('challenges')
        .values({ ...row, ...own })
        .execute();
    }
  });
  await passTime({ app, clock }, LEASE_SECONDS * 1000 - 1);
  clock.advance(1);
  let ended = false;
  const ending = app.settling.reap().then(() => {
    ended = true;
  });
  for (let asked = 0; asked < 5; asked += 1) {
    await host.create(host.record({ user: 'alice' }));
    assert.equal(ended, false);
  }
  await ending;
  assert.equal(await countAllPending(app.db.query), 5);
});

/** A server process that ends what is overdue, on a way to the database that can be cut. */
function processOn(app: App, clock: TestApp['clock']) {
  let cut = false;
  const away = (): void => {
    if (cut) throw new DatabaseTrouble('away', new Error('cut'));
  };
  const db: Database = {
    ...app.db,
    get query() {
      away();
      return app.db.query;
    },
    async transaction(run) {
      away();
      return app.db.transaction(run);
    },
  };
  const { settling } = settlingModule({ ...app, clock, db });
  return {
    settling,
    cut(is: boolean) {
      cut = is;
    },
  };
}

forEachDriver('a database that was away', (driver) => {
  async function open(t: TestContext) {
    const app = await createTestApp({ driver, env: { IDENTREE_CHALLENGE_TTL: '5m' } });
    t.after(() => app.close());
    const host = await enrolTestHost(app.app, app.clock, 'web1.example.com');
    const created = [await host.create(), await host.create()] as const;
    const servers = [processOn(app.app, app.clock), processOn(app.app, app.clock)] as const;
    const row = ({ challengeId }: ChallengeAnswer) =>
      kysely(app.app.db.query)
        .selectFrom('challenges')
        .select(['status', 'lease_until'])
        .where('id', '=', challengeId)
        .executeTakeFirstOrThrow();
    return { ...app, host, created, servers, row };
  }

  test('cancels nobody who could not ask, whichever server looks first', async (t) => {
    const { clock, host, created, servers, row } = await open(t);
    const [asks, gone] = created;
    const [first, second] = servers;
    const both = {
      settling: {
        async reap() {
          for (const { settling } of servers) await settling.reap();
        },
      },
    };
    await passTime({ app: both, clock }, LEASE_SECONDS * 1000 - 1);
    for (const { challengeId } of created) await host.send('GET', `/challenges/${challengeId}?wait=0`);
    for (const server of servers) server.cut(true);
    for (let away = 0; away < LEASE_SECONDS + 10; away += 5) {
      clock.advance(5000);
      for (const { settling } of servers) await assert.rejects(settling.reap(), DatabaseTrouble);
    }
    for (const server of servers) server.cut(false);
    await both.settling.reap();
    assert.equal((await host.send('GET', `/challenges/${asks.challengeId}?wait=0`)).body.status, 'pending');

    await passTime({ app: second, clock }, LEASE_SECONDS * 1000 - 1);
    clock.advance(1);
    // Time in which a process did not look itself does not count for it.
    await first.settling.reap();
    assert.equal((await row(gone)).status, 'pending');
    await second.settling.reap();
    assert.equal((await row(gone)).status, 'cancelled');
  });

  test('and was away for one server only: it gives nobody time whom the other rightly ends', async (t) => {
    const { clock, created, servers, row } = await open(t);
    const [gone] = created;
    const [served, cutOff] = servers;
    const before = await row(gone);
    await cutOff.settling.reap();
    cutOff.cut(true);
    await passTime({ app: served, clock }, LEASE_SECONDS * 1000 - 1);
    cutOff.cut(false);
    clock.advance(1);
    await cutOff.settling.reap();
    assert.deepEqual(await row(gone), before);
    await served.settling.reap();
    assert.equal((await row(gone)).status, 'cancelled');
  });
});
