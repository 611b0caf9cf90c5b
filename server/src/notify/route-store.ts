import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { NotifyRoutesTable } from '../db/schema.ts';
import { statement } from '../db/statement.ts';
import type { UnreadableRow } from '../platform/unreadable.ts';
import { type RouteRule, routeRule } from './settings.ts';

export interface StoredRoute {
  readonly id: string;
  readonly rule: RouteRule;
  readonly enabled: boolean;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly updatedBy: string;
}

function fromRow(row: NotifyRoutesTable): StoredRoute | UnreadableRow {
  try {
    return {
      id: row.id,
      rule: routeRule.parse(JSON.parse(row.rule)),
      enabled: row.enabled === 1,
      revision: row.revision,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      updatedBy: row.updated_by,
    };
  } catch (cause) {
    return { unreadable: true, id: row.id, cause };
  }
}

const selectRoutes = statement((query, _: object) =>
  query.selectFrom('notify_routes').selectAll().orderBy('created_at').orderBy('id'),
);

/** All routes, oldest first. */
export async function listRoutes(query: Query): Promise<(StoredRoute | UnreadableRow)[]> {
  return (await selectRoutes(query, {})).rows.map(fromRow);
}

export async function findRoute(query: Query, id: string): Promise<StoredRoute | UnreadableRow | null> {
  const row = await kysely(query).selectFrom('notify_routes').selectAll().where('id', '=', id).executeTakeFirst();
  return row ? fromRow(row) : null;
}

export async function insertRoute(work: UnitOfWork, route: StoredRoute): Promise<void> {
  await kysely(work.query)
    .insertInto('notify_routes')
    .values({
      id: route.id,
      rule: JSON.stringify(route.rule),
      enabled: route.enabled ? 1 : 0,
      revision: route.revision,
      created_at: route.createdAt,
      created_by: route.updatedBy,
      updated_at: route.updatedAt,
      updated_by: route.updatedBy,
    })
    .execute();
}

/** @returns false when it is gone or has another revision than the one before this */
export async function updateRoute(work: UnitOfWork, route: Omit<StoredRoute, 'createdAt'>): Promise<boolean> {
  const result = await kysely(work.query)
    .updateTable('notify_routes')
    .set({
      rule: JSON.stringify(route.rule),
      enabled: route.enabled ? 1 : 0,
      revision: route.revision,
      updated_at: route.updatedAt,
      updated_by: route.updatedBy,
    })
    .where('id', '=', route.id)
    .where('revision', '=', route.revision - 1)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** @returns false when it is gone, or was changed since it had this revision */
export async function deleteRoute(work: UnitOfWork, id: string, revision: number): Promise<boolean> {
  const result = await kysely(work.query)
    .deleteFrom('notify_routes')
    .where('id', '=', id)
    .where('revision', '=', revision)
    .executeTakeFirst();
  return result.numDeletedRows === 1n;
}
