import { sql } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { AccountClaimsTable } from '../db/schema.ts';
import { nameKey } from './account-store.ts';
import { sourceIdOf } from './people-store.ts';
import type { SignedIn, Subject } from './standing.ts';

/**
 * Keeps others from binding an account until the transaction ends: two people whose names differ in case would each find
 * their own free.
 */
export async function lockBindings(work: UnitOfWork): Promise<void> {
  if (work.driver === 'postgres')
    await sql`lock table account_bindings in share row exclusive mode`.execute(kysely(work.query));
}

/** Whom the directory means by a name that an operator gave to another. `hasLeft`: only for as long as they do not have it. */
export interface SetAside extends Subject {
  readonly hasLeft: boolean;
}

/** The person to whom a name is bound; the one of exactly that account before one that differs in case. */
export async function boundPerson(
  query: Query,
  account: string,
): Promise<(SignedIn & { personId: string; insteadOf: SetAside | null }) | null> {
  const rows = await kysely(query)
    .selectFrom('account_bindings as bound')
    .innerJoin('people', 'people.id', 'bound.person_id')
    .selectAll('bound')
    .select(['people.issuer', 'people.subject', 'people.source_id_claim', 'people.source_id'])
    .where(sql<boolean>`lower(bound.account) = ${nameKey(account)}`)
    .orderBy('bound.account')
    .execute();
  const row = rows.find((one) => one.account === account) ?? rows[0];
  if (!row) return null;
  const { instead_of_issuer: issuer, instead_of_subject: subject } = row;
  return {
    personId: row.person_id,
    issuer: row.issuer,
    subject: row.subject,
    sourceId: sourceIdOf(row),
    insteadOf: issuer === null || subject === null ? null : { issuer, subject, hasLeft: row.while_left === 1 },
  };
}

/** Binds an account to a person, whoever had it or a name that differs from it in case only. */
export async function bind(
  work: UnitOfWork,
  binding: { account: string; personId: string; insteadOf: SetAside | null; now: number },
): Promise<void> {
  const { account, personId, insteadOf, now } = binding;
  await kysely(work.query)
    .deleteFrom('account_bindings')
    .where(sql<boolean>`lower(account) = ${nameKey(account)}`)
    .where((e) => e.or([e('person_id', '!=', personId), e('account', '=', account)]))
    .execute();
  await kysely(work.query)
    .insertInto('account_bindings')
    .values({
      account,
      person_id: personId,
      created_at: now,
      held_person_id: null,
      held_at: null,
      instead_of_issuer: insteadOf?.issuer ?? null,
      instead_of_subject: insteadOf?.subject ?? null,
      while_left: insteadOf?.hasLeft ? 1 : 0,
      from_before: 0,
    })
    .execute();
}

/** Reads the claim to an account and keeps it from changing until the transaction ends. */
export async function lockClaim(work: UnitOfWork, account: string): Promise<AccountClaimsTable | null> {
  let select = kysely(work.query).selectFrom('account_claims').selectAll().where('account', '=', account);
  if (work.driver === 'postgres') select = select.forUpdate();
  return (await select.executeTakeFirst()) ?? null;
}

/** Notes a claim, instead of an older one to the same account. */
export async function writeClaim(work: UnitOfWork, claim: AccountClaimsTable): Promise<void> {
  const { account, ...rest } = claim;
  await kysely(work.query)
    .insertInto('account_claims')
    .values(claim)
    .onConflict((conflict) => conflict.column('account').doUpdateSet(rest))
    .execute();
}

/** Forgets the claim to an account. @param personId only when it is this person's */
export async function deleteClaim(work: UnitOfWork, account: string, personId?: string): Promise<void> {
  let query = kysely(work.query).deleteFrom('account_claims').where('account', '=', account);
  if (personId !== undefined) query = query.where('person_id', '=', personId);
  await query.execute();
}

/** Every claim that waits, by account. */
export async function listClaims(query: Query): Promise<AccountClaimsTable[]> {
  return kysely(query).selectFrom('account_claims').selectAll().orderBy('account').execute();
}

/**
 * Every bound name and the identity that it is bound to. Where a directory serves people, not what it has given to
 * another person since.
 */
export async function listOwners(query: Query, directory: boolean): Promise<(SignedIn & { name: string })[]> {
  const rows = await kysely(query)
    .selectFrom('account_bindings as bound')
    .innerJoin('people', 'people.id', 'bound.person_id')
    .leftJoin('directory_names as given', (join) =>
      join
        .on(sql<boolean>`given.name = lower(bound.account)`)
        .on('given.owner', '=', 'user')
        .on('given.left_at', 'is', null)
        .on(sql<boolean>`${directory ? 1 : 0} = 1`),
    )
    .select(['bound.account', 'people.issuer', 'people.subject', 'people.source_id_claim', 'people.source_id'])
    .where((e) =>
      e.or([
        e('given.name', 'is', null),
        sql<boolean>`(
          bound.instead_of_issuer = given.issuer and bound.instead_of_subject = given.subject and bound.while_left = 0
        )`,
      ]),
    )
    .orderBy('bound.account')
    .execute();
  return rows.map((row) => ({
    name: nameKey(row.account),
    issuer: row.issuer,
    subject: row.subject,
    sourceId: sourceIdOf(row),
  }));
}
