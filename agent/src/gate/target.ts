import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { UnrestrictedReason } from '#shared/decision.ts';
import { changeableByUsers, walkPath } from './walk-path.ts';

/** The program that the request would run, as far as the host can tell. */
export interface Target {
  /** Without symbolic links, bytes as latin1. */
  path: string;
  device: string;
  inode: string;
  /** Null when the file is too large to hash. */
  sha256: string | null;
  /** Size and times; stands in for the hash where there is none. */
  stamp: string;
}

export interface ResolvedTarget {
  target: Target | null;
  unrestricted: UnrestrictedReason[];
}

/** Larger files are identified by device, inode, size and times. */
export const MAX_HASHED_BYTES = 64 * 1024 * 1024;

const UNKNOWN: ResolvedTarget = { target: null, unrestricted: ['unparsed'] };

const LOOK_UP_MS = 5000;

/** Where sudo looks for a command without a slash: the secure_path of common distributions. */
const SECURE_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

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
  'user-writable-target',
  'user-writable-path',
  'unparsed',
];

/** Each reason once, in the order of the schema, so that equal requests hash equally. */
export function orderReasons(reasons: Iterable<UnrestrictedReason>): UnrestrictedReason[] {
  const set = new Set(reasons);
  return ORDER.filter((reason) => set.has(reason));
}

async function loginShells(root: string): Promise<Set<string>> {
  const text = await readFile(`${root}/etc/shells`, 'latin1').catch(() => '');
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

/** Opens and hashes exactly the file that the walk found. Null when it is another one by now, or no regular file. */
export async function identify(root: string, path: string, device: bigint, inode: bigint): Promise<Target | null> {
  // O_NONBLOCK: a FIFO put there meanwhile must not hold up the agent.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(Buffer.from(`${root}${path}`, 'latin1'), flags).catch(() => null);
  if (file === null) return null;
  try {
    const info = await file.stat({ bigint: true });
    if (!info.isFile() || info.dev !== device || info.ino !== inode) return null;
    let sha256: string | null = null;
    if (info.size <= MAX_HASHED_BYTES) {
      const hash = createHash('sha256');
      const chunk = Buffer.allocUnsafe(256 * 1024);
      for (let read = 0; ; ) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
        if (bytesRead === 0) break;
        read += bytesRead;
        // A file that grows while it is read is not one that can be vouched for.
        if (read > MAX_HASHED_BYTES) return null;
        hash.update(chunk.subarray(0, bytesRead));
      }
      sha256 = hash.digest('base64url');
    }
    return {
      path,
      device: device.toString(),
      inode: inode.toString(),
      sha256,
      stamp: `${info.size}:${info.mtimeNs}:${info.ctimeNs}`,
    };
  } catch {
    return null;
  } finally {
    await file.close();
  }
}

/**
 * Finds the program behind a command word as sudo would, and everything that makes it "anything at all, as root".
 *
 * @param command the word as typed, bytes as latin1.
 * @param context.root prefix under which the asking process sees its files; '' for our own.
 * @param context.cwd working folder of the asking process; null when unknown.
 */
export async function resolveTarget(
  command: string,
  context: { root: string; cwd: string | null },
): Promise<ResolvedTarget> {
  // A file system that does not answer (network, FUSE) must not keep the person from hearing anything.
  const limit = new AbortController();
  const patience = setTimeout(LOOK_UP_MS, UNKNOWN, { signal: limit.signal }).catch(() => UNKNOWN);
  try {
    return await Promise.race([lookUp(command, context), patience]);
  } finally {
    limit.abort();
  }
}

async function lookUp(command: string, context: { root: string; cwd: string | null }): Promise<ResolvedTarget> {
  let candidates: string[];
  if (!command.includes('/')) candidates = SECURE_PATH.map((folder) => `${folder}/${command}`);
  else if (command.startsWith('/')) candidates = [command];
  else if (context.cwd?.startsWith('/')) candidates = [`${context.cwd}/${command}`];
  else return UNKNOWN;

  for (const typed of candidates) {
    const walked = await walkPath(context.root, typed);
    if (walked === null || !walked.info.isFile() || (walked.info.mode & 0o111n) === 0n) continue;
    const target = await identify(context.root, walked.real, walked.info.dev, walked.info.ino);
    if (target === null) return UNKNOWN;
    const names = [baseName(typed), baseName(walked.real)];
    const reasons = kindReasons(names, [typed, walked.real], await loginShells(context.root));
    if (changeableByUsers(walked.info)) reasons.push('user-writable-target');
    if (walked.userWritable) reasons.push('user-writable-path');
    return { target, unrestricted: orderReasons(reasons) };
  }
  return UNKNOWN;
}
