import { sealEvent } from '#shared/events.ts';
import type { UnitOfWork } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { readEvents } from '../events/store.ts';

/**
 * What somebody does who holds the database and none of the keys: changes one event and makes the chain right again, from
 * there to the head.
 */
export async function rewriteLog(work: UnitOfWork, seq: number, change: { reason: string }): Promise<void> {
  const before = await readEvents(work.query, seq - 2, 1);
  let prevHash = before[0]?.hash ?? '';
  let hash = prevHash;
  for (let after = seq - 1; ; ) {
    const events = await readEvents(work.query, after, 500);
    for (const event of events) {
      const altered = sealEvent({ ...event, ...(event.seq === seq ? change : {}), prevHash }, event.salt ?? '');
      hash = altered.hash;
      await kysely(work.query)
        .updateTable('events')
        .set({ reason: altered.reason, payload_hash: altered.payloadHash, prev_hash: prevHash, hash } as never)
        .where('seq', '=', event.seq)
        .execute();
      prevHash = hash;
      after = event.seq;
    }
    if (events.length < 500) break;
  }
  await kysely(work.query).updateTable('event_head').set({ hash }).where('id', '=', 1).execute();
}
