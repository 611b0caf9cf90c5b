import type { Selectable } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { RevealRequestsTable } from '../db/schema.ts';

export type RevealRequest = Selectable<RevealRequestsTable>;

export async function findRequest(query: Query, id: string): Promise<RevealRequest | null> {
  const select = kysely(query).selectFrom('reveal_requests').selectAll().where('id', '=', id);
  return (await select.executeTakeFirst()) ?? null;
}

/** The only one of a person for a host. */
export async function findRequestOf(
  query: Query,
  { hostId, askerId }: { hostId: string; askerId: string },
): Promise<RevealRequest | null> {
  const select = kysely(query)
    .selectFrom('reveal_requests')
    .selectAll()
    .where('host_id', '=', hostId)
    .where('asker_id', '=', askerId)
    .orderBy('asked_at', 'desc')
    .orderBy('id');
  return (await select.executeTakeFirst()) ?? null;
}

/** What still waits for somebody, oldest first. */
export async function openRequests(query: Query, now: number): Promise<RevealRequest[]> {
  return kysely(query)
    .selectFrom('reveal_requests')
    .selectAll()
    .where('shown_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('asked_at')
    .orderBy('id')
    .execute();
}

export async function insertRequest(work: UnitOfWork, row: RevealRequestsTable): Promise<void> {
  await kysely(work.query).insertInto('reveal_requests').values(row).execute();
}

export async function forgetRequestsOf(
  work: UnitOfWork,
  { hostId, askerId }: { hostId: string; askerId: string },
): Promise<void> {
  await kysely(work.query)
    .deleteFrom('reveal_requests')
    .where('host_id', '=', hostId)
    .where('asker_id', '=', askerId)
    .execute();
}

/** False when it was confirmed or shown before, is over, or is one of the same person. */
export async function confirmRequest(
  work: UnitOfWork,
  id: string,
  by: { id: string; username: string; at: number },
): Promise<boolean> {
  const result = await kysely(work.query)
    .updateTable('reveal_requests')
    .set({ confirmer_id: by.id, confirmer: by.username, confirmed_at: by.at })
    .where('id', '=', id)
    .where('asker_id', '!=', by.id)
    .where('confirmer_id', 'is', null)
    .where('shown_at', 'is', null)
    .where('expires_at', '>', by.at)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** False when it was spent before, is over, or was never confirmed. */
export async function spendRequest(work: UnitOfWork, id: string, now: number): Promise<boolean> {
  const result = await kysely(work.query)
    .updateTable('reveal_requests')
    .set({ shown_at: now })
    .where('id', '=', id)
    .where('confirmer_id', 'is not', null)
    .where('shown_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

export async function forgetOver(work: UnitOfWork, now: number): Promise<void> {
  await kysely(work.query).deleteFrom('reveal_requests').where('expires_at', '<=', now).execute();
}
