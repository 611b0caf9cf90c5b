import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

declare const opened: unique symbol;

/**
 * Where the database is asked from: outside a transaction, or within one. It is handed on as it is; what it is asked
 * stands in stores alone, which open it with {@link kysely}.
 */
export interface Query {
  readonly [opened]: never;
}

/** Opens a query for building statements. For stores only. */
export const kysely = (query: Query): Kysely<Schema> => query as unknown as Kysely<Schema>;

/** What the database hands out. */
export const closed = (builder: Kysely<Schema>): Query => builder as unknown as Query;
