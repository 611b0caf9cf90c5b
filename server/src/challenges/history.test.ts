import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TIME_ORDERS, type TimeOrder } from '#shared/time-order.ts';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';
import { type HistoryPage, historyPage, type Place, SEARCH_DEPTH } from './history-store.ts';

interface Entry {
  id: string;
  createdAt: number;
}

for (const driver of ['sqlite', 'postgres'] as const) {
  const skip = driver === 'postgres' ? (whyNoPostgres() ?? false) : false;
  describe(`the history on ${driver}`, { skip }, () => {
    let t: TestApp;
    let host: TestHost;
    let alice: TestPerson;
    before(async () => {
      const provider = createTestProvider();
      t = await createTestApp({ driver, app: { provider } });
      host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
      alice = await signInTestPerson(t.app, provider, t.clock, 'alice', { passkey: false });
    });
    after(() => t.close());

    const history = async (filter: {
      limit: number;
      order?: TimeOrder;
      last?: Entry | null;
      search?: string;
    }): Promise<Entry[]> => {
      const { limit, order = 'newest', last = null, search = null } = filter;
      const place = last && { createdAt: last.createdAt, id: last.id };
      const asked = { limit, order, [order === 'newest' ? 'before' : 'after']: place, search };
      return (await alice.query<{ requests: Entry[] }>('challenges.history', asked)).data.requests;
    };

    test('is read page by page, and of requests of one moment none is left out or comes twice', async () => {
      const made: string[] = [];
      for (let moment = 0; moment < 2; moment += 1) {
        for (let index = 0; index < 3; index += 1)
          made.push((await host.create(host.record({ createdAt: t.clock.now() }))).challengeId);
        t.clock.advance(1000);
      }
      const read = async (order: TimeOrder): Promise<string[]> => {
        const seen: string[] = [];
        let last: Entry | null = null;
        for (;;) {
          const page: Entry[] = await history({ limit: 2, order, last });
          seen.push(...page.map(({ id }) => id));
          last = page.at(-1) ?? null;
          if (last === null) return seen;
        }
      };
      const seen = await read('newest');
      assert.equal(seen.length, made.length);
      assert.deepEqual(new Set(seen), new Set(made));
      assert.deepEqual(new Set(seen.slice(0, 3)), new Set(made.slice(3)));
      assert.deepEqual(await read('oldest'), seen.reverse());
    });

    test('is not searched for what no database can hold', async () => {
      for (const search of ['a\0b', 'a\ud800'])
        assert.equal((await alice.query('challenges.history', { search })).refusal, 'bad_request');
    });

    test('is searched for commands as they were typed, over the borders of arguments', async () => {
      const argv = ['sudo', 'sh', '-c', 'echo "50%" > C:\\it', 'Grün', '","'];
      const { challengeId } = await host.create(host.record({ argv }));
      const finds = async (search: string) => (await history({ limit: 50, search })).map(({ id }) => id);
      for (const search of ['sudo sh -c', 'SH -C echo', 'c echo "50%"', '> C:\\it', 'it Grün'])
        assert.deepEqual(await finds(search), [challengeId], search);
      for (const search of ['sudo  sh', 'sh sudo', '"sh"', 'echo "5_', '\\"50'])
        assert.deepEqual(await finds(search), [], search);
      await host.send('DELETE', `/challenges/${challengeId}`);
    });

    test('is searched as far back as holds nobody up, and then from there on', async () => {
      const { challengeId } = await host.create(host.record({ argv: ['sudo', 'rare', driver] }));
      await host.send('DELETE', `/challenges/${challengeId}`);
      const { query } = t.app.db;
      const row = await kysely(query)
        .selectFrom('challenges')
        .selectAll()
        .where('id', '=', challengeId)
        .executeTakeFirst();
      const later = (index: number) => ({
        ...row!,
        id: index.toString(16).padStart(32, '0'),
        nonce: `later-${index}`,
        user_code: `later-${index}`,
        record: row!.record.replace('rare', 'often'),
        created_at: row!.created_at + 1 + Math.floor(index / 3),
      });
      await t.app.db.transaction(async (work) => {
        for (let from = 0; from < SEARCH_DEPTH + 10; from += 200) {
          const rows = Array.from({ length: 200 }, (_, index) => later(from + index));
          await kysely(work.query).insertInto('challenges').values(rows).execute();
        }
      });
      const find = async (before: object | null) =>
        (
          await alice.query<{ requests: Entry[]; older: object | null }>('challenges.history', {
            search: `rare ${driver}`,
            before,
          })
        ).data;
      const first = await find(null);
      assert.deepEqual(first.requests, []);
      assert.notEqual(first.older, null);
      const second = await find(first.older);
      assert.deepEqual(second, { requests: second.requests, older: null, newer: null });
      assert.deepEqual(
        second.requests.map(({ id }) => id),
        [challengeId],
      );
    });

    test('of many accounts is one list', async () => {
      const accounts = Array.from({ length: 45 }, (_, index) => `account${index}`);
      const made: string[] = [];
      for (const user of accounts) {
        made.unshift((await host.create(host.record({ user, createdAt: t.clock.now() }))).challengeId);
        t.clock.advance(1);
      }
      for (const order of TIME_ORDERS) {
        const listed: string[] = [];
        let beyond: Place | null = null;
        do {
          const page: HistoryPage = await historyPage(t.app.db.query, accounts, {
            order,
            beyond,
            limit: 10,
            status: 'pending',
            search: null,
          });
          listed.push(...page.rows.map(({ id }) => id));
          beyond = page.next;
        } while (beyond !== null);
        assert.deepEqual(listed, order === 'newest' ? made : made.toReversed());
      }
    });
  });
}
