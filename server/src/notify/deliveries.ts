import type { Database } from '../db/database.ts';
import type { NotifyAttemptsTable, NotifyDeliveriesTable } from '../db/schema.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import type { Exchange } from './channel.ts';
import type { StoredChannel } from './channel-store.ts';
import type { Operator } from './configured.ts';
import * as store from './delivery-store.ts';
import type { TestedBy } from './notice.ts';
import { MOST_ATTEMPTS } from './planning.ts';
import type { By } from './routing.ts';

/** For how long what ended is kept to look at, milliseconds. */
export const KEPT_MS = 30 * 24 * 60 * 60_000;

/** What became of telling one thing once. */
export interface DeliveryView {
  readonly id: string;
  /** Number of the event; null: it was a test. */
  readonly seq: number | null;
  readonly event: string;
  readonly channel: string;
  readonly shared: boolean;
  /** 0: at once; others are later steps, and -1 takes back what was announced. */
  readonly step: number;
  readonly status: NotifyDeliveriesTable['status'];
  readonly attempts: number;
  readonly dueAt: number;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly reason: string | null;
  readonly because: readonly (By | TestedBy)[];
  /** The delivery that stood for it. */
  readonly foldedInto: string | null;
}

export type AttemptView = Pick<NotifyAttemptsTable, 'number' | 'at' | 'outcome' | 'reason'> & {
  readonly tookMs: number;
  /** What was said and answered; null: nothing was, it is not known, or it is somebody else's. */
  readonly exchange: Exchange | null;
};

function becauseOf(text: string): readonly (By | TestedBy)[] {
  try {
    return JSON.parse(text) as (By | TestedBy)[];
  } catch {
    return [];
  }
}

function exchangeOf(text: string | null): Exchange | null {
  try {
    return text === null ? null : (JSON.parse(text) as Exchange);
  } catch {
    return null;
  }
}

export const viewOf = (row: NotifyDeliveriesTable): DeliveryView => ({
  id: row.id,
  seq: row.seq,
  event: row.event,
  channel: row.channel,
  shared: row.person === '',
  step: row.step,
  status: row.status,
  attempts: row.attempts,
  dueAt: row.due_at,
  createdAt: row.created_at,
  endedAt: row.ended_at,
  reason: row.reason,
  because: becauseOf(row.because),
  foldedInto: row.folded_into,
});

export type Deliveries = ReturnType<typeof createDeliveries>;

/** What was told, what waits, and what was given up. */
export function createDeliveries(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  /** Called once there is something to deliver. */
  wake: () => void;
}) {
  const { db, events, clock } = deps;

  const dead = async (
    which: store.WhichDead,
    what: 'retried' | 'discarded',
    by: Pick<Operator, 'username' | 'remoteAddr'>,
  ): Promise<number> =>
    db.transaction(async (work) => {
      const now = clock.now();
      const count =
        what === 'retried'
          ? await store.retryDead(work, which, { now, attempts: MOST_ATTEMPTS })
          : await store.discardDead(work, which, now);
      if (count === 0) return 0;
      const data = { id: 'id' in which ? which.id : null, channel: 'channel' in which ? which.channel : null, count };
      await events.append(work, {
        event: `notification_dead_letters_${what}`,
        username: '',
        actor: by.username,
        remoteAddr: by.remoteAddr,
        data,
      });
      if (what === 'retried') work.afterCommit(deps.wake);
      return count;
    });

  return {
    /** Newest first. */
    async list(
      filter: store.DeliveryFilter,
      page: { before: store.DeliveryPlace | null; limit: number },
    ): Promise<{ deliveries: DeliveryView[]; older: store.DeliveryPlace | null }> {
      const before = page.before ?? { createdAt: Number.MAX_SAFE_INTEGER, id: '' };
      const rows = await store.listDeliveries(db.query, filter, { before, limit: page.limit + 1 });
      const shown = rows.slice(0, page.limit);
      const last = shown.at(-1);
      const older = rows.length > page.limit && last ? { createdAt: last.created_at, id: last.id } : null;
      return { deliveries: shown.map(viewOf), older };
    },

    /**
     * One with all its attempts; null: there is none, or it is of another person than the one who is given.
     *
     * @param reader who asks: what was said and answered on a channel of one person is for that one alone
     */
    async get(
      id: string,
      person: string | null,
      reader = '',
    ): Promise<(DeliveryView & { tries: AttemptView[] }) | null> {
      const row = await store.findDelivery(db.query, id);
      if (row === null || (person !== null && row.person !== person)) return null;
      const tries = await store.attemptsOf(db.query, id);
      const maySee = row.person === '' || row.person === reader;
      return {
        ...viewOf(row),
        tries: tries.map(({ number, at, outcome, reason, took_ms, exchange }) => ({
          ...{ number, at, outcome, reason, tookMs: took_ms },
          exchange: maySee ? exchangeOf(exchange) : null,
        })),
      };
    },

    /** Has dead letters tried again. @returns how many */
    retry: (which: store.WhichDead, by: Pick<Operator, 'username' | 'remoteAddr'>) => dead(which, 'retried', by),
    /** Gives dead letters up. @returns how many */
    discard: (which: store.WhichDead, by: Pick<Operator, 'username' | 'remoteAddr'>) => dead(which, 'discarded', by),

    /** Sends something harmless on the way that everything else goes. @returns the delivery in which it can be followed */
    async test(channel: Pick<StoredChannel, 'name' | 'owner'>, username: string): Promise<string> {
      const id = randomText(deps.random);
      const now = clock.now();
      await db.transaction(async (work) => {
        await store.insertDeliveries(work, [
          {
            id,
            seq: null,
            event: 'test',
            channel: channel.name,
            person: channel.owner ?? '',
            step: 0,
            announces: null,
            fold_key: id,
            because: JSON.stringify([{ rule: 'test', username } satisfies TestedBy]),
            status: 'queued',
            attempts: 0,
            // Somebody sits there and waits: what does not arrive is told, and not tried for an hour.
            attempts_left: 1,
            due_at: now,
            created_at: now,
            ended_at: null,
            reason: null,
            folded_into: null,
          },
        ]);
        work.afterCommit(deps.wake);
      });
      return id;
    },

    /** Forgets what ended long ago. */
    async forgetOld(): Promise<void> {
      while ((await db.transaction((work) => store.forgetOld(work, clock.now() - KEPT_MS, 500))) === 500);
    },
  };
}
