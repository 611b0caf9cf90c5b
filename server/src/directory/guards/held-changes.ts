import { Refusal } from '#shared/errors.ts';
import type { Database } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import type { UnreadableRow } from '../../platform/unreadable.ts';
import { type HeldChange, heldChange } from './held-change.ts';
import { countOpenHolds, decideHold, type HoldRow, listGravestHolds } from './hold-store.ts';

/** A held change as an operator saw it. */
interface Answered {
  readonly id: string;
  readonly digest: string;
  readonly was: 'open' | 'rejected' | 'confirmed';
}

/** A held change as it is shown. */
type ShownHold = HeldChange & {
  readonly id: string;
  readonly digest: string;
  readonly subject: string;
  readonly state: HoldRow['state'];
  readonly heldAt: number;
  readonly decidedAt: number | null;
  readonly decidedBy: string | null;
};

/** An operator who decides. */
interface Operator {
  username: string;
  remoteAddr: string | null;
}

/** An administrator looks at no more held changes than these; each may be as long as a page. */
const MOST_HOLDS = 500;

/** Changes that wait for an operator: shows them, and takes down what was decided. */
export function createHeldChanges(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  /** Called when something was decided: what hosts see may have to change. */
  onDecided: () => void;
}) {
  const { db, clock } = deps;

  /** All or none: who decides about many has seen them together. */
  async function decide(
    answered: readonly Answered[],
    state: 'confirmed' | 'rejected',
    actor: Operator,
  ): Promise<void> {
    await db.transaction(async (work) => {
      for (const { id, digest, was } of answered) {
        const hold = { id, digest, state: was };
        const row = await decideHold(work, hold, { state, at: clock.now(), by: actor.username });
        if (!row) throw new Refusal('not_found');
        // Only what goes on can be taken back; everything else has happened.
        const isOver = was === 'confirmed' && (row.kind !== 'host_report' || state !== 'rejected');
        if (isOver) throw new Refusal('not_found');
        await deps.events.append(work, {
          event: state === 'confirmed' ? 'directory_change_confirmed' : 'directory_change_rejected',
          username: '',
          actor: actor.username,
          remoteAddr: actor.remoteAddr,
          reason: row.kind,
          data: { holdId: row.id, subject: row.subject, was, ...(JSON.parse(row.detail) as object) },
        });
      }
    });
    deps.onDecided();
  }

  const readHolds = async () => (await listGravestHolds(db.query, MOST_HOLDS)).map(readHold);

  return {
    /** What is held, the gravest first, no more than can be looked at. */
    holds: async () => (await readHolds()).flatMap((hold) => ('unreadable' in hold ? [] : [hold])),
    /** Those among them that cannot be read. */
    unreadableHolds: async () => (await readHolds()).flatMap((hold) => ('unreadable' in hold ? [hold] : [])),
    /** How many changes wait for a decision. */
    openHolds: () => countOpenHolds(db.query),
    /**
     * Lets exactly this change through. `digest` is what the operator was shown, and so is `was`: who lets through
     * what a colleague refused a moment ago has to know it. @throws Refusal
     */
    confirm: (hold: { id: string; digest: string; was?: 'open' | 'rejected' }, actor: Operator) =>
      decide([{ ...hold, was: hold.was ?? 'open' }], 'confirmed', actor),
    /**
     * Keeps exactly this change out for as long as the source asks for it, or until it is confirmed. A host whose report
     * was ignored is heard again. @throws Refusal
     */
    reject: (hold: { id: string; digest: string; was?: 'open' | 'confirmed' }, actor: Operator) =>
      decide([{ ...hold, was: hold.was ?? 'open' }], 'rejected', actor),
    /** Answers many changes at once, or none when one of them is not what the operator saw. @throws Refusal */
    decideMany: decide,
  };
}

/** One that cannot be read must not hide the others. */
function readHold(row: HoldRow): ShownHold | UnreadableRow {
  try {
    return {
      ...heldChange.parse({ kind: row.kind, detail: JSON.parse(row.detail) }),
      id: row.id,
      digest: row.digest,
      subject: row.subject,
      state: row.state,
      heldAt: row.held_at,
      decidedAt: row.decided_at,
      decidedBy: row.decided_by,
    };
  } catch (cause) {
    return { unreadable: true, id: row.id, cause };
  }
}
