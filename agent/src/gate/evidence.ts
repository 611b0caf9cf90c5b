import { createHash } from 'node:crypto';
import type { HostRecord, RequestMode, ResolvedBySudo, UnrestrictedReason } from '#shared/decision.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Hello } from './hello.ts';
import type { FolderId, ProcessFacts, ProcessReader } from './proc.ts';
import { riskyKind } from './risky-environment.ts';
import { shownArgv, shownPath } from './shown-argv.ts';
import { parseSudoArgv, type SudoRequest, UNPARSED, wordsOf } from './sudo-argv.ts';
import { passes, SUDO_PROGRAMS, type SudoPolicy } from './sudo-policy.ts';
import { orderReasons, resolveTarget, type Target } from './target.ts';

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

/** Variables of the asking person's choice that make the command run other code than its own. */
function environmentReasons(request: SudoRequest, facts: ProcessFacts, policy: SudoPolicy): UnrestrictedReason[] {
  if (request.mode === 'list' || request.mode === 'validate' || request.mode === 'unparsed') return [];
  const passed = facts.environ.risky?.filter((name) => passes(policy, name)) ?? null;
  const chosen =
    request.keepsEnvironment ||
    request.variables.some((name) => riskyKind(name) !== null) ||
    passed === null ||
    passed.length > 0 ||
    // Without secure_path the command gets the asker's PATH, and finds programs of its own there.
    policy.securePath === null;
  return chosen ? ['environment'] : [];
}

/** What the words ask sudo for; unparsed when sudo may make something else of them. */
function readRequest(words: readonly string[], program: string | null, policy: SudoPolicy | null): SudoRequest {
  if (policy === null || program === null || !SUDO_PROGRAMS.has(program)) return UNPARSED;
  const request = parseSudoArgv(words, policy);
  const command = request.mode === 'command' && request.command !== null ? words[request.command]! : '/';
  const searched = !command.includes('/') && policy.securePath === null;
  const relative = command.includes('/') && !command.startsWith('/');
  return searched || relative ? UNPARSED : request;
}

/**
 * Works out from sudo's own process what it is about to run.
 *
 * @param who.policy what the rules of this sudo say of the account; null when they cannot be known.
 */
export async function sudoEvidence(
  facts: ProcessFacts,
  who: { user: string; root: string; policy: SudoPolicy | null },
): Promise<Evidence> {
  const words = wordsOf(facts.cmdline);
  const { policy } = who;
  const request = readRequest(words, facts.program, policy);
  const reasons = modeReasons(request.mode);
  let target: Target | null = null;
  if (policy !== null) reasons.push(...environmentReasons(request, facts, policy));
  if (request.mode === 'command' && request.command !== null) {
    const resolved = await resolveTarget(words[request.command]!, {
      root: who.root,
      securePath: policy?.securePath ?? null,
      asRoot: request.runAsUser === 'root',
    });
    target = resolved.target;
    reasons.push(...resolved.unrestricted);
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

/** Who asks, and at which gate. */
export interface Requester {
  user: string;
  uid: number;
  gate: HostRecord['gate'];
  service: string;
  tty: string | null;
  origin: string | null;
}

/** Puts the record together that the server stores, the page shows and the passkey signs. */
export function buildRecord(
  evidence: Evidence,
  who: Requester,
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
 * True when what would run now is what was asked for: the same process with the same arguments, in the same folder of the
 * same name, under the same rules, leading to the same file with the same content.
 */
export async function stillTheSame(
  before: Evidence,
  parent: { pid: number; startTime: string; user: string },
  processes: ProcessReader,
): Promise<boolean> {
  const facts = await processes.capture(parent.pid, parent.startTime);
  if (facts === null || !facts.cmdline.equals(before.cmdline)) return false;
  const policy = await processes.sudoPolicy(parent.pid, parent.user);
  const after = await sudoEvidence(facts, { user: parent.user, root: processes.root(parent.pid), policy });
  const folder = (id: FolderId | null) => (id === null ? null : `${id.device}:${id.inode} ${id.path}`);
  const request = ({ mode, runAs, unrestricted }: Evidence) => JSON.stringify([mode, runAs, unrestricted]);
  return (
    folder(after.cwd) === folder(before.cwd) &&
    sameTarget(after.target, before.target) &&
    request(after) === request(before)
  );
}

/** True when a path leads to the same file with the same content. */
export function sameTarget(one: Target | null, other: Target | null): boolean {
  const file = (target: Target | null) =>
    target && [target.path, target.device, target.inode, target.sha256 ?? target.stamp].join('\0');
  return file(one) === file(other);
}
