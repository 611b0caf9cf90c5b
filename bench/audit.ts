import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, createApp } from '../server/src/app/app.ts';
import type { Output } from '../server/src/audit/sinks/standard-output.ts';
import { startOwnPostgres, whyNoPostgres } from '../server/src/db/test-postgres.ts';
import type { Viewer } from '../server/src/http/viewer.ts';
import { systemClock } from '../server/src/platform/clock.ts';
import { createLogger } from '../server/src/platform/logger.ts';
import { testConfig } from '../server/src/testing/test-config.ts';
import { enrolTestHost } from '../server/src/testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../server/src/testing/test-person.ts';
import { appendPerSecond, eventOf, fillLog, HOSTS } from './audit/log.ts';
import { countingOutput, hungOutput, hungReceivers } from './audit/receivers.ts';
import { type BenchResult, machineFacts, misses, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:audit`: what the audit log costs and gives, on SQLite and on Postgres: how fast events are written, how
 * soon they are at a sink, what sinks that hang cost those who decide, how fast a backlog is delivered, what an export of
 * 1,000,000 events takes of memory, and how long a look into as many takes.
 *
 *   --json     one JSON object on standard output
 *   --quick    a tenth of it, and less
 *   --only=sqlite, --only=postgres
 */

const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length);
const APPENDED = quick ? 4000 : 40_000;
const TOLD = quick ? 200 : 2000;
const DECIDED = quick ? 150 : 1000;
const BACKLOG = quick ? 10_000 : 100_000;
const EVENTS = quick ? 100_000 : 1_000_000;
const LOOKS = quick ? 10 : 40;
/** The first ones pay for code that is compiled on the way. */
const WARM_UP = 20;
const GOALS = { append: { sqlite: 2000, postgres: 1000 }, toSinkMs: 250, slowdown: 1.1, exportMb: 64, lookMs: 150 };

type Driver = keyof typeof GOALS.append;

interface Server {
  app: App;
  provider: ReturnType<typeof createTestProvider>;
  end(): Promise<void>;
}

/** A server on a database of its own; it serves and delivers once it is started. */
async function open(driver: Driver, env: Record<string, string> = {}, output?: Output): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'identree-bench-audit-'));
  const postgres = driver === 'postgres' ? await startOwnPostgres({ durable: true }) : null;
  const database: Record<string, string> = postgres
    ? { IDENTREE_DATABASE_DRIVER: 'postgres', IDENTREE_DATABASE_DSN: postgres.dsn('postgres') }
    : {};
  const provider = createTestProvider();
  const config = testConfig(folder, { ...database, ...env });
  // Sinks that hang say so, again and again.
  const log = createLogger('error', { write: () => {} });
  const app = await createApp(config, { provider, clock: systemClock, log, ...(output ? { output } : {}) });
  return {
    app,
    provider,
    async end() {
      await app.close();
      postgres?.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Events are written one at a time; each is timed from when it was durable. */
async function toSink(driver: Driver): Promise<number[]> {
  const durable = new Map<number, number>();
  const times: number[] = [];
  let wake = (): void => {};
  const output = countingOutput((seq, now) => {
    const at = durable.get(seq);
    if (at === undefined) return;
    times.push(now - at);
    wake();
  });
  const server = await open(driver, { IDENTREE_AUDIT_LOG: 'stdout' }, output);
  try {
    const { db, events, start } = server.app;
    await start();
    for (let n = 0; n < TOLD + WARM_UP; n += 1) {
      const arrived = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await db.transaction(async (work) => {
        const { seq } = await events.append(work, eventOf(n));
        work.afterCommit(() => void durable.set(seq, performance.now()));
      });
      await arrived;
    }
    return times.slice(WARM_UP);
  } finally {
    await server.end();
  }
}

/** Somebody who decides on requests of a host, one after the other. */
async function decider({ app, provider }: Server): Promise<() => Promise<number>> {
  await app.start();
  const host = await enrolTestHost(app, systemClock, 'web1.example.com');
  const olga = await signInTestPerson(app, provider, systemClock, 'olga', { groups: ['admins'], passkey: false });
  const credentials = { cookie: olga.cookie, authorization: undefined, remoteAddr: '192.0.2.7' };
  const [viewer] = (await app.callers.recheckViewers([credentials])) as [Viewer | null];
  if (!viewer) throw new Error('nobody is signed in');
  return async () => {
    const { challengeId } = await host.create();
    const started = performance.now();
    await app.challenges.deny(viewer, { challengeId, reason: null });
    return performance.now() - started;
  };
}

/** The p99 of a decision while all four sinks hang, over the one without sinks. In turns: the machine is the same for both. */
async function slowdown(driver: Driver): Promise<{ ratio: number; hungMs: number }> {
  const receivers = await hungReceivers();
  const plain = await open(driver);
  const hung = await open(driver, receivers.env, hungOutput);
  try {
    const [decidePlain, decideHung] = [await decider(plain), await decider(hung)];
    const [without, withHung]: number[][] = [[], []];
    for (let n = 0; n < DECIDED + WARM_UP; n += 1) {
      const pair =
        n % 2 === 0 ? [await decidePlain(), await decideHung()] : [await decideHung(), await decidePlain()].reverse();
      if (n < WARM_UP) continue;
      without!.push(pair[0]!);
      withHung!.push(pair[1]!);
    }
    const hungMs = percentile(withHung!, 0.99);
    return { ratio: hungMs / percentile(without!, 0.99), hungMs };
  } finally {
    await hung.end();
    await plain.end();
    receivers.close();
  }
}

/** How fast what waits is delivered, once a sink can be reached again. */
async function drain(driver: Driver): Promise<number> {
  let seen = 0;
  let newest = Number.POSITIVE_INFINITY;
  let delivered = (): void => {};
  const all = new Promise<void>((resolve) => {
    delivered = resolve;
  });
  const output = countingOutput((seq) => {
    seen = Math.max(seen, seq);
    if (seen >= newest) delivered();
  });
  const server = await open(driver, { IDENTREE_AUDIT_LOG: 'stdout' }, output);
  try {
    const { db, events, start } = server.app;
    for (let from = 0; from < BACKLOG; from += 1000) {
      const some = Array.from({ length: 1000 }, (_, n) => eventOf(from + n));
      await db.transaction((work) => events.appendAll(work, some));
    }
    newest = (await events.head()).seq;
    const started = performance.now();
    await start();
    await all;
    return BACKLOG / ((performance.now() - started) / 1000);
  } finally {
    await server.end();
  }
}

/** How much more memory the server has while it exports everything to somebody who takes all of it. */
async function exportGrowth({ app, provider }: Server): Promise<{ growthMb: number; perSecond: number }> {
  const olga = await signInTestPerson(app, provider, systemClock, 'olga', { groups: ['admins'], passkey: false });
  await app.http.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.http.server.address() as AddressInfo;
  const path = '/api/v1/audit/export?format=csv';
  const before = process.memoryUsage().rss;
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss);
  }, 50);
  try {
    const started = performance.now();
    const asked = get({ host: '127.0.0.1', port, path, headers: { cookie: olga.cookie }, agent: false });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    let lines = 0;
    for await (const chunk of answer) for (const byte of chunk as Buffer) if (byte === 10) lines += 1;
    if (lines < EVENTS) throw new Error(`the export ended after ${lines} lines with ${answer.statusCode}`);
    return { growthMb: (most - before) / 1024 / 1024, perSecond: lines / ((performance.now() - started) / 1000) };
  } finally {
    clearInterval(sampler);
  }
}

/** How long looks into the log take, each with another filter. */
async function looks({ app, provider }: Server, log: { firstAt: number; lastAt: number }): Promise<BenchResult[]> {
  const olga = await signInTestPerson(app, provider, systemClock, 'olga', { groups: ['admins'], passkey: false });
  const user = await signInTestPerson(app, provider, systemClock, 'user7', { passkey: false });
  const middle = Math.floor((log.firstAt + log.lastAt) / 2);
  const filters: [string, typeof olga, object][] = [
    ['everything', olga, {}],
    ['half way back', olga, { before: `${middle}-1` }],
    ['a user', olga, { user: 'user7' }],
    ['a host', olga, { host: `host${HOSTS - 1}.example.com` }],
    ['a kind', olga, { event: 'challenge_approved' }],
    ['failures', olga, { outcome: 'failure' }],
    ['successes', olga, { outcome: 'success' }],
    ['a time', olga, { from: middle, to: middle + 3_600_000 }],
    [
      'all of it',
      olga,
      { user: 'user7', host: 'host7.example.com', outcome: 'failure', from: log.firstAt, to: middle },
    ],
    ['nothing', olga, { host: 'host7.example.com', event: 'passkey_added' }],
    ['of a person', user, {}],
    ['of a person, failures', user, { outcome: 'failure' }],
  ];
  const all: number[] = [];
  let worst = { name: '', ms: 0 };
  for (const [name, who, filter] of filters) {
    const times: number[] = [];
    for (let n = 0; n < LOOKS; n += 1) {
      const started = performance.now();
      const { refusal } = await who.query('audit.events.list', filter);
      if (refusal !== null) throw new Error(`${name}: ${refusal}`);
      times.push(performance.now() - started);
    }
    const ms = percentile(times, 0.95);
    if (ms > worst.ms) worst = { name, ms };
    all.push(...times);
  }
  note(`  the slowest filter: ${worst.name}`);
  return [
    {
      metric: 'history_1m_query_ms',
      unit: 'ms',
      value: round(worst.ms),
      p99: round(percentile(all, 0.99)),
      goal: GOALS.lookMs,
    },
  ];
}

async function measure(driver: Driver): Promise<BenchResult[]> {
  note(`${driver}: events are written ...`);
  const writer = await open(driver);
  let append: number;
  try {
    append = await appendPerSecond(writer.app, APPENDED);
  } finally {
    await writer.end();
  }
  note(`${driver}: events go to a sink ...`);
  const told = await toSink(driver);
  note(`${driver}: decisions while all sinks hang ...`);
  const { ratio, hungMs } = await slowdown(driver);
  note(`${driver}: a backlog of ${BACKLOG} ...`);
  const drained = await drain(driver);
  note(`${driver}: a log of ${EVENTS} events is made, exported and looked into ...`);
  const server = await open(driver);
  try {
    await enrolTestHost(server.app, systemClock, 'web1.example.com');
    const log = await fillLog(server.app, EVENTS);
    const found = await looks(server, log);
    const { growthMb, perSecond } = await exportGrowth(server);
    const goal = GOALS.append[driver];
    const results: BenchResult[] = [
      { metric: 'audit_append_per_s', unit: '/s', value: round(append), goal, better: 'higher' },
      {
        metric: 'event_to_sink_ms',
        unit: 'ms',
        value: round(percentile(told, 0.99)),
        goal: GOALS.toSinkMs,
      },
      {
        metric: 'decision_slowdown_ratio',
        unit: '',
        value: round(ratio),
        goal: GOALS.slowdown,
        own: { unit: 'ms', value: round(hungMs) },
      },
      { metric: 'backlog_drain_per_s', unit: '/s', value: round(drained), better: 'higher' },
      { metric: 'export_million_rss_growth_mb', unit: 'MB', value: round(growthMb), goal: GOALS.exportMb },
      { metric: 'export_per_s', unit: '/s', value: round(perSecond), better: 'higher' },
      ...found,
    ];
    return results.map((result) => ({ ...result, metric: `${result.metric}, ${driver}` }));
  } finally {
    await server.end();
  }
}

// What waits for the next event holds no process open.
const awake = setInterval(() => {}, 1000);
const results: BenchResult[] = [];
for (const driver of ['sqlite', 'postgres'] as const) {
  if (only !== undefined && only !== driver) continue;
  const missing = driver === 'postgres' ? whyNoPostgres() : null;
  if (missing !== null) throw new Error(missing);
  results.push(...(await measure(driver)));
}
clearInterval(awake);
printReport({ bench: 'audit', results, run: { events: EVENTS, backlog: BACKLOG }, machine: machineFacts() }, json);
for (const { metric } of misses(results)) note(`not reached: ${metric}`);
process.exitCode = misses(results).length > 0 ? 1 : 0;
