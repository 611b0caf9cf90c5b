import { type HostRecord, requestHash } from '#shared/decision.ts';
import type { OutcomeRequest } from '#shared/host-api.ts';
import { type GrantEntry, grantEntry } from '#shared/offline-grant.ts';
import type { LastLook, Outcome, Question } from '../gate/ask.ts';
import { buildRecord } from '../gate/evidence.ts';
import type { Voice } from '../gate/terminal-text.ts';
import type { Chain } from '../journal/chain.ts';
import { canBeTold } from '../journal/telling.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { type Random, randomText } from '../platform/random.ts';
import type { HeldGrants } from './held-grants.ts';

/** Lets a command run by a grant. Null: there is none for it, and the server is to be asked. */
export type RunByGrant = (
  question: Question,
  voice: Voice,
  last: Required<LastLook>,
  signal: AbortSignal,
) => Promise<Outcome | null>;

/** A hook that is stopped between the question and the verdict comes too late, milliseconds. */
const FRESH_MS = 60_000;
/** The command that is about to start has the processor first, milliseconds. */
const STARTING_MS = 50;

export function createRunByGrant(deps: {
  grants: Pick<HeldGrants, 'take'>;
  journal: Pick<Chain<GrantEntry>, 'append'>;
  hostId: string;
  /** Why nothing may be decided at all, if there is a reason. */
  blocked(): unknown;
  /** Something is there to be told. */
  written(): void;
  background(work: Promise<unknown>): void;
  /** Whom people call after a refusal. */
  contact: string | null;
  clock: Clock;
  random: Random;
  log: Log;
}): RunByGrant {
  const { clock, journal, log } = deps;

  /** What became of a use. Nobody waits for it, and without it nothing is said of what became of it. */
  async function end({ nonce }: HostRecord, outcome: OutcomeRequest, when: 'now' | 'once_started'): Promise<void> {
    if (when === 'once_started') await clock.sleep(STARTING_MS);
    await journal.append({ kind: 'end', nonce, ...outcome }, { evenIfFull: true });
    deps.written();
  }

  return async (question, voice, last, signal) => {
    if (deps.blocked() !== null) return null;
    const stamp = { hostId: deps.hostId, nonce: randomText(deps.random), createdAt: clock.now() };
    const record = buildRecord(question.evidence, question.who, stamp);
    const taken = deps.grants.take(record);
    if (taken === null) return null;
    const use = { kind: 'use', grant: taken.token, record } as const;
    if (!canBeTold(grantEntry, use)) return null;
    try {
      // Before anything is released: what cannot be written down is not done by a grant.
      if (!(await journal.append(use, { evenIfFull: false }))) return null;
    } catch (error) {
      log.error(`no offline grant is used: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
    const settle = (outcome: OutcomeRequest, when: 'now' | 'once_started' = 'now') => {
      const ending = end(record, outcome, when);
      deps.background(ending);
      return ending;
    };
    const decided = new AbortController();
    const over = () => clock.sleep(FRESH_MS, AbortSignal.any([signal, decided.signal])).then(() => false);
    const ready = await Promise.race([last.ready(), over()]);
    decided.abort();
    if (!ready || signal.aborted) {
      void settle({ outcome: 'refused', detail: 'gone' });
      return { kind: 'cancelled' };
    }
    if (!(await last.unchanged())) {
      voice.refusal('gate.targetChanged', {}, deps.contact);
      void settle({ outcome: 'refused', detail: 'target_changed' });
      return { kind: 'refused' };
    }
    if (signal.aborted) {
      void settle({ outcome: 'refused', detail: 'gone' });
      return { kind: 'cancelled' };
    }
    voice.sentence('gate.approvedByGrant');
    log.info(`ran by an offline grant: ${requestHash(record)} for ${record.user}`);
    return { kind: 'granted', settle };
  };
}
