import { createHmac, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { UnitOfWork } from '../../db/database.ts';
import { kysely, type Query } from '../../db/query.ts';
import type { DirectorySnapshot } from '../source/model.ts';

const [pack, unpack] = [promisify(gzip), promisify(gunzip)];

/** What hosts see, as it is kept for restarts and for comparing the next snapshot with. */
export interface Published {
  readonly snapshot: DirectorySnapshot;
  readonly hash: string;
  readonly fetchedAt: number;
}

/** Ready to be written in a transaction. */
export interface PackedSnapshot {
  readonly source: string;
  readonly hash: string;
  readonly content: string;
  readonly mac: string;
}

function macOf(key: Uint8Array, source: string, hash: string, content: string): string {
  return createHmac('sha256', key).update(`identree directory\n${source}\n${hash}\n${content}`).digest('base64url');
}

export async function packSnapshot(
  snapshot: DirectorySnapshot,
  hash: string,
  source: string,
  key: Uint8Array,
): Promise<PackedSnapshot> {
  const content = (await pack(JSON.stringify(snapshot), { level: 1 })).toString('base64');
  return { source, hash, content, mac: macOf(key, source, hash, content) };
}

/**
 * Reads what was published last.
 *
 * @returns `forged` when the row was not written by a holder of the key: who can write into the database could otherwise
 * make root on every host.
 */
export async function readPublished(
  query: Query,
  key: Uint8Array,
): Promise<{ state: 'none' } | { state: 'forged' } | { state: 'ok'; published: Published }> {
  const row = await kysely(query).selectFrom('directory_published').selectAll().where('id', '=', 1).executeTakeFirst();
  if (!row) return { state: 'none' };
  const [given, expected] = [Buffer.from(row.mac), Buffer.from(macOf(key, row.source, row.hash, row.content))];
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { state: 'forged' };
  const snapshot = JSON.parse((await unpack(Buffer.from(row.content, 'base64'))).toString('utf8')) as DirectorySnapshot;
  return { state: 'ok', published: { snapshot, hash: row.hash, fetchedAt: row.fetched_at } };
}

/** When the source was heard last, whatever the row is worth; null when nothing was ever published. */
export async function readFetchedAt(query: Query): Promise<number | null> {
  const row = await kysely(query)
    .selectFrom('directory_published')
    .select('fetched_at')
    .where('id', '=', 1)
    .executeTakeFirst();
  return row?.fetched_at ?? null;
}

export async function writePublished(work: UnitOfWork, packed: PackedSnapshot, now: number): Promise<void> {
  await kysely(work.query)
    .insertInto('directory_published')
    .values({ id: 1, ...packed, published_at: now, fetched_at: now })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ ...packed, published_at: now, fetched_at: now }))
    .execute();
}

/** The source said the same again. */
export async function touchPublished(work: UnitOfWork, now: number): Promise<void> {
  await kysely(work.query).updateTable('directory_published').set({ fetched_at: now }).where('id', '=', 1).execute();
}
