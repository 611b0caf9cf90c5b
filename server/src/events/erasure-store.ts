import { canonicalJson } from '#shared/canonical-json.ts';
import { ERASED } from '#shared/events.ts';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';

/** Everything of a topic up to this event that can be erased is. */
export async function readErasedTo(query: Query, topic: string): Promise<number> {
  const row = await kysely(query)
    .selectFrom('event_erasures')
    .select('seq')
    .where('topic', '=', topic)
    .executeTakeFirst();
  return row?.seq ?? 0;
}

/** False when another process has got further meanwhile. */
export async function moveErasedTo(
  work: UnitOfWork,
  topic: string,
  { from, to }: { from: number; to: number },
): Promise<boolean> {
  await kysely(work.query)
    .insertInto('event_erasures')
    .values({ topic, seq: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const result = await kysely(work.query)
    .updateTable('event_erasures')
    .set({ seq: to })
    .where('topic', '=', topic)
    .where('seq', '=', from)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** So many values stand in one statement. */
const AT_ONCE = 500;

/** Takes the payload and the salt of events away. */
export async function erasePayloads(work: UnitOfWork, seqs: readonly number[]): Promise<void> {
  const { username, hostId, hostname, code, actor, reason, remoteAddr, data, salt } = ERASED;
  const erased = {
    username,
    host_id: hostId,
    hostname,
    code,
    actor,
    reason,
    remote_addr: remoteAddr,
    data: canonicalJson(data),
    salt,
  };
  for (let from = 0; from < seqs.length; from += AT_ONCE) {
    await kysely(work.query)
      .updateTable('events')
      .set(erased)
      .where('seq', 'in', seqs.slice(from, from + AT_ONCE))
      .where('payload_hash', 'is not', null)
      .execute();
  }
}
