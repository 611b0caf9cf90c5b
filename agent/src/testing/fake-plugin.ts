import net from 'node:net';
import { frame, type HookResult, helloPayload, listenTo } from './fake-hook.ts';

/** The lists that sudo hands to its plugins. */
export interface PluginLists {
  settings?: readonly string[];
  userInfo?: readonly string[];
  commandInfo: readonly string[];
  argv?: readonly string[];
  environment?: readonly string[];
  token?: Buffer;
  reason?: string;
}

/** `sudo id`, typed by alice on a terminal. */
export const SUDO_ID = {
  settings: ['progname=sudo'],
  userInfo: ['user=alice', 'uid=1000', 'cwd=/usr', 'tty=/dev/null', 'lines=24', 'cols=80'],
  commandInfo: ['command=/usr/bin/id', 'runas_uid=0', 'runas_user=root'],
  argv: ['id'],
  environment: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8'],
} as const satisfies PluginLists;

export interface FakePlugin {
  result: Promise<HookResult>;
  isHeard(): boolean;
  /** All that sudo tells, for one that said nothing but its hello so far. */
  tells(lists: Partial<PluginLists>): void;
  says(words: string): Promise<void>;
  granted(): boolean | null;
  /** Resolves when the agent asks whether a verdict is used at once. */
  asked: Promise<void>;
  ready(): void;
  /** By what the next agent goes on. */
  token: Promise<Buffer>;
  send(type: string, payload: string): void;
  hangUp(): void;
  stream: net.Socket;
}

/** The plugin of sudo in TypeScript. `lists` null: it says nothing more than its hello. */
export function connectPlugin(
  socket: string,
  hello: Record<string, string | number>,
  lists: Partial<PluginLists> | null,
): FakePlugin {
  const stream = net.connect(socket);
  const asked = Promise.withResolvers<void>();
  const token = Promise.withResolvers<Buffer>();
  const kept: Buffer[] = [];
  const { result, isHeard, soFar, says } = listenTo(stream, (type, payload) => {
    if (type === 'P') soFar.text += `${payload.subarray(1)}\n`;
    else if (type === 'Q') asked.resolve();
    else if (type === 'K' && payload.length > 0) kept.push(payload);
    else if (type === 'K') token.resolve(Buffer.concat(kept));
  });
  stream.write(frame('H', helloPayload(hello)));
  const part = (letter: string, bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += 8191)
      stream.write(frame('D', Buffer.concat([Buffer.from(letter), bytes.subarray(at, at + 8191)])));
  };
  const list = (letter: string, strings: readonly string[] = []) =>
    part(letter, Buffer.from(strings.map((text) => `${text}\0`).join('')));
  const tells = (lists: Partial<PluginLists>) => {
    list('s', lists.settings);
    list('u', lists.userInfo);
    list('c', lists.commandInfo);
    list('a', lists.argv);
    list('e', lists.environment);
    if (lists.reason) part('r', Buffer.from(lists.reason));
    if (lists.token) part('k', lists.token);
    stream.write(frame('E', ''));
  };
  if (lists !== null) tells(lists);
  return {
    result,
    isHeard,
    tells,
    says,
    granted: () => soFar.granted,
    asked: asked.promise,
    ready: () => stream.write(frame('R', '')),
    token: token.promise,
    send: (type, payload) => stream.write(frame(type, payload)),
    hangUp: () => stream.destroy(),
    stream,
  };
}
