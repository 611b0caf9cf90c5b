import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** How often a balancer looks who is well, milliseconds. */
const LOOK_EVERY_MS = 100;
/** How long a server may take to say it. One that shares a busy machine is slow, and well. */
const LOOK_FOR_MS = 10_000;

/**
 * What stands in front of several servers: it sends each request to one that says that it is well, in turns. What a server
 * does not answer is answered with 502, as it may have been done: nothing is sent twice.
 */
export async function startBalancer(ports: readonly number[]) {
  const well = new Set<number>();
  let turn = 0;
  const over = new AbortController();
  // One look after the other: answers that overtake each other would tell of a moment that has passed.
  async function look(port: number): Promise<void> {
    while (!over.signal.aborted) {
      const signal = AbortSignal.any([over.signal, AbortSignal.timeout(LOOK_FOR_MS)]);
      const isWell = await fetch(`http://127.0.0.1:${port}/healthz`, { signal }).then(
        ({ status }) => status === 200,
        () => false,
      );
      if (isWell) well.add(port);
      else well.delete(port);
      await setTimeout(LOOK_EVERY_MS, undefined, { signal: over.signal }).catch(() => undefined);
    }
  }
  const looks = ports.map(look);
  /** Null: none was well for as long as a look may take. */
  async function next(): Promise<number | null> {
    for (let waited = 0; well.size === 0 && waited < LOOK_FOR_MS; waited += LOOK_EVERY_MS)
      await setTimeout(LOOK_EVERY_MS);
    const among = [...well].sort();
    turn += 1;
    return among[turn % among.length] ?? null;
  }
  const server = createServer(async (incoming, outgoing) => {
    const port = await next();
    if (port === null) {
      outgoing.writeHead(503).end();
      return;
    }
    const { method, url, headers } = incoming;
    const sent = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    sent.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(sent);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    isWell: (port: number) => well.has(port),
    async close() {
      over.abort();
      server.closeAllConnections();
      server.close();
      await Promise.all(looks);
    },
  };
}
