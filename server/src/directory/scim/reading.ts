import type { Database } from '../../db/database.ts';
import type { ScimClient } from './clients.ts';
import { type Filter, matchesFilter } from './filter.ts';
import type { Kind } from './resource.ts';
import { ScimError } from './scim-error.ts';
import * as store from './scim-store.ts';
import { showResource } from './shown.ts';

type Column = 'id' | 'external_id' | 'unique_name';

const SCAN = 500;

/** Which rows a filter can only be about, by one column. `whole`: it says nothing else. */
function rowsOf(kind: Kind, filter: Filter): { column: Column; value: string; whole: boolean } | null {
  if (filter.op === 'and') {
    // Entra asks whether a person is in a group: `id eq "…" and members eq "…"`.
    const rows = rowsOf(kind, filter.left) ?? rowsOf(kind, filter.right);
    return rows && { ...rows, whole: false };
  }
  if (filter.op !== 'eq' || typeof filter.value !== 'string') return null;
  const name = kind === 'User' ? 'username' : 'displayname';
  const column = { id: 'id', externalid: 'external_id', [name]: 'unique_name' } as Record<string, Column>;
  const found = Object.hasOwn(column, filter.path) ? column[filter.path]! : null;
  const value = found === 'unique_name' ? filter.value.toLowerCase() : filter.value;
  return found && { column: found, value, whole: true };
}

/** What clients ask for: each sees only what it made itself. */
export function createScimReading({ db }: { db: Database }) {
  return {
    async get(client: ScimClient, kind: Kind, id: string): Promise<store.ResourceRow> {
      const row = await store.findResource(db.query, client.id, kind, id);
      if (!row) throw new ScimError(404, 'there is no such resource');
      return row;
    },

    /** One page. `startIndex` counts from 1. Only what this client made: PocketID deletes what it does not know. */
    async list(
      client: ScimClient,
      kind: Kind,
      page: { startIndex: number; count: number },
      filter: Filter | null,
    ): Promise<{ rows: store.ResourceRow[]; total: number }> {
      const window = { offset: page.startIndex - 1, limit: page.count };
      if (!filter) return store.listResources(db.query, client.id, kind, window);
      const by = rowsOf(kind, filter);
      if (by?.whole) return store.listResources(db.query, client.id, kind, window, by);
      const found: store.ResourceRow[] = [];
      for (let offset = 0; ; offset += SCAN) {
        const { rows } = await store.listResources(db.query, client.id, kind, { offset, limit: SCAN }, by ?? undefined);
        found.push(...rows.filter((row) => matchesFilter(filter, showResource(row, ''))));
        if (rows.length < SCAN) break;
      }
      return { rows: found.slice(window.offset, window.offset + window.limit), total: found.length };
    },
  };
}
