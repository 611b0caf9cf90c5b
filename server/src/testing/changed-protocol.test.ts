import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { createHttpGet } from '../directory/pocketid/transport.ts';
import { systemHttp } from '../escrow/http.ts';
import { post } from '../outbound/post.ts';

const { signal } = new AbortController();
const PROGRAMS: Record<string, (url: string) => Promise<unknown>> = {
  'PocketID, or what stands before it': (url) => createHttpGet({ userAgent: 'x' })(url, {}, signal),
  'a receiver of events': (url) => post({ url, headers: {}, body: '{}', gzip: false, signal, now: Date.now }),
  'a store of break-glass passwords': (url) => systemHttp({ method: 'GET', url, headers: {} }),
};

for (const [name, ask] of Object.entries(PROGRAMS)) {
  test(`${name} that changes the protocol instead of answering is not waited for`, { timeout: 60_000 }, async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    await assert.rejects(ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), /protocol/);
  });
}
