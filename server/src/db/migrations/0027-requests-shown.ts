import type { Kysely } from 'kysely';

/** To whom each request was shown. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('requests_shown')
    .addColumn('challenge_id', 'text', (c) => c.notNull().references('challenges.id'))
    .addColumn('person_id', 'text', (c) => c.notNull().references('people.id'))
    .addPrimaryKeyConstraint('requests_shown_key', ['challenge_id', 'person_id'])
    .execute();
}
