import net from 'node:net';
import type { Duplex } from 'node:stream';

/** What a hook was told. */
export interface HookResult {
  /** null: the connection ended without a verdict. */
  granted: boolean | null;
  text: string;
  alive: number;
  /** Bytes after the verdict: must be none. */
  trailing: number;
}

export interface FakeHook {
  result: Promise<HookResult>;
  /** Resolves once the text so far contains the words. */
  says(words: string): Promise<void>;
  /** Answers a prompt. */
  type(line: string): void;
  cancel(reason: string): void;
  hangUp(): void;
  stream: Duplex;
}

export function frame(type: string, payload: Buffer | string): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.from([type.charCodeAt(0), bytes.length >> 8, bytes.length & 0xff]);
  return Buffer.concat([head, bytes]);
}

export function helloPayload(fields: Record<string, string | number>): Buffer {
  return Buffer.from(
    Object.entries(fields)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
  );
}

/** A native hook in TypeScript. */
export function attachHook(stream: Duplex, hello: Record<string, string | number> | Buffer): FakeHook {
  let pending = Buffer.alloc(0);
  const result: HookResult = { granted: null, text: '', alive: 0, trailing: 0 };
  const listeners = new Set<() => void>();
  const done = new Promise<HookResult>((resolve) => {
    stream.on('close', () => resolve(result));
    stream.on('end', () => stream.end());
  });
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 3) {
      const length = pending.readUInt16BE(1);
      if (pending.length < 3 + length) break;
      const type = String.fromCharCode(pending[0]!);
      const payload = pending.subarray(3, 3 + length).toString('utf8');
      pending = pending.subarray(3 + length);
      if (result.granted !== null) result.trailing += 3 + length;
      else if (type === 'A') result.alive += 1;
      else if (type === 'T') result.text += `${payload}\n`;
      else if (type === 'P') result.text += payload.slice(1);
      else if (type === 'V') result.granted = payload === '0';
    }
    for (const listener of [...listeners]) listener();
  });
  stream.write(frame('H', Buffer.isBuffer(hello) ? hello : helloPayload(hello)));
  return {
    result: done,
    says: (words) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!result.text.includes(words)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        void done.then(() => {
          if (!result.text.includes(words)) reject(new Error(`never said "${words}", but:\n${result.text}`));
        });
      }),
    type: (line) => stream.write(frame('S', line)),
    cancel: (reason) => stream.write(frame('C', reason)),
    hangUp: () => stream.destroy(),
    stream,
  };
}

export const connectHook = (socket: string, hello: Record<string, string | number> | Buffer): FakeHook =>
  attachHook(net.connect(socket), hello);
