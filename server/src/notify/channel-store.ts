import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { Flag, NotifyChannelsTable } from '../db/schema.ts';
import { statement } from '../db/statement.ts';
import type { ChannelKind } from './channel.ts';

/** A channel as it is stored. */
export interface StoredChannel {
  readonly name: string;
  readonly kind: ChannelKind;
  /** What its kind needs; `null`: what is stored cannot be read. */
  readonly settings: Readonly<Record<string, unknown>> | null;
  /** The person whom it reaches; null: it is shared. */
  readonly owner: string | null;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly perMinute: number;
  readonly atOnce: number;
  readonly foldFrom: number;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly updatedBy: string;
}

/** What a channel is called, and what is told by that. */
export type ChannelName = Pick<StoredChannel, 'name' | 'kind' | 'owner'>;

const flag = (value: boolean): Flag => (value ? 1 : 0);

function settingsOf(text: string): StoredChannel['settings'] {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const fromRow = (row: NotifyChannelsTable): StoredChannel => ({
  name: row.name,
  kind: row.kind as ChannelKind,
  settings: settingsOf(row.settings),
  owner: row.owner,
  enabled: row.enabled === 1,
  paused: row.paused === 1,
  perMinute: row.per_minute,
  atOnce: row.at_once,
  foldFrom: row.fold_from,
  revision: row.revision,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  updatedBy: row.updated_by,
});

const selectChannels = statement((query, _: object) => query.selectFrom('notify_channels').selectAll().orderBy('name'));

/** All channels, by name. */
export async function listChannels(query: Query): Promise<StoredChannel[]> {
  return (await selectChannels(query, {})).rows.map(fromRow);
}

const selectNames = statement((query, _: object) =>
  query.selectFrom('notify_channels').select(['name', 'kind', 'owner']).orderBy('name'),
);

/** What all channels are called, by name. */
export const listNames = async (query: Query): Promise<ChannelName[]> =>
  (await selectNames(query, {})).rows.map(({ kind, ...row }) => ({ ...row, kind: kind as ChannelKind }));

export async function findChannel(query: Query, name: string): Promise<StoredChannel | null> {
  const row = await kysely(query).selectFrom('notify_channels').selectAll().where('name', '=', name).executeTakeFirst();
  return row ? fromRow(row) : null;
}

/** @returns false when there is one of this name */
export async function insertChannel(work: UnitOfWork, channel: StoredChannel): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('notify_channels')
    .values({
      name: channel.name,
      kind: channel.kind,
      settings: JSON.stringify(channel.settings),
      owner: channel.owner,
      enabled: flag(channel.enabled),
      paused: flag(channel.paused),
      per_minute: channel.perMinute,
      at_once: channel.atOnce,
      fold_from: channel.foldFrom,
      revision: channel.revision,
      created_at: channel.createdAt,
      created_by: channel.updatedBy,
      updated_at: channel.updatedAt,
      updated_by: channel.updatedBy,
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** @returns false when it is gone or has another revision than the one before this */
export async function updateChannel(work: UnitOfWork, channel: StoredChannel): Promise<boolean> {
  const result = await kysely(work.query)
    .updateTable('notify_channels')
    .set({
      settings: JSON.stringify(channel.settings),
      enabled: flag(channel.enabled),
      paused: flag(channel.paused),
      per_minute: channel.perMinute,
      at_once: channel.atOnce,
      fold_from: channel.foldFrom,
      revision: channel.revision,
      updated_at: channel.updatedAt,
      updated_by: channel.updatedBy,
    })
    .where('name', '=', channel.name)
    .where('revision', '=', channel.revision - 1)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** @returns false when it is gone already */
export async function deleteChannel(work: UnitOfWork, name: string): Promise<boolean> {
  const result = await kysely(work.query).deleteFrom('notify_channels').where('name', '=', name).executeTakeFirst();
  return result.numDeletedRows === 1n;
}
