import { canonicalJson } from '#shared/canonical-json.ts';
import { sha256 } from '#shared/digest.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog, NewEvent } from '../events/log.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import { addReads, forgetReads, listReads, setTold } from './log-read-store.ts';

/** What is asked for in the same way is told so often at most, milliseconds. */
export const TOLD_EVERY_MS = 60_000;

/** Who reads, where that is no signed-in person. */
export interface LogReader {
  actor: string;
  /** Of the person; null: an operator on the server's machine. */
  issuer: string | null;
  subject: string | null;
  remoteAddr: string | null;
}

/** What was read. */
export interface LogRead {
  what: 'requests' | 'events' | 'event' | 'export' | 'evidence';
  /** What was asked for, without where the page begins and how long it is. No secrets. */
  filter: Readonly<Record<string, string | number | boolean | readonly string[] | null>>;
  /** How many rows were handed out. */
  rows: number;
}

export interface LogReads {
  /**
   * Remembers a read; call it before what was read leaves the server. The first of its kind is an event at once, what is
   * asked for in the same way within a minute is in the next one: none is lost, and paging through the log is no flood. What
   * takes long is remembered with 0 rows when it begins, and again with the rest when it ends.
   *
   * @throws when it cannot be stored: nothing is handed out then
   */
  record(by: Viewer | LogReader, read: LogRead): Promise<void>;
  /** Tells what is due, and forgets what was told. */
  settle(): Promise<void>;
}

function readerOf(by: Viewer | LogReader): LogReader {
  if (!('person' in by)) return by;
  const { person, remoteAddr } = by;
  return { actor: person.username, issuer: person.issuer, subject: person.subject, remoteAddr };
}

/** Who reads the log, in the log. Reading what tells of that is told like any other reading, and makes no page ask anew. */
export function createLogReads(deps: { db: Database; events: Pick<EventLog, 'append'>; clock: Clock }): LogReads {
  const { db, events, clock } = deps;

  async function add(work: UnitOfWork, given: { digest: string; about: string; reads: number; rows: number }) {
    const pending = await addReads(work, given);
    const now = clock.now();
    // A clock that was ahead and was put right: what was told by it then would be told of no more until then.
    if (Math.abs(now - pending.told_at) < TOLD_EVERY_MS) return;
    if (pending.reads === 0) return forgetReads(work, given.digest);
    const { data, ...about } = JSON.parse(pending.about) as Pick<NewEvent, 'actor' | 'remoteAddr' | 'data'>;
    const { reads, rows } = pending;
    await events.append(work, { event: 'audit_read', username: '', ...about, data: { ...data, reads, rows } });
    await setTold(work, given.digest, now);
  }

  return {
    async record(by, { what, filter, rows }) {
      const { actor, issuer, subject, remoteAddr } = readerOf(by);
      const person = issuer === null ? {} : { issuer, subject };
      const about = canonicalJson({ actor, remoteAddr, data: { what, filter, ...person } });
      await db.transaction((work) => add(work, { digest: sha256(about), about, reads: 1, rows }));
    },
    async settle() {
      const now = clock.now();
      for (const { digest, about } of await listReads(db.query, now - TOLD_EVERY_MS, now + TOLD_EVERY_MS))
        await db.transaction((work) => add(work, { digest, about, reads: 0, rows: 0 }));
    },
  };
}
