import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { frameLength } from '../ber/reader.ts';
import { SEQUENCE } from '../ber/tag.ts';
import { type Answer, readAnswers } from './messages.ts';

/** A client that does what it is told, however wrong that is. */
export interface WireClient {
  socket: Socket;
  write(...messages: Uint8Array[]): void;
  /** The next answer; rejects when the connection ends first. */
  next(): Promise<Answer>;
  /** Answers up to and including the one that ends operation `id`. */
  until(id: number): Promise<Answer[]>;
  /** Resolves with everything still unread when the connection has ended. */
  ended(): Promise<Answer[]>;
  /** Continues over TLS on the same connection. */
  upgrade(options: { ca?: string; cert?: string; key?: string }): Promise<void>;
  close(): void;
}

const ENTRY = 0x64;

/** @param within milliseconds that anything may take. */
export async function wireClient(
  port: number,
  { tls, within = 60_000 }: { tls?: { ca?: string; cert?: string; key?: string }; within?: number } = {},
): Promise<WireClient> {
  let socket: Socket = connect(port, '127.0.0.1');
  let buffered = Buffer.alloc(0);
  const answers: Answer[] = [];
  let over = false;
  let wake: () => void = () => {};

  function listen(): void {
    socket.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      let at = 0;
      for (;;) {
        const length = frameLength(buffered, at, buffered.length, SEQUENCE);
        if (length <= 0 || at + length > buffered.length) break;
        at += length;
      }
      if (at > 0) {
        answers.push(...readAnswers(buffered.subarray(0, at)));
        buffered = buffered.subarray(at);
      }
      wake();
    });
    socket.on('close', () => {
      over = true;
      wake();
    });
    socket.on('error', () => {});
  }

  async function changed(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      wake = resolve;
      timer = setTimeout(() => reject(new Error('nothing happened')), within);
    });
    clearTimeout(timer);
  }

  async function secure(options: { ca?: string; cert?: string; key?: string }): Promise<void> {
    socket.removeAllListeners();
    const upgraded = connectTls({ socket, servername: 'ldap.test', ...options });
    await new Promise<void>((resolve, reject) => {
      upgraded.once('secureConnect', resolve);
      upgraded.once('error', reject);
      upgraded.once('close', () => reject(new Error('closed in the handshake')));
    });
    upgraded.removeAllListeners();
    socket = upgraded;
    listen();
  }

  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  if (tls === undefined) listen();
  else await secure(tls);

  const client: WireClient = {
    get socket() {
      return socket;
    },
    write: (...messages) => {
      socket.write(Buffer.concat(messages));
    },
    async next() {
      while (answers.length === 0) {
        if (over) throw new Error('the connection has ended');
        await changed();
      }
      return answers.shift()!;
    },
    async until(id) {
      const found: Answer[] = [];
      for (;;) {
        const answer = await client.next();
        found.push(answer);
        if (answer.id === id && answer.tag !== ENTRY) return found;
      }
    },
    async ended() {
      while (!over) await changed();
      return answers.splice(0);
    },
    upgrade: secure,
    close: () => socket.destroy(),
  };
  return client;
}
