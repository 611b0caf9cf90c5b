import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { readChallengeEvents } from '../events/store.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';
import { createSettling } from './settling.ts';
import { countAllPending } from './store.ts';

interface Entry {
  id: string;
  unreadable?: true;
  errorId?: string;
}

for (const driver of ['sqlite', 'postgres'] as const) {
  const skip = driver === 'postgres' ? (whyNoPostgres() ?? false) : false;
  describe(`one row that cannot be read, on ${driver}`, { skip }, () => {
    let t: TestApp;
    let host: TestHost;
    let alice: TestPerson;
    let bob: TestPerson;
    let admin: TestPerson;
    let good: ChallengeAnswer;
    let broken: ChallengeAnswer;
    before(async () => {
      const provider = createTestProvider();
      t = await createTestApp({ driver, config: { metricsToken: 'a token of these tests' }, app: { provider } });
      host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
      alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
      bob = await signInTestPerson(t.app, provider, t.clock, 'bob');
      admin = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'] });
      good = await host.create(host.record());
      broken = await host.create(host.record());
      await change(broken, { record: '{"v":1}' });
    });
    after(() => t.close());

    const change = ({ challengeId }: ChallengeAnswer, set: { record?: string; policy?: string }) =>
      t.app.db.transaction(({ query }) =>
        kysely(query).updateTable('challenges').set(set).where('id', '=', challengeId).execute(),
      );
    const listed = async (person: TestPerson, list: string, input?: object) => {
      const { data } = await person.query<Entry[] | { requests: Entry[] }>(list, input);
      return (Array.isArray(data) ? data : data.requests).map(({ id, unreadable = false, errorId }) => [
        id,
        unreadable,
        typeof errorId,
      ]);
    };
    const asText = JSON.stringify;

    test('inbox and history show it as such beside all others, and it is counted once', async () => {
      const both = [
        [good.challengeId, false, 'undefined'],
        [broken.challengeId, true, 'string'],
      ];
      const sorted = (entries: unknown[][]) => entries.map((entry) => asText(entry)).sort();
      for (const person of [alice, admin]) {
        assert.deepEqual(sorted(await listed(person, 'challenges.inbox')), sorted(both));
        assert.deepEqual(sorted(await listed(person, 'challenges.history', { limit: 50 })), sorted(both));
      }
      const { body } = await t.app.http.inject({
        url: '/metrics',
        headers: { authorization: 'Bearer a token of these tests' },
      });
      assert.match(body, /^identree_unreadable_rows_total\{table="challenges"\} 1$/m);
    });

    test('nobody approves or denies it, nobody else learns of it, and each attempt is an event', async () => {
      const { challengeId, userCode } = broken;
      assert.equal((await bob.query('challenges.get', { code: userCode })).refusal, 'not_found');
      assert.equal((await bob.mutate('challenges.approve', { challengeId })).refusal, 'not_found');
      assert.equal((await alice.query('challenges.get', { code: userCode })).refusal, 'unreadable');
      assert.equal((await alice.mutate('challenges.approve', { challengeId })).refusal, 'unreadable');
      assert.equal((await admin.mutate('challenges.deny', { challengeId })).refusal, 'unreadable');
      const events = await readChallengeEvents(t.app.db.query, challengeId);
      assert.deepEqual(
        events.map(({ event, data }) => [event, data.refusal]),
        [
          ['challenge_created', undefined],
          ['decision_refused', 'not_found'],
          ['decision_refused', 'unreadable'],
          ['decision_refused', 'unreadable'],
        ],
      );
      const { body } = await host.send('GET', `/challenges/${challengeId}?wait=0`);
      assert.equal((body as { error?: { code: string } }).error?.code, 'unreadable');
    });

    test('a policy that cannot be read is no policy', async () => {
      const third = await host.create(host.record());
      await change(third, { policy: 'none' });
      assert.equal(
        (await alice.mutate('challenges.approve', { challengeId: third.challengeId })).refusal,
        'unreadable',
      );
    });

    test('groups that cannot be read are not taken for none, and the list of people says whose', async () => {
      const people = (await admin.query<(Entry & { username: string })[]>('people.list')).data;
      const { id } = people.find(({ username }) => username === 'alice')!;
      const groupsOf = (groups: string) =>
        t.app.db.transaction(({ query }) =>
          kysely(query).updateTable('people').set({ groups }).where('id', '=', id).execute(),
        );
      await groupsOf('["staff"');
      const now = await listed(admin, 'people.list');
      assert.equal(now.length, people.length);
      assert.deepEqual(
        now.filter(([, unreadable]) => unreadable),
        [[id, true, 'string']],
      );
      const inbox = await listed(admin, 'challenges.inbox');
      assert.ok(inbox.some(([entry, unreadable]) => entry === good.challengeId && unreadable));
      assert.equal((await admin.mutate('challenges.approve', { challengeId: good.challengeId })).refusal, 'unreadable');
      const refused = await host.send('POST', '/challenges', host.createBody());
      assert.equal((refused.body as { error?: { code: string } }).error?.code, 'unreadable');
      await groupsOf('[]');
      assert.ok((await listed(admin, 'people.list')).every(([, unreadable]) => !unreadable));
    });

    test('it ends like the others when its time is over, and its event says no more than is known', async () => {
      t.clock.advance(t.config.challengeTtlMs + 1000);
      await t.app.settling.reap();
      assert.deepEqual(await listed(admin, 'challenges.inbox'), []);
      for (const { challengeId } of [good, broken]) {
        const events = await readChallengeEvents(t.app.db.query, challengeId);
        assert.equal(events.at(-1)?.event, 'challenge_expired');
        assert.equal(events.at(-1)?.data.command === null, challengeId === broken.challengeId);
      }
      assert.equal(await countAllPending(t.app.db.query), 0);
    });

    test('however many cannot be ended, the others are', async () => {
      const ending = await host.create(host.record());
      const row = await kysely(t.app.db.query)
        .selectFrom('challenges')
        .selectAll()
        .where('id', '=', ending.challengeId)
        .executeTakeFirstOrThrow();
      const stuck = Array.from({ length: 201 }, (_, index) => `0000${index}`);
      await t.app.db.transaction(async ({ query }) => {
        for (const id of stuck)
          await kysely(query)
            .insertInto('challenges')
            .values({ ...row, id, user_code: id, nonce: id })
            .execute();
      });
      const settling = createSettling({
        db: t.app.db,
        events: t.app.events,
        clock: t.clock,
        unreadable: { report: (_table, { id }) => ({ unreadable: true, id, errorId: '' }) },
        serverId: 'server',
        signVerdict: async ({ challengeId }) => {
          if (stuck.includes(challengeId)) throw new Error('it cannot be signed');
          return 'verdict';
        },
        keysSince: async () => ({ version: 1, token: null }),
      });
      t.clock.advance(t.config.challengeTtlMs + 1000);
      await assert.rejects(settling.reap(), /it cannot be signed/);
      const events = await readChallengeEvents(t.app.db.query, ending.challengeId);
      assert.equal(events.at(-1)?.event, 'challenge_expired');
      assert.equal(await countAllPending(t.app.db.query), stuck.length);
    });
  });
}
