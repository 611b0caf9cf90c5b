import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { SessionsTable } from '../db/schema.ts';
import { readGroups, sourceIdOf } from './people-store.ts';
import type { SignedIn } from './standing.ts';

/** A session with the person behind it. */
export interface SessionWithPerson {
  session: SessionsTable;
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

function withPerson(query: Query, idHashes: readonly string[]) {
  return kysely(query)
    .selectFrom('sessions')
    .innerJoin('people', 'people.id', 'sessions.person_id')
    .selectAll('sessions')
    .select([
      'people.issuer',
      'people.subject',
      'people.username',
      'people.display_name',
      'people.groups',
      'people.epoch as current_epoch',
      'people.source_id_claim',
      'people.source_id',
    ])
    .where('sessions.id_hash', 'in', idHashes);
}

type Row = NonNullable<Awaited<ReturnType<ReturnType<typeof withPerson>['executeTakeFirst']>>>;

function fromRow(row: Row): SessionWithPerson {
  const { issuer, subject, username, display_name, groups, current_epoch, source_id_claim, source_id, ...session } =
    row;
  return {
    session,
    person: {
      id: session.person_id,
      issuer,
      subject,
      username,
      displayName: display_name,
      groups: readGroups(groups),
      epoch: current_epoch,
      sourceId: sourceIdOf({ source_id_claim, source_id }),
    },
  };
}

/** Sessions with the people behind them; those that are not there are left out. */
export async function findSessions(query: Query, idHashes: readonly string[]): Promise<SessionWithPerson[]> {
  return (await withPerson(query, idHashes).execute()).map(fromRow);
}

/**
 * Reads a session and its person and keeps both from changing until the transaction ends. The person is locked first, as
 * a sign-in does: in the other order two transactions could wait for each other.
 */
export async function lockSession(work: UnitOfWork, idHash: string): Promise<SessionWithPerson | null> {
  const found = withPerson(work.query, [idHash]);
  if (work.driver === 'sqlite') {
    const row = await found.executeTakeFirst();
    return row ? fromRow(row) : null;
  }
  const owner = kysely(work.query).selectFrom('sessions').select('person_id').where('id_hash', '=', idHash);
  await kysely(work.query).selectFrom('people').select('id').where('id', '=', owner).forShare().executeTakeFirst();
  const row = await found.forShare().executeTakeFirst();
  return row ? fromRow(row) : null;
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
