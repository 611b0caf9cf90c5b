import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { collect } from './garbage.ts';
import { createSocketTransport } from './socket-transport.ts';

let server: Server;
let port: number;
before(async () => {
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as { port: number }).port;
});
const sockets: Socket[] = [];
after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const far = connect(port, '127.0.0.1').on('error', () => {});
  const [near] = (await once(server, 'connection')) as [Socket];
  near.on('error', () => {});
  return { near, far };
}

test('nothing is kept of a connection that has gone before it was ended', async () => {
  async function gone(): Promise<WeakRef<Socket>> {
    const { near, far } = await pair();
    near.resume();
    const closed = new Promise((resolve) => near.once('close', resolve));
    far.resetAndDestroy();
    await closed;
    const transport = createSocketTransport(near, '127.0.0.1', () => {});
    transport.end(false);
    transport.end(true);
    return new WeakRef(near);
  }
  const ended = [await gone(), await gone(), await gone()];
  for (let i = 0; i < 40; i++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    collect();
    // The event loop itself may still know the last one.
    if (ended.filter((socket) => socket.deref() !== undefined).length <= 1) return;
  }
  assert.fail('sockets stay in memory');
});

test('what a client does not read is what it was sent, and the next client gets its own', async () => {
  const output = { bytes: Buffer.alloc(64 * 1024), length: 0 };
  const deaf = await pair();
  deaf.far.pause();
  sockets.push(deaf.near, deaf.far);
  const first = createSocketTransport(deaf.near, '127.0.0.1', () => {});
  const say = (transport: typeof first, length: number, octet: number): void => {
    output.bytes.fill(octet, 0, length);
    output.length = length;
    transport.send(output);
  };
  let sent = 0;
  for (let i = 0; i === 0 || first.pending() < 200_000; i++) {
    const length = [1, 700, 5000, 32 * 1024, 60 * 1024][i % 5]!;
    say(first, length, i % 251);
    sent += length;
  }
  const other = await pair();
  sockets.push(other.near, other.far);
  const second = createSocketTransport(other.near, '127.0.0.1', () => {});
  for (const length of [1, 700, 5000, 32 * 1024]) say(second, length, 255);
  const received: Buffer[] = [];
  let octets = 0;
  deaf.far.on('data', (chunk: Buffer) => {
    received.push(chunk);
    octets += chunk.length;
  });
  deaf.far.resume();
  while (octets < sent) await once(deaf.far, 'data');
  const all = Buffer.concat(received);
  for (let i = 0, at = 0; at < all.length; i++) {
    const length = [1, 700, 5000, 32 * 1024, 60 * 1024][i % 5]!;
    assert.ok(all.subarray(at, at + length).equals(Buffer.alloc(length, i % 251)), `message ${i} has changed`);
    at += length;
  }
});
