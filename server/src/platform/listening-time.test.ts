import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { withinListening } from './listening-time.ts';

const LIMIT_MS = 300;

/** As a machine does that has no processor for a process. */
function standStill(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

test('what comes while the process stands still is heard, also after some to and fro', async (t) => {
  const server = net.createServer((socket) => socket.pipe(socket));
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  t.after(() => socket.destroy());
  async function talk(): Promise<string> {
    await once(socket, 'connect');
    for (let times = 0; times < 3; times += 1) {
      socket.write('x');
      await once(socket, 'data');
    }
    return 'answered';
  }
  const answer = withinListening(talk(), LIMIT_MS);
  standStill(2 * LIMIT_MS);
  assert.equal(await answer, 'answered');
});

test('what never comes is waited for so long and no longer', async () => {
  const begun = performance.now();
  const alive = setInterval(() => {}, 1000);
  await assert.rejects(withinListening(new Promise(() => {}), LIMIT_MS), /no answer within 300 ms/);
  clearInterval(alive);
  assert.ok(performance.now() - begun >= LIMIT_MS - 20);
});
