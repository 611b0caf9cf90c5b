import { connect, type Socket } from 'node:net';
import { frameLength } from '../../server/src/ldap/ber/reader.ts';
import { SEQUENCE } from '../../server/src/ldap/ber/tag.ts';
import { type Answer, readAnswers } from '../../server/src/ldap/testing/messages.ts';

/** Attackers have many addresses: the whole of 127/8 is this machine. */
export const addressOf = (n: number): string => `127.0.${1 + (Math.floor(n / 250) % 250)}.${1 + (n % 250)}`;

export interface HostileClient {
  socket: Socket;
  /** Results and notices that have come, entries only counted. */
  results: Answer[];
  entries: number;
  octets: number;
  closed: boolean;
  /** Resolves when the connection is over, or after so long. @returns whether it is over. */
  over(milliseconds: number): Promise<boolean>;
  /** Resolves when `isTrue`, or when the connection is over, or after so long. @returns whether it is true. */
  until(isTrue: () => boolean, milliseconds: number): Promise<boolean>;
}

const ENTRY = 0x64;

/** Connects from one of the attacker's addresses. @returns null when there is no connection to be had. */
export async function dial(port: number, n: number, { read = true } = {}): Promise<HostileClient | null> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: addressOf(n), noDelay: true });
  const client: HostileClient = {
    socket,
    results: [],
    entries: 0,
    octets: 0,
    closed: false,
    over: (milliseconds) => client.until(() => client.closed, milliseconds),
    async until(isTrue, milliseconds) {
      const end = performance.now() + milliseconds;
      while (!isTrue() && !client.closed && performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return isTrue();
    },
  };
  const isConnected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    client.closed = true;
  });
  if (!isConnected) return null;
  if (read) listen(client);
  else socket.pause();
  return client;
}

function listen(client: HostileClient): void {
  let rest: Buffer = Buffer.alloc(0);
  client.socket.on('data', (chunk: Buffer) => {
    client.octets += chunk.length;
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const length = frameLength(rest, at, rest.length, SEQUENCE);
      if (length <= 0 || at + length > rest.length) break;
      const message = rest.subarray(at, at + length);
      at += length;
      if (isEntry(message)) client.entries++;
      else client.results.push(...readAnswers(message));
    }
    rest = Buffer.from(rest.subarray(at));
  });
}

/** Whether a message is an entry, without reading all of it. */
function isEntry(message: Buffer): boolean {
  const head = message[1]! < 0x80 ? 2 : 2 + (message[1]! & 0x7f);
  return message[head + 2 + message[head + 1]!] === ENTRY;
}
