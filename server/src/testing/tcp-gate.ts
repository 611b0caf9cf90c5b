import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server on which packets can be lost. */
export interface TcpGate {
  readonly port: number;
  /** From now on nothing arrives on either side, and nobody is told. */
  lose(): void;
  /** What comes is forwarded again. What was lost stays lost. */
  forward(): void;
  close(): Promise<void>;
}

/**
 * Forwards connections on a port of its own.
 *
 * @param target the socket file of a server, or its port on loopback at the time at which somebody connects
 */
export async function openTcpGate(target: string | (() => number)): Promise<TcpGate> {
  let losing = false;
  const sockets = new Set<Socket>();
  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  }
  function pass(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (!losing) to.write(chunk);
    });
    from.on('close', () => {
      if (!losing) to.destroy();
    });
  }
  const server = createServer({ allowHalfOpen: true }, (near) => {
    keep(near);
    // Somebody who connects while packets are lost would not even be answered; here the kernel does that.
    if (losing) return;
    const far = typeof target === 'string' ? connect(target) : connect(target(), '127.0.0.1');
    keep(far);
    pass(near, far);
    pass(far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    lose() {
      losing = true;
    },
    forward() {
      losing = false;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
