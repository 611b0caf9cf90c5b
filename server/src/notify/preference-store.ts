import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import { statement } from '../db/statement.ts';
import type { UnreadableRow } from '../platform/unreadable.ts';
import { type Preferences, preferences } from './settings.ts';

function read(id: string, text: string): Preferences | UnreadableRow {
  try {
    return preferences.parse(JSON.parse(text));
  } catch (cause) {
    return { unreadable: true, id, cause };
  }
}

const selectPreferences = statement((query, _: object) =>
  query.selectFrom('notify_preferences').select(['person_id', 'preferences']),
);

/** What people have chosen, by person. */
export async function listPreferences(query: Query): Promise<Map<string, Preferences | UnreadableRow>> {
  const { rows } = await selectPreferences(query, {});
  return new Map(rows.map((row) => [row.person_id, read(row.person_id, row.preferences)]));
}

/** Null: they have chosen nothing. */
export async function findPreferences(query: Query, personId: string): Promise<Preferences | UnreadableRow | null> {
  const row = await kysely(query)
    .selectFrom('notify_preferences')
    .select('preferences')
    .where('person_id', '=', personId)
    .executeTakeFirst();
  return row ? read(personId, row.preferences) : null;
}

export async function putPreferences(
  work: UnitOfWork,
  personId: string,
  chosen: Preferences,
  now: number,
): Promise<void> {
  const set = { preferences: JSON.stringify(chosen), updated_at: now };
  await kysely(work.query)
    .insertInto('notify_preferences')
    .values({ person_id: personId, ...set })
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet(set))
    .execute();
}
