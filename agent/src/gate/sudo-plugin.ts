import { constants } from 'node:os';
import type { RunRequest } from '#shared/host-run.ts';
import { accountName } from '#shared/names.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { BreakGlass } from '../break-glass/enter.ts';
import type { RunByGrant } from '../offline-grants/run-by-grant.ts';
import { readUseToken } from '../offline-grants/use-token.ts';
import type { Log } from '../platform/log.ts';
import { PLUGIN } from '../setup/sudo-gate.ts';
import type { Ask, Asked, Outcome, Question, Unreachable } from './ask.ts';
import { type Evidence, readReason, sameTarget } from './evidence.ts';
import type { PluginHello } from './hello.ts';
import type { PluginParts } from './plugin-parts.ts';
import type { ProcessReader } from './proc.ts';
import type { Prompt } from './prompts.ts';
import type { Quiet } from './quiet.ts';
import type { ProcessId, RegisteredSudos } from './registered-sudos.ts';
import { folderBySudo, resolvedEvidence, targetBySudo } from './resolved-evidence.ts';
import { createVoice, type Say } from './terminal-text.ts';

/** The conversation with one plugin, beside the text for the person. */
export interface PluginConversation {
  /** What the plugin keeps, so that another agent can go on with the request. */
  keep(token: Buffer): void;
  /** Resolves when the plugin uses a verdict at once; false when it has gone. */
  ready(): Promise<boolean>;
  prompt: Prompt;
}

export interface SudoPluginDeps {
  quiet: Pick<Quiet, 'begins' | 'asks'>;
  ask: Ask;
  breakGlass: Pick<BreakGlass, 'enter'>;
  runByGrant: RunByGrant;
  processes: ProcessReader;
  /** Null where no agent stays to know one sudo from another. */
  registered: RegisteredSudos | null;
  /** The build of the plugin that sudo loads before any other, as setup left it; null: it loads none of ours. */
  loads(): Promise<string | null>;
  sessionOrigin(pid: number): Promise<string | null>;
  /** Of which sources the plugin of this agent was built. */
  build: string;
  /** Whether `sudo -n` may wait for an approver. */
  noninteractive: 'refuse' | 'ask';
  /** Whom people call after a refusal. */
  contact: string | null;
  log: Log;
}

/** Answers the plugin of sudo. */
export interface SudoPlugin {
  /**
   * This sudo asks by itself: the PAM stage need not. False: it is a plugin of another build, or not loaded as it was set
   * up, and does not count.
   */
  open(hello: PluginHello): Promise<boolean>;
  /**
   * Whether the plugin of a running sudo asks, so that the PAM stage need not: it has said so, here or, as far as can be
   * told from what it has loaded, to the agent before this one.
   */
  asksByItself(process: ProcessId): Promise<boolean>;
  check(
    hello: PluginHello,
    parts: PluginParts,
    conversation: PluginConversation,
    say: Say,
    signal: AbortSignal,
  ): Promise<Outcome>;
  report(hello: PluginHello, parts: PluginParts): void;
}

const REFUSED: Outcome = { kind: 'refused' };
const REASON_MAX = 400;

/**
 * sudo_plugin.h: what `close` of an audit plugin is told about. After any other, sudo does not know how the command ended,
 * or whether it has.
 */
const WAIT_STATUS = 1;

const text = (bytes: Buffer | undefined): string => bytes?.toString('latin1') ?? '';

function number(bytes: Buffer | undefined, max: number): number | null {
  const digits = text(bytes);
  return /^\d{1,10}$/.test(digits) && Number(digits) <= max ? Number(digits) : null;
}

/** The name of a signal on Linux; real-time signals have none but their number. */
function signalName(signal: number): string {
  const known = Object.entries(constants.signals).find(([, value]) => value === signal);
  return known?.[0] ?? `SIG${signal}`;
}

/** What a report says to the server. waitpid(2) has the bits of a status. */
export function runOf({ report }: PluginHello, reason: Buffer): RunRequest | null {
  if (report === null) return null;
  if (report.event === 'started') return { state: 'started' };
  if (report.event === 'refused') {
    const told = visibleText(reason.subarray(0, REASON_MAX).toString('utf8').trim()).slice(0, 500);
    return { state: 'refused', reason: told === '' ? 'sudo did not start it' : told };
  }
  const durationMs = report.ms;
  const unknown = { state: 'ended', exitStatus: null, signal: null, durationMs } as const;
  if (report.statusType !== WAIT_STATUS) return unknown;
  const signal = report.status & 0x7f;
  if (signal === 0) return { ...unknown, exitStatus: (report.status >> 8) & 0xff };
  return signal === 0x7f ? unknown : { ...unknown, signal: signalName(signal) };
}

export function createSudoPlugin(deps: SudoPluginDeps): SudoPlugin {
  const { ask, processes } = deps;
  /** What is being looked into of sudos that have just said that they ask by themselves. */
  const registering = new Map<string, Promise<boolean>>();
  const nameOf = ({ pid, start }: ProcessId) => `${pid} ${start}`;

  async function register(hello: PluginHello): Promise<boolean> {
    if (deps.registered === null) return false;
    const loaded = await deps.loads();
    // It may have loaded ours just before another took its place.
    if (loaded === null || (hello.build !== loaded && hello.build !== deps.build)) return false;
    const process = { pid: hello.pid, start: hello.pstart };
    await deps.registered.add(process);
    // From now on it finds out who asks, by PAM and what that asks. Its PAM stage waits for this.
    await deps.quiet.begins(process, async () => (await processes.startTime(hello.pid)) !== hello.pstart);
    // Its rules have to be read before it asks.
    setImmediate(ask.prepare);
    return true;
  }

  const placeOf = ({ pid, intercepted }: PluginHello) => ({
    root: processes.root(pid),
    folder: processes.folder(pid),
    intercepted,
  });

  async function questionOf(hello: PluginHello, parts: PluginParts): Promise<Question | null> {
    const environ = processes.environment(hello.pid, hello.pstart);
    const user = text(parts.userInfo.get('user'));
    const uid = number(parts.userInfo.get('uid'), 4_294_967_295);
    if (environ === null || uid === null || !accountName.safeParse(user).success) return null;
    const evidence = await resolvedEvidence(parts, {
      ...placeOf(hello),
      plugin: hello.api,
      reason: readReason(environ.sudoReason),
      locale: environ.locale,
      term: environ.term,
    });
    if (evidence === null) return null;
    return {
      evidence,
      mayWait: text(parts.settings.get('noninteractive')) !== 'true' || deps.noninteractive === 'ask',
      who: {
        user,
        uid,
        gate: 'plugin',
        service: evidence.mode === 'login-shell' ? 'sudo-i' : 'sudo',
        tty: await processes.terminal(hello.pid, text(parts.userInfo.get('tty')), uid),
        origin: await deps.sessionOrigin(hello.pid),
      },
    };
  }

  /**
   * The same process, in a folder of the same name, and the same file behind the same path. Everything else sudo holds in
   * its own memory.
   */
  async function unchanged(hello: PluginHello, parts: PluginParts, before: Evidence): Promise<boolean> {
    if ((await processes.startTime(hello.pid)) !== hello.pstart) return false;
    const place = placeOf(hello);
    if ((await folderBySudo(parts, place)) !== (before.cwd?.path ?? null)) return false;
    const after = await targetBySudo(parts, place.root);
    return sameTarget(after.target, before.target);
  }

  /**
   * Whether a plugin gets an answer. One that sudo loaded before this agent was started may be of the version before, and
   * speaks the same protocol: who waits while both are replaced is not turned away.
   */
  async function answers({ build, pid, pstart }: PluginHello): Promise<boolean> {
    if (build === deps.build || build === (await deps.loads())) return true;
    return deps.registered?.isOlder({ pid, start: pstart }) === true;
  }

  return {
    open(hello) {
      const name = nameOf({ pid: hello.pid, start: hello.pstart });
      const asked = register(hello).finally(() => registering.delete(name));
      registering.set(name, asked);
      return asked;
    },

    async asksByItself({ pid, start }) {
      if (deps.registered === null) return false;
      // The plugin does not wait for it, and the PAM stage of the same sudo may be faster.
      await registering.get(nameOf({ pid, start }))?.catch(() => false);
      if (deps.registered.has({ pid, start })) return true;
      return (
        deps.registered.isOlder({ pid, start }) &&
        (await processes.startTime(pid)) === start &&
        (await processes.hasLoaded(pid, PLUGIN)) &&
        (await deps.loads()) !== null
      );
    },

    async check(hello, parts, conversation, say, signal) {
      deps.quiet.asks({ pid: hello.pid, start: hello.pstart });
      // Without a terminal the words end up in a file, a mail or another program: no code to scan, no colours.
      const hasTerminal = text(parts.userInfo.get('tty')) !== '';
      const size = {
        cols: hasTerminal ? number(parts.userInfo.get('cols'), 100_000) : null,
        rows: hasTerminal ? number(parts.userInfo.get('lines'), 100_000) : null,
      };
      if (!(await answers(hello))) {
        createVoice(say, { ...size, term: '', locale: '' }).refusal('gate.otherPlugin', {}, deps.contact);
        return REFUSED;
      }
      const question = await questionOf(hello, parts);
      const voice = createVoice(say, {
        ...size,
        term: hasTerminal ? (question?.evidence.term ?? '') : '',
        locale: question?.evidence.locale ?? '',
      });
      if (question === null) {
        deps.log.warn('a sudo did not say what it would execute, or has gone; refused');
        voice.refusal('gate.internal', {}, deps.contact);
        return REFUSED;
      }
      const { evidence } = question;
      const last = { ready: conversation.ready, unchanged: () => unchanged(hello, parts, evidence) };
      const enter = ({ record }: Unreachable) =>
        deps.breakGlass.enter({ record, voice, prompt: conversation.prompt, last, signal });
      let asked: Asked | Unreachable | null = ask.resume(question, parts.token);
      if (asked !== null) voice.sentence('gate.goingOn');
      else {
        // It is of another request, and what runs now is not what became of that.
        if (parts.token.length > 0) conversation.keep(Buffer.alloc(0));
        const ran = await deps.runByGrant.run(question, { voice, last, keep: conversation.keep }, signal);
        if (ran !== null) return ran;
        asked = await ask.open(question, voice, signal);
      }
      if (asked === null) return REFUSED;
      if ('kind' in asked) return enter(asked);
      conversation.keep(ask.tokenOf(asked));
      if (asked.answer.status === 'pending') voice.sentence(hello.foreground ? 'gate.waiting' : 'gate.waitingQuietly');
      const outcome = await ask.wait(asked, voice, last, signal);
      if (outcome.kind !== 'unreachable') return outcome;
      // What runs now is not what became of that request.
      conversation.keep(Buffer.alloc(0));
      return enter(outcome);
    },

    report(hello, parts) {
      const run = runOf(hello, parts.reason);
      if (run === null) return;
      const use = readUseToken(parts.token);
      if (use === null) ask.report(parts.token, run);
      else deps.runByGrant.report(use, run);
    },
  };
}
