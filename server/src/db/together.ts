import { Refusal } from '#shared/errors.ts';
import type { Database, UnitOfWork } from './database.ts';
import { DatabaseTrouble } from './trouble.ts';

/** What became of one of several that share a transaction. One that was refused has changed nothing. */
export type Outcome<T> = { readonly value: T } | { readonly refusal: Refusal };

/** What was thrown at one of several: a refusal is its own, all else concerns the whole transaction. @throws all else */
export function refusedWith(error: unknown): { readonly refusal: Refusal } {
  if (error instanceof Refusal) return { refusal: error };
  throw error;
}

/** What a check says of one of several. */
export function outcomeOf<T>(check: () => T): Outcome<T> {
  try {
    return { value: check() };
  } catch (error) {
    return refusedWith(error);
  }
}

/** Goes on with those that were not refused yet. */
export async function proceed<A, B>(
  outcomes: readonly Outcome<A>[],
  step: (values: A[]) => Outcome<B>[] | Promise<Outcome<B>[]>,
): Promise<Outcome<B>[]> {
  const values = outcomes.flatMap((outcome) => ('value' in outcome ? [outcome.value] : []));
  const next = values.length === 0 ? [] : [...(await step(values))];
  return outcomes.map((outcome) => ('value' in outcome ? next.shift()! : outcome));
}

/** The most that share a transaction: whoever asks for something else meanwhile waits for all of them. */
const MOST = 64;
/** How many transactions at a time. On Postgres one is prepared while the other waits for the head of the log. */
const AT_ONCE: Record<Database['driver'], number> = { sqlite: 1, postgres: 2 };

/**
 * How long those that are ready wait for those that are on their way, milliseconds: one wait for the disk for all of them
 * is shorter for each than one after the other.
 */
const PATIENCE_MS = 3;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly key: string;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Does what several ask at the same moment in one transaction: the ways to the database and the wait for its disk are
 * shared, and each has an outcome of its own. When the transaction fails, nothing of it has happened, and it is done again
 * in halves: whoever makes it fail does so alone in the end.
 *
 * @param deps.keyOf of two with the same key, the second one waits until the first one is done
 * @param deps.run what is refused must have changed nothing; what it throws undoes everything
 * @returns takes what is asked, which may still be on its way. Resolves when it is durable. Rejects with what it was refused
 * with, or what went wrong
 */
export function createTogether<Item, Result>(deps: {
  db: Pick<Database, 'driver' | 'transaction'>;
  keyOf: (item: Item) => string;
  run: (work: UnitOfWork, items: readonly Item[]) => Promise<readonly Outcome<Result>[]>;
}): (item: Item | Promise<Item>) => Promise<Result> {
  const { db } = deps;
  type Asked = Waiting<Item, Result>;
  let waiting: Asked[] = [];
  const busy = new Set<string>();
  let running = 0;
  /** How many are on their way, and who is told when nobody is any more. */
  let coming = 0;
  const gathering = new Set<() => void>();

  /** Resolves when all that were on their way are here, or were waited for long enough. */
  async function gather(): Promise<void> {
    // Whoever asks in this turn of the event loop is in the same group.
    await new Promise((resolve) => setImmediate(resolve));
    if (coming === 0 || waiting.length >= MOST) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(patience);
        gathering.delete(done);
        resolve();
      };
      const patience = setTimeout(done, PATIENCE_MS);
      gathering.add(done);
    });
  }

  function nextGroup(): Asked[] {
    const group: Asked[] = [];
    const left: Asked[] = [];
    for (const asked of waiting) {
      if (group.length === MOST || busy.has(asked.key)) {
        left.push(asked);
        continue;
      }
      busy.add(asked.key);
      group.push(asked);
    }
    waiting = left;
    return group;
  }

  async function attempt(group: readonly Asked[]): Promise<void> {
    let outcomes: readonly Outcome<Result>[];
    try {
      outcomes = await db.transaction((work) =>
        deps.run(
          work,
          group.map(({ item }) => item),
        ),
      );
    } catch (error) {
      // The database's own trouble is everybody's. Nor may anything be repeated of which nobody knows whether it was done.
      if (group.length === 1 || error instanceof DatabaseTrouble) {
        for (const { reject } of group) reject(error);
        return;
      }
      const half = group.length >> 1;
      await attempt(group.slice(0, half));
      await attempt(group.slice(half));
      return;
    }
    group.forEach(({ resolve, reject }, index) => {
      const outcome = outcomes[index]!;
      if ('value' in outcome) resolve(outcome.value);
      else reject(outcome.refusal);
    });
  }

  async function lane(): Promise<void> {
    for (;;) {
      await gather();
      const group = nextGroup();
      if (group.length === 0) break;
      await attempt(group);
      for (const { key } of group) busy.delete(key);
    }
    running -= 1;
  }

  function enter(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      waiting.push({ item, key: deps.keyOf(item), resolve, reject });
      if (running === AT_ONCE[db.driver]) return;
      running += 1;
      void lane();
    });
  }

  return async (asked) => {
    coming += 1;
    let answer: Promise<Result>;
    try {
      answer = enter(await asked);
    } finally {
      coming -= 1;
      if (coming === 0 || waiting.length >= MOST) for (const done of gathering) done();
    }
    return answer;
  };
}
