import { type Selectable, sql } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { HostsTable, OfflineGrantsTable } from '../db/schema.ts';

/** Notes what a grant rests on that is about to be given to a host. */
export async function noteGrant(work: UnitOfWork, grant: OfflineGrantsTable): Promise<void> {
  const higher = (column: 'sequence' | 'live_until') =>
    sql<number>`case when excluded.${sql.ref(column)} > offline_grants.${sql.ref(column)}
      then excluded.${sql.ref(column)} else offline_grants.${sql.ref(column)} end`;
  await kysely(work.query)
    .insertInto('offline_grants')
    .values(grant)
    .onConflict((conflict) =>
      conflict.columns(['host_id', 'username']).doUpdateSet({
        policy_version: grant.policy_version,
        sequence: higher('sequence'),
        live_until: higher('live_until'),
      }),
    )
    .execute();
}

/** A grant that may count still, with what there is to know of its host now. */
export type LiveGrant = Selectable<OfflineGrantsTable> &
  Pick<Selectable<HostsTable>, 'hostname' | 'host_group' | 'state'>;

export async function liveGrants(query: Query, now: number): Promise<LiveGrant[]> {
  return kysely(query)
    .selectFrom('offline_grants')
    .innerJoin('hosts', 'hosts.id', 'offline_grants.host_id')
    .selectAll('offline_grants')
    .select(['hosts.hostname', 'hosts.host_group', 'hosts.state'])
    .where('live_until', '>', now)
    .execute();
}

/** Takes every grant of a host back up to this sequence number. */
export async function revokeGrants(work: UnitOfWork, hostId: string, to: number): Promise<void> {
  await kysely(work.query)
    .updateTable('hosts')
    .set({ grants_revoked_to: to })
    .where('id', '=', hostId)
    .where('grants_revoked_to', '<', to)
    .execute();
  await kysely(work.query)
    .deleteFrom('offline_grants')
    .where('host_id', '=', hostId)
    .where('sequence', '<=', to)
    .execute();
}

export async function forgetGrants(work: UnitOfWork, now: number): Promise<void> {
  await kysely(work.query).deleteFrom('offline_grants').where('live_until', '<=', now).execute();
}

export async function keepJournalHash(work: UnitOfWork, hostId: string, hash: string): Promise<void> {
  await kysely(work.query).updateTable('hosts').set({ grants_journal: hash }).where('id', '=', hostId).execute();
}

/** The request that a use of a grant became; null: none of this host has this nonce. */
export async function findUse(query: Query, hostId: string, nonce: string): Promise<string | null> {
  const row = await kysely(query)
    .selectFrom('challenges')
    .select('id')
    .where('nonce', '=', nonce)
    .where('host_id', '=', hostId)
    .where('offline_grant', 'is not', null)
    .executeTakeFirst();
  return row?.id ?? null;
}
