import { type Kysely, sql } from 'kysely';

/** Who is told what, on which channel, and what became of it. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const table = (name: string) => db.schema.createTable(name);

  await table('notify_channels')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('settings', 'text', (c) => c.notNull())
    .addColumn('owner', 'text', (c) => c.references('people.id'))
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('paused', 'integer', (c) => c.notNull())
    .addColumn('per_minute', 'integer', (c) => c.notNull())
    .addColumn('at_once', 'integer', (c) => c.notNull())
    .addColumn('fold_from', 'integer', (c) => c.notNull())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_by', 'text', (c) => c.notNull())
    .execute();

  await table('notify_routes')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('rule', 'text', (c) => c.notNull())
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_by', 'text', (c) => c.notNull())
    .execute();

  await table('notify_preferences')
    .addColumn('person_id', 'text', (c) => c.primaryKey().references('people.id'))
    .addColumn('preferences', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();

  await table('notify_deliveries')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('seq', 'bigint')
    .addColumn('event', 'text', (c) => c.notNull())
    .addColumn('channel', 'text', (c) => c.notNull())
    .addColumn('person', 'text', (c) => c.notNull())
    .addColumn('step', 'integer', (c) => c.notNull())
    .addColumn('announces', 'text')
    .addColumn('fold_key', 'text', (c) => c.notNull())
    .addColumn('because', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('attempts_left', 'integer', (c) => c.notNull())
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('reason', 'text')
    .addColumn('folded_into', 'text')
    // Two that route the same event write one delivery. A test is about no event, and each is one of its own.
    .addUniqueConstraint('notify_deliveries_once', ['seq', 'channel', 'person', 'step'])
    .execute();
  const statements = [
    `create index notify_deliveries_queued on notify_deliveries (channel, due_at, seq, id) where status = 'queued'`,
    `create index notify_deliveries_waiting on notify_deliveries (announces) where status = 'queued'`,
    'create index notify_deliveries_folded on notify_deliveries (folded_into) where folded_into is not null',
    `create index notify_deliveries_dead on notify_deliveries (channel, created_at, id) where status = 'dead'`,
    'create index notify_deliveries_made on notify_deliveries (created_at, id)',
    'create index notify_deliveries_of_channel on notify_deliveries (channel, created_at, id)',
    `create index notify_deliveries_of_status on notify_deliveries (status, created_at, id) where status <> 'queued'`,
    'create index notify_deliveries_of_person on notify_deliveries (person, created_at, id)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);

  await table('notify_attempts')
    .addColumn('delivery_id', 'text', (c) => c.notNull())
    .addColumn('number', 'integer', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('took_ms', 'bigint', (c) => c.notNull())
    .addColumn('outcome', 'text', (c) => c.notNull())
    .addColumn('reason', 'text')
    .addPrimaryKeyConstraint('notify_attempts_key', ['delivery_id', 'number'])
    .execute();
}
