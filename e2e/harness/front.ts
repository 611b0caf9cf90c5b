import { connect, createServer, type Socket } from 'node:net';

/** One more way to a server: it hands bytes on, and can stop to do so as a server does that hangs or dies. */
export interface Front {
  /** How many connections were made to it. */
  readonly made: () => number;
  /** It takes connections, and everything that comes, and says nothing any more. */
  hang(): void;
  /** Its connections end, and nobody listens. */
  die(): Promise<void>;
}

export async function startFront(address: string, port: number, upstream: number): Promise<Front> {
  const open = new Set<Socket>();
  let made = 0;
  let isHanging = false;
  const server = createServer((socket) => {
    made += 1;
    open.add(socket.on('error', () => socket.destroy()).on('close', () => open.delete(socket)));
    const further = connect(upstream, address);
    further.on('error', () => socket.destroy());
    socket.on('data', (chunk) => void (isHanging || further.write(chunk)));
    further.on('data', (chunk) => void (isHanging || socket.write(chunk)));
    socket.on('close', () => further.destroy());
    further.on('close', () => void (isHanging || socket.destroy()));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
  return {
    made: () => made,
    hang() {
      isHanging = true;
    },
    async die() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
