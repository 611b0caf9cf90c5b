import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Answer, Ask } from './notify/server.ts';
import { type BenchResult, machineFacts, misses, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:notify`: how long it takes until a receiver has the webhook of a request, how fast a queue is delivered,
 * and how long a scrape of `/metrics` takes with many hosts and many requests that wait. The server has a process of its
 * own, on SQLite; the receiver is this one, on loopback. How long until the desktop console shows a request is measured by
 * `npm run bench:desktop`.
 *
 *   --json     one JSON object on standard output
 *   --quick    fewer of everything
 */

const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const REQUESTS = quick ? 30 : 200;
/** The first ones pay for code that is compiled on the way. */
const WARM_UP = 5;
/** Between two requests: one at a time, as a person waits for one. */
const PAUSE_MS = 20;
/** A channel sends at most 1,000 at once after a pause, so that many have to share what is drained. */
const CHANNELS = 50;
const EVENTS = quick ? 20 : 60;
const MANY = quick ? 1000 : 10_000;
const SCRAPES = quick ? 20 : 60;
/** Longer than what is read for a scrape is told again. */
const BETWEEN_SCRAPES_MS = 1050;
/** A few minutes on a machine of today; what hangs must not look like what is slow. */
const DEADLINE_MS = 900_000;
const STOP_MS = 20_000;
const GOAL = { firstWebhookMs: 250, scrapeMs: 50 };

const now = (): number => performance.timeOrigin + performance.now();
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** By code of the request: when its webhook was here, whole. */
const arrived = new Map<string, number>();
let others = 0;
let last = 0;
const receiver = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (part: string) => {
    text += part;
  });
  request.on('end', () => {
    last = now();
    const { user_code: code } = JSON.parse(text) as { user_code?: string };
    if (code) arrived.set(code, last);
    else others += 1;
    response.writeHead(204).end();
  });
});
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
const { port } = receiver.address() as AddressInfo;

const server = fork(join(import.meta.dirname, 'notify/server.ts'), [`http://127.0.0.1:${port}`, String(CHANNELS)], {
  stdio: ['ignore', 2, 2, 'ipc'],
});
let doing = '';
const begin = (what: string): void => {
  doing = what;
  note(`${what} ...`);
};
const failed = new Promise<never>((_, reject) => {
  server.once('exit', (code, signal) => reject(new Error(`the server ended with ${code ?? signal}`)));
  server.on('error', reject);
  const late = () => reject(new Error(`not done after ${DEADLINE_MS / 1000} seconds, at: ${doing}`));
  setTimeout(late, DEADLINE_MS).unref();
});
failed.catch(() => {});
const inTime = <T>(awaited: Promise<T>): Promise<T> => Promise.race([awaited, failed]);

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
function ask<K extends Answer['kind'] & Ask['kind']>(asked: Ask & { kind: K }): Promise<Extract<Answer, { kind: K }>> {
  const answered = next<K>(asked.kind);
  server.send(asked);
  return answered;
}
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await inTime(pause(2));
}

const timed = (metric: string, samples: readonly number[], p: number): BenchResult => ({
  metric: `${metric}, p${p * 100}`,
  unit: 'ms',
  value: round(percentile(samples, p)),
});

try {
  begin('starting a server');
  const { port: serverPort } = await next('ready');

  begin(`${REQUESTS} requests, one at a time`);
  const told: number[] = [];
  for (let index = 0; index < REQUESTS + WARM_UP; index += 1) {
    const { code, at } = await ask({ kind: 'request' });
    await until(() => arrived.has(code));
    if (index >= WARM_UP) told.push(Math.max(0, arrived.get(code)! - at));
    await pause(PAUSE_MS);
  }

  begin(`${EVENTS * CHANNELS} deliveries wait on ${CHANNELS} channels`);
  const { at, deliveries } = await ask({ kind: 'drain', events: EVENTS });
  await until(() => others >= deliveries);
  const drained = (deliveries / (last - at)) * 1000;

  begin(`${MANY} hosts and ${MANY} requests that wait`);
  await ask({ kind: 'fill', hosts: MANY, pending: MANY - REQUESTS - WARM_UP - 1 });
  begin(`${SCRAPES} scrapes`);
  const scrapes: number[] = [];
  for (let index = 0; index < SCRAPES + 2; index += 1) {
    const started = performance.now();
    const answer = await inTime(fetch(`http://127.0.0.1:${serverPort}/metrics`));
    const text = await answer.text();
    if (index >= 2) scrapes.push(performance.now() - started);
    if (!new RegExp(`^identree_registered_hosts ${MANY + 1}$`, 'm').test(text) && index >= 2)
      throw new Error('a scrape does not count the hosts');
    await pause(BETWEEN_SCRAPES_MS);
  }

  const results: BenchResult[] = [
    timed('event_to_first_webhook_ms', told, 0.5),
    { ...timed('event_to_first_webhook_ms', told, 0.99), goal: GOAL.firstWebhookMs },
    { metric: 'notify_drain_per_s', unit: '1/s', value: round(drained), better: 'higher' },
    timed('scrape_ms', scrapes, 0.5),
    { ...timed('scrape_ms', scrapes, 0.95), goal: GOAL.scrapeMs },
  ];
  const run = { requests: REQUESTS, deliveries, channels: CHANNELS, hosts: MANY, pending: MANY, scrapes: SCRAPES };
  printReport({ bench: 'notify', results, run, machine: machineFacts() }, json);
  for (const { metric } of misses(results)) note(`not reached: ${metric}`);
  process.exitCode = misses(results).length > 0 ? 1 : 0;
} catch (error) {
  note(`bench:notify failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
} finally {
  server.removeAllListeners('exit');
  if (server.connected) server.send({ kind: 'stop' } satisfies Ask);
  receiver.close();
  receiver.closeAllConnections();
  // A server that hangs would be left behind.
  setTimeout(() => server.kill('SIGKILL'), STOP_MS).unref();
}
