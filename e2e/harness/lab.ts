import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { openTerminal, type Terminal, TYPED } from './pty.ts';
import { must, type RunOptions, type RunResult, run, until } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');
const LAB = join(ROOT, 'e2e/lab');
const MKHOST = join(LAB, 'mkhost.sh');

/** The people that every lab host knows; see ../lab/mklayer.sh. */
export const UID = { root: 0, alice: 2001, bob: 2002, carol: 2003, dave: 2004 } as const;
export type LabUser = keyof typeof UID;

export interface Certificates {
  ca: string;
  caFile: string;
  caKeyFile: string;
  cert: string;
  certFile: string;
  key: string;
  keyFile: string;
}

export interface TerminalOptions {
  /** Terminal width and height; the default is wide enough for a QR code. */
  size?: `${number}x${number}`;
  /** Further environment of the person's shell. */
  env?: Record<string, string>;
  cwd?: string;
}

/** A booted Debian machine. Paths in `read`, `write` and `remove` are not below /run, /tmp, /dev or /proc. */
export interface Host {
  readonly name: string;
  readonly address: string;
  /** Runs a command as root. */
  exec(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Runs a command as somebody else without a terminal. */
  as(user: LabUser, command: readonly string[], options?: RunOptions & TerminalOptions): Promise<RunResult>;
  /** Starts a command as somebody else without a terminal, for those who read while it runs. */
  start(user: LabUser, command: readonly string[]): ChildProcess & { stdout: Readable; stderr: Readable };
  /** Runs a shell script as root that has to succeed, and gives what it printed. */
  sh(script: string, options?: RunOptions): Promise<string>;
  /** Runs a command on a terminal of its own. */
  terminal(user: LabUser, command: readonly string[], options?: TerminalOptions): Terminal;
  /** The command that runs another one as root in here, inside of `outer` if that is not empty. */
  enter(outer: readonly string[], command: readonly string[]): [program: string, args: string[]];
  read(path: string): Promise<string>;
  exists(path: string): boolean;
  write(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  remove(path: string): Promise<void>;
  /** Where the root file system is on this machine. */
  readonly root: string;
  boot(): Promise<void>;
  /** Turns it off; what is on its disk is there when it boots again. */
  powerOff(): Promise<void>;
  /** Turns it off, and takes its disk away. */
  down(): Promise<void>;
}

export interface HostOptions {
  /** What the server's name means to the host. */
  serverAddress?: string;
  /** Debian 12 when absent. */
  suite?: Suite;
  /** Without systemd: a tiny init, and cron, sshd and rsyslog beside it. */
  plain?: boolean;
}

export interface Lab {
  readonly id: number;
  /** Address of the machine on the lab's network. */
  readonly serverAddress: string;
  readonly certs: Certificates;
  /** Scratch folder, removed with the lab. */
  readonly dir: string;
  /** Makes a host that is not booted yet. */
  prepare(name: string, options?: HostOptions): Promise<Host>;
  /** Makes and boots a host. */
  up(name: string, options?: HostOptions): Promise<Host>;
  /** One more address of this machine on the lab's network. */
  addAddress(lastByte: number): Promise<string>;
  /**
   * An address on the lab's network, the same in every lab but for its number, with a network of its own: its ports are
   * free whatever listens on this machine.
   */
  readonly frontAddress: string;
  /** Listens there, in this process, or on another address of that network. Whoever closes the server closes the port. */
  listenInFront(port: number, address?: string): Promise<Server>;
  /** The command that runs another one in that network. */
  enterFront(command: readonly string[]): Promise<string[]>;
  /** Ends this process when the lab goes, however it goes. */
  adopt(pid: number): void;
  close(): Promise<void>;
}

/** The name by which hosts and browsers know the server. */
export const SERVER_NAME = 'identree.example.com';

const TOOLS = ['mmdebstrap', 'systemd-nspawn', 'ip', 'nsenter', 'setpriv', 'openssl', 'ssh', 'ssh-keygen', 'cc'];

/** Why real-host tests cannot run here; null when they can. */
export function whyNoLab(): string | null {
  if (process.platform !== 'linux') return 'real hosts need Linux';
  if (process.getuid?.() !== 0) return 'real hosts need root: run the tests as root';
  const path = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin');
  const missing = TOOLS.filter((tool) => !path.some((folder) => existsSync(join(folder, tool))));
  return missing.length === 0 ? null : `real hosts need ${missing.join(', ')} on this machine`;
}

const cacheFolder = (): string =>
  process.env.LAB_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'identree-lab');

/** Compiles the C tools once per version of their source. */
async function buildTools(): Promise<string> {
  const sources = (await readdir(LAB)).filter((name) => name.endsWith('.c')).sort();
  const hash = createHash('sha256');
  for (const name of sources) hash.update(await readFile(join(LAB, name)));
  const folder = join(cacheFolder(), `tools-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  await mkdir(cacheFolder(), { recursive: true });
  const fresh = await mkdtemp(join(cacheFolder(), '.tools-'));
  for (const name of sources) {
    const kind = name.endsWith('.so.c') ? ['-shared', '-fPIC'] : ['-static'];
    await must('cc', ['-O2', '-Wall', ...kind, '-o', join(fresh, name.replace(/\.c$/, '')), join(LAB, name)]);
  }
  await rename(fresh, folder).catch(() => rm(fresh, { recursive: true }));
  return folder;
}

/** What belongs on every host: programs and a plugin that are built, and how they are installed. */
const PRODUCT = [
  'dist/agent/identree',
  'dist/native/identree-pam',
  'dist/native/identree_sudo.so',
  'dist/native/pam_identree.so',
  'agent/packaging/identree-agent.service',
  'agent/packaging/service.sh',
  'agent/packaging/init.sh',
  'agent/packaging/client.conf.example',
  'agent/packaging/install.sh',
].map((file) => join(ROOT, file));

/**
 * What a host can be made of: Debian 12, the same with what programs that call sudo over ssh need, and Debian 13, which
 * has that too, and sudo-rs beside sudo.
 */
export const SUITES = {
  bookworm: {},
  trixie: { LAB_SUITE: 'trixie', LAB_EXTRA: 'sudo-rs' },
} as const;
export type Suite = keyof typeof SUITES;

const withSuite = (suite: Suite): Record<string, string> => ({
  ...(process.env as Record<string, string>),
  ...SUITES[suite],
});

/** The layer with the product, made once per build of it and shared by all labs. */
async function productLayer(tools: string, suite: Suite): Promise<string> {
  const inputs = [...PRODUCT, join(LAB, 'mklayer.sh')];
  const env = withSuite(suite);
  const facts: string[] = [tools, (await must(MKHOST, ['key'], { env })).trim()];
  for (const file of inputs) {
    const info = await stat(file).catch(() => {
      throw new Error(`${file} is not there: run npm run build:agent first`);
    });
    facts.push(`${file} ${info.size} ${info.mtimeMs} ${info.ino}`);
  }
  const key = createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 16);
  const folder = join(cacheFolder(), `layer-${key}`);
  if (!existsSync(folder)) {
    const fresh = await mkdtemp(join(cacheFolder(), '.layer-'));
    // With what it copies of the distribution's image, which the first test of a distribution builds.
    await must(join(LAB, 'mklayer.sh'), [fresh, tools], { env, timeoutMs: 600_000 });
    await must('chmod', ['755', fresh]);
    await rename(fresh, folder).catch(() => rm(fresh, { recursive: true }));
  }
  const now = new Date();
  await utimes(folder, now, now);
  for (const name of await readdir(cacheFolder())) {
    const old = join(cacheFolder(), name);
    if (!name.startsWith('layer-')) continue;
    // Another process may have removed it since.
    const age = now.getTime() - (await stat(old).catch(() => ({ mtimeMs: now.getTime() }))).mtimeMs;
    if (age > 2 * 3_600_000) await rm(old, { recursive: true, force: true });
  }
  return folder;
}

/** Takes a lab number that nobody on this machine uses: making its bridge is the claim. */
async function claimNumber(): Promise<number> {
  for (let tries = 0; tries < 64; tries++) {
    const id = randomInt(1, 250);
    if ((await run('ip', ['link', 'add', `idl${id}`, 'type', 'bridge'])).code === 0) return id;
  }
  throw new Error('no free lab number');
}

/** Cleans up when its stdin ends, which also happens when this process is killed. Each line is a process to end. */
const REAPER = `
pids=()
while read -r pid; do pids+=("$pid"); done
[ -z "\${KEEP:-}" ] || exit 0
for pid in "\${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
"$1" down-all; rm -rf --one-file-system "$2"
`;

const FRONT = 'front';
/** The socket is made in the other network and handed over; where it came from makes no difference to its users. */
const LISTEN = `
const server = require('node:net').createServer();
server.listen(Number(process.argv[1]), process.argv[2], () => process.send('listening', server, () => process.exit(0)));
`;

function listenIn(network: string, address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      'nsenter',
      [`--net=/run/netns/${network}`, process.execPath, '-e', LISTEN, '--', String(port), address],
      { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
    );
    child.on('error', reject);
    let server: Server | null = null;
    child.on('message', (_, handle) => {
      server = handle as Server;
    });
    // Not before: as long as two processes hold it, each would get every other connection.
    child.on('exit', (code) => {
      if (server) resolve(server);
      else reject(new Error(`cannot listen on ${address}:${port} (exit ${code})`));
    });
  });
}

/** Opens a lab: a network of its own, certificates, and as many hosts as asked for. */
export async function openLab(): Promise<Lab> {
  const reason = whyNoLab();
  if (reason) throw new Error(reason);
  const tools = await buildTools();
  const layer = await productLayer(tools, 'bookworm');
  const dir = await mkdtemp(join(tmpdir(), 'identree-lab-'));
  const id = await claimNumber();
  const env = {
    PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: homedir(),
    LAB_ID: String(id),
    LAB_CACHE: cacheFolder(),
    LAB_STATE: join(dir, 'hosts'),
    LAB_LAYERS: layer,
    LAB_FAST_DOWN: '1',
    ...(process.env.KEEP ? { KEEP: process.env.KEEP } : {}),
  };
  const reaper: ChildProcess = spawn('bash', ['-c', REAPER, 'reaper', MKHOST, dir], {
    env,
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const reaped = new Promise<void>((resolve) => reaper.on('close', () => resolve()));
  reaper.stdin?.on('error', () => {});
  // Boots and mounts take a second, but not on a machine that is busy otherwise.
  const patient = { env, timeoutMs: 300_000 };
  const mkhost = (...args: string[]): Promise<string> => must(MKHOST, args, patient);

  await mkhost('net');
  const net = `10.77.${id}`;
  const certs = join(dir, 'certs');
  await must(join(LAB, 'mkcerts.sh'), [certs, SERVER_NAME, `${net}.1`]);
  const pem = async (name: string): Promise<string> => readFile(join(certs, name), 'utf8');
  const certificates: Certificates = {
    ca: await pem('ca.crt'),
    caFile: join(certs, 'ca.crt'),
    caKeyFile: join(certs, 'ca.key'),
    cert: await pem('server.crt'),
    certFile: join(certs, 'server.crt'),
    key: await pem('server.key'),
    keyFile: join(certs, 'server.key'),
  };

  async function prepare(name: string, options: HostOptions = {}): Promise<Host> {
    const vars: Record<string, string> = { ...env };
    if (options.suite)
      Object.assign(vars, SUITES[options.suite], { LAB_LAYERS: await productLayer(tools, options.suite) });
    if (options.serverAddress) vars.LAB_SERVER_ADDR = options.serverAddress;
    if (options.plain) vars.LAB_MODE = 'plain';
    await must(MKHOST, ['prepare', name], { ...patient, env: vars });
    const host = createHost(name, join(env.LAB_STATE, name), (...args) =>
      must(MKHOST, args, { ...patient, env: vars }),
    );
    await host.write('/usr/local/share/ca-certificates/lab.crt', certificates.ca);
    await host.write(
      '/etc/ssl/certs/ca-certificates.crt',
      (await host.read('/etc/ssl/certs/ca-certificates.crt')) + certificates.ca,
    );
    return host;
  }

  const frontAddress = `${net}.250`;
  let front: Promise<string> | null = null;
  const frontNetwork = `idl${id}-${FRONT}`;
  async function prepareFront(): Promise<void> {
    front ??= mkhost('prepare', FRONT, frontAddress);
    await front;
  }

  return {
    id,
    serverAddress: `${net}.1`,
    frontAddress,
    async listenInFront(port, address = frontAddress) {
      await prepareFront();
      return listenIn(frontNetwork, address, port);
    },
    async enterFront(command) {
      await prepareFront();
      return ['nsenter', `--net=/run/netns/${frontNetwork}`, ...command];
    },
    certs: certificates,
    dir,
    prepare,
    async up(name, options) {
      const host = await prepare(name, options);
      await host.boot();
      return host;
    },
    async addAddress(lastByte) {
      await must('ip', ['addr', 'add', `${net}.${lastByte}/24`, 'dev', `idl${id}`]);
      return `${net}.${lastByte}`;
    },
    adopt: (pid) => void reaper.stdin?.write(`${pid}\n`),
    async close() {
      reaper.stdin?.end();
      await reaped;
    },
  };
}

function createHost(
  name: string,
  state: string,
  mkhost: (...args: string[]) => Promise<string>,
): Host & { address: string } {
  const root = join(state, 'root');
  let leader = 0;
  let address = '';

  const enter = (user: LabUser, options: TerminalOptions, terminal: string[], command: readonly string[]): string[] => {
    const home = user === 'root' ? '/root' : `/home/${user}`;
    const vars = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: home,
      USER: user,
      LOGNAME: user,
      SHELL: '/bin/bash',
      LANG: 'C.UTF-8',
      TERM: 'xterm',
    };
    const become =
      user === 'root' ? [] : ['setpriv', `--reuid=${UID[user]}`, `--regid=${UID[user]}`, '--init-groups', '--'];
    return [
      ...['-t', String(leader), '-m', '-u', '-i', '-n', '-p', '-r', '-w', '--', 'env', '-i'],
      ...Object.entries(vars).map(([key, value]) => `${key}=${value}`),
      ...terminal,
      ...become,
      // The person's own environment and folder, as hostile as they like, start only after the change of user.
      ...[
        'env',
        '-C',
        options.cwd ?? home,
        ...Object.entries(options.env ?? {}).map(([key, value]) => `${key}=${value}`),
      ],
      ...command,
    ];
  };

  return {
    name,
    root,
    get address() {
      return address;
    },
    exec: (command, options = {}) => run('nsenter', enter('root', { cwd: '/' }, [], command), options),
    as: (user, command, options = {}) =>
      run('nsenter', enter(user, options, [], command), { ...options, env: undefined, cwd: undefined }),
    start: (user, command) => spawn('nsenter', enter(user, {}, [], command), { stdio: ['ignore', 'pipe', 'pipe'] }),
    sh: (script, options = {}) => must('nsenter', enter('root', { cwd: '/' }, [], ['sh', '-ec', script]), options),
    terminal: (user, command, options = {}) => {
      const size = ['-s', options.size ?? '100x50'];
      const pty = ['/usr/local/lib/lab/labpty', ...TYPED, '-u', String(UID[user]), ...size];
      return openTerminal('nsenter', enter(user, options, pty, command));
    },
    enter: (outer, command) => ['nsenter', enter('root', {}, [...outer], command)],
    read: (path) => readFile(join(root, path), 'utf8'),
    exists: (path) => existsSync(join(root, path)),
    async write(path, content, mode = 0o644) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content, { mode });
      await must('chmod', [mode.toString(8), join(root, path)]);
    },
    remove: (path) => rm(join(root, path), { recursive: true, force: true }),
    async boot() {
      await mkhost('up', name);
      address = (await readFile(join(state, 'addr'), 'utf8')).trim();
      leader = await until(`the first process of ${name}`, async () => Number(await mkhost('pid', name)));
    },
    async powerOff() {
      await mkhost('off', name);
      leader = 0;
    },
    async down() {
      await mkhost('down', name);
      leader = 0;
    },
  };
}

/** A terminal on this machine, for programs such as ssh that talk to a host. */
export async function localTerminal(command: readonly string[]): Promise<Terminal> {
  return openTerminal(join(await buildTools(), 'labpty'), [...TYPED, ...command]);
}
