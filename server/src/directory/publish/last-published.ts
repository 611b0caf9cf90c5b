import type { Database, UnitOfWork } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';
import type { GuardResult } from '../guards/guard.ts';
import { deleteHold, type HoldRow, insertHold } from '../guards/hold-store.ts';
import { type DirectorySnapshot, EMPTY_SNAPSHOT } from '../source/model.ts';
import type { DirectorySource } from '../source/source.ts';
import { packSnapshot, readPublished, touchPublished, writePublished } from './published-store.ts';
import type { Served } from './round.ts';

const TOUCH_EVERY_MS = 10 * 60_000;

export interface LastPublishedDeps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  /** Null in bridge mode. */
  source: Pick<DirectorySource, 'name'> | null;
  /** Nothing stands between these hosts and the directory any more. */
  admitHosts: (work: UnitOfWork, ids: readonly string[]) => Promise<void>;
  /** Authenticates what is kept in the database; 32 bytes from outside of it. */
  macKey: Uint8Array;
}

/** What was published last, by whichever process: what the next snapshot is compared with. Read once, then remembered. */
export function createLastPublished(deps: LastPublishedDeps) {
  const { db, clock, source } = deps;
  let loaded = false;
  let snapshot: DirectorySnapshot | null = null;
  let snapshotHash = '';
  let forged = false;
  let lastTouchAt = 0;

  return {
    /** Null: nothing was published, or it is not loaded. */
    snapshot: () => snapshot,
    /** Empty where nothing was published, or its hash is not known. */
    hash: () => snapshotHash,
    /** What is kept in the database was not written by this installation, and is not used. */
    forged: () => forged,

    async load(): Promise<void> {
      if (loaded || !source) return;
      const last = await readPublished(db.query, deps.macKey);
      if (last.state === 'forged') {
        forged = true;
        // Not null: compared with nothing, everything that gives power waits for an operator.
        snapshot = EMPTY_SNAPSHOT;
      } else if (last.state === 'ok') {
        snapshot = last.published.snapshot;
        snapshotHash = last.published.hash;
        lastTouchAt = last.published.fetchedAt;
      }
      loaded = true;
    },

    /** Notes that the source was heard and said what is published already. */
    async touch(): Promise<void> {
      const now = clock.now();
      if (!source || now - lastTouchAt <= TOUCH_EVERY_MS) return;
      await db.transaction((work) => touchPublished(work, now));
      lastTouchAt = now;
    },

    /**
     * What is published, and what waits, in one transaction with the events that say so.
     *
     * @param context.fetched false: what is only remembered asks an operator nothing and takes back no question
     */
    async store(
      guarded: GuardResult,
      hash: string,
      counts: Served['counts'],
      context: {
        fetched: boolean;
        holds: readonly HoldRow[];
        decided: ReadonlyMap<string, HoldRow['state']>;
        now: number;
      },
    ): Promise<void> {
      const { fetched, holds, decided, now } = context;
      const packed =
        source && hash !== snapshotHash ? await packSnapshot(guarded.publish, hash, source.name, deps.macKey) : null;
      await db.transaction(async (work) => {
        await deps.admitHosts(work, guarded.hosts.admitted);
        if (packed) {
          await writePublished(work, packed, now);
          await deps.events.append(work, {
            event: 'directory_published',
            username: '',
            data: { ...counts, source: packed.source, hash, held: guarded.arising.length },
          });
        }
        if (!fetched) return;
        const arising = new Set(guarded.arising.map(({ digest }) => digest));
        for (const row of holds) if (!arising.has(row.digest)) await deleteHold(work, row.id);
        for (const hold of guarded.arising) {
          if (decided.has(hold.digest)) continue;
          const id = deps.random.uuid();
          const { kind, subject, digest, detail } = hold;
          const row: HoldRow = {
            id,
            kind,
            subject,
            digest,
            detail: JSON.stringify(detail),
            state: 'open',
            held_at: now,
            decided_at: null,
            decided_by: null,
          };
          if (!(await insertHold(work, row))) continue;
          await deps.events.append(work, {
            event: 'directory_change_held',
            username: '',
            reason: kind,
            data: { holdId: id, subject, ...detail },
          });
        }
      });
      if (!packed) return;
      snapshot = guarded.publish;
      snapshotHash = hash;
      lastTouchAt = now;
    },
  };
}
