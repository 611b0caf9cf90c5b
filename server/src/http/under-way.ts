import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** What there is of connections and requests, for a server that stops. */
export interface UnderWay {
  /** Before the routes that it is to know of. */
  follow(app: FastifyInstance): void;
  /**
   * Requests that came whole and are not answered yet: method and route, without what stands in the address, which may be a
   * code.
   */
  answering(): string[];
  /**
   * Ends connections on which nothing came, or half a request: nothing was begun for them that could be cut.
   *
   * @returns how many there were
   */
  endUnsent(): number;
}

interface Known {
  readonly what: string;
  isWhole(): boolean;
}

/** Names both ends of TLS: the connection and what is spoken inside it. */
const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

export function createUnderWay(): UnderWay {
  const sockets = new Map<Socket, string>();
  const requests = new Map<string, Set<Known>>();

  return {
    follow(app) {
      app.server.on('connection', (socket: Socket) => {
        sockets.set(socket, keyOf(socket));
        socket.once('close', () => sockets.delete(socket));
      });
      app.addHook('onRequest', async ({ raw, method, routeOptions }, reply) => {
        const key = keyOf(raw.socket);
        const ofSocket = requests.get(key) ?? new Set();
        requests.set(key, ofSocket);
        const known: Known = {
          what: `${method} ${routeOptions.url ?? '(no such address)'}`,
          // What no body is read of is answered whether or not it comes.
          isWhole: () => raw.complete || method === 'GET' || method === 'HEAD',
        };
        ofSocket.add(known);
        reply.raw.once('close', () => {
          ofSocket.delete(known);
          if (ofSocket.size === 0 && requests.get(key) === ofSocket) requests.delete(key);
        });
      });
    },

    answering: () =>
      [...requests.values()]
        .flatMap((known) => [...known])
        .filter((known) => known.isWhole())
        .map(({ what }) => what),

    endUnsent() {
      const isAnswered = (key: string) => [...(requests.get(key) ?? [])].some((known) => known.isWhole());
      const unsent = [...sockets].filter(([socket, key]) => !socket.destroyed && !isAnswered(key));
      for (const [socket] of unsent) socket.destroy();
      return unsent.length;
    },
  };
}
