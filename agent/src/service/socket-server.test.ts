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

test('who is about to be answered when the agent stops gets the answer, and who never is holds nobody up', {
  timeout: 90_000,
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'socket-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'agent.sock');
  let answer = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  let asked = () => {};
  const both = new Promise<void>((resolve) => {
    let left = 2;
    asked = () => {
      left -= 1;
      if (left === 0) resolve();
    };
  });
  const server = await listen(path, async (stream) => {
    stream.once('data', async (what) => {
      asked();
      if (String(what) === 'never') return;
      await held;
      stream.end('answer');
    });
    await (String(await new Promise((resolve) => stream.once('data', resolve))) === 'never'
      ? new Promise(() => {})
      : held);
  });
  const soon = net.connect(path);
  const never = net.connect(path);
  let text = '';
  soon.on('data', (chunk) => {
    text += chunk;
  });
  const gone = Promise.all([soon, never].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  soon.write('soon');
  never.write('never');
  await both;
  const closed = server.close();
  answer();
  await closed;
  await gone;
  assert.equal(text, 'answer');
});
