import { type BigIntStats, closeSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { apart, withinPatience } from './apart.ts';
import type { SudoPolicies } from './ask-sudo.ts';
import { leadsToUsers } from './mounts-of-users.ts';
import { riskyKind } from './risky-environment.ts';
import { variable } from './shown-argv.ts';
import type { SudoPolicy } from './sudo-policy.ts';

/** A folder by what it is, not by its name; by its name alone where an ordinary account answers for what it is. */
export interface FolderId {
  /** Path as the kernel shows it, exact bytes as latin1. */
  path: string;
  device: string;
  inode: string;
}

/** What /proc tells about the process that waits for the verdict. */
export interface ProcessFacts {
  /** Raw bytes: arguments, each ended by NUL. */
  cmdline: Buffer;
  /** Base name of the executable; null when it cannot be read. */
  program: string | null;
  cwd: FolderId | null;
  environ: {
    sudoReason: Buffer | null;
    locale: string;
    term: string;
    /** Names of the variables that can change what a program runs, sorted. Null when the environment cannot be read. */
    risky: readonly string[] | null;
  };
}

/** Reads processes; tests hand in a fixture tree. */
export interface ProcessReader {
  /** Start time, field 22 of stat, as decimal text; null when there is no such process. */
  startTime(pid: number): Promise<string | null>;
  /** The time now, as `startTime` counts it; null when it cannot be read. */
  now(): bigint | null;
  /** What its environment says, or null when the process is gone or was replaced while it was read. */
  environment(pid: number, startTime: string): Omit<ProcessFacts['environ'], 'risky'> | null;
  /** Everything, or null when the process is gone or was replaced while it was read. */
  capture(pid: number, startTime: string): Promise<ProcessFacts | null>;
  /** The path of its folder as it is called now, exact bytes as latin1; null when it cannot be read. */
  folder(pid: number): string | null;
  /**
   * The name of a terminal, if it is that of whoever asks: it belongs to that account, or the process has it as a standard
   * descriptor, as after `su`. sudo finds its own by number alone, which one of somebody else may have too: whoever makes a
   * namespace of users has terminals of an instance of their own in it (devpts), and each counts from 0.
   */
  terminal(pid: number, name: string, uid: number): Promise<string | null>;
  /** Whether the process has loaded a file of this path. */
  hasLoaded(pid: number, path: string): Promise<boolean>;
  /** Prefix under which the process's own file tree is seen (mount namespaces, chroot). */
  root(pid: number): string;
  /** What the rules of the sudo that this process is say of an account; null when that cannot be known. */
  sudoPolicy(pid: number, user: string): Promise<SudoPolicy | null>;
}

/** Linux caps all arguments together at 6 MiB. */
const MAX_CMDLINE = 8 * 1024 * 1024;
const MAX_ENVIRON = 8 * 1024 * 1024;
/** 52 numbers and a name. */
const MAX_STAT = 4096;

/** Names of devices in folders that only root adds to: each look at one is answered at once. */
const TERMINAL = /^\/dev\/(?:pts\/\d{1,10}|[A-Za-z][A-Za-z_]{0,30}\d{0,6})$/;
const STANDARD_DESCRIPTORS = [0, 1, 2];

/** Most of what is read here fits, and nothing is left to the collector that it has to hurry for. */
const CHUNK = 8 * 1024;

/** Of a process of root's, whose memory answers at once. */
function readCapped(path: string, limit: number): Buffer | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK);
      const bytesRead = readSync(file, chunk, 0, chunk.length, null);
      if (bytesRead === 0) return Buffer.concat(chunks);
      size += bytesRead;
      if (size > limit) return null;
      chunks.push(chunk.subarray(0, bytesRead));
    }
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

/** Field 22 of /proc/PID/stat. The name in parentheses may hold anything, so fields count from the last one. */
export function parseStartTime(statText: string): string | null {
  const start = statText.slice(statText.lastIndexOf(')') + 2).split(' ', 20)[19];
  return start !== undefined && /^\d+$/.test(start) ? start : null;
}

function riskyNames(environ: Buffer): string[] {
  const names = new Set<string>();
  for (const entry of environ.toString('latin1').split('\0')) {
    const name = entry.slice(0, Math.max(0, entry.indexOf('=')));
    if (riskyKind(name) !== null) names.add(name);
  }
  return [...names].sort();
}

/** The first of LC_ALL, LC_MESSAGES and LANG that says something (POSIX order). */
function locale(environ: Buffer): string {
  for (const name of ['LC_ALL', 'LC_MESSAGES', 'LANG']) {
    const value = variable(environ, name)?.toString('latin1') ?? '';
    if (value !== '') return value;
  }
  return '';
}

/**
 * Whether a line of /proc/PID/maps is of a file of this path: what follows its five fields is the whole path (proc(5)).
 * A folder of anybody's may be called like the end of such a line.
 */
function isMapped(line: string, path: string): boolean {
  const mapped = /^\S+ \S+ \S+ \S+ \S+ +(\/.*)$/.exec(line)?.[1];
  // The kernel adds that to what has been replaced since.
  return mapped === path || mapped === `${path} (deleted)`;
}

/**
 * @param sudo asks sudo for its rules. Without it nothing is known of them, and every command line of sudo is unparsed.
 */
export function createProcessReader(proc = '/proc', sudo: SudoPolicies = async () => null): ProcessReader {
  const of = (pid: number, name: string) => `${proc}/${pid}/${name}`;

  // Read at once: the kernel has it in memory and no process can hold it up, while each step through the thread pool costs
  // more than the read, several times for every sudo.
  const startTime = (pid: number) => {
    const stat = readCapped(of(pid, 'stat'), MAX_STAT);
    return stat && parseStartTime(stat.toString('latin1'));
  };

  const readEnvironment = (pid: number) => readCapped(of(pid, 'environ'), MAX_ENVIRON);

  const said = (environ: Buffer | null) => ({
    sudoReason: environ && variable(environ, 'SUDO_REASON'),
    locale: environ ? locale(environ) : '',
    term: environ ? (variable(environ, 'TERM')?.toString('latin1') ?? '') : '',
  });

  /** Where a link of a process leads, exact bytes as latin1; null when that cannot be read. */
  const linkOf = (pid: number, name: string): string | null => {
    try {
      return readlinkSync(of(pid, name), 'buffer').toString('latin1');
    } catch {
      return null;
    }
  };

  /** What a descriptor of a process leads to may be on a file system that never answers: only devices are looked at. */
  const hasOpen = async (pid: number, fd: number, node: BigIntStats): Promise<boolean> => {
    if (linkOf(pid, `fd/${fd}`)?.startsWith('/dev/') !== true) return false;
    const look = apart(() => stat(of(pid, `fd/${fd}`), { bigint: true })).catch(() => null);
    const info = await withinPatience(look, null);
    return info !== null && info.dev === node.dev && info.ino === node.ino;
  };

  const programOf = (pid: number): string | null => {
    const exe = linkOf(pid, 'exe');
    return exe === null ? null : exe.slice(exe.lastIndexOf('/') + 1).replace(/ \(deleted\)$/, '');
  };

  const readCwd = async (pid: number): Promise<FolderId | null> => {
    const path = linkOf(pid, 'cwd');
    if (path === null) return null;
    // It lies where whoever asks likes to be, also where they have each look wait: there is room for few of those.
    if (leadsToUsers(of(pid, 'root'), path)) return { path, device: '', inode: '' };
    try {
      const info = await withinPatience(
        apart(() => stat(of(pid, 'cwd'), { bigint: true })),
        null,
      );
      return info && { path, device: info.dev.toString(), inode: info.ino.toString() };
    } catch {
      return null;
    }
  };

  return {
    startTime: async (pid) => startTime(pid),
    environment(pid, expected) {
      // Here and below: the number may be given to another process at any time. What was read between two equal start
      // times is of one.
      if (startTime(pid) !== expected) return null;
      const environ = readEnvironment(pid);
      return startTime(pid) === expected ? said(environ) : null;
    },
    now() {
      const uptime = /^(\d+)\.(\d\d) /.exec(readCapped(`${proc}/uptime`, 256)?.toString('latin1') ?? '');
      // The kernel tells programs of 100 ticks a second, however many it has.
      return uptime && BigInt(`${uptime[1]}${uptime[2]}`);
    },
    folder: (pid) => linkOf(pid, 'cwd'),
    async terminal(pid, name, uid) {
      if (!TERMINAL.test(name)) return null;
      let node: BigIntStats;
      try {
        node = lstatSync(`${of(pid, 'root')}${name}`, { bigint: true });
      } catch {
        return null;
      }
      if (!node.isCharacterDevice()) return null;
      if (node.uid === BigInt(uid)) return name;
      const open = await Promise.all(STANDARD_DESCRIPTORS.map((fd) => hasOpen(pid, fd, node)));
      return open.includes(true) ? name : null;
    },
    async hasLoaded(pid, path) {
      const maps = await readFile(of(pid, 'maps'), 'latin1').catch(() => '');
      return maps.split('\n').some((line) => isMapped(line, path));
    },
    root: (pid) => of(pid, 'root'),
    sudoPolicy: (pid, user) => sudo({ exe: of(pid, 'exe'), root: of(pid, 'root') }, user),
    async capture(pid, expected) {
      if (startTime(pid) !== expected) return null;
      const cmdline = readCapped(of(pid, 'cmdline'), MAX_CMDLINE);
      const environ = readEnvironment(pid);
      const program = programOf(pid);
      const cwd = await readCwd(pid);
      if (cmdline === null || startTime(pid) !== expected) return null;
      return { cmdline, program, cwd, environ: { ...said(environ), risky: environ && riskyNames(environ) } };
    },
  };
}
