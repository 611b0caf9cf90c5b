import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver, makeTestPostgres, persistently } from '../db/test-databases.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { insertCursor } from '../events/cursor-store.ts';
import { createEventAppender } from '../events/log.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { createConfigured } from './configured.ts';
import { putPreferences } from './preference-store.ts';
import { createRoutes } from './route-rules.ts';
import { channelInput, preferences, routeRule } from './settings.ts';
import type { NotifyChild, Received } from './testing/notify-child.ts';
import { until } from './testing/notify-site.ts';

const KILLS = process.env.IDENTREE_LONG === '1' ? 200 : 5;
const EVENTS = 25;
const CHANNELS = ['ops', 'chat'];
/** A channel of one person, who is told of everything. */
const PHONE = 'phone';
const OPERATOR = { personId: 'p-olga', isAdmin: true, username: 'olga', remoteAddr: null };

forEachDriver(`[N-19] a server that is killed ${KILLS} times while it tells people what happens`, (driver) => {
  test('tells each event on each channel and to each person, and what comes twice has the same id', async (t) => {
    const folder = await mkdtemp(join(TEST_FOLDER, 'identree-notify-kills-'));
    const postgres = driver === 'postgres' ? await makeTestPostgres() : null;
    const dsn = postgres?.dsn ?? join(folder, 'test.db');
    const db = await openDatabase({ driver, dsn, maxConnections: 4 });
    const children = new Set<ChildProcess>();
    t.after(async () => {
      for (const child of children) child.kill('SIGKILL');
      await db.close();
      await postgres?.drop();
      await rm(folder, { recursive: true, force: true });
    });
    const log = createEventAppender({ db, clock: systemClock, onAppended: () => {}, onError: () => {} });
    const configured = createConfigured({
      ...{ db, events: log, clock: systemClock },
      createChannel: ({ name, kind }) => ({ name, kind, deliver: async () => ({ outcome: 'delivered' }) }),
      wake: () => {},
    });
    const routes = createRoutes({ db, events: log, clock: systemClock, random: systemRandom });
    for (const name of CHANNELS) {
      const input = channelInput.parse({ kind: 'webhook', settings: {}, foldFrom: 0, perMinute: 6000, atOnce: 8 });
      assert.ok((await configured.add(name, input, { personal: false }, OPERATOR)).ok);
    }
    await db.transaction((work) =>
      kysely(work.query)
        .insertInto('people')
        .values({
          ...{ id: OPERATOR.personId, issuer: 'https://idp.example.com', subject: 'olga', username: 'olga' },
          ...{ display_name: 'Olga', email: null, groups: '[]', epoch: 0, created_at: 0, last_login_at: 0 },
          ...{ source_id_claim: null, source_id: null },
        })
        .execute(),
    );
    const phone = channelInput.parse({ kind: 'ntfy', settings: {}, foldFrom: 0, perMinute: 6000, atOnce: 8 });
    assert.ok((await configured.add(PHONE, phone, { personal: true }, OPERATOR)).ok);
    const everything = preferences.parse({ events: ['user_logged_in'], others: true });
    await db.transaction((work) => putPreferences(work, OPERATOR.personId, everything, systemClock.now()));
    await routes.add(routeRule.parse({ channels: CHANNELS, events: ['user_logged_in'] }), true, OPERATOR);
    await db.transaction((work) => insertCursor(work, 'notify', 0, systemClock.now()));

    const received = join(folder, 'received');
    const read: Received[] = [];
    let readTo = 0;
    const lines = async (): Promise<Received[]> => {
      const bytes = await readFile(received).catch(() => Buffer.alloc(0));
      const end = bytes.lastIndexOf('\n') + 1;
      const fresh = bytes.subarray(readTo, Math.max(readTo, end)).toString('utf8').split('\n');
      readTo = Math.max(readTo, end);
      for (const line of fresh) {
        try {
          read.push(JSON.parse(line) as Received);
        } catch {
          // What a kill has torn is no line.
        }
      }
      return read;
    };
    const start = (name: string): ChildProcess => {
      const what: NotifyChild = { name, driver, dsn, received, lifeMs: 1000 };
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'testing/notify-child.ts'), JSON.stringify(what)],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
          env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
        },
      );
      children.add(child);
      return child;
    };
    /** How many events there are to tell, and the number of the one before them. */
    let written = 0;
    let before: number | null = null;
    async function write(count: number): Promise<void> {
      written += count;
      await persistently(() =>
        db.transaction(async (work) => {
          // Where no answer came, they may be there.
          const { seq } = await log.lockHead(work);
          before ??= seq;
          for (let n = seq - before + 1; n <= written; n += 1) {
            await log.append(work, { event: 'user_logged_in', username: `user${n}` });
          }
        }),
      );
    }

    for (let round = 0; round < KILLS; round += 1) {
      const count = (await lines()).length;
      await write(EVENTS);
      const child = start(`round${round}`);
      // In the midst of its work: more of it waits than it was let do.
      await until(async () => (await lines()).length > count + (round % 7) * 5);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      children.delete(child);
    }
    await write(1);
    start('last');
    const wanted = [...CHANNELS, PHONE].flatMap((channel) =>
      Array.from({ length: written }, (_, i) => `user${i + 1} ${channel}`),
    );
    const keyOf = ({ username, channel }: Received) => `${username} ${channel}`;
    const told = async () => new Set((await lines()).map(keyOf)).size;
    // Thousands may be left, and a channel tells so many a minute at most: it is waited for as long as it goes on.
    for (let size = 0; size < wanted.length; size = await told()) {
      await sleep(250);
      await until(async () => (await told()) > size);
    }
    const all = await lines();
    assert.deepEqual(new Set(all.map(keyOf)), new Set(wanted));
    const ids = new Map<string, Set<string>>();
    for (const one of all) ids.set(keyOf(one), (ids.get(keyOf(one)) ?? new Set()).add(one.id));
    for (const [key, some] of ids) assert.equal(some.size, 1, key);
    assert.equal(new Set(all.map(({ id }) => id)).size, wanted.length);
    t.diagnostic(`${KILLS} kills, ${wanted.length} to be told, ${all.length - wanted.length} of them came again`);
  });
});
