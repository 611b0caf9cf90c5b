import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen } from './socket-server.ts';

test('a hook that was answered and stays keeps no place from the next one', { timeout: 90_000 }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'socket-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'agent.sock');
  const server = await listen(path, async (stream) => void stream.end('answer'), 50);
  t.after(() => server.close());

  // As a sudo that is stopped: it reads nothing, and does not close its side.
  const stopped = net.connect({ path, allowHalfOpen: true });
  const failed = new Promise<Error>((resolve) => stopped.on('error', resolve));
  stopped.pause();
  const knocking = setInterval(() => stopped.write('x'), 20);
  t.after(() => clearInterval(knocking));
  assert.match((await failed).message, /EPIPE|ECONNRESET/);
});

test('who reads the answer late, but in time, gets it whole', { timeout: 90_000 }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'socket-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'agent.sock');
  const server = await listen(path, async (stream) => void stream.end('answer'));
  t.after(() => server.close());
  const late = net.connect(path);
  late.pause();
  await new Promise((resolve) => late.once('connect', resolve));
  await new Promise((resolve) => setTimeout(resolve, 100));
  late.resume();
  let text = '';
  for await (const chunk of late) text += chunk;
  assert.equal(text, 'answer');
});
