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
  /** Whether the gate has read what it began with. */
  isHeard(): boolean;
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

/** What an agent says to a hook, as it comes. */
export interface Heard extends Pick<FakeHook, 'result' | 'isHeard' | 'says'> {
  /** What came so far. */
  soFar: HookResult;
}

/** Listens to an agent. `other` is given what not every hook is told, and may add to the text. */
export function listenTo(stream: Duplex, other: (type: string, payload: Buffer, soFar: HookResult) => void): Heard {
  let pending = Buffer.alloc(0);
  const soFar: HookResult = { granted: null, text: '', alive: 0, trailing: 0 };
  const listeners = new Set<() => void>();
  const result = new Promise<HookResult>((resolve) => {
    stream.on('close', () => resolve(soFar));
    stream.on('end', () => stream.end());
  });
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 3 && pending.length >= 3 + pending.readUInt16BE(1)) {
      const end = 3 + pending.readUInt16BE(1);
      const type = String.fromCharCode(pending[0]!);
      const payload = Buffer.from(pending.subarray(3, end));
      pending = pending.subarray(end);
      if (soFar.granted !== null) soFar.trailing += end;
      else if (type === 'A') soFar.alive += 1;
      else if (type === 'T') soFar.text += `${payload}\n`;
      else if (type === 'V') soFar.granted = payload.toString() === '0';
      else other(type, payload, soFar);
    }
    for (const listener of [...listeners]) listener();
  });
  return {
    soFar,
    result,
    isHeard: () => soFar.alive > 0,
    says: (words) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!soFar.text.includes(words)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        void result.then(() => {
          if (!soFar.text.includes(words)) reject(new Error(`never said "${words}", but:\n${soFar.text}`));
        });
      }),
  };
}

/** A native hook in TypeScript. */
export function attachHook(stream: Duplex, hello: Record<string, string | number> | Buffer): FakeHook {
  const { result, isHeard, says } = listenTo(stream, (type, payload, soFar) => {
    if (type === 'P') soFar.text += payload.subarray(1).toString();
  });
  stream.write(frame('H', Buffer.isBuffer(hello) ? hello : helloPayload(hello)));
  return {
    result,
    isHeard,
    says,
    type: (line) => stream.write(frame('S', line)),
    cancel: (reason) => stream.write(frame('C', reason)),
    hangUp: () => stream.destroy(),
    stream,
  };
}

export const connectHook = (socket: string, hello: Record<string, string | number> | Buffer): FakeHook =>
  attachHook(net.connect(socket), hello);
