import { terminalLine } from '#shared/visible-text.ts';
import type { FailureReason, Outcome } from './outcome.ts';
import type { DeployedRelease } from './release.ts';
import { confirmScript, goOn, installScript, readMark, remoteCommand } from './remote.ts';
import { type OpenSession, type Session, sshProblem } from './ssh.ts';
import type { Target } from './targets.ts';
import type { MakeToken } from './token-command.ts';

/** The longest that one host may take, milliseconds. */
const LIMIT_MS = 15 * 60_000;

/** The most that is shown of what a host says, characters. */
const MAX_SHOWN = 1024 * 1024;

export interface DeployDeps {
  open: OpenSession;
  token: MakeToken;
  release: DeployedRelease;
  server: string;
  /** For the installer, behind the name of the host. */
  words: readonly string[];
  /** Looks, and changes nothing. */
  isDryRun: boolean;
  /** What the installer sets up waits to be confirmed. */
  confirms: boolean;
  limitMs?: number;
}

const failed = (reason: FailureReason, message: string): Outcome => ({ kind: 'failed', reason, message });

/** Brings one host to where it is installed, enrolled and set up. @param show gets a line for a terminal */
export async function deployHost(deps: DeployDeps, target: Target, show: (line: string) => void): Promise<Outcome> {
  const { name, destination } = target;
  let left = MAX_SHOWN;
  /** A host may send what it likes: none of it is to move a cursor, or to fill a disk. */
  function output(line: string): void {
    const text = terminalLine(line);
    if (left <= 0) return;
    left -= text.length + 1;
    show(left > 0 ? text : '(what else this host says is not shown)');
  }

  /** Runs a script there. `onFound` is asked once, when the script waits, what it is sent; null: it is to end. */
  async function converse(
    script: string,
    onFound: (found: { name: string; server: string } | null) => Promise<Buffer | null>,
  ): Promise<{ end: { code: number; hostId: string } | 'other' | null; found: boolean; problem: Outcome | null }> {
    const session = deps.open(destination, remoteCommand(script));
    session.write(script);
    const limit = deps.limitMs ?? LIMIT_MS;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      session.kill();
    }, limit);
    try {
      let end: { code: number; hostId: string } | 'other' | null = null;
      let found = false;
      const asides = readAsides(session, output);
      for await (const line of session.lines) {
        const mark = readMark(line);
        if (mark === null) output(line);
        else if (mark.kind === 'end') end = mark;
        else if (mark.kind === 'other') end = mark.kind;
        else if (!found) {
          found = true;
          session.end((await onFound(mark.enrolled)) ?? undefined);
        }
      }
      const code = await session.ended;
      const said = await asides;
      if (isLate) return { end, found, problem: failed('timed_out', `not done after ${limit / 60_000} minutes`) };
      return { end, found, problem: end === null ? problemOf(code, said, found) : null };
    } finally {
      clearTimeout(timer);
      session.kill();
    }
  }

  let early: Outcome | null = null;
  const script = installScript(deps.release, ['--hostname', name, ...deps.words, deps.server]);
  const installed = await converse(script, async (enrolled) => {
    const answer = await answerTo(deps, name, enrolled);
    if (Buffer.isBuffer(answer)) return answer;
    early = answer;
    return null;
  });
  if (early !== null) return early;
  if (installed.problem !== null) return installed.problem;
  const { end } = installed;
  if (end === null || end === 'other' || end.code !== 0) {
    const code = end === null || end === 'other' ? 'no word' : end.code;
    return failed('installer_failed', `the installer ended with ${code}; it says why above`);
  }
  if (!deps.confirms) return { kind: 'done' };

  // A connection that is made now is what setup waits for: it shows that one can still come in.
  const confirmed = await converse(confirmScript(end.hostId), async () => null);
  if (confirmed.end === 'other')
    return failed(
      'other_host',
      `${destination} led to another host than the one that was installed, which puts all back in ten minutes, unless somebody logs in there and runs: identree setup --confirm. Name each by an address of its own`,
    );
  if (confirmed.problem === null && confirmed.end?.code === 0 && confirmed.end.hostId === end.hostId)
    return { kind: 'done' };
  return failed(
    'not_confirmed',
    `all is put back in ten minutes, unless somebody logs in there and runs: identree setup --confirm${
      confirmed.problem?.kind === 'failed' ? ` (${confirmed.problem.message})` : ''
    }`,
  );
}

/** What a host is sent that says of itself whether it is enrolled, or what becomes of it without a word. */
async function answerTo(
  deps: DeployDeps,
  name: string,
  enrolled: { name: string; server: string } | null,
): Promise<Buffer | Outcome> {
  if (enrolled !== null && enrolled.name !== name)
    return failed(
      'other_name',
      `this host is enrolled as ${terminalLine(enrolled.name)} at ${terminalLine(enrolled.server)}`,
    );
  if (deps.isDryRun) return { kind: 'planned', would: enrolled === null ? 'install' : 'finish' };
  if (enrolled !== null) return goOn(deps.release, null);
  const made = await deps.token(name);
  return made.ok ? goOn(deps.release, made.token) : failed('no_token', made.message);
}

/** Shows what comes on standard error. @returns the end of it */
async function readAsides(session: Session, output: (line: string) => void): Promise<string> {
  const said: string[] = [];
  for await (const line of session.asides) {
    said.push(line);
    if (said.length > 50) said.shift();
    output(line);
  }
  return said.join('\n');
}

/** Why a script has not come to its end. */
function problemOf(code: number | null, said: string, found: boolean): Outcome {
  const last = terminalLine(said.trim().split('\n').at(-1) ?? '');
  if (code === 127 && !found) return failed('ssh_failed', last || 'there is no ssh on this machine');
  if (found)
    return failed(
      'connection_lost',
      `the connection ended before the installer did; run this again${last && ` (${last})`}`,
    );
  if (code === 255) return failed(sshProblem(said), last || 'ssh could not connect');
  return failed('no_root', last || 'nobody there may become root without a password');
}
