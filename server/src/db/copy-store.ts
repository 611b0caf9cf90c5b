import type { UnitOfWork } from './database.ts';
import { withLife } from './migrations/0031-certificate-lives.ts';
import { kysely, type Query } from './query.ts';
import type { Schema } from './schema.ts';

/**
 * Every table, parents before children, with the columns that order its rows. Null: not in a backup, because it is good for
 * minutes only, or says who is doing what now.
 */
const ORDERS: Record<keyof Schema, readonly string[] | null> = {
  meta: ['key'],
  events: ['seq'],
  event_head: ['id'],
  event_erasures: ['topic'],
  log_heads: ['seq'],
  log_epochs: ['at'],
  event_cursors: ['reader'],
  audit_dead_letters: ['sink', 'seq'],
  hosts: ['id'],
  host_reports: ['host_id'],
  host_authorities: ['host_id'],
  host_checks: ['host_id'],
  host_journals: ['host_id', 'journal'],
  enrolment_tokens: ['id'],
  people: ['id'],
  account_bindings: ['account'],
  account_claims: ['account'],
  sessions: ['id_hash'],
  passkeys: ['credential_id'],
  recovery_codes: ['code_hash'],
  break_glass_hosts: ['host_id'],
  break_glass_uses: ['id'],
  escrow_records: ['id'],
  approver_key_sets: ['version'],
  policy_versions: ['version'],
  challenges: ['id'],
  requests_shown: ['challenge_id', 'person_id'],
  directory_state: ['id'],
  directory_ids: ['kind', 'number'],
  directory_names: ['name'],
  directory_stamps: ['uuid'],
  directory_published: ['id'],
  directory_holds: ['id'],
  sudo_rules: ['id'],
  scim_clients: ['id'],
  scim_resources: ['id'],
  bind_proofs: ['digest'],
  notify_channels: ['name'],
  notify_routes: ['id'],
  notify_preferences: ['person_id'],
  notify_deliveries: ['id'],
  notify_attempts: ['delivery_id', 'number'],
  leases: null,
  storage_probes: null,
  host_nonces: null,
  login_attempts: null,
  ceremonies: null,
  desktop_grants: null,
  reveal_requests: null,
  audit_reads: null,
  logout_tokens: null,
  log_disputes: null,
  offline_grants: null,
};
const TABLES = Object.entries(ORDERS).flatMap(([table, order]) =>
  order === null ? [] : [{ table: table as keyof Schema, order }],
);

/** Name of a table and one of its rows. */
export type CopiedRow = [table: string, row: object];

const BATCH = 500;

/** Every row that a backup holds, parents before children. Nothing may be written meanwhile: ask from a snapshot. */
export async function* copyRows(query: Query): AsyncGenerator<CopiedRow> {
  for (const { table, order } of TABLES) {
    for (let offset = 0; ; offset += BATCH) {
      let select = kysely(query).selectFrom(table).selectAll().limit(BATCH).offset(offset);
      for (const column of order) select = select.orderBy(column as never);
      const batch = await select.execute();
      for (const row of batch) yield [table, row];
      if (batch.length < BATCH) break;
    }
  }
}

/** A row of a backup that an earlier version made, with the columns of this one. */
function asKeptNow(table: string, row: object): object {
  return table === 'hosts' && 'certificate' in row ? withLife(row as { certificate: string }) : row;
}

/** True for a database that no server has used yet. */
export async function isUnused(query: Query): Promise<boolean> {
  return (await kysely(query).selectFrom('meta').select('key').limit(1).executeTakeFirst()) === undefined;
}

/**
 * Writes what {@link copyRows} read into an unused database.
 *
 * @returns how many rows there were
 * @throws for a table that this version does not have
 */
export async function pasteRows(work: UnitOfWork, rows: AsyncIterable<CopiedRow>): Promise<number> {
  const known = new Set<string>(TABLES.map(({ table }) => table));
  let written = 0;
  let table = '';
  let pending: object[] = [];
  const flush = async () => {
    // Small batches: SQLite binds at most 32,766 values per statement.
    for (let i = 0; i < pending.length; i += 100) {
      await kysely(work.query)
        .insertInto(table as keyof Schema)
        .values(pending.slice(i, i + 100) as never)
        .execute();
    }
    written += pending.length;
    pending = [];
  };
  // A new database has a head already, that of the empty log.
  await kysely(work.query).deleteFrom('event_head').execute();
  for await (const [name, row] of rows) {
    if (!known.has(name)) throw new Error(`the backup is from a newer version: unknown table ${name}`);
    if (name !== table || pending.length >= BATCH) await flush();
    table = name;
    pending.push(asKeptNow(name, row));
  }
  await flush();
  return written;
}
