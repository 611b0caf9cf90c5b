import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

interface Pair {
  cert: string;
  key: string;
}

/** Where a connection ends: at the server, or how it is lost. */
export type Way = 'through' | 'unreachable' | 'certificate' | 'unavailable';

/**
 * A port of loopback that leads to a server, and that can lose it while a program is connected.
 *
 * @param port of the server
 * @param right certificate and key that the server has, for one that is out of service
 * @param wrong certificate and key that nobody vouches for
 */
export async function startRoad({ port, right, wrong }: { port: number; right: Pair; wrong: Pair }) {
  const outOfService = createTlsServer({ cert: right.cert, key: right.key }, (_request, response) =>
    response.writeHead(503, { 'content-type': 'application/json' }).end('{}'),
  );
  const impostor = createTlsServer({ cert: wrong.cert, key: wrong.key }, (_request, response) => response.end());
  const listening = (server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }) =>
    new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
    );
  const ends: Record<Way, number | null> = {
    through: port,
    unreachable: null,
    certificate: await listening(impostor),
    unavailable: await listening(outOfService),
  };
  let way: Way = 'through';
  let triedAt = performance.now();
  const sockets = new Set<Socket>();
  const entrance = createServer((socket) => {
    triedAt = performance.now();
    const end = ends[way];
    socket.on('error', () => socket.destroy());
    if (end === null) return socket.destroy();
    const onward = connect(end, '127.0.0.1');
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(one);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  return {
    port: await listening(entrance),
    /** Since when nothing has tried to connect. */
    quietMs: () => performance.now() - triedAt,
    /** From now on; what is connected loses its connection. */
    lead(next: Way): void {
      way = next;
      for (const socket of sockets) socket.destroy();
    },
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      for (const server of [entrance, impostor, outOfService]) await new Promise((resolve) => server.close(resolve));
    },
  };
}
