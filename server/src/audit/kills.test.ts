import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Database, openDatabase } from '../db/database.ts';
import { forEachDriver, makeTestPostgres } from '../db/test-databases.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { findCursor } from '../events/cursor-store.ts';
import { createEventAppender } from '../events/log.ts';
import { systemClock } from '../platform/clock.ts';
import { readerOf } from './status.ts';
import { numbers, until } from './testing/audit-kit.ts';
import type { SinkChild } from './testing/sink-child.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const KILLS = LONG ? 200 : 2;
const EVENTS = LONG ? 20_000 : 600;
const BATCH = 200;

async function installation(t: TestContext, driver: Database['driver']) {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-kills-'));
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
  return {
    start(name: string): ChildProcess {
      const what: SinkChild = { name, driver, dsn, path: join(folder, 'out', 'audit.jsonl'), lifeMs: 300 };
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'testing/sink-child.ts'), JSON.stringify(what)],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
          env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
        },
      );
      children.add(child);
      return child;
    },
    async kill(child: ChildProcess): Promise<void> {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      children.delete(child);
    },
    write: (count: number) =>
      db.transaction(async (work) => {
        const event = { event: 'user_logged_in', username: 'alice' } as const;
        await log.appendAll(
          work,
          Array.from({ length: count }, () => event),
        );
      }),
    delivered: async () => (await findCursor(db.query, readerOf('jsonlog')))?.seq ?? 0,
    /** Numbers of all files, in no order; every line has to be whole, but for one that a kill has torn. */
    async lines(): Promise<number[]> {
      const out = join(folder, 'out');
      const names = await readdir(out).catch(() => []);
      const texts = await Promise.all(names.map((name) => readFile(join(out, name), 'utf8')));
      return texts.flatMap((text) =>
        text
          .split('\n')
          .slice(0, -1)
          .map((line) => (JSON.parse(line) as { seq: number }).seq),
      );
    },
  };
}

forEachDriver(`[A-04] a server that is killed ${KILLS} times while events flow`, (driver) => {
  test('has every event in its files, whole, and a batch for each kill twice at most', async (t) => {
    const i = await installation(t, driver);
    for (let round = 0; round < KILLS; round += 1) {
      const before = new Set(await i.lines()).size;
      const child = i.start(`round${round}`);
      await i.write(EVENTS / KILLS);
      // Somewhere within what it does.
      await until(async () => new Set(await i.lines().catch(() => [])).size > before);
      await i.kill(child);
    }
    i.start('last');
    await until(async () => (await i.delivered()) === EVENTS);
    const found = await i.lines();
    assert.deepEqual(
      [...new Set(found)].sort((x, y) => x - y),
      numbers(EVENTS),
    );
    assert.ok(found.length - EVENTS <= KILLS * BATCH, `${found.length - EVENTS} came twice`);
  });
});
