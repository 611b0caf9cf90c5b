import { createHash } from 'node:crypto';
import { type BigIntStats, constants, readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { posix } from 'node:path';
import type { UnrestrictedReason } from '#shared/decision.ts';
import { apart, NoLook, withinPatience } from './apart.ts';
import { changeableByUsers, followPath, isAtHand, type WalkedPath } from './walk-path.ts';

/** The program that the request would run, as far as the host can tell. */
export interface Target {
  /** Without symbolic links, bytes as latin1. */
  path: string;
  device: string;
  inode: string;
  /** Null when an account other than root can change what runs until it runs, and when the file is too large. */
  sha256: string | null;
  /** Size and times; stands in for the hash where there is none. */
  stamp: string;
}

export interface ResolvedTarget {
  target: Target | null;
  unrestricted: UnrestrictedReason[];
}

const SHELLS_FILE = '/etc/shells';

/** Larger files are identified by device, inode, size and times. */
export const MAX_HASHED_BYTES = 64 * 1024 * 1024;

/** Nothing is known of what would run. */
export const UNKNOWN: ResolvedTarget = { target: null, unrestricted: ['unparsed'] };

/** Programs whose purpose is to run whatever they are told. */
const SHELLS = new Set(
  `sh bash dash zsh fish ksh mksh tcsh csh ash rbash busybox su sudo sudoedit doas pkexec runuser setpriv chroot
  nsenter unshare script screen tmux systemd-run machinectl ssh capsh start-stop-daemon docker podman nerdctl lxc
  kubectl virsh at batch crontab`.split(/\s+/),
);
const EDITORS = new Set(
  `vi vim view vimdiff nvim rvim rview ex ed red nano pico rnano emacs emacsclient joe jed mcedit mc micro hx helix
  kak less more most man pg visudo vipw vigr vim.basic vim.tiny vim.nox crontab journalctl info`.split(/\s+/),
);
const INTERPRETERS =
  /^(python|pypy|perl|ruby|irb|node|nodejs|bun|deno|php|lua|luajit|tclsh|wish|expect|awk|gawk|mawk|nawk|sed|env|nice|nohup|timeout|xargs|find|time|stdbuf|setsid|ionice|chrt|taskset|strace|ltrace|gdb|watch|flock|make|gmake|git|tar|zip|rsync|java|jrunscript|R|Rscript|osascript|sqlite3|psql|mysql|openssl|apt|apt-get|dpkg|rpm|dnf|yum|pip|npm|cpan|gem|gcc|cc|ld\.so|ld-linux.*)[0-9.]*$/;

const ORDER: UnrestrictedReason[] = [
  'shell',
  'editor',
  'interpreter',
  'environment',
  'user-writable-target',
  'user-writable-path',
  'unparsed',
];

/** Each reason once, in the order of the schema, so that equal requests hash equally. */
export function orderReasons(reasons: Iterable<UnrestrictedReason>): UnrestrictedReason[] {
  const set = new Set(reasons);
  return ORDER.filter((reason) => set.has(reason));
}

/** How what is at a path is looked at: beside all else only what answers at once. */
const looksAt = (root: string, path: string) =>
  isAtHand(root, path) ? <T>(look: () => Promise<T>): Promise<T> => look() : apart;

/** Nobody waits for it: a file system may not answer to that either. */
function letGo(file: FileHandle): void {
  const close = () => file.close();
  void apart(close)
    .catch((error: unknown) => (error instanceof NoLook ? close() : undefined))
    .catch(() => undefined);
}

/** Opens exactly the file that a walk has found; null when it is another one by now, or no regular file. */
async function openFound(
  root: string,
  path: string,
  { dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>,
): Promise<{ file: FileHandle; info: BigIntStats } | null> {
  // O_NONBLOCK: a FIFO put there meanwhile must not hold up the agent, nor one who holds a lease on the file.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const look = looksAt(root, path);
  const file = await look(() => open(Buffer.from(`${root}${path}`, 'latin1'), flags)).catch(() => null);
  if (file === null) return null;
  const info = await look(() => file.stat({ bigint: true })).catch(() => null);
  if (info?.isFile() && info.dev === dev && info.ino === ino) return { file, info };
  letGo(file);
  return null;
}

/** Larger than any list of shells. */
const MAX_SHELLS_BYTES = 64 * 1024;

/** In another root the list may be anybody's, and anything. */
async function shellsText(root: string): Promise<string> {
  if (isAtHand(root, '/etc')) return readFileSync(`${root}${SHELLS_FILE}`, 'latin1');
  const walked = await followPath(root, SHELLS_FILE);
  const opened = typeof walked === 'string' ? null : await openFound(root, walked.real, walked.info);
  if (opened === null) return '';
  try {
    const text = Buffer.alloc(MAX_SHELLS_BYTES);
    const { bytesRead } = await apart(() => opened.file.read(text, 0, MAX_SHELLS_BYTES, 0));
    return text.toString('latin1', 0, bytesRead);
  } finally {
    letGo(opened.file);
  }
}

async function loginShells(root: string): Promise<Set<string>> {
  const text = await shellsText(root).catch(() => '');
  return new Set(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.startsWith('/')),
  );
}

const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1);

function kindReasons(names: readonly string[], paths: readonly string[], shells: Set<string>): UnrestrictedReason[] {
  const reasons: UnrestrictedReason[] = [];
  if (names.some((name) => SHELLS.has(name)) || paths.some((path) => shells.has(path))) reasons.push('shell');
  if (names.some((name) => EDITORS.has(name))) reasons.push('editor');
  if (names.some((name) => INTERPRETERS.test(name))) reasons.push('interpreter');
  return reasons;
}

/** The kernel reads the line of the interpreter from this many bytes. */
const HEAD_BYTES = 256;

/** What the reasons say may be another file when it runs has no hash: nothing that is signed may promise it. */
const ONLY_ROOT_CHANGES = (reasons: readonly UnrestrictedReason[]) =>
  !reasons.some((reason) => reason.startsWith('user-writable') || reason === 'unparsed');

/** How a file begins, and its hash; null when it is too large for one. */
interface Content {
  head: Buffer;
  sha256: string | null;
}

/**
 * Contents of files that nobody but root can change, by everything that a change to them leaves a trace in. Whoever could
 * write one without a new ctime (by its disk, with the clock set back) is root already, and needs no sudo. What others can
 * change is never kept here.
 */
const contents = new Map<string, Content>();
const CONTENTS_MAX = 512;

const SETTLED_NS = 2_000_000_000n;

/**
 * Whether another change would show. Two within one tick of the file system's clock have the same time, so what changed
 * just now may change again and look the same.
 *
 * @param ctimeNs last change of the file.
 * @param readAt when it began to be read, milliseconds.
 */
export const isSettled = (ctimeNs: bigint, readAt: number): boolean =>
  BigInt(readAt) * 1_000_000n - ctimeNs >= SETTLED_NS;

const stampOf = ({ size, mtimeNs, ctimeNs }: BigIntStats) => `${size}:${mtimeNs}:${ctimeNs}`;
const contentKey = (info: BigIntStats) => `${info.dev}:${info.ino}:${stampOf(info)}`;

function keepContent(info: BigIntStats, readAt: number, content: Content): void {
  if (!isSettled(info.ctimeNs, readAt)) return;
  contents.set(contentKey(info), content);
  if (contents.size > CONTENTS_MAX) contents.delete(contents.keys().next().value!);
}

/**
 * Opens exactly the file that the walk found. Null when it is another one by now, or no regular file.
 *
 * @param vouch told how the file begins; true when nobody but root can change what runs, so that a hash means something.
 */
export async function identify(
  root: string,
  path: string,
  device: bigint,
  inode: bigint,
  vouch: (head: Buffer) => Promise<boolean> = async () => true,
): Promise<Target | null> {
  const readAt = Date.now();
  const opened = await openFound(root, path, { dev: device, ino: inode });
  if (opened === null) return null;
  const { file, info } = opened;
  const look = looksAt(root, path);
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead: begun } = await look(() => file.read(head, 0, HEAD_BYTES, 0));
    let sha256: string | null = null;
    const vouched = await vouch(head.subarray(0, begun));
    if (vouched && info.size <= MAX_HASHED_BYTES) {
      const hash = createHash('sha256');
      const chunk = Buffer.allocUnsafe(256 * 1024);
      for (let read = 0; ; ) {
        const { bytesRead } = await look(() => file.read(chunk, 0, chunk.length, read));
        if (bytesRead === 0) break;
        read += bytesRead;
        // A file that grows while it is read is not one that can be vouched for.
        if (read > MAX_HASHED_BYTES) return null;
        hash.update(chunk.subarray(0, bytesRead));
      }
      sha256 = hash.digest('base64url');
    }
    if (vouched) keepContent(info, readAt, { head: head.subarray(0, begun), sha256 });
    return {
      path,
      device: device.toString(),
      inode: inode.toString(),
      sha256,
      stamp: stampOf(info),
    };
  } catch {
    return null;
  } finally {
    letGo(file);
  }
}

/** As `identify`, from what is known of the same file, if it is known. */
async function identifyWalked(
  root: string,
  { real, info }: WalkedPath,
  vouch: (head: Buffer) => Promise<boolean>,
): Promise<Target | null> {
  const known = info.isFile() ? contents.get(contentKey(info)) : undefined;
  if (known === undefined) return identify(root, real, info.dev, info.ino, vouch);
  const sha256 = (await vouch(known.head)) ? known.sha256 : null;
  return { path: real, device: info.dev.toString(), inode: info.ino.toString(), sha256, stamp: stampOf(info) };
}

/** How sudo finds a command word. Paths are bytes as latin1. */
export interface LookUp {
  /** Prefix under which the asking process sees its files; '' for our own. */
  root: string;
  /** Where a word without a slash is looked up; null when that is the asker's own PATH, or unknown. */
  securePath: readonly string[] | null;
  /** The command runs as root, who may pass every folder. sudo looks with the rights of whom it runs as. */
  asRoot: boolean;
}

const executable = ({ info }: WalkedPath) => info.isFile() && (info.mode & 0o111n) !== 0n;

interface Found {
  typed: string;
  walked: WalkedPath;
  /** In a folder that is searched before, an account other than root can put a program of this name. */
  overtaken: boolean;
}

/** So many folders that are not there are looked above at most, and so many are searched: a PATH may hold thousands. */
const MAX_ABSENT = 8;
const MAX_SEARCHED = 64;

/** Whether an account other than root can put something there, or make the folder if there is none. */
export async function othersCanAdd(root: string, folder: string, looked = 1): Promise<boolean> {
  const walked = await followPath(root, folder);
  if (walked === 'absent' && folder !== '/' && looked < MAX_ABSENT)
    return othersCanAdd(root, posix.dirname(folder), looked + 1);
  return typeof walked === 'string' || walked.userWritable || changeableByUsers(walked.info);
}

/** The file that a word leads to. Null when there is none, or sudo may find another one. */
async function find(word: string, by: LookUp): Promise<Found | null> {
  if (word.startsWith('/')) {
    const walked = await followPath(by.root, word);
    return typeof walked === 'string' || !executable(walked) ? null : { typed: word, walked, overtaken: false };
  }
  // From which folder a relative word counts, rules can change.
  if (word === '' || word.includes('/') || by.securePath === null || by.securePath.length > MAX_SEARCHED) return null;
  let overtaken = false;
  for (const folder of by.securePath) {
    const typed = `${folder}/${word}`;
    const walked = await followPath(by.root, typed);
    if (walked === 'unknown') return null;
    if (walked === 'absent' || !executable(walked)) {
      overtaken ||= (walked !== 'absent' && changeableByUsers(walked.info)) || (await othersCanAdd(by.root, folder));
      continue;
    }
    return walked.open || by.asRoot ? { typed, walked, overtaken } : null;
  }
  return null;
}

const writable = ({ walked, overtaken }: Found): UnrestrictedReason[] => [
  ...(changeableByUsers(walked.info) ? (['user-writable-target'] as const) : []),
  ...(walked.userWritable || overtaken ? (['user-writable-path'] as const) : []),
];

/** An interpreter may be a script again; the kernel gives up after this many. */
const MAX_INTERPRETERS = 5;

/** Whether an account other than root can change what interprets a script, from how the script begins (execve(2)). */
async function interpreterReasons(head: Buffer, by: LookUp, depth = 1): Promise<UnrestrictedReason[]> {
  if (head.subarray(0, 2).toString('latin1') !== '#!') return [];
  const newline = head.indexOf(0x0a);
  if ((newline === -1 && head.length === HEAD_BYTES) || depth > MAX_INTERPRETERS) return ['unparsed'];
  const line = head.subarray(2, newline === -1 ? head.length : newline).toString('latin1');
  const [, interpreter, argument = ''] = /^[ \t]*([^ \t\0]+)[ \t]*([^\0]*)/.exec(line) ?? [];
  if (interpreter === undefined) return [];
  const found = await programReasons(interpreter, by, depth);
  if (baseName(interpreter) !== 'env') return found;
  // env(1) looks the real interpreter up in the PATH that the command gets.
  const words = argument.trimEnd().startsWith('-S')
    ? argument
        .slice(2)
        .trim()
        .split(/[ \t]+/)
    : [argument.trimEnd()];
  const word = words.find((part) => !part.startsWith('-') && !part.includes('='));
  return [...found, ...(word === undefined ? (['unparsed'] as const) : await programReasons(word, by, depth))];
}

async function programReasons(word: string, by: LookUp, depth: number): Promise<UnrestrictedReason[]> {
  const program = await find(word, by);
  if (program === null) return ['unparsed'];
  const reasons = writable(program);
  const target = await identifyWalked(by.root, program.walked, async (head) => {
    reasons.push(...(await interpreterReasons(head, by, depth + 1)));
    return false;
  });
  return target === null ? ['unparsed'] : reasons;
}

/**
 * Finds the program behind a command word as sudo would, and everything that makes it "anything at all, as root".
 *
 * @param command the word as typed, bytes as latin1.
 */
export const resolveTarget = (command: string, by: LookUp): Promise<ResolvedTarget> =>
  withinPatience(lookUp(command, by), UNKNOWN);

async function lookUp(command: string, by: LookUp): Promise<ResolvedTarget> {
  const program = await find(command, by);
  if (program === null) return UNKNOWN;
  const { typed, walked } = program;
  const names = [baseName(typed), baseName(walked.real)];
  const reasons = kindReasons(names, [typed, walked.real], await loginShells(by.root));
  reasons.push(...writable(program));
  const target = await identifyWalked(by.root, walked, async (head) => {
    reasons.push(...(await interpreterReasons(head, by)));
    return ONLY_ROOT_CHANGES(reasons);
  });
  if (target === null) return UNKNOWN;
  return { target, unrestricted: orderReasons(reasons) };
}
