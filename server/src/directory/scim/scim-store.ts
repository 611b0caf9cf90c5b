import type { Selectable } from 'kysely';
import type { UnitOfWork } from '../../db/database.ts';
import { kysely, type Query } from '../../db/query.ts';
import type { ScimClientsTable, ScimResourcesTable } from '../../db/schema.ts';
import type { Kind } from './resource.ts';

export type ClientRow = Selectable<ScimClientsTable>;
export type ResourceRow = Selectable<ScimResourcesTable>;

export async function findClientByToken(query: Query, tokenHash: string): Promise<ClientRow | null> {
  return (
    (await kysely(query)
      .selectFrom('scim_clients')
      .selectAll()
      .where('token_hash', '=', tokenHash)
      .executeTakeFirst()) ?? null
  );
}

export async function listClients(query: Query): Promise<ClientRow[]> {
  return kysely(query).selectFrom('scim_clients').selectAll().orderBy('created_at').execute();
}

export async function insertClient(work: UnitOfWork, row: ClientRow): Promise<void> {
  await kysely(work.query).insertInto('scim_clients').values(row).execute();
}

export async function revokeClient(work: UnitOfWork, id: string, now: number): Promise<ClientRow | null> {
  return (
    (await kysely(work.query)
      .updateTable('scim_clients')
      .set({ revoked_at: now })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .returningAll()
      .executeTakeFirst()) ?? null
  );
}

export async function touchClient(work: UnitOfWork, id: string, now: number): Promise<void> {
  await kysely(work.query).updateTable('scim_clients').set({ last_used_at: now }).where('id', '=', id).execute();
}

/**
 * Keeps two writers of one issuer from passing each other: each would find an external id free, and two people of one
 * identity stop the whole directory.
 */
export async function lockClient(work: UnitOfWork, id: string): Promise<ClientRow | null> {
  let select = kysely(work.query)
    .selectFrom('scim_clients')
    .selectAll()
    .where('issuer', '=', (e) => e.selectFrom('scim_clients as own').select('own.issuer').where('own.id', '=', id))
    .orderBy('id');
  if (work.driver === 'postgres') select = select.forUpdate();
  return (await select.execute()).find((row) => row.id === id) ?? null;
}

const live = (query: Query, clientId: string, kind: Kind) =>
  kysely(query)
    .selectFrom('scim_resources')
    .where('client_id', '=', clientId)
    .where('kind', '=', kind)
    .where('deleted_at', 'is', null);

/** Live resources of one client in a stable order. `by` narrows to one name, external id or id. */
export async function listResources(
  query: Query,
  clientId: string,
  kind: Kind,
  page: { offset: number; limit: number },
  by?: { column: 'unique_name' | 'external_id' | 'id'; value: string },
): Promise<{ rows: ResourceRow[]; total: number }> {
  let rows = live(query, clientId, kind).selectAll();
  let total = live(query, clientId, kind).select((e) => e.fn.countAll<number>().as('n'));
  if (by) {
    rows = rows.where(by.column, '=', by.value);
    total = total.where(by.column, '=', by.value);
  }
  return {
    rows:
      page.limit === 0
        ? []
        : await rows.orderBy('created_at').orderBy('id').limit(page.limit).offset(page.offset).execute(),
    total: Number((await total.executeTakeFirstOrThrow()).n),
  };
}

export async function findResource(
  query: Query,
  clientId: string,
  kind: Kind,
  id: string,
): Promise<ResourceRow | null> {
  return (await live(query, clientId, kind).selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

/** What a client has or had under these ids: the kind of what is there, and what it deleted. */
export async function membersOf(
  query: Query,
  clientId: string,
  ids: readonly string[],
): Promise<Map<string, Kind | 'deleted'>> {
  const found = new Map<string, Kind | 'deleted'>();
  for (let at = 0; at < ids.length; at += 500) {
    const rows = await kysely(query)
      .selectFrom('scim_resources')
      .select(['id', 'kind', 'deleted_at'])
      .where('client_id', '=', clientId)
      .where('id', 'in', ids.slice(at, at + 500))
      .execute();
    for (const row of rows) found.set(row.id, row.deleted_at === null ? row.kind : 'deleted');
  }
  return found;
}

/** Live groups of a client in whose document an id stands, perhaps not as a member. @param id one that we gave */
export async function groupsNaming(query: Query, clientId: string, id: string): Promise<ResourceRow[]> {
  return live(query, clientId, 'Group').selectAll().where('resource', 'like', `%${id}%`).execute();
}

export async function findByName(
  query: Query,
  clientId: string,
  kind: Kind,
  name: string,
): Promise<ResourceRow | null> {
  return (await live(query, clientId, kind).selectAll().where('unique_name', '=', name).executeTakeFirst()) ?? null;
}

/** What any client of an issuer has under an identifier: an external id, or the id of what has none. */
export async function liveByIdentity(
  query: Query,
  issuer: string,
  kind: Kind,
  externalId: string,
): Promise<ResourceRow[]> {
  return kysely(query)
    .selectFrom('scim_resources')
    .innerJoin('scim_clients', 'scim_clients.id', 'scim_resources.client_id')
    .selectAll('scim_resources')
    .where('scim_clients.issuer', '=', issuer)
    .where('kind', '=', kind)
    .where((e) =>
      e.or([
        e('external_id', '=', externalId),
        e.and([e('external_id', 'is', null), e('scim_resources.id', '=', externalId)]),
      ]),
    )
    .where('deleted_at', 'is', null)
    .execute();
}

/** Live resources of all clients that are not revoked, with their issuer. */
export async function allResources(query: Query, kind: Kind): Promise<(ResourceRow & { issuer: string })[]> {
  return kysely(query)
    .selectFrom('scim_resources')
    .innerJoin('scim_clients', 'scim_clients.id', 'scim_resources.client_id')
    .selectAll('scim_resources')
    .select('scim_clients.issuer')
    .where('kind', '=', kind)
    .where('deleted_at', 'is', null)
    .execute();
}

export async function insertResource(work: UnitOfWork, row: ResourceRow): Promise<void> {
  await kysely(work.query).insertInto('scim_resources').values(row).execute();
}

export async function updateResource(work: UnitOfWork, id: string, set: Partial<ResourceRow>): Promise<void> {
  await kysely(work.query).updateTable('scim_resources').set(set).where('id', '=', id).execute();
}
