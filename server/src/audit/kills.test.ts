import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SinkName } from '../config/sections/audit-sinks.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { forEachDriver, makeTestPostgres, persistently } from '../db/test-databases.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { findCursor } from '../events/cursor-store.ts';
import { createEventAppender } from '../events/log.ts';
import { systemClock } from '../platform/clock.ts';
import { readerOf } from './status.ts';
import { numbers, until } from './testing/audit-kit.ts';
import { httpReceiver } from './testing/http-receiver.ts';
import { lineReceiver } from './testing/line-receiver.ts';
import type { SinkChild } from './testing/sink-child.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const KILLS = LONG ? 200 : 3;
const EVENTS = LONG ? 20_000 : 600;
const BATCH = 200;
/** Servers at a time. */
const REPLICAS = { sqlite: 1, postgres: 3 };
/** The lease of a server that nobody follows: on a busy machine one of less than a second is over before it is renewed. */
const LONG_LIFE_MS = 60_000;

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
  /** The number of the event that was written last, or is to be. */
  let newest = 0;
  return {
    folder,
    start(name: string, more: Partial<SinkChild> = {}): ChildProcess {
      const what: SinkChild = { name, driver, dsn, path: join(folder, 'out', 'audit.jsonl'), lifeMs: 300, ...more };
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'testing/sink-child.ts'), JSON.stringify(what)],
        {
          stdio: ['pipe', 'pipe', 'inherit'],
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
    async write(count: number): Promise<void> {
      newest += count;
      await persistently(() =>
        db.transaction(async (work) => {
          // Where no answer came, they may be there.
          const { seq } = await log.lockHead(work);
          const event = { event: 'user_logged_in', username: 'alice' } as const;
          await log.appendAll(
            work,
            Array.from({ length: newest - seq }, () => event),
          );
        }),
      );
    },
    delivered: (sink: SinkName = 'jsonlog') =>
      persistently(async () => (await findCursor(db.query, readerOf(sink)))?.seq ?? 0),
    /** Octets of all files. */
    async written(): Promise<number> {
      const out = join(folder, 'out');
      const names = await readdir(out).catch(() => []);
      const sizes = await Promise.all(
        names.map((name) =>
          stat(join(out, name)).then(
            ({ size }) => size,
            () => 0,
          ),
        ),
      );
      return sizes.reduce((sum, size) => sum + size, 0);
    },
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

type Seq = { seq: number };

/** On SQLite the one that starts has every lease at once; on Postgres those that are left wait for so long. */
const LIFE_MS = { sqlite: LONG_LIFE_MS, postgres: 3000 };

/** How long a process stays stopped once another one has done its work. */
const STOPPED_MS = LONG ? 60_000 : 1000;

forEachDriver(`[A-03] a server that is stopped for ${STOPPED_MS} ms in the middle of a delivery`, (driver) => {
  test('writes nothing of it when it goes on: another one has delivered it', async (t) => {
    const i = await installation(t, driver);
    // Its lease outlives the steps before it is stopped on a busy machine too, and is over soon after.
    const path = join(i.folder, 'stopped', 'audit.jsonl');
    const stopped = i.start('stopped', { path, holdAt: 20, lifeMs: 2000 });
    let said = '';
    stopped.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await i.write(10);
    await until(async () => (await i.delivered()) === 10);
    await i.write(20);
    await until(() => said === 'holds it\n');
    stopped.kill('SIGSTOP');
    // It reads that only once it goes on.
    stopped.stdin!.write('go on\n');
    i.start('heir', { lifeMs: LONG_LIFE_MS });
    await until(async () => (await i.delivered()) === 30);
    await sleep(STOPPED_MS);
    assert.deepEqual([...new Set(await i.lines())], numbers(20, 11));
    stopped.kill('SIGCONT');
    await until(() => said.length > 'holds it\n'.length);
    assert.equal(said, 'holds it\ngave it up: Error: another server may have taken over\n');
    const text = await readFile(path, 'utf8');
    const seqs = text.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { seq: number }).seq]));
    assert.deepEqual([...new Set(seqs)], numbers(10));
  });
});

forEachDriver(`[A-04] a server that is killed ${KILLS} times while events flow`, (driver) => {
  test('has every event at each receiver, whole, and a batch for each kill twice at most', async (t) => {
    const i = await installation(t, driver);
    const took = {
      jsonlog_2: [] as number[],
      syslog: [] as number[],
      splunk_hec: [] as number[],
      loki: [] as number[],
    };
    const splunk = await httpReceiver(t, ({ body }) => {
      for (const entry of body.split('\n')) took.splunk_hec.push((JSON.parse(entry) as { event: Seq }).event.seq);
      return { status: 200, body: '{"text":"Success","code":0}' };
    });
    const loki = await httpReceiver(t, ({ body }) => {
      const { streams } = JSON.parse(body) as { streams: { values: [string, string][] }[] };
      for (const [, line] of streams.flatMap(({ values }) => values)) took.loki.push((JSON.parse(line) as Seq).seq);
      return { status: 204 };
    });
    const syslogPort = await lineReceiver(t, (line) => took.syslog.push(Number(/ seq="(\d+)"/.exec(line)![1])));
    const receivers = { syslogPort, splunk: splunk.url, loki: loki.url };
    /** What comes through the pipe of a server; what a kill has torn is no line. */
    const start = (name: string, lifeMs: number): ChildProcess => {
      const child = i.start(name, { receivers, lifeMs });
      createInterface({ input: child.stdout! }).on('line', (line) => {
        try {
          took.jsonlog_2.push((JSON.parse(line) as Seq).seq);
        } catch {}
      });
      return child;
    };
    const servers: ChildProcess[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      while (servers.length < REPLICAS[driver])
        servers.push(start(`round${round} of ${servers.length}`, LIFE_MS[driver]));
      const before = await i.written();
      await i.write(EVENTS / KILLS);
      // Somewhere within what it does.
      await until(async () => (await i.written()) > before);
      // The one that has been there for longest: the first has every sink, and its successors share them.
      await i.kill(servers.shift()!);
    }
    for (const server of servers) await i.kill(server);
    start('last', LONG_LIFE_MS);
    for (const sink of ['jsonlog', 'jsonlog_2', 'syslog', 'splunk_hec', 'loki'] as const)
      await until(async () => (await i.delivered(sink)) === EVENTS);
    const found = await i.lines();
    assert.deepEqual(
      [...new Set(found)].sort((x, y) => x - y),
      numbers(EVENTS),
    );
    assert.ok(found.length - EVENTS <= KILLS * BATCH, `${found.length - EVENTS} came twice`);
    for (const [sink, numbersTaken] of Object.entries(took)) {
      // What the operating system has of syslog may still be on its way.
      await until(() => new Set(numbersTaken).size === EVENTS);
      // Where a connection broke, what was sent within the safety window comes again: over syslog that is no batch.
      const twice = numbersTaken.length - EVENTS;
      assert.ok(sink === 'syslog' || twice <= KILLS * BATCH, `${twice} came twice to ${sink}`);
    }
  });
});
