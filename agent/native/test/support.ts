// A fake agent, the stage under sanitizers, and a terminal to run it in.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { after } from 'node:test';

export const nativeDir = join(import.meta.dirname, '..');
const distDir = join(nativeDir, '../../dist/native');
export const releasePath = join(distDir, 'identree-pam');
export const stagePath = join(distDir, 'test/identree-pam');
const ptyrunPath = join(distDir, 'test/ptyrun');
const driverPath = join(distDir, 'test/sudo-driver');
export const pluginPath = join(distDir, 'identree_sudo.so');
export const pamDriverPath = join(distDir, 'test/pam-driver');
export const modulePath = join(distDir, 'pam_identree.so');
const probePath = join(distDir, 'test/direct-probe');
export const patience = { timeout: 120_000 };

// Test files run at the same time; flock lets one of them build and the others wait.
for (const target of ['asan', 'all']) {
  mkdirSync(distDir, { recursive: true });
  const made = spawnSync('flock', [distDir, 'make', '-s', '-C', nativeDir, target], {
    encoding: 'utf8',
    timeout: 180_000,
  });
  if (made.status !== 0) throw new Error(`make ${target} failed:\n${made.stdout}${made.stderr}`);
}

export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'identree-native-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

export async function until(what: string, test: () => boolean | Promise<boolean>, ms = 90_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await test())) {
    if (performance.now() > deadline) throw new Error(`did not happen within ${ms} ms: ${what}`);
    await sleep(4);
  }
}

export function frame(type: string, payload: string | Uint8Array = ''): Buffer {
  const body = Buffer.from(payload as string);
  const head = Buffer.from([type.charCodeAt(0), body.length >> 8, body.length & 0xff]);
  return Buffer.concat([head, body]);
}

export const granted = Buffer.concat([frame('A'), frame('V', '0')]);

/** One connection of a stage to the fake agent, with everything it has sent so far. */
export interface Caller {
  readonly socket: Socket;
  bytes(): Buffer;
  ended(): boolean;
  /** The hello's `key=value` entries in order, as latin1 so that no byte is lost. */
  hello(): Promise<string[]>;
  /** What followed the hello, once the stage has closed the connection. */
  rest(): Promise<Buffer>;
}

export interface FakeAgent {
  readonly dir: string;
  readonly callers: Caller[];
  caller(): Promise<Caller>;
}

function toCaller(socket: Socket): Caller {
  let received = Buffer.alloc(0);
  let ended = false;
  const helloEnd = (): number => (received.length < 3 ? Infinity : 3 + received.readUInt16BE(1));
  let greeted: () => void;
  const greeting = new Promise<void>((done) => {
    greeted = done;
  });
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length >= helloEnd()) greeted();
  });
  socket.on('end', () => {
    ended = true;
  });
  socket.on('close', () => {
    ended = true;
  });
  socket.on('error', () => {});
  return {
    socket,
    bytes: () => received,
    ended: () => ended,
    async hello() {
      await greeting;
      const payload = received.subarray(3, helloEnd()).toString('latin1');
      if (received[0] !== 0x48 || !payload.endsWith('\0')) throw new Error('not a hello');
      return payload.slice(0, -1).split('\0');
    },
    async rest() {
      await until('the stage closes the connection', () => ended);
      return received.subarray(helloEnd());
    },
  };
}

/** A server on a fresh root-only folder's agent.sock. */
export async function startAgent(
  onCall: (caller: Caller) => void = () => {},
  dir = temporaryFolder(),
): Promise<FakeAgent> {
  const callers: Caller[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    const caller = toCaller(socket);
    callers.push(caller);
    onCall(caller);
  });
  await new Promise<void>((done) => server.listen(join(dir, 'agent.sock'), done));
  after(() => {
    for (const caller of callers) caller.socket.destroy();
    server.close();
  });
  return {
    dir,
    callers,
    async caller() {
      await until('the stage connects', () => callers.length > 0);
      return callers[0] as Caller;
    },
  };
}

export const answering = (...bytes: Uint8Array[]): Promise<FakeAgent> =>
  startAgent((caller) => {
    // Answered only after the hello, as the agent does: it cannot answer what it has not read.
    void caller.hello().then(() => caller.socket.end(Buffer.concat(bytes)));
  });

/** A direct gate that behaves as named; see direct-probe.c. */
export function directGate(behaviour: string): string {
  const path = join(temporaryFolder(), `direct-${behaviour}`);
  symlinkSync(probePath, path);
  return path;
}

export interface StageOptions {
  mode?: string;
  args?: string[];
  env?: Record<string, string>;
  cwd?: string;
  agentDir?: string;
  direct?: string;
  acceptMs?: number;
  silenceMs?: number;
  /** Put before the stage: a program that changes something and then runs it. */
  wrapper?: string[];
  binary?: string;
  stdin?: Uint8Array;
  /** Text goes where a release sends it: to standard error of whatever started the stage. */
  tellsParent?: boolean;
}

function environment(options: StageOptions): Record<string, string> {
  return {
    PAM_TYPE: 'auth',
    PAM_SERVICE: 'sudo',
    PAM_USER: 'root',
    PAM_RUSER: 'root',
    IDENTREE_TEST_SOCKET_DIR: options.agentDir ?? '/nonexistent/identree',
    IDENTREE_TEST_DIRECT: options.direct ?? '/nonexistent/direct',
    IDENTREE_TEST_ACCEPT_MS: String(options.acceptMs ?? 3_000),
    IDENTREE_TEST_SILENCE_MS: String(options.silenceMs ?? 10_000),
    // What a stage without a terminal says would be among what this process prints.
    ...(options.tellsParent ? {} : { IDENTREE_TEST_OWN_OUTPUT: '1' }),
    ...options.env,
  };
}

export interface Ended {
  code: number | null;
  signal: string | null;
  text: string;
  stderr: string;
  ms: number;
}

export interface Stage {
  readonly child: ChildProcess;
  text(): string;
  readonly ended: Promise<Ended>;
}

/** The stage without a terminal. */
export function startStage(options: StageOptions = {}): Stage {
  const argv = [...(options.wrapper ?? []), options.binary ?? stagePath, ...(options.args ?? [options.mode ?? 'sudo'])];
  const began = performance.now();
  const child = spawn(argv[0] as string, argv.slice(1), {
    env: environment(options),
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  let text = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.stdin ?? Buffer.alloc(0));
  const ended = new Promise<Ended>((done) =>
    child.on('close', (code, signal) => done({ code, signal, text, stderr, ms: performance.now() - began })),
  );
  after(() => child.kill('SIGKILL'));
  return { child, text: () => text, ended };
}

/** The plugin in a stand-in for sudo; see sudo-driver.c. Its stdout is what sudo got, its stderr what the person reads. */
export function startSudo(
  agentDir: string,
  args: readonly string[],
  env: Record<string, string> = {},
  wrapper: readonly string[] = [],
): Stage & { said(): string } {
  const [program, ...rest] = [...wrapper, driverPath, ...args] as [string, ...string[]];
  const child = spawn(program, rest, {
    env: {
      PATH: process.env.PATH ?? '',
      IDENTREE_TEST_SOCKET_DIR: agentDir,
      IDENTREE_TEST_DIRECT: '/nonexistent/direct',
      IDENTREE_TEST_START_MS: '300',
      IDENTREE_TEST_BACK_MS: '3000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let stderr = '';
  const began = performance.now();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((done) =>
    child.on('close', (code, signal) => done({ code, signal, text, stderr, ms: performance.now() - began })),
  );
  after(() => child.kill('SIGKILL'));
  return { child, text: () => text, said: () => stderr, ended };
}

export const runStage = (options: StageOptions = {}): Promise<Ended> => startStage(options).ended;

export interface Terminal {
  readonly tty: string;
  /** Process numbers, known once started. */
  pid(of: 'stage' | 'sudo' | 'shell'): number;
  command(line: string): Promise<void>;
  key(keys: string | Uint8Array): Promise<void>;
  modes(): Promise<string>;
  leftover(): Promise<string>;
  text(): string;
  output(): string;
  /** "exit 1" or "killed 15", as seen by sudo, or by the subreaper after sudo's death. */
  end(of?: 'stage' | 'orphan'): Promise<string>;
  lines: string[];
}

/** A shell in a terminal, in which the stage is started by a stand-in for sudo. */
export async function openTerminal(options: StageOptions & { flags?: string[] } = {}): Promise<Terminal> {
  const mode = options.mode ?? 'sudo';
  const child = spawn(ptyrunPath, [...(options.flags ?? []), stagePath, mode], {
    env: environment(options),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const stdin = child.stdin as Writable;
  const lines: string[] = [];
  let partial = '';
  (child.stdout as Readable).setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (partial + chunk).split('\n');
    partial = parts.pop() as string;
    lines.push(...parts);
  });
  after(() => stdin.end());
  stdin.on('error', () => {});

  const last = (start: string): string | undefined =>
    lines.findLast((line) => line.startsWith(start))?.slice(start.length);
  const count = (start: string): number => lines.filter((line) => line.startsWith(start)).length;
  const joined = (start: string): string =>
    Buffer.from(
      lines
        .filter((line) => line.startsWith(start))
        .map((line) => line.slice(start.length))
        .join(''),
      'hex',
    ).toString('utf8');
  const ask = async (line: string, answer: string): Promise<string> => {
    const before = count(answer);
    stdin.write(`${line}\n`);
    await until(`${line} is answered`, () => count(answer) > before);
    return last(answer) as string;
  };
  const acknowledged: Record<string, string> = {
    start: 'did s',
    'start bg': 'did S',
    bg: 'did b',
    fg: 'did f',
    shellmodes: 'did m',
    hup: 'did hup',
  };
  await until('the shell is ready', () => count('shell ') > 0);
  return {
    lines,
    tty: last('tty ') as string,
    pid: (of) => Number(last(`${of} `)?.match(/^\d+$/)?.[0]),
    async command(line) {
      await ask(line, acknowledged[line] as string);
      if (line.startsWith('start')) await until('the stage runs', () => count('stage ') > 0);
    },
    async key(keys) {
      await ask(`key ${Buffer.from(keys as string).toString('hex')}`, 'did key');
    },
    modes: () => ask('modes', 'modes '),
    async leftover() {
      const before = lines.length;
      stdin.write('leftover\n');
      await until('leftover is answered', () => lines.indexOf('leftover .', before) >= 0);
      const found = lines.slice(before).filter((l) => l.startsWith('leftover ') && !l.endsWith('.'));
      return Buffer.from(found.map((l) => l.slice(9)).join(''), 'hex').toString('latin1');
    },
    text: () => joined('text '),
    output: () => joined('out '),
    async end(of = 'stage') {
      const ends = (line: string): boolean => /^(exit|killed) /.test(line.slice(of.length + 1));
      const found = (): string | undefined => lines.find((line) => line.startsWith(`${of} `) && ends(line));
      await until(`${of} ends`, () => found() !== undefined);
      return (found() as string).slice(of.length + 1);
    },
  };
}

/** The local modes of a `modes` answer: iflag, oflag, cflag, lflag, VMIN, VTIME. */
export const localModes = (modes: string): number => Number.parseInt(modes.split(' ')[3] ?? '', 16);
export const ICANON = 0o2;
export const ISIG = 0o1;
export const ECHO = 0o10;

export function processIsGone(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

/** Field 22 of /proc/PID/stat, read independently of the code under test. */
export function startTime(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] as string;
}

export const isRoot = process.getuid?.() === 0;
