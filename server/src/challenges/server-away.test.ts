import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ChallengeAnswer, LEASE_SECONDS } from '#shared/host-api.ts';
import { createApp } from '../app/app.ts';
import { kysely } from '../db/query.ts';
import { manualClock } from '../platform/clock.ts';
import { testConfig } from '../testing/test-config.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import type { Approval } from './showing.ts';
import { countAllPending } from './store.ts';

test('a request is still waiting when the server comes back, and ends when its host does not', async (t) => {
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
  assert.equal(await poll(approved), 'pending');
  const alice = await signInTestPerson(now, provider, clock, 'alice');
  const { data } = await alice.query<Approval>('challenges.get', { code: approved.userCode });
  const assertion = alice.passkey.assert(data.passkey!.options as never);
  assert.equal(
    (await alice.mutate('challenges.approve', { challengeId: approved.challengeId, assertion })).status,
    200,
  );
  assert.equal(await poll(approved), 'approved');

  clock.advance(LEASE_SECONDS * 1000);
  await now.settling.reap();
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
  clock.advance(LEASE_SECONDS * 1000);
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
