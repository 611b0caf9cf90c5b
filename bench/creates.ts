import { type ChildProcess, fork } from 'node:child_process';
import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST_API } from '#shared/host-api.ts';
import { contentDigest, SIGNATURE_LABEL, signatureBase, signatureParameters } from '#shared/http-signature.ts';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { PENDING_IN_TOTAL } from '../server/src/challenges/limits.ts';
import { startOwnPostgres, whyNoPostgres } from '../server/src/db/test-postgres.ts';
import { GRANTED_USER, type Ready, type Used } from './creates/messages.ts';
import { type BenchResult, machineFacts, misses, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:creates`: how many requests of hosts a server makes, durable, on SQLite and on Postgres. 50 connections,
 * each of a host with its own key, that ask as soon as they were answered. What they send is signed beforehand, so that
 * what is measured is the server; the machine's processors are shared with the clients and the database nevertheless.
 *
 *   --json     one JSON object on standard output
 *   --quick    fewer of everything
 *   --only=sqlite, --only=postgres
 *   --profile=<folder>   writes a profile of each server there
 */

const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length);
const CONNECTIONS = 50;
/** A request whose signature is older than a minute is refused, so they are signed for one round at a time. */
const ROUNDS = quick ? 2 : 4;
const PER_ROUND = quick ? 1000 : 2000;
/** The first ones pay for code that is compiled on the way. */
const WARM_UP = 500;
/** A user has at most ten requests waiting on one host. */
const PER_USER = 9;
/** How many are granted by the policy, one at a time. */
const ALONE = 200;
const GOAL_PER_S = { sqlite: 2000, postgres: 800 };
const DEADLINE_MS = 120_000;

if (WARM_UP + ROUNDS * PER_ROUND > PENDING_IN_TOTAL) throw new Error('more requests than may wait');

/** How many each host has sent. */
const counters = new Map<string, number>();

/** Whole requests as they go over the wire, signed. */
function signedRequests(ready: Ready, host: Ready['hosts'][number], count: number, account?: string): Buffer[] {
  const key = createPrivateKey(host.key);
  return Array.from({ length: count }, () => {
    const counter = (counters.get(host.id) ?? 0) + 1;
    counters.set(host.id, counter);
    const user = account ?? `u${Math.floor(counter / PER_USER)}`;
    const record = sampleRecord({ hostId: host.id, uid: 2001, user, createdAt: Date.now() });
    const { machineId, serverId, id } = host;
    const body = Buffer.from(
      JSON.stringify({ record, counter, machineId, approverKeysVersion: 1_000_000, agentVersion: 'bench' }),
    );
    const targetUri = `${ready.externalUrl}${HOST_API}/challenges`;
    const parameters = {
      created: Math.floor(Date.now() / 1000),
      nonce: randomBytes(18).toString('base64url'),
      keyid: id,
      tag: serverId,
    };
    const digest = contentDigest(body);
    const base = signatureBase({ method: 'POST', targetUri, contentDigest: digest }, parameters);
    const signature = sign(null, Buffer.from(base), key).toString('base64');
    const head = [
      `POST ${HOST_API}/challenges HTTP/1.1`,
      `Host: ${new URL(ready.externalUrl).host}`,
      `Content-Digest: ${digest}`,
      `Signature-Input: ${SIGNATURE_LABEL}=${signatureParameters(parameters)}`,
      `Signature: ${SIGNATURE_LABEL}=:${signature}:`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    ];
    return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
  });
}

/** Sends one request after the other on a connection; gives how long each answer took, milliseconds. */
function drive(socket: Socket, requests: readonly Buffer[]): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const times: number[] = [];
    let at = performance.now();
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const length = /content-length: (\d+)\r\n/i.exec(text)?.[1];
      const bodyAt = text.indexOf('\r\n\r\n') + 4;
      if (length === undefined || bodyAt < 4 || text.length < bodyAt + Number(length)) return;
      if (!text.startsWith('HTTP/1.1 201 ')) return void reject(new Error(`a request was refused: ${text}`));
      text = '';
      times.push(performance.now() - at);
      if (times.length === requests.length) {
        socket.off('data', onData);
        resolve(times);
        return;
      }
      at = performance.now();
      socket.write(requests[times.length]!);
    };
    socket.on('data', onData);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the server ended a connection')));
    socket.write(requests[0]!);
  });
}

function next<T extends Ready | Used>(server: ChildProcess, kind: T['kind']): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the server did not answer')), DEADLINE_MS);
    const ended = (code: number | null) => reject(new Error(`the server ended with ${code}`));
    server.once('exit', ended);
    server.once('message', (message: T) => {
      clearTimeout(late);
      server.off('exit', ended);
      if (message.kind === kind) resolve(message);
      else reject(new Error(`not ${kind}: ${JSON.stringify(message)}`));
    });
  });
}

function used(server: ChildProcess): Promise<Used> {
  const answer = next<Used>(server, 'used');
  server.send('used');
  return answer;
}

async function measure(driver: 'sqlite' | 'postgres', dsn?: string): Promise<BenchResult[]> {
  note(`${driver}: starting a server with ${CONNECTIONS} hosts ...`);
  const folder = mkdtempSync(join(tmpdir(), 'identree-bench-creates-'));
  const server = fork(
    join(import.meta.dirname, 'creates/server.ts'),
    [folder, String(CONNECTIONS), ...(dsn === undefined ? [] : [dsn])],
    { execArgv: ['--disable-warning=ExperimentalWarning', ...profiled()], stdio: ['ignore', 2, 2, 'ipc'] },
  );
  try {
    const ready = await next<Ready>(server, 'ready');
    const sockets = ready.hosts.map(() => connect(ready.port, '127.0.0.1').setNoDelay());
    const ask = async (count: number): Promise<{ times: number[]; tookMs: number }> => {
      const requests = ready.hosts.map((host) => signedRequests(ready, host, Math.ceil(count / CONNECTIONS)));
      const started = performance.now();
      const times = await Promise.all(sockets.map((socket, index) => drive(socket, requests[index]!)));
      return { times: times.flat(), tookMs: performance.now() - started };
    };
    await ask(WARM_UP);
    await used(server);
    const times: number[] = [];
    let tookMs = 0;
    let mainMs = 0;
    let allMs = 0;
    for (let index = 0; index < ROUNDS; index += 1) {
      await used(server);
      const one = await ask(PER_ROUND);
      const cost = await used(server);
      times.push(...one.times);
      tookMs += one.tookMs;
      mainMs += cost.mainMs;
      allMs += cost.allMs;
    }
    // By itself, and answered by the policy: what a sudo that needs nobody's approval waits for.
    const lone = signedRequests(ready, ready.hosts[0]!, ALONE, GRANTED_USER);
    const alone = await drive(sockets[0]!, lone);
    for (const socket of sockets) socket.removeAllListeners().destroy();
    return [
      {
        metric: `challenge_creates_per_s, ${driver}`,
        unit: '1/s',
        value: round((times.length / tookMs) * 1000),
        goal: GOAL_PER_S[driver],
        better: 'higher',
      },
      {
        metric: `challenge_create_ms, ${driver}`,
        unit: 'ms',
        value: round(percentile(times, 0.5)),
        p99: round(percentile(times, 0.99)),
      },
      { metric: `main_thread_us_per_create, ${driver}`, unit: 'µs', value: round((mainMs / times.length) * 1000) },
      {
        metric: `auto_grant_alone_ms, ${driver}`,
        unit: 'ms',
        value: round(percentile(alone, 0.5)),
        p99: round(percentile(alone, 0.99)),
      },
      { metric: `processor_us_per_create, ${driver}`, unit: 'µs', value: round((allMs / times.length) * 1000) },
    ];
  } finally {
    if (server.connected) server.send('stop');
    await new Promise((resolve) => (server.exitCode === null ? server.once('exit', resolve) : resolve(null)));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where a profile of each server is to be written to. */
function profiled(): string[] {
  const folder = process.argv.find((argument) => argument.startsWith('--profile='))?.slice('--profile='.length);
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

const results: BenchResult[] = [];
if (only !== 'postgres') results.push(...(await measure('sqlite')));
if (only !== 'sqlite') {
  const missing = whyNoPostgres();
  if (missing !== null) throw new Error(missing);
  const postgres = await startOwnPostgres({ durable: true });
  try {
    results.push(...(await measure('postgres', postgres.dsn('postgres'))));
  } finally {
    postgres.end();
  }
}
printReport({ bench: 'creates', results, machine: machineFacts() }, json);
for (const { metric } of misses(results)) note(`not reached: ${metric}`);
process.exitCode = misses(results).length > 0 ? 1 : 0;
