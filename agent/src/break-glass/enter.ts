import type { HostRecord } from '#shared/decision.ts';
import { timeLeft } from '#shared/messages.ts';
import type { LastLook, Outcome } from '../gate/ask.ts';
import type { Prompt } from '../gate/prompts.ts';
import type { Voice } from '../gate/terminal-text.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { createUntil } from '../platform/until.ts';
import type { Attempts } from './attempts.ts';
import type { Journal } from './journal.ts';
import { LONGEST_PASSWORD } from './password.ts';
import type { Verify } from './verify.ts';

/** A way into this host that needs no server. */
export interface BreakGlass {
  /** Whether there is one: it is not turned off, and there is a password. */
  ready(): Promise<boolean>;
  /** Asks for the password, once. What is let in is written down before anybody is let in. */
  enter(request: Entry): Promise<Outcome>;
}

export interface Entry {
  /** What is asked for, as no server was told. */
  record: HostRecord;
  voice: Voice;
  prompt: Prompt;
  last: LastLook;
  signal: AbortSignal;
}

export interface BreakGlassDeps {
  ready(): Promise<boolean>;
  attempts: Attempts;
  journal: Pick<Journal, 'append'>;
  verify: Verify;
  /** Whom people call after a refusal. */
  contact: string | null;
  clock: Clock;
  log: Log;
}

/** A hook that is stopped between the password and the verdict comes too late. */
const FRESH_MS = 60_000;

const REFUSED: Outcome = { kind: 'refused' };
const CANCELLED: Outcome = { kind: 'cancelled' };

export function createBreakGlass(deps: BreakGlassDeps): BreakGlass {
  const { attempts, journal, contact, clock, log } = deps;

  const sayWait = (voice: Voice, wait: number) =>
    voice.refusal('gate.breakGlassWait', { left: timeLeft(Math.ceil(wait / 1000) * 1000, voice.locale) }, contact);

  /** Whether the bytes are the password. They are zeros afterwards, whatever comes of it. */
  async function judge(typed: Uint8Array, user: string): Promise<{ right: boolean } | { wait: number }> {
    try {
      const wait = await attempts.begin(user);
      if (wait > 0) return { wait };
      return { right: typed.length <= LONGEST_PASSWORD && (await deps.verify(typed)) };
    } finally {
      typed.fill(0);
    }
  }

  async function letIn({ record, voice, last, signal }: Entry): Promise<Outcome> {
    const decided = createUntil(signal);
    const over = () => clock.sleep(FRESH_MS, decided.signal).then(() => false);
    const ready = last.ready === undefined || (await Promise.race([last.ready(), over()]));
    decided.end();
    if (!ready) return CANCELLED;
    if (!(await last.unchanged())) {
      voice.refusal('gate.targetChanged', {}, contact);
      return REFUSED;
    }
    if (signal.aborted) return CANCELLED;
    // Who cannot be written down is not let in.
    await journal.append('opened', record);
    await attempts.right(record.user);
    log.warn(`the break-glass password opened this host for ${record.user} (${record.gate})`);
    voice.sentence('gate.breakGlassRight');
    return { kind: 'granted', settle: async () => undefined };
  }

  return {
    ready: deps.ready,

    async enter(entry) {
      const { record, voice, signal } = entry;
      const wait = await attempts.wait(record.user);
      if (wait > 0) {
        sayWait(voice, wait);
        return REFUSED;
      }
      voice.sentence('gate.breakGlass');
      const typed = await entry.prompt(voice.prompt('gate.breakGlassPrompt'), { echo: false });
      if (typed === undefined || signal.aborted) {
        typed?.fill(0);
        return CANCELLED;
      }
      if (typed.length === 0) {
        voice.refusal('gate.breakGlassNothing', {}, contact);
        return REFUSED;
      }
      const judged = await judge(typed, record.user);
      if ('wait' in judged) {
        sayWait(voice, judged.wait);
        return REFUSED;
      }
      if (judged.right) return letIn(entry);
      log.warn(`a wrong break-glass password was typed by ${record.user} (${record.gate})`);
      await journal.append('wrong', record);
      voice.refusal('gate.breakGlassWrong', {}, contact);
      return REFUSED;
    },
  };
}
