import { z } from 'zod';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { UnreadableRow } from '../platform/unreadable.ts';
import type { Identity } from './identity-provider.ts';
import type { SignedIn } from './standing.ts';

const groupList = z.array(z.string());

export interface Person {
  id: string;
  issuer: string;
  subject: string;
  username: string;
  displayName: string;
  email: string | null;
  groups: readonly string[];
  epoch: number;
  createdAt: number;
  lastLoginAt: number;
  sourceId: SignedIn['sourceId'];
}

/** By what the source of people knows a person, where that is not the subject. */
export function sourceIdOf(row: { source_id_claim: string | null; source_id: string | null }): SignedIn['sourceId'] {
  const { source_id_claim: claim, source_id: value } = row;
  return claim === null || value === null ? null : { claim, value };
}

/** Reads the stored group list. */
export function parseGroups(text: string): { ok: true; groups: readonly string[] } | { ok: false; cause: unknown } {
  try {
    return { ok: true, groups: groupList.parse(JSON.parse(text)) };
  } catch (cause) {
    return { ok: false, cause };
  }
}

/** The stored group list, for what groups give. One that cannot be read gives nothing: nobody becomes admin by accident. */
export function readGroups(text: string): readonly string[] {
  const parsed = parseGroups(text);
  return parsed.ok ? parsed.groups : [];
}

function fromRow(row: {
  id: string;
  issuer: string;
  subject: string;
  username: string;
  display_name: string;
  email: string | null;
  groups: string;
  epoch: number;
  created_at: number;
  last_login_at: number;
  source_id_claim: string | null;
  source_id: string | null;
}): Person {
  return {
    id: row.id,
    issuer: row.issuer,
    subject: row.subject,
    username: row.username,
    displayName: row.display_name,
    email: row.email,
    groups: readGroups(row.groups),
    epoch: row.epoch,
    createdAt: row.created_at,
    lastLoginAt: row.last_login_at,
    sourceId: sourceIdOf(row),
  };
}

/** Creates or updates the person behind a sign-in. The row stays locked, so that two sign-ins of one person queue. */
export async function upsertPerson(
  work: UnitOfWork,
  identity: Identity,
  fresh: { id: string; now: number },
): Promise<{ person: Person; previous: Pick<Person, 'username' | 'groups'> | null }> {
  const before = await lockPersonBySubject(work, identity);
  const told = {
    username: identity.username,
    display_name: identity.displayName,
    email: identity.email,
    groups: JSON.stringify(identity.groups),
    last_login_at: fresh.now,
    source_id_claim: identity.sourceId?.claim ?? null,
    source_id: identity.sourceId?.value ?? null,
  };
  const row = await kysely(work.query)
    .insertInto('people')
    .values({
      id: fresh.id,
      issuer: identity.issuer,
      subject: identity.subject,
      epoch: 0,
      created_at: fresh.now,
      ...told,
    })
    .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doUpdateSet(told))
    .returningAll()
    .executeTakeFirstOrThrow();
  return { person: fromRow(row), previous: before };
}

async function lockPersonBySubject(
  work: UnitOfWork,
  who: { issuer: string; subject: string },
): Promise<Pick<Person, 'username' | 'groups'> | null> {
  let select = kysely(work.query)
    .selectFrom('people')
    .select(['username', 'groups'])
    .where('issuer', '=', who.issuer)
    .where('subject', '=', who.subject);
  if (work.driver === 'postgres') select = select.forNoKeyUpdate();
  const row = await select.executeTakeFirst();
  return row ? { username: row.username, groups: readGroups(row.groups) } : null;
}

/**
 * Reads a person and keeps the row from changing until the transaction ends. Not `FOR UPDATE`: rows that refer to the
 * person are written by transactions that lock in another order.
 */
export async function lockPerson(work: UnitOfWork, id: string): Promise<Person | null> {
  let select = kysely(work.query).selectFrom('people').selectAll().where('id', '=', id);
  if (work.driver === 'postgres') select = select.forNoKeyUpdate();
  const row = await select.executeTakeFirst();
  return row ? fromRow(row) : null;
}

export async function findPerson(query: Query, id: string): Promise<Person | null> {
  const row = await kysely(query).selectFrom('people').selectAll().where('id', '=', id).executeTakeFirst();
  return row ? fromRow(row) : null;
}

/** The same of several; those that are not known are left out. */
export async function findPeople(query: Query, ids: readonly string[]): Promise<Person[]> {
  if (ids.length === 0) return [];
  const rows = await kysely(query).selectFrom('people').selectAll().where('id', 'in', ids).execute();
  return rows.map(fromRow);
}

/** All people who ever signed in, by user name. Groups that cannot be read are not shown as none. */
export async function listPeople(query: Query): Promise<(Person | (UnreadableRow & Pick<Person, 'username'>))[]> {
  const rows = await kysely(query)
    .selectFrom('people')
    .selectAll()
    .orderBy('username')
    .orderBy('id')
    .limit(5000)
    .execute();
  return rows.map((row) => {
    const groups = parseGroups(row.groups);
    return groups.ok ? fromRow(row) : { unreadable: true, id: row.id, username: row.username, cause: groups.cause };
  });
}

/** Everybody who signed in under a user name: another identity provider, or an account made anew, may give it again. */
export async function peopleCalled(
  query: Query,
  username: string,
): Promise<Pick<Person, 'id' | 'issuer' | 'subject'>[]> {
  return kysely(query)
    .selectFrom('people')
    .select(['id', 'issuer', 'subject'])
    .where('username', '=', username)
    .execute();
}

/** People with a session that has not ended. */
export async function peopleWithSessions(
  query: Query,
  now: number,
): Promise<Pick<Person, 'id' | 'issuer' | 'subject' | 'username' | 'sourceId'>[]> {
  const rows = await kysely(query)
    .selectFrom('people')
    .innerJoin('sessions', 'sessions.person_id', 'people.id')
    .select([
      'people.id',
      'people.issuer',
      'people.subject',
      'people.username',
      'people.source_id_claim',
      'people.source_id',
    ])
    .distinct()
    .where('sessions.revoked_at', 'is', null)
    .where('sessions.expires_at', '>', now)
    .execute();
  return rows.map(({ source_id_claim, source_id, ...person }) => ({
    ...person,
    sourceId: sourceIdOf({ source_id_claim, source_id }),
  }));
}
