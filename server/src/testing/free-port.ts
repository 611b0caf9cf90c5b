import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const TRIES = 50;

/** Whether somebody could listen on this port of IPv4 loopback right now. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.on('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/**
 * A port that nobody listens on, for programs that have to be told theirs. Below the range from which the kernel gives
 * ports to outgoing connections: one from there can be taken again before the program listens.
 */
export async function freePort(): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) return port;
  }
  throw new Error('no free port');
}
