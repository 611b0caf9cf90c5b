import type { UnitOfWork } from '../../db/database.ts';
import { kysely, type Query } from '../../db/query.ts';
import type { Stamp } from './plan-stamps.ts';

export interface StampState {
  readonly generation: number;
  readonly usn: number;
}

/** With a unit of work: locked for it. @throws when numbers were never assigned */
export async function readStampState(from: Query | UnitOfWork): Promise<StampState> {
  const locked = 'query' in from;
  let select = kysely(locked ? from.query : from)
    .selectFrom('directory_state')
    .select(['stamp_generation', 'usn'])
    .where('id', '=', 1);
  if (locked && from.driver === 'postgres') select = select.forUpdate();
  const row = await select.executeTakeFirstOrThrow();
  return { generation: row.stamp_generation, usn: row.usn };
}

export async function readStamps(query: Query): Promise<Map<string, Stamp>> {
  const rows = await kysely(query).selectFrom('directory_stamps').selectAll().execute();
  return new Map(
    rows.map((row) => [
      row.uuid,
      { uuid: row.uuid, hash: row.hash, createdAt: row.created_at, modifiedAt: row.modified_at, usn: row.usn },
    ]),
  );
}

/** Writes some stamps, forgets others and moves the counter. */
export async function writeStamps(
  work: UnitOfWork,
  changed: readonly Stamp[],
  removed: readonly string[],
  state: StampState,
): Promise<void> {
  if (changed.length > 0) {
    await kysely(work.query)
      .insertInto('directory_stamps')
      .values(
        changed.map((stamp) => ({
          uuid: stamp.uuid,
          hash: stamp.hash,
          created_at: stamp.createdAt,
          modified_at: stamp.modifiedAt,
          usn: stamp.usn,
        })),
      )
      .onConflict((conflict) =>
        conflict.column('uuid').doUpdateSet((e) => ({
          hash: e.ref('excluded.hash'),
          modified_at: e.ref('excluded.modified_at'),
          usn: e.ref('excluded.usn'),
        })),
      )
      .execute();
  }
  if (removed.length > 0)
    await kysely(work.query).deleteFrom('directory_stamps').where('uuid', 'in', removed).execute();
  await kysely(work.query)
    .updateTable('directory_state')
    .set({ stamp_generation: state.generation, usn: state.usn })
    .where('id', '=', 1)
    .execute();
}
