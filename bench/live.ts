import { execFileSync, fork } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Answer, Ask } from './live/server.ts';
import { type BenchResult, machineFacts, misses, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:live`: how long it takes until everybody who follows live events has been told of one, and what
 * following them costs the server. The clients ask what consoles, approval pages and desktop apps ask. The server has a
 * process of its own; the clients are this one, on loopback.
 */

const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const CLIENTS = quick ? [500] : [2000, 5000];
const EVENTS = quick ? 10 : 40;
/** Between two events: everybody has been told long before the next one. */
const PAUSE_MS = 150;
/** An event that has not reached everybody by then never will. */
const GIVE_UP_MS = 60_000;
/** How many connect at a time, and within which time each has to be told that it is connected. */
const AT_ONCE = 50;
const CONNECT_MS = 20_000;
/** All of it takes half a minute on a machine of today; what hangs must not look like what is slow. */
const DEADLINE_MS = 300_000;
/** How long the server may take to end. */
const STOP_MS = 20_000;
const LOAD_SECONDS = quick ? 3 : 15;
const GOAL_MS = 300;
const GOAL_MB = 200;

const now = (): number => performance.timeOrigin + performance.now();
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Files that this process may have open, as its limits say. */
function mayOpen(): number {
  const text = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}

const most = Math.max(...CLIENTS);
if (mayOpen() < most + 200) {
  note(`bench:live needs ${most + 200} open files, and this shell allows ${mayOpen()}. Run: ulimit -n ${most + 1000}`);
  process.exit(2);
}

// It runs as every program of npm run does, as its Node is told by what started this one.
const server = fork(join(import.meta.dirname, 'live/server.ts'), [String(most)], {
  stdio: ['ignore', 2, 2, 'ipc'],
});
const failed = new Promise<never>((_, reject) => {
  server.once('exit', (code, signal) => reject(new Error(`the server ended with ${code ?? signal}`)));
  server.on('error', reject);
});
failed.catch(() => {});
let doing = '';
const begin = (what: string): void => {
  doing = what;
  note(`${what} ...`);
};
const overdue = new Promise<never>((_, reject) => {
  const late = () => reject(new Error(`not done after ${DEADLINE_MS / 1000} seconds, at: ${doing}`));
  setTimeout(late, DEADLINE_MS).unref();
});
overdue.catch(() => {});
/** What is awaited, unless the server or the time ends. */
const inTime = <T>(awaited: Promise<T>): Promise<T> => Promise.race([awaited, failed, overdue]);

function next<K extends Answer['kind']>(kind: K): Promise<Extract<Answer, { kind: K }>> {
  const answered = new Promise<Extract<Answer, { kind: K }>>((resolve) => {
    const onMessage = (message: Answer) => {
      if (message.kind !== kind) return;
      server.off('message', onMessage);
      resolve(message as Extract<Answer, { kind: K }>);
    };
    server.on('message', onMessage);
  });
  return inTime(answered);
}
async function ask<K extends Exclude<Ask['kind'], 'stop'>>(kind: K): Promise<Extract<Answer, { kind: K }>> {
  const answered = next(kind);
  server.send((kind === 'load' ? { kind, seconds: LOAD_SECONDS } : { kind }) as Ask);
  return answered;
}

/** By sequence number: when each client was told, milliseconds since the epoch. */
const told = new Map<number, number[]>();

function toldOf(seq: number): number[] {
  const times = told.get(seq) ?? [];
  told.set(seq, times);
  return times;
}

/** Why clients could not connect or have lost their connection, and how many. */
const lost = new Map<string, number>();

function lose(why: string): void {
  lost.set(why, (lost.get(why) ?? 0) + 1);
}

const whyLost = (): string => [...lost].map(([why, count]) => `${count} ${why}`).join(', ');

/** One client: a connection that follows live events as a browser does. Resolves when the server has taken it, or not. */
function follow(url: URL, cookie: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(Number(url.port), url.hostname);
    let connected = false;
    const giveUp = (why: string): void => {
      clearTimeout(patience);
      socket.removeAllListeners('close');
      socket.destroy();
      lose(why);
      resolve(null);
    };
    const patience = setTimeout(() => giveUp('not answered in time'), CONNECT_MS);
    socket.setEncoding('latin1');
    socket.once('error', ({ message }) => giveUp(connected ? `lost: ${message}` : `not connected: ${message}`));
    socket.once('close', () => giveUp(connected ? 'lost: the server ended it' : 'not connected: the server ended it'));
    let rest = '';
    socket.on('data', (text: unknown) => {
      const at = now();
      rest += text as string;
      const [status = ''] = rest.split('\r\n', 1);
      if (!connected && rest.includes('\r\n') && !status.endsWith(' 200 OK')) return giveUp(`refused: ${status}`);
      if (!connected && rest.includes(': connected\n')) {
        connected = true;
        clearTimeout(patience);
        resolve(socket);
      }
      // With data: the id at the beginning is no event.
      for (const [, seq] of rest.matchAll(/^id: (\d+)\ndata:/gm)) toldOf(Number(seq)).push(at);
      rest = rest.slice(rest.lastIndexOf('\n\n') + 1);
    });
    socket.write(
      `GET /api/events HTTP/1.1\r\nHost: ${url.host}\r\nAccept: text/event-stream\r\nCookie: ${cookie}\r\n\r\n`,
    );
  });
}

const results: BenchResult[] = [];
try {
  begin('starting a server');
  const { url, cookies } = await next('ready');
  await pause(quick ? 500 : 3000);
  const idle = (await ask('rss')).mb;
  const sockets: Socket[] = [];
  for (const clients of CLIENTS) {
    begin(`${clients} clients connect`);
    for (let asked = sockets.length; asked < clients; asked += AT_ONCE) {
      const batch = Array.from({ length: Math.min(AT_ONCE, clients - asked) }, (_, index) =>
        follow(new URL(url), cookies[asked + index]!),
      );
      sockets.push(...(await inTime(Promise.all(batch))).filter((socket) => socket !== null));
    }
    if (sockets.length < clients) throw new Error(`${sockets.length} of ${clients} clients connected: ${whyLost()}`);
    begin(`${EVENTS} events to ${clients} clients`);
    const all: number[] = [];
    const each: number[] = [];
    for (let event = 0; event < EVENTS + 3; event += 1) {
      const { at, seq } = await ask('event');
      const deadline = now() + GIVE_UP_MS;
      while (toldOf(seq).length < clients) {
        if (lost.size > 0) throw new Error(`of ${clients} clients: ${whyLost()}`);
        if (now() > deadline) throw new Error(`${toldOf(seq).length} of ${clients} were told within a minute`);
        await inTime(pause(2));
      }
      const times = toldOf(seq).map((time) => time - at);
      told.clear();
      // The first ones pay for code that is compiled on the way.
      if (event >= 3) {
        all.push(Math.max(...times));
        each.push(...times);
      }
      await pause(PAUSE_MS);
    }
    begin(`requests of hosts while ${clients} clients follow`);
    const load = await ask('load');
    const last: number[] = [];
    for (const { at, seq } of load.told) {
      const deadline = now() + GIVE_UP_MS;
      while (toldOf(seq).length < clients) {
        if (lost.size > 0) throw new Error(`of ${clients} clients: ${whyLost()}`);
        if (now() > deadline) throw new Error(`${toldOf(seq).length} of ${clients} were told within a minute`);
        await inTime(pause(2));
      }
      last.push(Math.max(...toldOf(seq)) - at);
    }
    told.clear();
    // What is asked of a server with as many as this; more of them are measured to see where it ends.
    const asked = clients <= 2000;
    for (const [metric, samples, target] of [
      ['create_ms', load.createsMs, 100],
      ['healthz_ms', load.healthMs, 200],
      ['create_to_all_ms', last, 500],
    ] as const)
      results.push({
        metric: `${metric}, 20/s, ${clients} clients`,
        unit: 'ms',
        value: round(percentile(samples, 0.5)),
        p99: round(percentile(samples, 0.99)),
        ...(asked ? { target } : {}),
      });
    results.push({
      metric: `rss_mb, ${clients} clients`,
      unit: 'MB',
      value: round((await ask('rss')).mb),
      ...(asked ? { goal: 350 } : {}),
    });
    results.push({
      metric: `event_to_all_ms, ${clients} clients`,
      unit: 'ms',
      value: round(percentile(all, 0.5)),
      p99: round(percentile(all, 0.99)),
      target: GOAL_MS,
    });
    results.push({
      metric: `event_to_one_ms, ${clients} clients`,
      unit: 'ms',
      value: round(percentile(each, 0.5)),
      p99: round(percentile(each, 0.99)),
    });
  }
  await pause(quick ? 500 : 3000);
  results.push({
    metric: `live_rss_mb, ${most} clients`,
    unit: 'MB',
    value: round((await ask('rss')).mb - idle),
    goal: GOAL_MB,
  });
  for (const socket of sockets) socket.removeAllListeners('close').destroy();
  printReport({ bench: 'live', results, machine: machineFacts() }, json);
  const late = results.filter(({ p99, target }) => target !== undefined && (p99 ?? 0) > target);
  for (const { metric } of [...misses(results), ...late]) note(`not reached: ${metric}`);
  process.exitCode = misses(results).length + late.length > 0 ? 1 : 0;
} catch (error) {
  note(`bench:live failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
} finally {
  server.removeAllListeners('exit');
  if (server.connected) server.send({ kind: 'stop' } satisfies Ask);
  // A server that hangs would be left behind.
  setTimeout(() => server.kill('SIGKILL'), STOP_MS).unref();
}
