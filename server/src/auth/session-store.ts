import { type Kysely, sql } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { Schema, SessionsTable } from '../db/schema.ts';
import { first, isAmong, statement } from '../db/statement.ts';
import { readGroups, sourceIdOf } from './people-store.ts';
import type { SignedIn } from './standing.ts';

/** What is looked at of a session to know who is asking. The ID token would be most of what is read, for each event and each stream. */
const LOOKED_AT = [
  'id_hash',
  'handle',
  'person_id',
  'person_epoch',
  'kind',
  'csrf_token',
  'auth_time',
  'last_seen_at',
  'expires_at',
  'revoked_at',
] as const satisfies readonly (keyof SessionsTable)[];

/** A session with the person behind it. */
export interface SessionWithPerson {
  session: Pick<SessionsTable, (typeof LOOKED_AT)[number]>;
  person: {
    id: string;
    issuer: string;
    subject: string;
    username: string;
    displayName: string;
    groups: readonly string[];
    epoch: number;
    sourceId: SignedIn['sourceId'];
  };
}

export async function insertSession(work: UnitOfWork, session: SessionsTable): Promise<void> {
  await kysely(work.query).insertInto('sessions').values(session).execute();
}

function withPerson(query: Kysely<Schema>) {
  return query
    .selectFrom('sessions')
    .innerJoin('people', 'people.id', 'sessions.person_id')
    .select(LOOKED_AT.map((column) => `sessions.${column}` as const))
    .select([
      'people.issuer',
      'people.subject',
      'people.username',
      'people.display_name',
      'people.groups',
      'people.epoch as current_epoch',
      'people.source_id_claim',
      'people.source_id',
    ]);
}

type Row = NonNullable<Awaited<ReturnType<ReturnType<typeof withPerson>['executeTakeFirst']>>>;

function personOf(row: Row): SessionWithPerson['person'] {
  return {
    id: row.person_id,
    issuer: row.issuer,
    subject: row.subject,
    username: row.username,
    displayName: row.display_name,
    groups: readGroups(row.groups),
    epoch: row.current_epoch,
    sourceId: sourceIdOf(row),
  };
}

const selectSessions = statement((query, { idHashes }: { idHashes: string }, { driver }) =>
  withPerson(query).where(isAmong(sql.ref('sessions.id_hash'), idHashes, driver)),
);

/** Sessions with the people behind them; those that are not there are left out. */
export async function findSessions(query: Query, idHashes: readonly string[]): Promise<SessionWithPerson[]> {
  const { rows } = await selectSessions(query, { idHashes: JSON.stringify(idHashes) });
  // All of them were read at one moment: what is said of a person in one row is so in each.
  const people = new Map<string, SessionWithPerson['person']>();
  return rows.map((row) => {
    const person = people.get(row.person_id) ?? personOf(row);
    people.set(row.person_id, person);
    return { session: row, person };
  });
}

/**
 * Reads a session and its person and keeps both from changing until the transaction ends. The person is locked first, as
 * a sign-in does: in the other order two transactions could wait for each other.
 */
export async function lockSession(work: UnitOfWork, idHash: string): Promise<SessionWithPerson | null> {
  const found = withPerson(kysely(work.query)).where('sessions.id_hash', '=', idHash);
  if (work.driver === 'sqlite') {
    const row = await found.executeTakeFirst();
    return row ? { session: row, person: personOf(row) } : null;
  }
  const owner = kysely(work.query).selectFrom('sessions').select('person_id').where('id_hash', '=', idHash);
  await kysely(work.query).selectFrom('people').select('id').where('id', '=', owner).forShare().executeTakeFirst();
  const row = await found.forShare().executeTakeFirst();
  return row ? { session: row, person: personOf(row) } : null;
}

/** Notes activity of some sessions; never moves backwards and never revives. */
export async function touchSessions(query: Query, idHashes: readonly string[], now: number): Promise<void> {
  await kysely(query)
    .updateTable('sessions')
    .set({ last_seen_at: now })
    .where('id_hash', 'in', idHashes)
    .where('last_seen_at', '<', now)
    .where('revoked_at', 'is', null)
    .execute();
}

/** The ID token of a session as it is kept. */
export async function sealedIdTokenOf(query: Query, idHash: string): Promise<string | null> {
  const row = await kysely(query)
    .selectFrom('sessions')
    .select('id_token')
    .where('id_hash', '=', idHash)
    .executeTakeFirst();
  return row?.id_token ?? null;
}

/** The provider's session that a session began with. */
export async function providerSidOf(query: Query, idHash: string): Promise<string | null> {
  const row = await kysely(query)
    .selectFrom('sessions')
    .select('provider_sid')
    .where('id_hash', '=', idHash)
    .executeTakeFirst();
  return row?.provider_sid ?? null;
}

/** Sessions of a person that are neither revoked nor past `expires_at`, newest first. */
export async function listSessions(query: Query, personId: string, now: number): Promise<SessionsTable[]> {
  return kysely(query)
    .selectFrom('sessions')
    .selectAll()
    .where('person_id', '=', personId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('created_at', 'desc')
    .limit(500)
    .execute();
}

/** Ends sessions of one person. Returns the handles of those that were not ended before. */
export async function revokeSessions(
  work: UnitOfWork,
  which: { personId: string; handle?: string; idHash?: string; exceptHandle?: string },
  now: number,
): Promise<string[]> {
  let update = kysely(work.query)
    .updateTable('sessions')
    .set({ revoked_at: now, id_token: null })
    .where('person_id', '=', which.personId)
    .where('revoked_at', 'is', null);
  if (which.handle !== undefined) update = update.where('handle', '=', which.handle);
  if (which.idHash !== undefined) update = update.where('id_hash', '=', which.idHash);
  if (which.exceptHandle !== undefined) update = update.where('handle', '!=', which.exceptHandle);
  return (await update.returning('handle').execute()).map(({ handle }) => handle);
}

/** Forgets what can have no effect any more: expired attempts, ceremonies, grants and codes, used logout tokens, sessions ended before `olderThan`. */
export async function sweep(query: Query, now: number, olderThan: number): Promise<void> {
  await kysely(query).deleteFrom('login_attempts').where('expires_at', '<=', now).execute();
  await kysely(query).deleteFrom('ceremonies').where('expires_at', '<=', now).execute();
  await kysely(query).deleteFrom('logout_tokens').where('expires_at', '<=', now).execute();
  await kysely(query).deleteFrom('desktop_grants').where('expires_at', '<=', now).execute();
  await kysely(query).deleteFrom('sessions').where('expires_at', '<=', olderThan).execute();
}

const selectLiveCount = statement((query, given: { now: number }) =>
  query
    .selectFrom('sessions')
    .select((e) => e.fn.countAll<number>().as('n'))
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', given.now),
);

/** How many sessions somebody could use. */
export const countLiveSessions = async (query: Query, now: number): Promise<number> =>
  Number(first(await selectLiveCount(query, { now }))!.n);
