import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

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
  const looking = setInterval(() => {
    for (const port of ports) {
      fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(LOOK_FOR_MS) })
        .then(({ status }) => (status === 200 ? well.add(port) : well.delete(port)))
        .catch(() => well.delete(port));
    }
  }, LOOK_EVERY_MS);
  const server = createServer((incoming, outgoing) => {
    const among = [...well].sort();
    turn += 1;
    const port = among[turn % among.length];
    if (port === undefined) {
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
    close() {
      clearInterval(looking);
      server.closeAllConnections();
      server.close();
    },
  };
}
