import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { EventRecord } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import { createLeases, type Leases } from '../db/leases.ts';
import { forEachDatabase, type OpenTestDatabase } from '../db/test-databases.ts';
import { manualClock } from '../platform/clock.ts';
import type { EventReader } from '../platform/module.ts';
import { listCursors } from './cursor-store.ts';
import { createEventLog } from './log.ts';
import { createEventReaders, ReaderFailure } from './readers.ts';

const LIFE_MS = 150;

/** Waits until something holds; far longer than it takes, so that what never comes is told. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never held: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Several processes on one database, in one. */
async function cluster(t: TestContext, open: OpenTestDatabase) {
  const db = await open(t);
  const clock = manualClock();
  const logged: object[] = [];
  async function start(holder: string, more: (leases: Leases) => Leases = (leases) => leases, lifeMs = LIFE_MS) {
    const events = await createEventLog({ db, clock, onError: (error) => logged.push({ error }) });
    const leases = more(createLeases({ db, clock, holder, lifeMs }));
    const readers = createEventReaders({
      db,
      events,
      leases,
      clock,
      log: { error: (line: object) => void logged.push(line) },
    });
    const stops: (() => Promise<void>)[] = [];
    t.after(async () => {
      await Promise.all(stops.map((stop) => stop()));
      await events.close();
    });
    return {
      events,
      status: readers.status,
      consume(name: string, reader: EventReader) {
        const running = readers.consume(name, reader);
        stops.push(running.stop);
        return running;
      },
    };
  }
  let written = 0;
  return {
    db,
    clock,
    logged,
    start,
    async write(by: Awaited<ReturnType<typeof start>>, count: number): Promise<void> {
      for (let i = 0; i < count; i += 1) {
        written += 1;
        const username = `user${written}`;
        await db.transaction(
          async (work) => void (await by.events.append(work, { event: 'user_logged_in', username })),
        );
      }
    },
  };
}

/** Notes what it is given, and what it may count. */
function notes(more: (batch: readonly EventRecord[], signal: AbortSignal) => Promise<void> = async () => {}) {
  const given: number[] = [];
  const confirmed: number[] = [];
  const reader: EventReader = {
    async handle(batch, signal) {
      given.push(...batch.map(({ seq }) => seq));
      await more(batch, signal);
      return () => void confirmed.push(...batch.map(({ seq }) => seq));
    },
  };
  return { given, confirmed, reader };
}

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i);
const cursorOf = async (db: Database, reader: string) =>
  (await listCursors(db.query)).find((cursor) => cursor.reader === reader);

forEachDatabase('a reader of the event log', (open, driver) => {
  test('sees every event once and in order, those from before it began too', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    await c.write(a, 250);
    const seen = notes();
    a.consume('sink', seen.reader);
    await c.write(a, 30);
    await until(() => seen.confirmed.length >= 280);
    assert.deepEqual(seen.given, numbers(280));
    assert.deepEqual(seen.confirmed, numbers(280));
    assert.equal((await cursorOf(c.db, 'sink'))?.seq, 280);
  });

  test('has its cursor wait for the disk, unless it says that it may deal with events once more', async (t) => {
    const durable: boolean[] = [];
    const c = await cluster(t, async (context) => {
      const db = await open(context);
      const transaction: Database['transaction'] = (run, durability) => {
        if (durability !== undefined) durable.push(durability.mayBeLost !== true);
        return db.transaction(run, durability);
      };
      return { ...db, transaction };
    });
    const a = await c.start('a');
    for (const mayRepeat of [undefined, true]) {
      const seen = notes();
      const reader = a.consume(`repeats ${mayRepeat}`, { ...seen.reader, ...(mayRepeat ? { mayRepeat } : {}) });
      await c.write(a, 1);
      await until(() => seen.confirmed.length > 0);
      await reader.stop();
      assert.deepEqual(new Set(durable.splice(0)), new Set([mayRepeat === undefined]));
    }
  });

  test('deals with what comes while it is at work together: each time a cursor is written', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    const gaps: number[] = [];
    let dealt: number | null = null;
    let confirmed = 0;
    a.consume('sink', {
      async handle(batch) {
        if (dealt !== null) gaps.push(performance.now() - dealt);
        return () => {
          dealt = performance.now();
          confirmed += batch.length;
        };
      },
    });
    await c.write(a, 12);
    await until(() => confirmed >= 12);
    await c.write(a, 1);
    await until(() => confirmed >= 13);
    assert.ok(gaps.length > 0);
    // A timer may be a millisecond early.
    assert.deepEqual(
      gaps.filter((ms) => ms < 48),
      [],
    );
  });

  test('begins with the next event when it is asked to, and stays there over a restart', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    await c.write(a, 3);
    const first = notes();
    const running = a.consume('counter', { ...first.reader, from: 'now' });
    await until(async () => (await cursorOf(c.db, 'counter')) !== undefined);
    await running.stop();
    await c.write(a, 2);
    const second = notes();
    (await c.start('b')).consume('counter', { ...second.reader, from: 'now' });
    await until(() => second.confirmed.length >= 2);
    assert.deepEqual([first.given, second.given], [[], [4, 5]]);
  });

  test('what was being dealt with when its process died comes again', async (t) => {
    const c = await cluster(t, open);
    let dead = false;
    const dying = await c.start('a', (leases) => ({
      ...leases,
      acquire: async (name) => (dead ? null : leases.acquire(name)),
      // Killed between the handler and the cursor.
      stillHas: async () => {
        dead = true;
        throw new Error('killed');
      },
    }));
    await c.write(dying, 5);
    const lost = notes();
    dying.consume('sink', lost.reader);
    await until(() => dead);
    c.clock.advance(LIFE_MS + 1);
    const heir = notes();
    (await c.start('b')).consume('sink', heir.reader);
    await until(() => heir.confirmed.length === 5);
    assert.deepEqual(heir.given, numbers(5));
    assert.deepEqual(lost.confirmed, []);
  });

  test('one that fails is asked again, says why, and holds up no other', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    let broken = true;
    const failing = notes(async () => {
      if (broken) throw new Error('the sink is full');
    });
    const well = notes();
    a.consume('failing', failing.reader);
    a.consume('well', well.reader);
    await c.write(a, 3);
    await until(() => well.confirmed.length === 3);
    await until(async () => (await cursorOf(c.db, 'failing'))?.problem === 'the sink is full');
    assert.equal((await cursorOf(c.db, 'failing'))?.seq, 0);
    c.clock.advance(2000);
    const b = await c.start('b');
    let status = await a.status();
    await until(async () => {
      status = await a.status();
      return status.every(({ here }) => !here);
    });
    const seen = status.map(({ failure, ...one }) => ({ ...one, failure: failure?.text ?? null }));
    const idle = { holder: null, here: false, paused: false, deliveredAt: null, tellsItself: false };
    assert.deepEqual(seen, [
      {
        ...idle,
        reader: 'failing',
        seq: 0,
        behind: 3,
        behindMs: 2000,
        problem: 'the sink is full',
        failure: 'the sink is full',
      },
      { ...idle, reader: 'well', seq: 3, behind: 0, behindMs: 0, problem: null, failure: null },
    ]);
    assert.deepEqual(await b.status(), []);
    broken = false;
    await until(() => failing.confirmed.length >= 3);
    assert.deepEqual(failing.confirmed.slice(0, 3), numbers(3));
    await until(async () =>
      (await a.status()).every(({ behind, here, problem }) => behind === 0 && here && problem === null),
    );
    assert.ok(c.logged.some((line) => 'reader' in line && line.reader === 'failing'));
    const [recovered] = await a.status();
    assert.equal(recovered?.failure?.text, 'the sink is full', 'what went wrong last is still told');
    assert.ok((await cursorOf(c.db, 'failing'))!.moved_at >= recovered.failure.at);
  });

  test('one that says when it can go on is asked then, and that it waits for an operator is told', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    let left = 3;
    const busy = notes(async () => {
      left -= 1;
      if (left >= 0) throw new ReaderFailure('not now', { retryMs: 1, paused: left === 0 });
      if (left === -1) assert.equal((await a.status())[0]?.paused, true);
    });
    await c.write(a, 1);
    a.consume('sink', busy.reader);
    await until(() => busy.confirmed.length === 1);
    assert.deepEqual(busy.given, [1, 1, 1, 1]);
    await until(async () => (await a.status())[0]?.paused === false);
  });

  test('one that always asks to be tried again at once is, a few times; then it has to wait like any', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    const tried: number[] = [];
    await c.write(a, 1);
    a.consume('hurried', {
      async handle() {
        tried.push(performance.now());
        throw new ReaderFailure('now', { retryMs: 0 });
      },
    });
    await until(() => tried.length >= 7);
    // A timer may be early by a millisecond.
    assert.ok(tried[6]! - tried[5]! >= 990, `${tried}`);
  });

  test('what a reader writes about events and its cursor are one change', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    await c.write(a, 2);
    let broken = true;
    const seen: string[] = [];
    a.consume('sink', {
      handle: async (batch) => ({
        async write(work) {
          await a.events.append(work, { event: 'user_logged_in', username: `seen ${batch.at(-1)!.seq}` });
          if (broken) throw new Error('no room');
        },
        done: () => void seen.push(...batch.map(({ username }) => username)),
      }),
      batch: 2,
    });
    await until(async () => (await cursorOf(c.db, 'sink'))?.problem === 'no room');
    assert.equal((await a.events.head()).seq, 2, 'what it wrote went with the cursor that did not move');
    broken = false;
    await until(() => seen.length >= 3);
    assert.deepEqual(seen.slice(0, 3), ['user1', 'user2', 'seen 2']);
  });

  test('events that may have been lost where they were taken to come again, in order, also after a crash', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    await c.write(a, 6);
    const first = notes();
    let again: number | null = null;
    const running = a.consume('sink', {
      ...first.reader,
      comesAgain: async () => (again === null ? null : { after: again, noted: () => {} }),
      handle: async (batch, signal, turn) => {
        if (again !== null) throw new ReaderFailure('it dies here');
        return first.reader.handle(batch, signal, turn);
      },
    });
    await until(() => first.confirmed.length === 6);
    again = 2;
    await until(async () => (await cursorOf(c.db, 'sink'))?.seq === 2);
    await until(async () => (await cursorOf(c.db, 'sink'))?.problem === 'it dies here');
    await running.stop();
    const heir = notes();
    (await c.start('b')).consume('sink', heir.reader);
    await until(() => heir.confirmed.length === 4);
    assert.deepEqual(heir.given, [3, 4, 5, 6]);
  });

  test('they come again also where another process has the turn by then, whatever that one is about to confirm', async (t) => {
    const c = await cluster(t, open);
    let retired = false;
    const a = await c.start('a', (leases) => ({
      ...leases,
      acquire: async (name) => (retired ? null : leases.acquire(name)),
    }));
    await c.write(a, 4);
    const first = notes();
    let again: number | null = null;
    const noted = () => {
      again = null;
    };
    a.consume('sink', {
      ...first.reader,
      comesAgain: async () => (again === null ? null : { after: again, noted }),
    });
    await until(() => first.confirmed.length === 4);
    retired = true;
    await new Promise((resolve) => setTimeout(resolve, LIFE_MS));
    c.clock.advance(LIFE_MS + 1);
    const b = await c.start('b');
    const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
    const heir = notes(() => held);
    b.consume('sink', heir.reader);
    await c.write(b, 2);
    await until(() => heir.given.length > 0);
    again = 2;
    await until(async () => (await cursorOf(c.db, 'sink'))?.seq === 2);
    goOn();
    await until(() => heir.confirmed.length >= 2);
    assert.deepEqual(heir.confirmed.slice(0, 2), [3, 4]);
    await until(async () => (await cursorOf(c.db, 'sink'))?.seq === 6);
  });

  test('is given as many events as it wants, from what was read ahead of it', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    await c.write(a, 10);
    for (const [batch, ahead] of [
      [1, 1],
      [2, 5],
      [3, 1],
      [10, 4096],
    ] as const) {
      const sizes: number[] = [];
      const seen = notes(async (events) => void sizes.push(events.length));
      const running = a.consume(`sink ${batch}`, { ...seen.reader, batch, ahead });
      await until(() => seen.confirmed.length === 10);
      assert.deepEqual(seen.given, numbers(10));
      assert.equal(Math.max(...sizes), batch);
      await running.stop();
    }
  });

  test('a process that was stopped while it worked confirms nothing once another has taken over', async (t) => {
    const c = await cluster(t, open);
    let frozen = false;
    let goOn = () => {};
    const thawed = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const stopped = await c.start('a', (leases) => ({
      ...leases,
      // A process that is stopped renews nothing.
      acquire: (name) => (frozen ? thawed.then(() => leases.acquire(name)) : leases.acquire(name)),
    }));
    await c.write(stopped, 4);
    const stale = notes();
    let sure: boolean | null = null;
    stopped.consume('sink', {
      ...stale.reader,
      async handle(batch, signal, turn) {
        const dealt = await stale.reader.handle(batch, signal, turn);
        frozen = true;
        await thawed;
        sure = turn.isSure();
        return dealt;
      },
    });
    await until(() => stale.given.length === 4);
    c.clock.advance(LIFE_MS + 1);
    const successor = await c.start('b');
    const heir = notes();
    successor.consume('sink', heir.reader);
    await until(() => heir.confirmed.length === 4);
    await c.write(successor, 2);
    await until(() => heir.confirmed.length === 6);
    await new Promise((resolve) => setTimeout(resolve, LIFE_MS));
    goOn();
    // It has found out when it has asked for its turn again and is told that it has none.
    await new Promise((resolve) => setTimeout(resolve, 2 * LIFE_MS));
    assert.deepEqual(stale.confirmed, []);
    assert.equal(sure, false, 'it could find out before it did anything more');
    assert.equal((await cursorOf(c.db, 'sink'))?.seq, 6);
  });

  test('why a process failed that was stopped meanwhile is not said of its successor', async (t) => {
    const c = await cluster(t, open);
    let frozen = false;
    let goOn = () => {};
    const thawed = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const stopped = await c.start('a', (leases) => ({
      ...leases,
      acquire: (name) => (frozen ? thawed.then(() => leases.acquire(name)) : leases.acquire(name)),
    }));
    await c.write(stopped, 1);
    const stale = notes(async () => {
      frozen = true;
      await thawed;
      throw new Error('the connection is long gone');
    });
    stopped.consume('sink', stale.reader);
    await until(() => stale.given.length === 1);
    c.clock.advance(LIFE_MS + 1);
    const heir = notes();
    (await c.start('b')).consume('sink', heir.reader);
    await until(() => heir.confirmed.length === 1);
    goOn();
    await until(() => c.logged.some((line) => 'reader' in line));
    // What it would write goes through the same queue before this.
    await c.db.transaction(async () => {});
    assert.equal((await cursorOf(c.db, 'sink'))?.problem, null);
  });

  test('one that hangs is told when another process may have taken over, also while nobody can be asked', async (t) => {
    const c = await cluster(t, open);
    let away = false;
    const a = await c.start('a', (leases) => ({
      ...leases,
      acquire: async (name) => {
        if (away) throw new Error('no database');
        return leases.acquire(name);
      },
    }));
    await c.write(a, 1);
    let told = false;
    a.consume(
      'sink',
      notes((_, signal) => {
        away = true;
        return new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => {
            told = true;
            resolve();
          }),
        );
      }).reader,
    );
    await until(() => told);
  });

  test('two readers of one name would both have the turn: there is one', async (t) => {
    const c = await cluster(t, open);
    const a = await c.start('a');
    const running = a.consume('sink', notes().reader);
    assert.throws(() => a.consume('sink', notes().reader), /already a reader .* sink/);
    await running.stop();
    await a.consume('sink', notes().reader).stop();
  });

  if (driver === 'sqlite') {
    test('one that does not stop when it is told to is left behind, and what it had comes again', async (t) => {
      const c = await cluster(t, open);
      const a = await c.start('a');
      await c.write(a, 1);
      const deaf = notes(() => new Promise(() => {}));
      const well = notes();
      const running = [a.consume('sink', deaf.reader), a.consume('well', well.reader)];
      await until(() => deaf.given.length === 1 && well.confirmed.length === 1);
      await Promise.all(running.map((one) => one.stop()));
      assert.deepEqual(
        c.logged.map((line) => 'reader' in line && line.reader),
        ['sink'],
      );
      const heir = notes();
      (await c.start('b')).consume('sink', heir.reader);
      await until(() => heir.confirmed.length === 1);
    });
  }

  if (driver === 'postgres') {
    test('who waits for the turn leaves the process to others, however much happens', async (t) => {
      const c = await cluster(t, open);
      const [a, b] = [await c.start('a', undefined, 60_000), await c.start('b', undefined, 60_000)];
      const first = notes();
      a.consume('sink', first.reader);
      await c.write(a, 1);
      await until(() => first.confirmed.length === 1);
      b.consume('sink', notes().reader);
      let slowest = 0;
      for (let look = 0; look < 20; look += 1) {
        const asked = performance.now();
        await new Promise((resolve) => setTimeout(resolve, 5));
        slowest = Math.max(slowest, performance.now() - asked);
      }
      // It asks again after five seconds: who does nothing but wait until then is seen.
      assert.ok(slowest < 2500, `nothing else could be done for ${Math.round(slowest)} ms`);
    });

    test('one process of three deals with each event, and when it goes another goes on', async (t) => {
      const c = await cluster(t, open);
      const [a, b, d] = [await c.start('a'), await c.start('b'), await c.start('d')];
      const seen = [notes(), notes(), notes()];
      const running = [a, b, d].map((one, index) => one!.consume('sink', seen[index]!.reader));
      let total = 0;
      for (const _ of [1, 2]) {
        await c.write(a, 20);
        total += 20;
        await until(() => seen.flatMap(({ confirmed }) => confirmed).length >= total);
        const busy = seen.findIndex(({ confirmed }) => confirmed.includes(total));
        await running[busy]!.stop();
      }
      assert.deepEqual(
        seen.flatMap(({ confirmed }) => confirmed).sort((x, y) => x - y),
        numbers(40),
      );
      assert.equal(seen.filter(({ confirmed }) => confirmed.length > 0).length, 2);
    });

    test('[A-01] [A-02] an event that is written first and committed last is not passed over', async (t) => {
      const c = await cluster(t, open);
      const [a, b] = [await c.start('a'), await c.start('b')];
      const seen = notes();
      a.consume('sink', seen.reader);
      let commit = () => {};
      const held = new Promise<void>((resolve) => {
        commit = resolve;
      });
      let wrote = () => {};
      const firstWrote = new Promise<void>((resolve) => {
        wrote = resolve;
      });
      const first = c.db.transaction(async (work) => {
        await a.events.append(work, { event: 'user_logged_in', username: 'first' });
        wrote();
        await held;
      });
      await firstWrote;
      const second = c.db.transaction(async (work) => {
        await b.events.append(work, { event: 'user_logged_in', username: 'second' });
      });
      // Rolled back in between: neither an event nor a gap.
      const none = c.db.transaction(async (work) => {
        await a.events.append(work, { event: 'user_logged_in', username: 'none' });
        throw new Error('undone');
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.deepEqual(seen.given, []);
      commit();
      await Promise.all([first, second, assert.rejects(none, /undone/)]);
      await until(() => seen.confirmed.length === 2);
      assert.deepEqual(seen.given, [1, 2]);
      assert.deepEqual((await a.events.read(0, 10)).map(({ username }) => username).sort(), ['first', 'second']);
    });
  }
});
