import { createHash } from 'node:crypto';
import type { HostRecord, RequestMode, ResolvedBySudo, UnrestrictedReason } from '#shared/decision.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Hello } from './hello.ts';
import type { FolderId, ProcessFacts, ProcessReader } from './proc.ts';
import { shownArgv, shownPath, splitArguments } from './shown-argv.ts';
import { parseSudoArgv } from './sudo-argv.ts';
import { orderReasons, resolveTarget, type Target } from './target.ts';
import { walkPath } from './walk-path.ts';

/** What was true when the request was made, exact enough to notice any change before the command runs. */
export interface Evidence {
  cmdline: Buffer;
  cwd: FolderId | null;
  target: Target | null;
  mode: RequestMode;
  unrestricted: UnrestrictedReason[];
  runAs: { user: string; group: string | null };
  reason: string | null;
  locale: string;
  term: string;
  /** What sudo told the plugin; absent where it was worked out. */
  resolved?: ResolvedBySudo;
}

const SUDO_PROGRAMS = new Set(['sudo', 'sudo-rs', 'sudoedit', 'sudo.ws', 'sudoedit-rs']);

/** What a mode alone makes unrestricted. */
export function modeReasons(mode: RequestMode): UnrestrictedReason[] {
  if (mode === 'shell' || mode === 'login-shell') return ['shell'];
  if (mode === 'edit') return ['editor'];
  return mode === 'unparsed' ? ['unparsed'] : [];
}

/** SUDO_REASON as one visible line, at most 500 characters; null when empty. */
export function readReason(bytes: Buffer | null): string | null {
  const text = [...(bytes?.subarray(0, 4096).toString('utf8') ?? '').trim()].slice(0, 500).join('');
  return text === '' ? null : [...visibleText(text)].slice(0, 1000).join('').slice(0, 2000).toWellFormed();
}

/** Text for `runAs`: what was typed after -u or -g, made visible. */
const shownName = (latin1: string) => shownPath(latin1, 256);

/** The folder's name, if that name still leads to it: the kernel's text for a removed folder looks like a name too. */
async function namedFolder(folder: FolderId | null, root: string): Promise<string | null> {
  const walked = folder && (await walkPath(root, folder.path));
  const same = walked?.info.dev.toString() === folder?.device && walked?.info.ino.toString() === folder?.inode;
  return folder && walked && same ? folder.path : null;
}

/** Works out from sudo's own process what it is about to run. */
export async function sudoEvidence(facts: ProcessFacts, who: { user: string; root: string }): Promise<Evidence> {
  const words = splitArguments(facts.cmdline).map((bytes) => bytes.toString('latin1'));
  const isSudo = facts.program !== null && SUDO_PROGRAMS.has(facts.program);
  const request = parseSudoArgv(isSudo ? words : []);
  const reasons = modeReasons(request.mode);
  let target: Target | null = null;
  if (request.mode === 'command' && request.command !== null) {
    const word = words[request.command]!;
    // Which folder a relative word counts from under -D, and which tree under -R, is sudo's secret: no guess.
    if (request.chroot || (request.chdir && word.includes('/') && !word.startsWith('/'))) reasons.push('unparsed');
    else {
      const resolved = await resolveTarget(word, { root: who.root, cwd: await namedFolder(facts.cwd, who.root) });
      target = resolved.target;
      reasons.push(...resolved.unrestricted);
    }
  }
  return {
    cmdline: facts.cmdline,
    cwd: facts.cwd,
    target,
    mode: request.mode,
    unrestricted: orderReasons(reasons),
    runAs: {
      user: request.runAsUser === null ? who.user : shownName(request.runAsUser),
      group: request.runAsGroup === null ? null : shownName(request.runAsGroup),
    },
    reason: readReason(facts.environ.sudoReason),
    locale: facts.environ.locale,
    term: facts.environ.term,
  };
}

/** A login over SSH runs nothing yet: who and from where is all there is. */
export function loginEvidence(hello: Hello): Evidence {
  return {
    cmdline: Buffer.alloc(0),
    cwd: null,
    target: null,
    mode: 'login',
    unrestricted: hello.uid === 0 ? ['shell'] : [],
    runAs: { user: hello.user, group: null },
    reason: null,
    locale: '',
    term: '',
  };
}

/** `203.0.113.5, key SHA256:…`: where an SSH login comes from and, if one was used, which key. */
export function sshOrigin(hello: Pick<Hello, 'rhost' | 'sshConnection' | 'sshAuthInfo'>): string | null {
  const address = hello.sshConnection?.split(' ')[0] || hello.rhost;
  const blob = /^publickey \S+ ([A-Za-z0-9+/]+={0,2})/m.exec(hello.sshAuthInfo ?? '')?.[1];
  const key = blob && createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '');
  const parts = [address, key && `key SHA256:${key}`].filter((part) => typeof part === 'string');
  return parts.length === 0 ? null : visibleText(parts.join(', ')).slice(0, 256);
}

/** Puts the record together that the server stores, the page shows and the passkey signs. */
export function buildRecord(
  evidence: Evidence,
  who: {
    user: string;
    uid: number;
    gate: HostRecord['gate'];
    service: string;
    tty: string | null;
    origin: string | null;
  },
  stamp: { hostId: string; nonce: string; createdAt: number },
): HostRecord {
  const shown = shownArgv(evidence.cmdline);
  const assurance = evidence.resolved ? 'resolved' : 'derived';
  return {
    v: 1,
    hostId: stamp.hostId,
    user: who.user,
    uid: who.uid,
    runAs: { ...evidence.runAs, assurance },
    gate: who.gate,
    service: who.service,
    mode: evidence.mode,
    argvSha256: createHash('sha256').update(evidence.cmdline).digest('base64url'),
    argv: shown.argv,
    argvTruncated: shown.truncated,
    target: evidence.target && {
      path: shownPath(evidence.target.path),
      assurance,
      device: evidence.target.device,
      inode: evidence.target.inode,
      sha256: evidence.target.sha256,
    },
    unrestricted: evidence.unrestricted,
    cwd: evidence.cwd && shownPath(evidence.cwd.path),
    tty: who.tty === null ? null : visibleText(who.tty).slice(0, 256),
    origin: who.origin,
    reason: evidence.reason,
    nonce: stamp.nonce,
    createdAt: stamp.createdAt,
    ...(evidence.resolved ? { resolved: evidence.resolved } : {}),
  };
}

/**
 * True when what would run now is what was asked for: the same process with the same arguments, in the same folder,
 * leading to the same file with the same content.
 */
export async function stillTheSame(
  before: Evidence,
  parent: { pid: number; startTime: string; user: string },
  processes: ProcessReader,
): Promise<boolean> {
  const facts = await processes.capture(parent.pid, parent.startTime);
  if (facts === null || !facts.cmdline.equals(before.cmdline)) return false;
  const after = await sudoEvidence(facts, { user: parent.user, root: processes.root(parent.pid) });
  const folder = (id: FolderId | null) => (id === null ? null : `${id.device}:${id.inode}`);
  return (
    folder(after.cwd) === folder(before.cwd) && sameTarget(after.target, before.target) && after.mode === before.mode
  );
}

/** True when a path leads to the same file with the same content. */
export function sameTarget(one: Target | null, other: Target | null): boolean {
  const file = (target: Target | null) =>
    target && [target.path, target.device, target.inode, target.sha256 ?? target.stamp].join('\0');
  return file(one) === file(other);
}
