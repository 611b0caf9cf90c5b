import { connect } from 'node:net';
import type { Page } from '@playwright/test';
import { until, within } from '../../harness/run.ts';

/** Names of keys, as X calls their symbols. */
const KEYS = {
  Return: 0xff0d,
  Escape: 0xff1b,
  Up: 0xff52,
  Down: 0xff54,
  Control: 0xffe3,
  k: 0x6b,
  '1': 0x31,
  '2': 0x32,
  '3': 0x33,
} as const;

export type Key = keyof typeof KEYS;

const [PRESS, RELEASE, BUTTON_PRESS, BUTTON_RELEASE, MOVE] = [2, 3, 4, 5, 6];

/**
 * Keys and pointer of a display, for what belongs to the desktop and is no page: menus and questions. Speaks the X
 * protocol and its XTEST extension.
 *
 * @param display as in `:1`
 */
export async function openKeyboard(display: string) {
  const socket = connect(`/tmp/.X11-unix/X${display.slice(1)}`);
  let received = Buffer.alloc(0);
  let wake = () => {};
  let failure: Error | null = null;
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    wake();
  });
  const fail = (error: Error) => {
    failure = error;
    wake();
  };
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('the display closed the connection')));

  async function read(length: number): Promise<Buffer> {
    while (received.length < length) {
      if (failure) throw failure;
      const more = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await within('an answer of the display', more, 30_000);
    }
    const bytes = received.subarray(0, length);
    received = received.subarray(length);
    return bytes;
  }

  /** Sends a request that is answered. Nothing else is ever sent here, as no event was asked for. */
  async function ask(request: Buffer): Promise<Buffer> {
    socket.write(request);
    for (;;) {
      const head = await read(32);
      if (head[0] === 0) throw new Error(`the display refused a request: ${head[1]}`);
      if (head[0] === 1) return Buffer.concat([head, await read(head.readUInt32LE(4) * 4)]);
    }
  }

  const hello = Buffer.alloc(12);
  hello.set([0x6c, 0, 11]);
  socket.write(hello);
  const status = await read(8);
  const setup = await read(status.readUInt16LE(6) * 4);
  if (status[0] !== 1) throw new Error(`the display lets nobody in: ${setup.toString('latin1')}`);
  const padded = (length: number) => Math.ceil(length / 4) * 4;
  const root = setup.readUInt32LE(32 + padded(setup.readUInt16LE(16)) + setup[21]! * 8);
  const [firstCode, lastCode] = [setup[26]!, setup[27]!];

  /** A request about something that has a name: an extension, or a name itself. */
  function askNamed(kind: number, name: string): Promise<Buffer> {
    const request = Buffer.alloc(8 + padded(name.length));
    request[0] = kind;
    request.writeUInt16LE(request.length / 4, 2);
    request.writeUInt16LE(name.length, 4);
    request.write(name, 8, 'latin1');
    return ask(request);
  }
  const extension = await askNamed(98, 'XTEST');
  if (extension[8] !== 1) throw new Error('the display has no XTEST');
  const opcode = extension[9]!;

  const count = lastCode - firstCode + 1;
  const mapping = await ask(Buffer.from([101, 0, 2, 0, firstCode, count, 0, 0]));
  const codeOf = (key: Key | number): number => {
    const symbol = typeof key === 'number' ? key : KEYS[key];
    for (let at = 0; at < count; at++) {
      if (mapping.readUInt32LE(32 + at * mapping[1]! * 4) === symbol) return firstCode + at;
    }
    throw new Error(`no key gives ${key}`);
  };

  function fake(type: number, detail: number, x = 0, y = 0): void {
    const request = Buffer.alloc(36);
    request.set([opcode, 2, 9, 0, type, detail]);
    if (type === MOVE) request.writeUInt32LE(root, 12);
    request.writeInt16LE(x, 24);
    request.writeInt16LE(y, 26);
    socket.write(request);
  }
  /** Comes back once the display has done all of it. */
  const done = () => ask(Buffer.from([43, 0, 1, 0]));

  /** A request about a window. */
  function askAbout(window: number, kind: number, ...more: number[]): Promise<Buffer> {
    const request = Buffer.alloc(8 + more.length * 4);
    request[0] = kind;
    request.writeUInt16LE(request.length / 4, 2);
    request.writeUInt32LE(window, 4);
    for (const [at, value] of more.entries()) request.writeUInt32LE(value, 8 + at * 4);
    return ask(request);
  }
  const children = async (): Promise<number[]> => {
    const answer = await askAbout(root, 15);
    return Array.from({ length: answer.readUInt16LE(16) }, (_, at) => answer.readUInt32LE(32 + at * 4));
  };

  return {
    /** Where keys go: no window manager gives them to another window. */
    async point(x: number, y: number): Promise<void> {
      fake(MOVE, 0, x, y);
      await done();
    },
    /** How many windows there are: a menu that opens is one more. */
    windows: async (): Promise<number> => (await children()).length,
    /** What programs say of their windows under each of these names, as bytes; empty what is not said. */
    async properties<N extends string>(...names: N[]): Promise<Record<N, Buffer>[]> {
      const said: Record<N, Buffer>[] = [];
      for (const window of await children()) {
        const one = {} as Record<N, Buffer>;
        for (const name of names) {
          const atom = (await askNamed(16, name)).readUInt32LE(8);
          // Of whatever type, from its beginning to its end. The window may be gone by now.
          const answer = await askAbout(window, 20, atom, 0, 0, 0x00ff_ffff).catch(() => null);
          one[name] = answer ? answer.subarray(32, 32 + (answer.readUInt32LE(16) * answer[1]!) / 8) : Buffer.alloc(0);
        }
        said.push(one);
      }
      return said;
    },
    /** Presses what stands there with the first button of the pointer. */
    async click(x: number, y: number): Promise<void> {
      fake(MOVE, 0, x, y);
      fake(BUTTON_PRESS, 1);
      fake(BUTTON_RELEASE, 1);
      await done();
    },
    /** Types it, one key after the other: what needs no second key, as small letters, digits, dots and slashes. */
    async type(text: string): Promise<void> {
      for (const character of text) {
        const code = codeOf(character.charCodeAt(0));
        fake(PRESS, code);
        fake(RELEASE, code);
        await done();
      }
    },
    /** Presses all of them together. */
    async press(...keys: Key[]): Promise<void> {
      const codes = keys.map(codeOf);
      for (const code of codes) fake(PRESS, code);
      for (const code of codes.reverse()) fake(RELEASE, code);
      await done();
    },
    close: () => void socket.destroy(),
  };
}

/** Where the menus of the window begin, from its left edge. */
const MENUS = { identree: 25, servers: 95 } as const;

/**
 * Chooses a line of a menu, which stands along the upper edge of the window of the page.
 *
 * @param choice.line counted from 1, or from -1 backwards; what separates lines is none
 */
export async function chooseFromMenu(
  keyboard: Awaited<ReturnType<typeof openKeyboard>>,
  page: Page,
  { menu = 'identree', line }: { menu?: keyof typeof MENUS; line: number },
): Promise<void> {
  const [x, y] = (await page.evaluate('[screenX, screenY]')) as [number, number];
  const before = await keyboard.windows();
  await keyboard.click(x + MENUS[menu], y + 12);
  await until('the menu', async () => (await keyboard.windows()) > before);
  for (let at = 0; at < Math.abs(line); at++) await keyboard.press(line > 0 ? 'Down' : 'Up');
  await keyboard.press('Return');
}
