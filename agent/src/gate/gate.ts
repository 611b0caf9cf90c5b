import type { Duplex } from 'node:stream';
import type { HostRecord } from '#shared/decision.ts';
import type { MessageKey } from '#shared/messages.ts';
import type { BreakGlass } from '../break-glass/enter.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { PLUGIN } from '../setup/sudo-gate.ts';
import { type Ask, LEFT, type Outcome } from './ask.ts';
import { stillTheSame, sudoEvidence } from './evidence.ts';
import { createFairShare, type FairShare } from './fair-share.ts';
import {
  aliveFrame,
  createFrameReader,
  keepFrames,
  ProtocolViolation,
  readyFrame,
  textFrame,
  verdictFrame,
} from './frames.ts';
import { type AnyHello, type Hello, type PluginHello, parseHello } from './hello.ts';
import type { Login } from './login.ts';
import type { Logins } from './logins.ts';
import { createParts, type PluginParts } from './plugin-parts.ts';
import type { ProcessFacts, ProcessReader } from './proc.ts';
import { createPrompts } from './prompts.ts';
import type { RegisteredSudos } from './registered-sudos.ts';
import { saysNobodyWaits, wordsOf } from './sudo-argv.ts';
import type { PluginConversation, SudoPlugin } from './sudo-plugin.ts';
import type { SudoPolicy } from './sudo-policy.ts';
import { createVoice, type Say } from './terminal-text.ts';

/** Answers native hooks. */
export interface Gate {
  /** One conversation, from the hello to the verdict. Never rejects. */
  handle(stream: Duplex): Promise<void>;
}

export interface GateDeps {
  ask: Ask;
  breakGlass: Pick<BreakGlass, 'enter'>;
  login: Login;
  /** Sign-ins on hosts that were set up with pam_exec. */
  logins: Logins;
  /** Null where no plugin belongs to this program. `registered` is null where no agent stays to know one sudo from another. */
  plugin: { registered: RegisteredSudos | null; sudo: SudoPlugin } | null;
  processes: ProcessReader;
  /** Where the login session of a process comes from. */
  sessionOrigin(pid: number): Promise<string | null>;
  /** Whether `sudo -n` may wait for an approver, where sudo itself lets it come as far as PAM. */
  noninteractive: 'refuse' | 'ask';
  /** Whom people call after a refusal. */
  contact: string | null;
  clock: Clock;
  log: Log;
  /** `after`: the yes is reported once the hook has it, never before. `before`: a dying process reports first. */
  reportOutcome: 'after' | 'before';
  /** Aborted when the agent is being stopped: people who wait are told and refused. */
  stopping?: AbortSignal;
}

/** Why a conversation is over: the agent stops. */
const STOPPING = 'stopping';

/**
 * So many sudos of one account at a time; the agent takes 512 in all. Whoever stops theirs while they wait keeps them for as
 * long as a request lives, and without a place for more every other sudo of the host waited seconds for a gate of its own.
 */
const MOST_OF_ONE_ACCOUNT = 128;

const HELLO_TIMEOUT_MS = 2000;
/** sudo has all of this in its memory already. */
const PARTS_TIMEOUT_MS = 10_000;
const ALIVE_MS = 15_000;
const REPORT_PATIENCE_MS = 1500;
/** Who only tells something has left by then, milliseconds. */
const LEAVING_MS = 50;

/** What sudo-rs puts before each line that PAM has it show. */
const SUDO_RS_PREFIX = '[sudo] ';

/** The same for every unknown account, and long enough to make guessing names slow. */
const UNKNOWN_USER_DELAY_MS = 2000;

/**
 * Classic sudo asks PAM under `-n` only where a rule says so (noninteractive_auth). sudo-rs always does: each probe such as
 * `sudo -n true` would be a request, and would wait for somebody.
 */
const mayWait = ({ cmdline }: ProcessFacts, policy: SudoPolicy | null, { noninteractive }: GateDeps): boolean =>
  policy?.kind !== 'sudo-rs' || noninteractive === 'ask' || !saysNobodyWaits(wordsOf(cmdline), policy.kind);

async function gateSudo(
  deps: GateDeps,
  hello: Hello & { uid: number },
  { say, prompt, signal }: Pick<Conversation, 'say' | 'prompt' | 'signal'>,
): Promise<Outcome> {
  const { processes } = deps;
  deps.ask.prepare();
  const facts = await processes.capture(hello.ppid, hello.pstart);
  const policy = facts === null ? null : await processes.sudoPolicy(hello.ppid, hello.user);
  const screen = {
    cols: hello.cols,
    rows: hello.rows,
    term: facts?.environ.term ?? '',
    locale: facts?.environ.locale ?? '',
    prefix: policy?.kind === 'sudo-rs' ? SUDO_RS_PREFIX.length : 0,
  };
  const voice = createVoice(say, screen);
  if (facts === null) {
    voice.refusal('gate.parentGone', {}, deps.contact);
    return { kind: 'refused' };
  }
  const evidence = await sudoEvidence(facts, { user: hello.user, root: processes.root(hello.ppid), policy });
  const asked = await deps.ask.open(
    {
      evidence,
      mayWait: mayWait(facts, policy, deps),
      who: {
        user: hello.user,
        uid: hello.uid,
        gate: 'pam',
        service: hello.service,
        tty: hello.tty && (await processes.terminal(hello.ppid, hello.tty, hello.uid)),
        origin: hello.rhost ?? (await deps.sessionOrigin(hello.ppid)),
      },
    },
    voice,
    signal,
  );
  if (asked === null) return { kind: 'refused' };
  const parent = { pid: hello.ppid, startTime: hello.pstart, user: hello.user };
  const last = { unchanged: () => stillTheSame(evidence, parent, processes) };
  const enter = (record: HostRecord) => deps.breakGlass.enter({ record, voice, prompt, last, signal });
  if ('kind' in asked) return enter(asked.record);
  if (asked.answer.status === 'pending') voice.sentence(hello.foreground ? 'gate.waiting' : 'gate.waitingQuietly');
  const outcome = await deps.ask.wait(asked, voice, last, signal);
  return outcome.kind === 'unreachable' ? enter(outcome.record) : outcome;
}

const isPlugin = (hello: AnyHello): hello is PluginHello => 'build' in hello;

/** A plugin that tells something and waits for no answer. */
const isTold = (hello: AnyHello): boolean => isPlugin(hello) && hello.mode !== 'sudo-check';

/** One conversation with a hook, beside what it said first. */
interface Conversation extends PluginConversation {
  say: Say;
  /** Resolves once the plugin has said all; null when it never does. */
  parts(): Promise<PluginParts | null>;
  signal: AbortSignal;
}

/** @param account by its number */
async function inItsShare(
  share: FairShare,
  account: string,
  { say, contact, log }: Pick<Conversation, 'say'> & Pick<GateDeps, 'contact' | 'log'>,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  const outcome = await share.within(account, work);
  if (outcome !== 'full') return outcome;
  log.warn(`so many sudos of the account ${account} are under way that this one is refused`);
  voiceWithoutScreen(say).refusal('gate.tooMany', {}, contact);
  return { kind: 'refused' };
}

async function answerPlugin(
  { plugin, log, contact }: GateDeps,
  share: FairShare,
  hello: PluginHello,
  conversation: Conversation,
): Promise<Outcome | 'go_on'> {
  if (plugin === null) return { kind: 'refused' };
  if (hello.mode === 'sudo-open') return (await plugin.sudo.open(hello)) ? 'go_on' : { kind: 'refused' };
  const parts = await conversation.parts();
  if (parts === null) {
    log.warn('a sudo did not say all that it had to; refused');
    return { kind: 'refused' };
  }
  const { say, signal } = conversation;
  if (hello.mode === 'sudo-check') {
    const account = parts.userInfo.get('uid')?.toString('latin1') ?? '';
    return inItsShare(share, account, { say, contact, log }, () =>
      plugin.sudo.check(hello, parts, conversation, say, signal),
    );
  }
  plugin.sudo.report(hello, parts);
  return 'go_on';
}

async function decide(
  deps: GateDeps,
  share: FairShare,
  hello: AnyHello,
  conversation: Conversation,
): Promise<Outcome | 'go_on'> {
  const { say, signal } = conversation;
  const asksByItself = async (pid: number, start: string) =>
    (await deps.plugin?.sudo.asksByItself({ pid, start })) === true;
  if (hello.mode === 'sudo-registered')
    return (await asksByItself(hello.pid, hello.pstart)) ? 'go_on' : { kind: 'refused' };
  if (isPlugin(hello)) return answerPlugin(deps, share, hello, conversation);
  if (hello.uid === null) {
    deps.log.warn(`refused an account that does not exist, service ${hello.service}`);
    await deps.clock.sleep(UNKNOWN_USER_DELAY_MS, signal);
    return { kind: 'refused' };
  }
  const known = { ...hello, uid: hello.uid };
  switch (hello.mode) {
    case 'sudo':
      // This very sudo asks by itself, for what it will really execute, once sudoers has allowed it.
      if (await asksByItself(hello.ppid, hello.pstart)) return 'go_on';
      // Without an agent that stays, its plugin asks by a gate of its own, and releases nothing without its yes.
      if (!deps.plugin?.registered && (await deps.processes.hasLoaded(hello.ppid, PLUGIN))) {
        if (deps.plugin !== null) return 'go_on';
        voiceWithoutScreen(say).refusal('gate.agentAway', {}, deps.contact);
        return { kind: 'refused' };
      }
      return inItsShare(share, `${known.uid}`, { ...deps, say }, () => gateSudo(deps, known, conversation));
    case 'ssh':
      return deps.login(known, conversation);
    case 'ssh-begin':
      return (await deps.logins.begin(known, say, signal)) ? 'go_on' : { kind: 'refused' };
    case 'ssh-wait':
      return deps.logins.wait(known, say, signal, conversation.prompt);
  }
}

const voiceWithoutScreen = (say: Say) => createVoice(say, { cols: null, rows: null, term: '', locale: '' });

/** Ends a conversation with a sentence and a no. The hook must have been accepted before. */
export function refuseHook(stream: Duplex, key: MessageKey, contact: string | null): void {
  voiceWithoutScreen((line) => stream.write(textFrame(line))).refusal(key, {}, contact);
  stream.end(verdictFrame(false));
}

export function createGate(deps: GateDeps): Gate {
  const { log } = deps;
  const share = createFairShare(MOST_OF_ONE_ACCOUNT);

  async function converse(stream: Duplex): Promise<void> {
    const gone = new AbortController();
    const { promise: hello, resolve: onHello } = Promise.withResolvers<Buffer | null>();
    const { promise: said, resolve: onParts } = Promise.withResolvers<PluginParts | null>();
    const { promise: use, resolve: onUse } = Promise.withResolvers<boolean>();
    const parts = createParts();
    let unsent: Buffer[] = [];
    const allUnsent = () => {
      const bytes = unsent.length === 1 ? unsent[0]! : Buffer.concat(unsent);
      unsent = [];
      return bytes;
    };
    const flush = () => {
      if (unsent.length > 0 && !stream.destroyed && stream.writable) stream.write(allUnsent());
    };
    // What is said in one go is sent in one go: each piece of its own would wake the hook, and takes as long as the rest.
    const send = (bytes: Buffer) => {
      if (unsent.push(bytes) === 1) process.nextTick(flush);
    };
    const end = (verdict: Buffer, sent?: (error?: Error | null) => void) => {
      unsent.push(verdict);
      stream.end(allUnsent(), sent);
    };
    const leave = () => {
      flush();
      stream.destroy();
    };
    const giveUp = (reason: string) => {
      gone.abort(reason);
      onUse(false);
    };
    const prompts = createPrompts(send, gone.signal);
    const read = createFrameReader((frame) => {
      switch (frame.type) {
        case 'H':
          return onHello(frame.payload);
        case 'C':
          return giveUp(frame.reason);
        case 'D':
          if (!parts.add(frame.payload)) throw new ProtocolViolation('no part of a question, or too much of it');
          return;
        case 'S':
          return prompts.typed(frame.payload);
        case 'E':
          return onParts(parts.end());
        case 'R':
          return onUse(true);
      }
    });
    stream.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
        log.warn(`a hook does not speak the protocol: ${error.message}`);
        stream.destroy();
      }
    });
    for (const event of ['end', 'close', 'error']) {
      stream.on(event, () => {
        giveUp(event);
        onHello(null);
        onParts(null);
      });
    }
    const say: Say = (line) => send(textFrame(line));

    const impatience = setTimeout(() => onHello(null), HELLO_TIMEOUT_MS);
    const payload = await hello;
    clearTimeout(impatience);
    if (payload === null) return void stream.destroy();
    const parsed = parseHello(payload);
    const conversation: Conversation = {
      say,
      signal: gone.signal,
      prompt: prompts.prompt,
      keep: (token) => send(keepFrames(token)),
      ready() {
        send(readyFrame());
        return use;
      },
      async parts() {
        const limit = setTimeout(() => onParts(null), PARTS_TIMEOUT_MS);
        try {
          return await said;
        } finally {
          clearTimeout(limit);
        }
      },
    };
    if (parsed !== null && isTold(parsed)) {
      const outcome = await decide(deps, share, parsed, conversation);
      // It goes without a look at what comes, and each word to nobody is an error, with all that led to it.
      await deps.clock.sleep(LEAVING_MS, gone.signal);
      if (gone.signal.aborted) return void stream.destroy();
      send(aliveFrame());
      return end(verdictFrame(outcome === 'go_on'));
    }
    send(aliveFrame());
    if (parsed === null) {
      log.warn('a hook sent a hello that cannot be read; refused');
      return end(verdictFrame(false));
    }
    // Nobody is asked for it.
    if (parsed.mode === 'sudo-registered')
      return end(verdictFrame((await decide(deps, share, parsed, conversation)) === 'go_on'));
    // At once: what is looked at next may have to wait for a disk.
    flush();
    const onStop = () => {
      // The plugin has by what the next agent goes on with its request; whoever has not is refused.
      giveUp(isPlugin(parsed) ? LEFT : STOPPING);
    };
    if (deps.stopping?.aborted) onStop();
    deps.stopping?.addEventListener('abort', onStop, { once: true });
    const heart = setInterval(() => send(aliveFrame()), ALIVE_MS);
    try {
      const outcome = await decide(deps, share, parsed, conversation);
      if (outcome === 'go_on') return end(verdictFrame(true));
      // No verdict: the plugin looks for the next agent.
      if (outcome.kind === 'left' || gone.signal.reason === LEFT) return leave();
      if (outcome.kind !== 'granted') {
        // Not before: who is let through in spite of it has nothing to try again.
        if (gone.signal.reason === STOPPING) voiceWithoutScreen(say).refusal('gate.stopping', {}, deps.contact);
        return end(verdictFrame(false));
      }
      // Nothing may come between this look and the verdict.
      if (gone.signal.aborted || stream.destroyed) {
        void outcome.settle({ outcome: 'refused', detail: 'gone' });
        return;
      }
      if (deps.reportOutcome === 'before') {
        await Promise.race([
          outcome.settle({ outcome: 'granted', detail: null }),
          deps.clock.sleep(REPORT_PATIENCE_MS),
        ]);
        return end(verdictFrame(true));
      }
      end(verdictFrame(true), (error) => {
        if (error) void outcome.settle({ outcome: 'refused', detail: 'gone' });
        else void outcome.settle({ outcome: 'granted', detail: null }, 'once_started');
      });
    } finally {
      // Before what is said of a failure.
      flush();
      clearInterval(heart);
      deps.stopping?.removeEventListener('abort', onStop);
    }
  }

  return {
    async handle(stream) {
      try {
        await converse(stream);
      } catch (error) {
        // A bug or a broken disk: refuse, and leave the cause where only an administrator looks.
        log.error(`a request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        if (stream.destroyed) return;
        refuseHook(stream, 'gate.internal', deps.contact);
      }
    },
  };
}
