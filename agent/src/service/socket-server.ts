import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import net from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';

/** The agent's socket cannot be opened; the message says what to do. */
export class SocketError extends Error {}

/** More hooks at once than this are turned away: each holds memory and a connection to the server. */
const MAX_HOOKS = 512;

/** What is under way when the agent stops has so long to be answered, milliseconds. */
const LAST_ANSWERS_MS = 1500;

/** A hook that was answered and does not leave: a user who stopped it would keep a place from others. */
const LINGER_MS = 5000;

async function preparePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const info = await lstat(path);
  // Being able to connect is the whole authority of this socket.
  if (!info.isDirectory() || info.uid !== process.geteuid?.()) {
    throw new SocketError(`${path} must be a folder of the account that runs the agent. Remove it and start again.`);
  }
  // Never narrowed on our own: an operator who names a shared folder, /tmp say, would lock all others out of it.
  if ((info.mode & 0o077) !== 0) {
    throw new SocketError(`${path} is open to other accounts. Choose another folder, or run: chmod 700 ${path}`);
  }
}

const answers = (path: string) =>
  new Promise<boolean>((resolve) => {
    const probe = net.connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });

/** True when an agent listens on the socket. */
export const agentAnswers = answers;

export interface SocketServer {
  close(): Promise<void>;
}

/**
 * Listens in a folder that only its owner can enter.
 *
 * @param handle one conversation; resolves when the hook has its answer, and never rejects.
 * @param lingerMs how long a hook may take afterwards to close its side.
 * @throws SocketError
 */
export async function listen(
  path: string,
  handle: (stream: Duplex) => Promise<void>,
  lingerMs = LINGER_MS,
): Promise<SocketServer> {
  await preparePrivateFolder(dirname(path));
  if (await answers(path)) throw new SocketError(`An agent already listens on ${path}.`);
  await rm(path, { force: true });
  const streams = new Set<net.Socket>();
  const answering = new Set<Promise<void>>();
  const server = net.createServer((socket) => {
    if (streams.size >= MAX_HOOKS) return void socket.destroy();
    streams.add(socket);
    socket.on('close', () => streams.delete(socket));
    socket.on('error', () => undefined);
    const answered = handle(socket);
    answering.add(answered);
    void answered.finally(() => {
      answering.delete(answered);
      const leave = setTimeout(() => socket.destroy(), lingerMs);
      socket.once('close', () => clearTimeout(leave));
      if (socket.destroyed) clearTimeout(leave);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      let limit: NodeJS.Timeout | undefined;
      // Who is cut off before the answer is refused, though a yes may have been on its way.
      await Promise.race([
        Promise.allSettled(answering),
        new Promise((resolve) => {
          limit = setTimeout(resolve, LAST_ANSWERS_MS);
        }),
      ]);
      clearTimeout(limit);
      for (const socket of streams) socket.destroySoon();
      await closed;
    },
  };
}
