import type { Database } from '../../db/database.ts';
import type { ScimClient } from './clients.ts';
import { type Filter, matchesFilter } from './filter.ts';
import type { Kind } from './resource.ts';
import { ScimError } from './scim-error.ts';
import * as store from './scim-store.ts';
import { showResource } from './shown.ts';

const SCAN = 500;

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
      const column = {
        id: 'id',
        externalid: 'external_id',
        [kind === 'User' ? 'username' : 'displayname']: 'unique_name',
      } as const;
      if (filter.op === 'eq' && Object.hasOwn(column, filter.path) && typeof filter.value === 'string') {
        const by = column[filter.path as keyof typeof column] as 'id' | 'external_id' | 'unique_name';
        const value = by === 'unique_name' ? filter.value.toLowerCase() : filter.value;
        return store.listResources(db.query, client.id, kind, window, { column: by, value });
      }
      const found: store.ResourceRow[] = [];
      for (let offset = 0; ; offset += SCAN) {
        const { rows } = await store.listResources(db.query, client.id, kind, { offset, limit: SCAN });
        found.push(...rows.filter((row) => matchesFilter(filter, showResource(row, ''))));
        if (rows.length < SCAN) break;
      }
      return { rows: found.slice(window.offset, window.offset + window.limit), total: found.length };
    },
  };
}
