import { DatabaseTrouble, TROUBLE_SAYS, type TroubleKind } from './trouble.ts';

/** Hears of trouble with a database once when it begins and once when it ends, however many fail of it meanwhile. */
export interface TroubleListener {
  begins(trouble: DatabaseTrouble): void;
  /** @param afterMs how long it lasted */
  ends(kind: TroubleKind, afterMs: number): void;
}

export interface TroubleTeller {
  trouble(trouble: DatabaseTrouble): void;
  /** The database answers, as what watches over it has found. */
  answers(): void;
  /** Something was written. */
  wrote(): void;
  /** How long ago something failed of it last, milliseconds; null: nothing ever did. */
  agoMs(): number | null;
  /** Whether an error is trouble of which a listener knows. What comes from another thread is known by its words. */
  isTold(error: unknown): boolean;
}

/** One failure among many answers is no end and no beginning: so long nothing may fail before it is over, milliseconds. */
const QUIET_MS = 5000;
/** Of damage nobody learns that it ended. It is told again after so long, milliseconds. */
const DAMAGE_TOLD_EVERY_MS = 10 * 60_000;

interface Open {
  since: number;
  /** When something failed of it last. */
  last: number;
  /** The first answer after that. */
  wellAt: number | null;
  told: boolean;
}

export function createTroubleTeller({ begins, ends }: TroubleListener, now = () => performance.now()): TroubleTeller {
  const open = new Map<TroubleKind, Open>();
  const ended = new Map<TroubleKind, number>();
  const damage = new Map<string | null, number>();
  let failedAt: number | null = null;

  function end(kind: TroubleKind, { since, told }: Open, at: number): void {
    open.delete(kind);
    ended.set(kind, at);
    if (told) ends(kind, at - since);
  }

  function damaged(trouble: DatabaseTrouble): void {
    const at = now();
    if (at - (damage.get(trouble.table) ?? Number.NEGATIVE_INFINITY) < DAMAGE_TOLD_EVERY_MS) return;
    damage.set(trouble.table, at);
    begins(trouble);
  }

  return {
    trouble(trouble) {
      const { kind } = trouble;
      if (kind === 'damaged') return damaged(trouble);
      const at = now();
      failedAt = at;
      const known = open.get(kind) ?? { since: at, last: at, wellAt: null, told: false };
      open.set(kind, known);
      known.last = at;
      known.wellAt = null;
      // What was under way when it came back may fail late: that is no trouble of its own.
      const isLate =
        known.since - (ended.get(kind) ?? Number.NEGATIVE_INFINITY) < QUIET_MS && at - known.since < QUIET_MS;
      if (known.told || isLate) return;
      known.told = true;
      begins(trouble);
    },
    answers() {
      const away = open.get('away');
      if (away !== undefined) end('away', away, now());
    },
    wrote() {
      if (open.size === 0) return;
      const at = now();
      for (const [kind, known] of open) {
        known.wellAt ??= at;
        if (at - known.last >= QUIET_MS) end(kind, known, known.wellAt);
      }
    },
    agoMs: () => (failedAt === null ? null : now() - failedAt),
    isTold(error) {
      if (error instanceof DatabaseTrouble) return true;
      const text = error instanceof Error ? error.message : error;
      if (typeof text !== 'string') return false;
      // Another thread may learn later that it is back.
      const lately = [...ended].filter(([, at]) => now() - at < QUIET_MS).map(([kind]) => kind);
      return [...open.keys(), ...lately].some((kind) => text.includes(TROUBLE_SAYS[kind]));
    },
  };
}
