import type { MessageKey } from '#shared/messages.ts';
import type { Reply } from '../client/reply.ts';
import type { Clock } from '../platform/clock.ts';
import type { Voice } from './terminal-text.ts';

/** How long a server may think before the person is told who is being asked, milliseconds. */
export const ASKING_AFTER_MS = 1000;
/** And before the person is told what is wrong. */
export const TROUBLE_AFTER_MS = 3000;

/** What is left when it is said again, milliseconds. */
const REMINDERS_MS = [300_000, 60_000, 30_000, 10_000];

export type Trouble = Extract<Reply<unknown>, { kind: 'unavailable' }>;

/** Codes of Node at the beginning of a message. */
const CAUSES: readonly (readonly [RegExp, MessageKey])[] = [
  [/^ECONNREFUSED\b/, 'gate.why.closed'],
  [/^(ENOTFOUND|EAI_[A-Z]+)\b/, 'gate.why.name'],
  [
    /^(EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN|ETIMEDOUT|EACCES|EPERM|EADDRNOTAVAIL|EAFNOSUPPORT|EINVAL)\b/,
    'gate.why.route',
  ],
  [
    /^(CERT_[A-Z_]+|UNABLE_TO_[A-Z_]+|SELF_SIGNED_[A-Z_]+|DEPTH_ZERO_[A-Z_]+|ERR_TLS_CERT_ALTNAME_INVALID)\b/,
    'gate.why.certificate',
  ],
];

/** What keeps an answer away, as a sentence. @param trouble the last failure; null: nothing has come back at all. */
function sayTrouble(voice: Voice, server: string, trouble: Trouble | null): void {
  const cause = CAUSES.find(([pattern]) => trouble !== null && pattern.test(trouble.message))?.[1];
  if (trouble === null) voice.sentence('gate.silent', { server });
  // A server answers in sentences, the network in words without an end.
  else if (cause === undefined)
    voice.sentence('gate.trouble', { server, message: trouble.message.replace(/[.!?…]+$/, '') });
  else voice.sentence(cause, { server });
}

/**
 * Speaks while a server has not answered: a fast one is never mentioned, and nobody sits before an empty line for longer
 * than a second.
 */
export async function sayWhileUnanswered(
  voice: Voice,
  server: string,
  lastTrouble: () => Trouble | null,
  clock: Clock,
  answered: AbortSignal,
): Promise<void> {
  await clock.sleep(ASKING_AFTER_MS, answered);
  if (answered.aborted) return;
  voice.sentence('gate.asking', { server });
  await clock.sleep(TROUBLE_AFTER_MS - ASKING_AFTER_MS, answered);
  if (!answered.aborted) sayTrouble(voice, server, lastTrouble());
}

/**
 * Says how much time is left, on lines of its own. The line of before is not rewritten: what is typed meanwhile, or
 * printed by a job in the background, moves the cursor, and its line would be wiped instead.
 */
export async function sayTimeLeft(voice: Voice, leftMs: number, clock: Clock, over: AbortSignal): Promise<void> {
  const end = clock.monotonic() + leftMs;
  for (const reminder of REMINDERS_MS) {
    const pause = end - clock.monotonic() - reminder;
    if (pause <= 0) continue;
    await clock.sleep(pause, over);
    if (over.aborted) return;
    voice.remind(reminder);
  }
}
