import type { Kysely, Transaction } from 'kysely';
import type { Connections } from './measured.ts';
import type { Schema } from './schema.ts';

/** How far a transaction is to be trusted with what it writes. */
export interface Durability {
  /**
   * A power cut may take it, for it is done once more then: on SQLite it does not wait for the disk. With it goes all that was
   * written behind it and not waited for either, so what is left is always what there was at some moment; whatever was waited
   * for stays, and so does what lies before that. Postgres may crash without this process, which would take it for done:
   * there it is durable as any other.
   */
  readonly mayBeLost?: boolean;
}

/** What a database engine brings. */
export interface Engine {
  driver: 'sqlite' | 'postgres';
  reader: Kysely<Schema>;
  writer: Kysely<Schema>;
  /** Lets the schema be changed, however long that takes: all of what is run, or nothing of it when that throws. */
  migrating<T>(run: (writer: Kysely<Schema>) => Promise<T>): Promise<T>;
  /** Reads everything as it was at one moment, while others go on writing. */
  snapshot<T>(run: (query: Transaction<Schema>) => Promise<T>): Promise<T>;
  /** Runs in a transaction; resolves when it is durable, or committed if it may be lost. */
  transact<T>(run: (query: Transaction<Schema>) => Promise<T>, durability?: Durability): Promise<T>;
  /** Connections as of now; null where there are none. */
  connections(): Connections | null;
  /** Tells other server processes on the same database that there are new events. */
  notify(): Promise<void>;
  /** Calls back when another process has said so. Returns a function that stops it. */
  onNotify(run: () => void): () => void;
  /** Calls back each time when it is found that the database does not answer. Returns a function that stops it. */
  onAway(run: () => void): () => void;
  close(): Promise<void>;
}
