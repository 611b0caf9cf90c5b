import { connect } from 'node:net';
import type { Finding } from '../server/src/testing/journal.ts';

/** Somebody who follows what happens, as a browser does. */
export interface Watcher {
  /** The numbers of events that they were told of, in that order. */
  readonly seen: readonly number[];
  /** Why they follow no longer, or never did; null while they follow. */
  ended(): string | null;
  /** Reads nothing from now on, and stays. */
  stopReading(): void;
  leave(): void;
}

/** Follows live events with a session. Resolves when the server has taken it, or not. */
export function watch(port: number, cookie: string): Promise<Watcher> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const seen: number[] = [];
    let ended: string | null = null;
    let rest = '';
    const watcher: Watcher = {
      seen,
      ended: () => ended,
      stopReading: () => void socket.pause(),
      leave: () => void socket.destroy(),
    };
    const end = (why: string): void => {
      ended ??= why;
      resolve(watcher);
    };
    socket.setEncoding('latin1');
    socket.once('error', ({ message }) => end(message));
    socket.once('close', () => end('the server ended it'));
    socket.on('data', (text: unknown) => {
      rest += text as string;
      const [head = ''] = rest.split('\r\n', 1);
      if (head.startsWith('HTTP/') && !head.endsWith(' 200 OK')) {
        end(`${head.split(' ')[1]}: “${/"message":"([^"]*)"/.exec(rest)?.[1] ?? ''}”`);
        return socket.destroy();
      }
      if (rest.includes(': connected\n')) resolve(watcher);
      for (const [, seq] of rest.matchAll(/^id: (\d+)\ndata:/gm)) seen.push(Number(seq));
      rest = rest.slice(rest.lastIndexOf('\n\n') + 1);
      return undefined;
    });
    socket.write(`GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n\r\n`);
  });
}

/** What an administrator missed, or was told twice: every event is for them, so its number follows the one before it. */
export function gapsOf({ seen }: Pick<Watcher, 'seen'>): Finding[] {
  return seen.flatMap((seq, index): Finding[] => {
    const before = seen[index - 1];
    if (before === undefined || seq === before + 1) return [];
    const text = `somebody who follows was told of event ${seq} after ${before}`;
    return [{ kind: seq > before ? 'lost' : 'doubled', text }];
  });
}
