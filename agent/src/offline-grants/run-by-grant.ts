import { requestHash } from '#shared/decision.ts';
import type { OutcomeRequest } from '#shared/host-api.ts';
import type { RunRequest } from '#shared/host-run.ts';
import { type GrantEntry, grantEntry } from '#shared/offline-grant.ts';
import type { LastLook, Outcome, Question } from '../gate/ask.ts';
import { buildRecord } from '../gate/evidence.ts';
import type { Voice } from '../gate/terminal-text.ts';
import type { Chain } from '../journal/chain.ts';
import { canBeTold } from '../journal/telling.ts';
import type { Clock } from '../platform/clock.ts';
import { createTurns } from '../platform/in-turn.ts';
import type { Log } from '../platform/log.ts';
import { type Random, randomText } from '../platform/random.ts';
import { createUntil } from '../platform/until.ts';
import type { HeldGrants } from './held-grants.ts';
import { writeUseToken } from './use-token.ts';

/** The plugin that asks. */
export interface Asker {
  voice: Voice;
  last: Required<LastLook>;
  /** By what it says later on which use it reports. */
  keep(token: Buffer): void;
}

export interface RunByGrant {
  /** Lets a command run by a grant. Null: there is none for it, and the server is to be asked. */
  run(question: Question, asker: Asker, signal: AbortSignal): Promise<Outcome | null>;
  /** Writes down what sudo did with a command that ran so. @param nonce of the record of its use */
  report(nonce: string, run: RunRequest): void;
}

/** For a process of one question: grants are in the memory of the agent that stays. */
export const noRunByGrant = (reports: Pick<RunByGrant, 'report'>): RunByGrant => ({
  run: async () => null,
  report: reports.report,
});

/** A hook that is stopped between the question and the verdict comes too late, milliseconds. */
const FRESH_MS = 60_000;
/** The command that is about to start has the processor first, milliseconds. */
const STARTING_MS = 50;

export function createRunByGrant(deps: {
  grants: Pick<HeldGrants, 'any' | 'take'>;
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

  /** What is told later is written later: a start that overtakes an end would be lost. */
  const inTurn = createTurns(clock);

  /** Nobody waits for it, and without it nothing is said of what became of a use. */
  const note = (
    content: ({ kind: 'end'; nonce: string } & OutcomeRequest) | { kind: 'run'; nonce: string; run: RunRequest },
    pauseMs: number,
  ): Promise<void> =>
    inTurn(content.nonce, pauseMs, async () => {
      if (!canBeTold(grantEntry, content)) return log.error('what became of a use of an offline grant cannot be told');
      await journal.append(content, { evenIfFull: true });
      deps.written();
    });

  const run: RunByGrant['run'] = async (question, { voice, last, keep }, signal) => {
    // Most hosts hold none, and whoever asks there waits for what comes next.
    if (!deps.grants.any()) return null;
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
      const pauseMs = when === 'once_started' ? STARTING_MS : 0;
      const ending = note({ kind: 'end', nonce: record.nonce, ...outcome }, pauseMs);
      deps.background(ending);
      return ending;
    };
    keep(taken.tellRun ? writeUseToken(record.nonce) : Buffer.alloc(0));
    const decided = createUntil(signal);
    const over = () => clock.sleep(FRESH_MS, decided.signal).then(() => false);
    const ready = await Promise.race([last.ready(), over()]);
    decided.end();
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

  return {
    run,
    report: (nonce, told) =>
      deps.background(note({ kind: 'run', nonce, run: told }, told.state === 'started' ? STARTING_MS : 0)),
  };
}
