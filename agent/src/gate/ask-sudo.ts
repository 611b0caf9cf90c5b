import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '../platform/clock.ts';
import { confined } from '../platform/confined.ts';
import { createTurns } from '../platform/in-turn.ts';
import type { Log } from '../platform/log.ts';
import { parseSudoPolicy, parseSudoRsPolicy, SUDO_PROGRAMS, type SudoPolicy } from './sudo-policy.ts';
import { changeableByUsers, walkPath } from './walk-path.ts';

/** Asks the sudo that a process runs what its rules say of an account. Null when that cannot be known. */
export type SudoPolicies = (process: { exe: string; root: string }, user: string) => Promise<SudoPolicy | null>;

/** Runs a program as root with nothing but these variables. Null when it failed, or said more than it could have. */
export type RunSudo = (
  program: string,
  args: readonly string[],
  env: Record<string, string>,
) => Promise<{ stdout: string; stderr: string } | null>;

export interface AskSudoDeps {
  run: RunSudo;
  clock: Clock;
  log: Pick<Log, 'warn'>;
  /** Prefix of the files that are read; '' but in tests. */
  root?: string;
}

const LIMIT_MS = 5000;
const MAX_OUTPUT = 512 * 1024;
/** Names of hosts and members of groups are not files: whatever else a rule may depend on is asked this often. */
const REMEMBERED_MS = 60_000;
const MAX_REMEMBERED = 512;

/** sudo breaks lines at the width of the terminal, in the middle of what is read here. */
const ENVIRONMENT = { LC_ALL: 'C', COLUMNS: '1000000', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

/** No folder of this name: a command that has it in its PATH got it from us. */
const OWN_PATH = '/identree-asks';

/**
 * sudo needs rights that the agent's unit has given up, and sees other networks and names from inside of its sandbox: the
 * service manager starts it outside, where people start theirs.
 */
export const runSudo: RunSudo = async (program, args, env) => {
  // The manager would expand these.
  const outside = await confined();
  if (outside && args.some((word) => /[$%]/.test(word))) return null;
  const variables = Object.entries(env).map(([name, value]) => `--setenv=${name}=${value}`);
  const [command, words] = outside
    ? ['/usr/bin/systemd-run', ['--quiet', '--pipe', '--wait', '--collect', ...variables, '--', program, ...args]]
    : [program, args];
  return new Promise((resolve) => {
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/', env, timeout: LIMIT_MS });
    const printed = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        if (printed[stream].length <= MAX_OUTPUT) printed[stream] += text;
      });
    }
    child.on('error', () => resolve(null));
    child.on('close', (code) => resolve(code === 0 && printed.stdout.length <= MAX_OUTPUT ? printed : null));
  });
};

/** The file that a process runs, if it is under that name here too and only root can change it. */
async function ownProgram(process: { exe: string; root: string }): Promise<{ path: string; id: string } | null> {
  try {
    const path = await readlink(process.exe);
    if (!SUDO_PROGRAMS.has(basename(path))) return null;
    const [running, walked, theirs, ours] = await Promise.all([
      stat(process.exe, { bigint: true }),
      walkPath('', path),
      stat(`${process.root}/`, { bigint: true }),
      stat('/', { bigint: true }),
    ]);
    if (theirs.dev !== ours.dev || theirs.ino !== ours.ino) return null;
    const named = walked?.info;
    if (!walked || !named || running.dev !== named.dev || running.ino !== named.ino) return null;
    // It is started as root: nobody may put another one there meanwhile.
    if (walked.real !== path || walked.userWritable || changeableByUsers(named)) return null;
    return { path, id: `${path} ${named.dev}:${named.ino}:${named.size}:${named.ctimeNs}` };
  } catch {
    return null;
  }
}

export function createSudoPolicies({ run, clock, log, root = '' }: AskSudoDeps): SudoPolicies {
  const remembered = new Map<string, { policy: SudoPolicy | null; sources: string; at: number }>();

  const or = <T>(otherwise: T, look: () => T): T => {
    try {
      return look();
    } catch {
      return otherwise;
    }
  };
  // At once: these are root's own files, which every sudo reads anyway, and there are dozens of looks for each request.
  const text = (path: string) => or('', () => readFileSync(join(root, path), 'latin1'));
  const names = (folder: string) => or([], () => readdirSync(join(root, folder))).sort();

  function sudoersTexts(): string {
    const own = text('/etc/sudoers-rs');
    const parts = [own === '' ? text('/etc/sudoers') : own];
    for (const folder of ['/etc/sudoers.d', '/etc/sudoers-rs.d']) {
      for (const name of names(folder)) parts.push(text(`${folder}/${name}`));
    }
    return parts.join('\n');
  }

  /** What every file that rules may come from is right now. Null: they may come from elsewhere, so ask each time. */
  function sources(sudoers: string): string | null {
    const included = sudoers.matchAll(/^[ \t]*[@#]include(?:dir)?[ \t]+("[^"\n]*"|\S+)/gm);
    for (const [, path] of included) {
      if (!/^"?\/etc\/sudoers(-rs)?\.d(\/[^/]*)?"?$/.test(path!)) return null;
    }
    const services = /^[ \t]*sudoers:(.*)$/m.exec(text('/etc/nsswitch.conf'))?.[1] ?? 'files';
    const words = services.replace(/\[[^\]]*\]|#.*/g, ' ').split(/\s+/);
    if (words.some((word) => word !== '' && word !== 'files' && word !== 'sss')) return null;
    const files =
      '/etc/sudoers /etc/sudoers-rs /etc/sudo.conf /etc/nsswitch.conf /etc/hosts /etc/passwd /etc/group'.split(' ');
    for (const folder of ['/etc/sudoers.d', '/etc/sudoers-rs.d', '/var/lib/sss/db']) {
      files.push(folder, ...names(folder).map((name) => `${folder}/${name}`));
    }
    const stamps = files.map((file) => {
      const info = or(null, () => statSync(join(root, file), { bigint: true }));
      return `${file} ${info && [info.dev, info.ino, info.size, info.mtimeNs, info.ctimeNs].join(':')}`;
    });
    return stamps.join('\n');
  }

  /** @returns null when it did not answer */
  async function ask(program: string, user: string, sudoers: string): Promise<{ policy: SudoPolicy | null } | null> {
    const [version, listing] = await Promise.all([
      run(program, ['-V'], ENVIRONMENT),
      run(program, ['-l', '-U', user], ENVIRONMENT),
    ]);
    if (version === null || listing === null) return null;
    if (version.stdout.startsWith('Sudo version 1.')) return { policy: parseSudoPolicy(listing.stdout) };
    // This one says it among its errors.
    if (!version.stderr.startsWith('sudo-rs ')) return { policy: null };
    if (/^[ \t]*[@#]include(?:dir)?[ \t]+(?!"?\/etc\/sudoers(-rs)?\.d)/m.test(sudoers)) return { policy: null };
    const shown = await run(program, ['-n', '--', '/usr/bin/printenv', 'PATH'], { ...ENVIRONMENT, PATH: OWN_PATH });
    if (shown === null) return null;
    const path = shown.stdout.trim();
    const policy = parseSudoRsPolicy({ listing: listing.stdout, path: path === OWN_PATH ? null : path, sudoers });
    return { policy };
  }

  /** What counts now; undefined: it has to be asked. */
  function recall(key: string, now: string | null): SudoPolicy | null | undefined {
    const known = remembered.get(key);
    return known && known.sources === now && clock.monotonic() - known.at < REMEMBERED_MS ? known.policy : undefined;
  }

  async function look(key: string, program: string, user: string): Promise<SudoPolicy | null> {
    const sudoers = sudoersTexts();
    // Looked at before sudo is: what changes meanwhile is asked again the next time.
    const now = sources(sudoers);
    const known = recall(key, now);
    if (known !== undefined) return known;
    const answer = await ask(program, user, sudoers);
    const policy = answer?.policy ?? null;
    // Without a word nobody would find out why every request of a host is unrestricted root.
    if (policy === null) log.warn(`${program} does not tell what its rules do for ${user}; the request is unparsed`);
    remembered.delete(key);
    if (now !== null && answer !== null) remembered.set(key, { policy, sources: now, at: clock.monotonic() });
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!);
    return policy;
  }

  // Each look starts several programs as root, for whoever types sudo, with rules or without: those of one account wait for
  // each other, so that those of all others need not.
  const inTurn = createTurns(clock);

  return async (process, user) => {
    const program = await ownProgram(process);
    if (program === null) return null;
    const key = `${program.id}\0${user}`;
    const known = recall(key, sources(sudoersTexts()));
    if (known !== undefined) return known;
    let policy: SudoPolicy | null = null;
    await inTurn(key, 0, async () => {
      policy = await look(key, program.path, user);
    });
    return policy;
  };
}
