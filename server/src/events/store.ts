import { type Insertable, sql } from 'kysely';
import { canonicalJson } from '#shared/canonical-json.ts';
import { CHAIN_START, type EventRecord, isAsHashed, isErased, type LoggedEvent } from '#shared/events.ts';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { EventsTable } from '../db/schema.ts';
import { first, rawStatement, rowOf, statement } from '../db/statement.ts';
import { createErasures } from './erasures.ts';

const selectHead = statement((query, _: object) =>
  query.selectFrom('event_head').select(['seq', 'hash']).where('id', '=', 1),
);
const selectHeadToChange = statement((query, _: object, { driver }) => {
  const select = query.selectFrom('event_head').select(['seq', 'hash']).where('id', '=', 1);
  return driver === 'postgres' ? select.forUpdate() : select;
});

/** The newest event. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

function present(head: Head | null): Head {
  if (head === null) throw new Error('the event log has no head');
  return head;
}

/** Newest event. */
export const readHead = async (query: Query): Promise<Head> => present(first(await selectHead(query, {})));

/**
 * Newest event, locked, so that the next writer waits for this one (SQLite has one writer anyway). For those alone whose
 * turn it is in this process: others lock it by the log (`lockHead` there).
 */
export const lockHead = async (query: Query): Promise<Head> => present(first(await selectHeadToChange(query, {})));

const insertEvent = statement((query, given: Insertable<EventsTable>, circumstances) =>
  query.insertInto('events').values(rowOf(given, circumstances)),
);
const moveHead = statement((query, given: { seq: number; hash: string }) =>
  query.updateTable('event_head').set({ seq: given.seq, hash: given.hash }).where('id', '=', 1),
);

/** The columns of an event. Each stands here, or it does not compile. */
const COLUMNS = Object.keys({
  seq: true,
  at: true,
  event: true,
  username: true,
  host_id: true,
  hostname: true,
  challenge_id: true,
  code: true,
  actor: true,
  reason: true,
  remote_addr: true,
  data: true,
  salt: true,
  payload_hash: true,
  prev_hash: true,
  hash: true,
} satisfies Record<keyof EventsTable, true>);

/** All at once: every other writer waits for the head, so each way to the database and back counts. */
const appendOnPostgres = rawStatement<{ rows: string }, unknown>(({ rows }) => {
  const columns = sql.join(COLUMNS.map((column) => sql.ref(column)));
  return sql`
    with written as (
      insert into events (${columns}) select ${columns} from json_populate_recordset(null::events, ${rows}::json)
      returning seq, hash
    )
    update event_head set seq = newest.seq, hash = newest.hash
    from (select seq, hash from written order by seq desc limit 1) as newest where event_head.id = 1
  `;
});

/** Writes sealed events, the one after the other, and moves the head. */
export async function appendEvents(
  work: Pick<UnitOfWork, 'driver' | 'query'>,
  events: readonly EventRecord[],
): Promise<void> {
  const rows: Insertable<EventsTable>[] = events.map((event) => ({
    seq: event.seq,
    at: event.at,
    event: event.event,
    username: event.username,
    host_id: event.hostId,
    hostname: event.hostname,
    challenge_id: event.challengeId,
    code: event.code,
    actor: event.actor,
    reason: event.reason,
    remote_addr: event.remoteAddr,
    data: canonicalJson(event.data),
    salt: event.salt,
    payload_hash: event.payloadHash,
    prev_hash: event.prevHash,
    hash: event.hash,
  }));
  const newest = rows.at(-1);
  if (newest === undefined) return;
  if (work.driver === 'postgres') {
    await appendOnPostgres(work.query, { rows: JSON.stringify(rows) });
    return;
  }
  for (const row of rows) await insertEvent(work.query, row);
  await moveHead(work.query, { seq: newest.seq, hash: newest.hash });
}

function parseData(text: string): Pick<LoggedEvent, 'data' | 'unreadable'> {
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) {
      // What has no canonical form nobody has hashed, and whoever writes it as it was hashed would stop there for ever.
      canonicalJson(data);
      return { data: { ...data } };
    }
  } catch {}
  return { data: {}, unreadable: true };
}

/** The last millisecond that RFC 3339 can write. No server has ever written an event of later. */
export const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A moment that cannot be one is the first of all: who reads it must be able to write it. */
function parseAt(at: number): Pick<LoggedEvent, 'at' | 'unreadable'> {
  return Number.isInteger(at) && at >= 0 && at <= LAST_MS ? { at } : { at: 0, unreadable: true };
}

/** An event as it stands in its table. */
export function fromRow(row: {
  seq: number;
  at: number;
  event: string;
  username: string;
  host_id: string | null;
  hostname: string | null;
  challenge_id: string | null;
  code: string | null;
  actor: string | null;
  reason: string | null;
  remote_addr: string | null;
  data: string;
  salt: string | null;
  payload_hash: string | null;
  prev_hash: string;
  hash: string;
}): LoggedEvent {
  return {
    seq: row.seq,
    event: row.event,
    username: row.username,
    hostId: row.host_id,
    hostname: row.hostname,
    challengeId: row.challenge_id,
    code: row.code,
    actor: row.actor,
    reason: row.reason,
    remoteAddr: row.remote_addr,
    ...parseAt(row.at),
    ...parseData(row.data),
    salt: row.salt,
    payloadHash: row.payload_hash,
    prevHash: row.prev_hash,
    hash: row.hash,
  };
}

const selectEvents = statement((query, given: { after: number; limit: number }) =>
  query.selectFrom('events').selectAll().where('seq', '>', given.after).orderBy('seq').limit(given.limit),
);

/** Events after `seq`, oldest first. */
export async function readEvents(query: Query, after: number, limit: number): Promise<LoggedEvent[]> {
  const { rows } = await selectEvents(query, { after, limit });
  return rows.map(fromRow);
}

/** Every event of one challenge, oldest first. @throws when one of them cannot be read. */
export async function readChallengeEvents(query: Query, challengeId: string): Promise<EventRecord[]> {
  const rows = await kysely(query)
    .selectFrom('events')
    .selectAll()
    .where('challenge_id', '=', challengeId)
    .orderBy('seq')
    .execute();
  return rows.map(fromRow).map((event) => {
    if (event.unreadable) throw new Error(`event ${event.seq} of the log cannot be read`);
    return event;
  });
}

export type ChainProblem = {
  seq: number;
  problem: 'gap' | 'broken_link' | 'unreadable' | 'altered' | 'erased_unsaid' | 'head_differs';
};

/**
 * Walks the whole chain. Null when it is intact from the first event to the head, and the log says of each event that was
 * erased that it was to be: the chain alone would not tell, and who holds the database could erase what they like.
 *
 * @param visit is called with each event that is in order, oldest first
 */
export async function checkChain(
  query: Query,
  visit: (event: { seq: number; hash: string; erased: boolean }) => void = () => undefined,
): Promise<ChainProblem | null> {
  let seq = 0;
  let hash = CHAIN_START;
  const erasures = createErasures();
  for (;;) {
    const events = await readEvents(query, seq, 1000);
    for (const event of events) {
      if (event.seq !== seq + 1) return { seq: seq + 1, problem: 'gap' };
      if (event.prevHash !== hash) return { seq: event.seq, problem: 'broken_link' };
      if (event.unreadable) return { seq: event.seq, problem: 'unreadable' };
      if (!isAsHashed(event)) return { seq: event.seq, problem: 'altered' };
      erasures.note(event);
      seq = event.seq;
      hash = event.hash;
      visit({ seq, hash, erased: isErased(event) });
    }
    if (events.length < 1000) break;
  }
  const unsaid = erasures.unsaid();
  if (unsaid !== null) return { seq: unsaid, problem: 'erased_unsaid' };
  const head = await readHead(query);
  return head.seq === seq && head.hash === hash ? null : { seq, problem: 'head_differs' };
}
