import type { Duplex } from 'node:stream';
import type { MessageKey } from '#shared/messages.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Ask, Outcome } from './ask.ts';
import { stillTheSame, sudoEvidence } from './evidence.ts';
import { aliveFrame, createFrameReader, ProtocolViolation, textFrame, verdictFrame } from './frames.ts';
import { type Hello, parseHello } from './hello.ts';
import type { Logins } from './logins.ts';
import type { ProcessReader } from './proc.ts';
import { createVoice, type Say } from './terminal-text.ts';

/** Answers native hooks. */
export interface Gate {
  /** One conversation, from the hello to the verdict. Never rejects. */
  handle(stream: Duplex): Promise<void>;
}

export interface GateDeps {
  ask: Ask;
  logins: Logins;
  processes: ProcessReader;
  /** Where the login session of a process comes from. */
  sessionOrigin(pid: number): Promise<string | null>;
  clock: Clock;
  log: Log;
  /** `after`: the yes is reported once the hook has it, never before. `before`: a dying process reports first. */
  reportOutcome: 'after' | 'before';
  /** Aborted when the agent is being stopped: people who wait are told and refused. */
  stopping?: AbortSignal;
}

const HELLO_TIMEOUT_MS = 2000;
const ALIVE_MS = 15_000;
const REPORT_PATIENCE_MS = 1500;

/** The same for every unknown account, and long enough to make guessing names slow. */
const UNKNOWN_USER_DELAY_MS = 2000;

async function gateSudo(
  deps: GateDeps,
  hello: Hello & { uid: number },
  say: Say,
  signal: AbortSignal,
): Promise<Outcome> {
  const { processes } = deps;
  const facts = await processes.capture(hello.ppid, hello.pstart);
  const screen = {
    cols: hello.cols,
    rows: hello.rows,
    term: facts?.environ.term ?? '',
    locale: facts?.environ.locale ?? '',
  };
  const voice = createVoice(say, screen);
  if (facts === null) {
    voice.sentence('gate.parentGone');
    return { kind: 'refused' };
  }
  const evidence = await sudoEvidence(facts, { user: hello.user, root: processes.root(hello.ppid) });
  const asked = await deps.ask.open(
    {
      evidence,
      who: {
        user: hello.user,
        uid: hello.uid,
        gate: 'pam',
        service: hello.service,
        tty: hello.tty,
        origin: hello.rhost ?? (await deps.sessionOrigin(hello.ppid)),
      },
    },
    voice,
    signal,
  );
  if (asked === null) return { kind: 'refused' };
  if (asked.answer.status === 'pending') voice.sentence(hello.foreground ? 'gate.waiting' : 'gate.waitingQuietly');
  const parent = { pid: hello.ppid, startTime: hello.pstart, user: hello.user };
  return deps.ask.wait(asked, voice, () => stillTheSame(evidence, parent, processes), signal);
}

async function decide(deps: GateDeps, hello: Hello, say: Say, signal: AbortSignal): Promise<Outcome | 'go_on'> {
  if (hello.uid === null) {
    deps.log.warn(`refused an account that does not exist, service ${hello.service}`);
    await deps.clock.sleep(UNKNOWN_USER_DELAY_MS, signal);
    return { kind: 'refused' };
  }
  const known = { ...hello, uid: hello.uid };
  switch (hello.mode) {
    case 'sudo':
      return gateSudo(deps, known, say, signal);
    case 'ssh-begin':
      return (await deps.logins.begin(known, say, signal)) ? 'go_on' : { kind: 'refused' };
    case 'ssh-wait':
      return deps.logins.wait(known, say, signal);
  }
}

const voiceWithoutScreen = (say: Say) => createVoice(say, { cols: null, rows: null, term: '', locale: '' });

/** Ends a conversation with a sentence and a no. The hook must have been accepted before. */
export function refuseHook(stream: Duplex, key: MessageKey): void {
  voiceWithoutScreen((line) => stream.write(textFrame(line))).sentence(key);
  stream.end(verdictFrame(false));
}

export function createGate(deps: GateDeps): Gate {
  const { log } = deps;

  async function converse(stream: Duplex): Promise<void> {
    const gone = new AbortController();
    const { promise: hello, resolve: onHello } = Promise.withResolvers<Buffer | null>();
    const read = createFrameReader((frame) => {
      if (frame.type === 'H') onHello(frame.payload);
      else gone.abort(frame.reason);
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
        gone.abort(event);
        onHello(null);
      });
    }
    const send = (bytes: Buffer) => {
      if (!stream.destroyed && stream.writable) stream.write(bytes);
    };
    const say: Say = (line) => send(textFrame(line));

    const impatience = setTimeout(() => onHello(null), HELLO_TIMEOUT_MS);
    const payload = await hello;
    clearTimeout(impatience);
    if (payload === null) return void stream.destroy();
    send(aliveFrame());
    const parsed = parseHello(payload);
    if (parsed === null) {
      log.warn('a hook sent a hello that cannot be read; refused');
      return void stream.end(verdictFrame(false));
    }
    const onStop = () => {
      voiceWithoutScreen(say).sentence('gate.stopping');
      gone.abort('stopping');
    };
    if (deps.stopping?.aborted) onStop();
    deps.stopping?.addEventListener('abort', onStop, { once: true });
    const heart = setInterval(() => send(aliveFrame()), ALIVE_MS);
    try {
      const outcome = await decide(deps, parsed, say, gone.signal);
      if (outcome === 'go_on') return void stream.end(verdictFrame(true));
      if (outcome.kind !== 'granted') return void stream.end(verdictFrame(false));
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
        stream.end(verdictFrame(true));
        return;
      }
      stream.end(verdictFrame(true), (error?: Error | null) => {
        void outcome.settle(error ? { outcome: 'refused', detail: 'gone' } : { outcome: 'granted', detail: null });
      });
    } finally {
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
        refuseHook(stream, 'gate.internal');
      }
    },
  };
}
