import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Stats } from '../../server/src/ldap/session/stats.ts';
import { isLong, testSeed } from '../../server/src/ldap/testing/long.ts';
import { until } from '../harness/run.ts';
import type { Attack, FromAttacker, FromProbe, FromServer, Observation } from './messages.ts';

/**
 * The server cannot be knocked over: whatever strangers send, a normal client keeps getting its answers in time, memory
 * stays bounded, nothing dies, and nothing happens that the server itself takes for a bug.
 *
 * Server, normal client and attackers are processes of their own. Next to every lookup the normal client sends the same
 * octets to a process that only sends them back: that takes as long as this machine takes for anything right now, so it
 * is what the bound is counted from.
 */

const BOUND_MS = 50;
/** Of so many of 100 lookups the bound is held. In a few seconds 99 of 100 would be decided by two or three of them. */
const SHARE = isLong ? 99 : 95;

/** While an attack goes on: what is held for it, and garbage that the runtime has not collected yet. Attackers send gigabytes. */
const GROWTH_DURING_MB = 128;

/** When every attacker has gone. */
const GROWTH_AFTER_MB = 64;
const seconds = (sample: number, long: number): number => (isLong ? long : sample);

const children: ChildProcess[] = [];
function start(file: string, ...args: string[]): ChildProcess {
  const child = fork(join(import.meta.dirname, file), args, {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.push(child);
  return child;
}

/** The next message that a child sends. */
function next<T>(child: ChildProcess, isWanted: (message: T) => boolean = () => true): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null): void => reject(new Error(`ended: ${signal ?? code}`));
    const onMessage = (message: T): void => {
      if (!isWanted(message)) return;
      child.off('exit', onExit);
      child.off('message', onMessage);
      resolve(message);
    };
    child.on('message', onMessage);
    child.once('exit', onExit);
  });
}

describe('under attack', () => {
  let server: ChildProcess;
  let probe: ChildProcess;
  let target: Pick<Attack, 'port' | 'tlsPort' | 'ca'>;
  let baseline = 0;
  let peak = 0;
  let watch: NodeJS.Timeout;
  const bugs: string[] = [];
  const seed = testSeed('under attack');

  async function memory(): Promise<number> {
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8').catch(() => '');
    const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
    peak = Math.max(peak, rss);
    return rss;
  }

  async function stats(): Promise<Stats> {
    const answer = next<FromServer>(server, ({ kind }) => kind === 'stats');
    server.send({ kind: 'stats' });
    const message = await answer;
    assert.ok(message.kind === 'stats' && message.stats !== null, 'the LDAP thread does not answer');
    return message.stats;
  }

  async function observe(): Promise<Observation> {
    const answer = next<FromProbe>(probe, ({ kind }) => kind === 'observation');
    probe.send({ kind: 'observe' });
    const message = await answer;
    assert.ok(message.kind === 'observation');
    return message.observation;
  }

  async function attack(name: string, duration: number): Promise<Record<string, number>> {
    const attacker = start('attacker.ts');
    const done = next<FromAttacker>(attacker);
    attacker.send({ kind: 'attack', attack: { name, seconds: duration, seed, ...target } });
    const message = await done;
    attacker.disconnect();
    if (message.kind === 'failed') assert.fail(message.message);
    return message.counts;
  }

  const show = (value: number): string => value.toFixed(value < 10 ? 2 : 0);

  /** Holds what the normal client saw, and the most memory since the last call, against the bounds. */
  async function holds(name: string, counts: Record<string, number>, growth = GROWTH_DURING_MB): Promise<void> {
    const { ldap, control, wrong, failure } = await observe();
    const rss = await memory();
    process.stdout.write(
      `# ${name}: p50 ${show(ldap.p50)} p95 ${show(ldap.p95)} p99 ${show(ldap.p99)} max ${show(ldap.max)} ms of ${ldap.count}` +
        ` (echo p99 ${show(control.p99)} max ${show(control.max)}), RSS ${show(rss)} MB (${show(rss - baseline)} more),` +
        ` load ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()}, ${JSON.stringify(counts)}\n`,
    );
    assert.deepEqual({ wrong, failure, bugs }, { wrong: 0, failure: null, bugs: [] });
    assert.ok(ldap.count > 0, 'the normal client got no answers');
    const slowest = isLong ? ldap.p99 : ldap.p95;
    assert.ok(
      slowest < BOUND_MS + control.p99,
      `${SHARE} of 100 lookups took less than ${show(slowest)} ms; an echo ${show(control.p99)} ms`,
    );
    const most = peak - baseline;
    peak = 0;
    assert.ok(most < growth, `${show(most)} MB more than at the start`);
  }

  before(async () => {
    server = start('server.ts');
    server.on('message', (message: FromServer) => {
      if (message.kind === 'bug') bugs.push(message.message);
    });
    const ready = await next<FromServer>(server, ({ kind }) => kind === 'ready');
    assert.ok(ready.kind === 'ready');
    target = ready;
    const echo = start('echo.ts');
    const echoPort = await next<number>(echo);
    probe = start('probe.ts', String(target.port), String(echoPort));
    await next<FromProbe>(probe, ({ kind }) => kind === 'ready');
    // Code that is compiled on the way, and the memory that ordinary work takes.
    await attack('vanishing', 2);
    await attack('pipelined', 1);
    await observe();
    baseline = await memory();
    watch = setInterval(() => void memory(), 200);
  });

  after(() => {
    clearInterval(watch);
    for (const child of children) child.kill('SIGKILL');
  });

  test('nobody attacks', async () => {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await holds('nobody', {});
  });

  test('mutants of messages', async () => {
    const counts = await attack('fuzz', seconds(8, 60));
    await holds('mutants', counts);
    assert.ok(counts.mutants! > 500, 'hardly anything was sent');
  });

  test('a message that announces a gigabyte', async () => {
    const counts = await attack('gigabyte', seconds(3, 20));
    await holds('gigabyte', counts);
    assert.equal(counts.closed, counts.tried);
  });

  test('TLS on the plain port, HTTP and other protocols', async () => {
    const counts = await attack('otherProtocols', seconds(3, 20));
    await holds('other protocols', counts);
    assert.equal(counts.closed, counts.tried);
    assert.equal(counts.answered, 0);
  });

  test('clear text behind a request for TLS', async () => {
    const counts = await attack('plaintextBehindStartTls', seconds(3, 20));
    await holds('clear text', counts);
    assert.equal(counts.nobody, counts.tried);
  });

  test('9,000 requests in one piece', async () => {
    const counts = await attack('pipelined', seconds(5, 30));
    await holds('pipelined', counts);
    assert.equal(counts.complete, counts.rounds);
  });

  test('searches that are abandoned at once', async () => {
    const counts = await attack('abandons', seconds(4, 30));
    await holds('abandons', counts);
    assert.equal(counts.survived, counts.storms);
  });

  test('clients that go away in mid-enumeration', async () => {
    const counts = await attack('vanishing', seconds(4, 30));
    await holds('vanishing', counts);
    assert.ok(counts.gone! > 0);
  });

  test('the costliest filters that there are', async () => {
    const counts = await attack('costly', seconds(5, 30));
    await holds('costly', counts);
    assert.ok(counts.answered! > 0);
  });

  test('searches by the thousand that are never read', async () => {
    const counts = await attack('hoarding', seconds(5, 30));
    await holds('hoarding', counts);
    assert.ok(counts.tried! > 100);
  });

  test('guessing passwords', async () => {
    const counts = await attack('guesses', seconds(4, 20));
    await holds('guesses', counts);
    assert.equal(counts['code 0'], undefined);
  });

  test('TLS handshakes', async () => {
    const counts = await attack('handshakes', seconds(4, 20));
    await holds('handshakes', counts);
  });

  test('messages that never end and answers that nobody reads', async () => {
    const counts = await attack('linger', seconds(8, 75));
    await holds('linger', counts);
    assert.equal(counts.slowClosed, counts.slow, 'messages that never end were let go on');
    if (isLong) assert.equal(counts.deafClosed, counts.deaf, 'who reads nothing was let stay');
  });

  test('5,000 connections', async () => {
    const counts = await attack('connections', seconds(4, 20));
    await holds('connections', counts);
    assert.ok(counts.served! > 3900, `only ${counts.served} were served`);
    assert.ok(counts.served! + counts.refused! >= 4900, 'some were neither served nor refused');
  });

  test('afterwards everything is as before', async () => {
    await until('attackers to be forgotten', async () => (await stats()).connections <= 2);
    await observe();
    await until('their memory to be given back', async () => (await memory()) - baseline < GROWTH_AFTER_MB);
    peak = 0;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await holds('afterwards', {}, GROWTH_AFTER_MB);
    assert.equal(server.exitCode, null);
  });
});
