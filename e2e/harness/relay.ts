import { connect, type Server, type Socket, type TcpNetConnectOpts } from 'node:net';

/**
 * Leads the connections of a server on to another one, and understands nothing of them.
 *
 * @returns `close` ends the server and all connections: a host that is gone answers the end of none
 */
export function relay(server: Server, upstream: TcpNetConnectOpts): { close(): void } {
  const sockets = new Set<Socket>();
  server.on('connection', (client) => {
    const behind = connect(upstream);
    client.pipe(behind).pipe(client);
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => sockets.delete(one));
    }
  });
  return {
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
