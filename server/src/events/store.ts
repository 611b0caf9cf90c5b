import { canonicalJson } from '#shared/canonical-json.ts';
import { CHAIN_START, type EventRecord, eventHash, type LoggedEvent } from '#shared/events.ts';
import { kysely, type Query } from '../db/query.ts';

/** Newest event. With a driver: locked, so that the next writer waits for this one (SQLite has one writer anyway). */
export async function readHead(query: Query, lockFor?: 'sqlite' | 'postgres'): Promise<{ seq: number; hash: string }> {
  let select = kysely(query).selectFrom('event_head').select(['seq', 'hash']).where('id', '=', 1);
  if (lockFor === 'postgres') select = select.forUpdate();
  return select.executeTakeFirstOrThrow();
}

/** Writes one sealed event and moves the head. */
export async function appendEvent(query: Query, event: EventRecord): Promise<void> {
  await kysely(query)
    .insertInto('events')
    .values({
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
      prev_hash: event.prevHash,
      hash: event.hash,
    })
    .execute();
  await kysely(query).updateTable('event_head').set({ seq: event.seq, hash: event.hash }).where('id', '=', 1).execute();
}

function parseData(text: string): Pick<LoggedEvent, 'data' | 'unreadable'> {
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return { data: { ...data } };
  } catch {}
  return { data: {}, unreadable: true };
}

function fromRow(row: {
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
  prev_hash: string;
  hash: string;
}): LoggedEvent {
  return {
    seq: row.seq,
    at: row.at,
    event: row.event,
    username: row.username,
    hostId: row.host_id,
    hostname: row.hostname,
    challengeId: row.challenge_id,
    code: row.code,
    actor: row.actor,
    reason: row.reason,
    remoteAddr: row.remote_addr,
    ...parseData(row.data),
    prevHash: row.prev_hash,
    hash: row.hash,
  };
}

/** Events after `seq`, oldest first. */
export async function readEvents(query: Query, after: number, limit: number): Promise<LoggedEvent[]> {
  const rows = await kysely(query)
    .selectFrom('events')
    .selectAll()
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute();
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

export type ChainProblem = { seq: number; problem: 'gap' | 'broken_link' | 'unreadable' | 'altered' | 'head_differs' };

/** Walks the whole chain. Null when it is intact from the first event to the head. */
export async function checkChain(query: Query): Promise<ChainProblem | null> {
  let seq = 0;
  let hash = CHAIN_START;
  for (;;) {
    const events = await readEvents(query, seq, 1000);
    for (const event of events) {
      if (event.seq !== seq + 1) return { seq: seq + 1, problem: 'gap' };
      if (event.prevHash !== hash) return { seq: event.seq, problem: 'broken_link' };
      if (event.unreadable) return { seq: event.seq, problem: 'unreadable' };
      const { hash: own, ...rest } = event;
      if (eventHash(rest) !== own) return { seq: event.seq, problem: 'altered' };
      seq = event.seq;
      hash = own;
    }
    if (events.length < 1000) break;
  }
  const head = await readHead(query);
  return head.seq === seq && head.hash === hash ? null : { seq, problem: 'head_differs' };
}
