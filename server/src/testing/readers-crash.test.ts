import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { type Database, openDatabase } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { makeTestPostgres } from '../db/test-databases.ts';
import { TEST_FOLDER, whyNoPostgres } from '../db/test-postgres.ts';
import { findCursor } from '../events/cursor-store.ts';
import { createEventAppender } from '../events/log.ts';
import { systemClock } from '../platform/clock.ts';
import type { Note, ReaderChild } from './reader-child.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const ROUNDS = LONG ? 200 : 4;
const BATCH = 200;

/** Resolves once something holds; far later than it takes, what never comes is told. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 180_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never held: ${holds}`);
    await sleep(10);
  }
}

/** Whether somebody is in the middle of a write to a database of SQLite, and remains so. */
function isLocked(path: string): boolean {
  const db = new Sqlite(path, { timeout: 1000 });
  try {
    db.exec('begin immediate; rollback');
    return false;
  } catch {
    return true;
  } finally {
    db.close();
  }
}

/** Whether a process was stopped, and has noticed. */
const isStopped = ({ pid }: ChildProcess): boolean =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.startsWith('T');

/** Processes that read the log of one database, and what they noted. */
async function cluster(t: TestContext, driver: Database['driver']) {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-readers-'));
  const postgres = driver === 'postgres' ? await makeTestPostgres() : null;
  const dsn = postgres?.dsn ?? join(folder, 'test.db');
  const db = await openDatabase({ driver, dsn, maxConnections: 4 });
  const log = createEventAppender({ db, clock: systemClock, onAppended: () => {}, onError: () => {} });
  const file = join(folder, 'notes');
  const children = new Set<ChildProcess>();
  t.after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await db.close();
    await postgres?.drop();
    await rm(folder, { recursive: true, force: true });
  });
  const notes = (): Note[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line.endsWith('}'))
          .map((line) => JSON.parse(line) as Note)
      : [];
  let written = 0;
  return {
    notes,
    batches: (kind: 'begin' | 'end' | 'confirmed', by?: string) =>
      notes().flatMap((note) => (note.kind === kind && (by === undefined || note.by === by) ? [note] : [])),
    cursor: async () => (await findCursor(db.query, 'sink'))?.seq ?? 0,
    /** A file of this name, for processes to look for. */
    sign: (name: string) => join(folder, name),
    start(
      name: string,
      { lifeMs, worksUntil = null }: Pick<ReaderChild, 'lifeMs'> & Partial<ReaderChild>,
    ): ChildProcess {
      const what: ReaderChild = { name, driver, dsn, notes: file, lifeMs, worksUntil };
      const child = spawn(process.execPath, [join(import.meta.dirname, 'reader-child.ts'), JSON.stringify(what)], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
      });
      children.add(child);
      return child;
    },
    /** Stops a process at a moment at which it does not keep others from writing. */
    async freeze(child: ChildProcess): Promise<void> {
      for (;;) {
        child.kill('SIGSTOP');
        // On a busy machine one that was told to stop goes on until its next turn.
        await until(() => isStopped(child));
        if (driver === 'postgres' || !isLocked(dsn)) return;
        child.kill('SIGCONT');
        await sleep(20);
      }
    },
    /** Whether every turn that somebody had has run out. */
    async turnsAreOver(): Promise<boolean> {
      const leases = await kysely(db.query).selectFrom('leases').select('until').execute();
      return leases.every(({ until: end }) => end < Date.now());
    },
    /** As if nobody had asked for a turn for as long as one lasts. */
    endTurns: () =>
      db.transaction(async (work) => {
        await kysely(work.query).updateTable('leases').set({ until: 0 }).execute();
      }),
    async kill(child: ChildProcess): Promise<void> {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      children.delete(child);
    },
    /** Writes some events, several of a transaction. Returns how many there are now. */
    async write(count: number): Promise<number> {
      for (let left = count; left > 0; left -= 20) {
        await db.transaction(async (work) => {
          for (let i = 0; i < Math.min(20, left); i += 1)
            await log.append(work, { event: 'user_logged_in', username: `user${written + i}` });
        });
        written += Math.min(20, left);
      }
      return written;
    },
  };
}

type Cluster = Awaited<ReturnType<typeof cluster>>;

/**
 * Every event was dealt with, none before the one before it, and none again that had been confirmed.
 *
 * @param alone no two ran at a time: of several, one that is kept waiting for longer than its turn lasts begins with what
 *   another one has confirmed by then, and may note late what it has confirmed itself
 */
function checkAll({ notes, batches }: Cluster, events: number, { kills, alone }: { kills: number; alone: boolean }) {
  let reached = 0;
  let again = 0;
  let confirmed = 0;
  for (const note of notes()) {
    if (note.kind === 'begin') {
      assert.ok(note.first <= reached + 1, `${note.first} came before ${reached + 1}`);
      if (alone) assert.ok(note.first > confirmed, `${note.first} came again after ${confirmed} had been confirmed`);
    }
    if (note.kind === 'end') {
      again += Math.max(0, Math.min(reached, note.last) - note.first + 1);
      reached = Math.max(reached, note.last);
    }
    if (note.kind === 'confirmed') confirmed = Math.max(confirmed, note.last);
  }
  assert.equal(reached, events);
  assert.equal(confirmed, events);
  assert.ok(again <= kills * BATCH, `${again} came again after ${kills} kills`);
  let last = 0;
  for (const batch of batches('confirmed').sort((a, b) => a.first - b.first)) {
    assert.ok(batch.first > last, `${batch.first} was confirmed twice`);
    last = batch.last;
  }
}

for (const driver of ['sqlite', 'postgres'] as const) {
  const skip = driver === 'postgres' ? (whyNoPostgres() ?? false) : false;
  describe(`processes that read the log on ${driver}`, { skip }, () => {
    test(`killed ${ROUNDS} times while it works, one loses nothing`, async (t) => {
      const c = await cluster(t, driver);
      let events = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const child = c.start(`round${round}`, { lifeMs: 300 });
        events = await c.write(300);
        // Every other time between the end of the work and the confirmation, as nearly as can be met from outside.
        const kind = round % 2 === 0 ? 'end' : 'begin';
        await until(() => c.batches(kind, `round${round}`).length > round % 2);
        await c.kill(child);
      }
      // The one before it may have confirmed everything before it was killed, without a note of it.
      events = await c.write(1);
      c.start('last', { lifeMs: 300 });
      await until(() => c.batches('confirmed', 'last').at(-1)?.last === events);
      assert.equal(await c.cursor(), events);
      checkAll(c, events, { kills: ROUNDS, alone: true });
    });

    test('one that is frozen while it works and goes on confirms nothing, and none of its jobs runs', async (t) => {
      const c = await cluster(t, driver);
      const lifeMs = 3000;
      const thawed = c.sign('thawed');
      const frozen = c.start('frozen', { lifeMs, worksUntil: thawed });
      await until(() => c.notes().some(({ kind }) => kind === 'job'));
      await c.write(3);
      await until(() => c.batches('begin', 'frozen').length === 1);
      await c.freeze(frozen);
      const events = await c.write(500);
      await until(() => c.turnsAreOver());
      // However busy the machine is, it does not lose its turn.
      const heir = c.start('heir', { lifeMs: 3600_000 });
      await until(() => c.batches('confirmed', 'heir').at(-1)?.last === events);
      await until(() => c.notes().some(({ by, kind }) => by === 'heir' && kind === 'job'));
      await writeFile(thawed, '');
      frozen.kill('SIGCONT');
      const continued = Date.now();
      await until(() => c.batches('end', 'frozen').length === 1);
      const more = await c.write(50);
      await until(() => c.batches('confirmed', 'heir').at(-1)?.last === more);
      // It would have asked for its turn three times, and worked on what is new.
      await sleep(lifeMs);
      assert.deepEqual(c.batches('confirmed', 'frozen'), []);
      assert.equal(c.batches('begin', 'frozen').length, 1);
      const late = c.notes().filter(({ by, kind, at }) => by === 'frozen' && kind === 'job' && at > continued);
      assert.deepEqual(late, []);
      assert.equal(await c.cursor(), more);
      await c.kill(heir);
      await c.endTurns();
      const last = await c.write(5);
      await until(() => c.batches('confirmed', 'frozen').at(-1)?.last === last);
    });

    if (driver === 'postgres') {
      test(`one of three is killed ${ROUNDS} times: nothing is lost, and jobs go on within seconds`, async (t) => {
        const c = await cluster(t, driver);
        const lifeMs = 1200;
        const names = ['a', 'b', 'c'];
        const running = names.map((name) => c.start(name, { lifeMs }));
        let events = await c.write(100);
        for (let round = 0; round < ROUNDS; round += 1) {
          await until(() => c.notes().length > 0);
          // Whoever works is killed two times of three.
          const busy = names.indexOf(c.notes().at(-1)!.by);
          const which = round % 3 === 2 ? (busy + 1) % 3 : Math.max(0, busy);
          await c.kill(running[which]!);
          const killedAt = Date.now();
          events = await c.write(200);
          await until(() => c.notes().some(({ kind, at }) => kind === 'job' && at > killedAt));
          names[which] = `${names[which]!.slice(0, 1)}${round}`;
          running[which] = c.start(names[which], { lifeMs });
        }
        await until(() => c.batches('confirmed').at(-1)?.last === events);
        checkAll(c, events, { kills: ROUNDS, alone: false });
      });
    }
  });
}
