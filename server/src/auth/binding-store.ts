import { sql } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { AccountBindingsTable } from '../db/schema.ts';
import { parseGroups } from './people-store.ts';

/** Whose account it is: by what they sign in as, and, where a directory serves people, by what it says too. */
export interface AccountRules {
  /** True: an account that the directory has given to somebody is nobody else's, whatever name they sign in under. */
  readonly directoryNames: boolean;
}

/** Discovery takes an issuer with or without the slash at its end, so the configuration may have either. */
const bare = (issuer: string): string => issuer.replace(/\/+$/, '');

/**
 * Accounts that the directory has given, or had given, to others than who is bound to them. Whom a SCIM client pushed
 * without saying what they sign in as is known by an id that this server made up, and nobody signs in as that.
 */
const othersByDirectory = sql<boolean>`exists (
  select 1 from directory_names as given
  where given.name = lower(account_bindings.account) and given.owner = 'user'
  and (rtrim(given.issuer, '/') <> rtrim(people.issuer, '/') or given.subject <> people.subject)
  and not exists (select 1 from scim_resources as pushed where pushed.id = given.subject and pushed.external_id is null)
)`;

function selectAccounts(query: Query, personIds: readonly string[], { directoryNames }: AccountRules) {
  const select = kysely(query)
    .selectFrom('account_bindings')
    .innerJoin('people', 'people.id', 'account_bindings.person_id')
    .select(['account_bindings.account', 'account_bindings.person_id'])
    .where('account_bindings.person_id', 'in', personIds)
    .orderBy('account_bindings.account');
  return directoryNames ? select.where(({ not }) => not(othersByDirectory)) : select;
}

/** Linux accounts of people, by name; those without any are left out. */
export async function accountsOf(
  query: Query,
  personIds: readonly string[],
  rules: AccountRules,
): Promise<Map<string, string[]>> {
  const rows = await selectAccounts(query, personIds, rules).execute();
  const found = new Map<string, string[]>();
  for (const row of rows) found.set(row.person_id, [...(found.get(row.person_id) ?? []), row.account]);
  return found;
}

/** Linux accounts of one person, by name; keeps the bindings from moving until the transaction ends. */
export async function lockAccountsOf(work: UnitOfWork, personId: string, rules: AccountRules): Promise<string[]> {
  const select = selectAccounts(work.query, [personId], rules);
  const rows = await (work.driver === 'postgres' ? select.forShare('account_bindings') : select).execute();
  return rows.map(({ account }) => account);
}

/**
 * The person behind an account, for policies and pages; null when it is nobody's. Groups that cannot be read are null:
 * who decides by groups must not take them for none.
 */
export async function accountOwner(
  query: Query,
  account: string,
  { directoryNames }: AccountRules,
): Promise<{ personId: string; displayName: string; groups: readonly string[] | null } | null> {
  let select = kysely(query)
    .selectFrom('account_bindings')
    .innerJoin('people', 'people.id', 'account_bindings.person_id')
    .select(['people.id', 'people.display_name', 'people.groups'])
    .where('account_bindings.account', '=', account);
  if (directoryNames) select = select.where(({ not }) => not(othersByDirectory));
  const row = await select.executeTakeFirst();
  if (!row) return null;
  const groups = parseGroups(row.groups);
  return { personId: row.id, displayName: row.display_name, groups: groups.ok ? groups.groups : null };
}

/** Whether the directory has given an account of this name to somebody else, or had. */
export async function isOthersByDirectory(
  query: Query,
  account: string,
  person: { issuer: string; subject: string },
): Promise<boolean> {
  const row = await kysely(query)
    .selectFrom('directory_names')
    .leftJoin('scim_resources as pushed', (join) =>
      join.onRef('pushed.id', '=', 'directory_names.subject').on('pushed.external_id', 'is', null),
    )
    .select(['directory_names.issuer', 'directory_names.subject', 'pushed.id as unnamed'])
    .where('directory_names.name', '=', account.toLowerCase())
    .where('directory_names.owner', '=', 'user')
    .executeTakeFirst();
  if (row === undefined || row.unnamed !== null) return false;
  return bare(row.issuer) !== bare(person.issuer) || row.subject !== person.subject;
}

/** Binds a free account. False when somebody has it. */
export async function bindFreeAccount(
  work: UnitOfWork,
  binding: { account: string; personId: string; now: number },
): Promise<boolean> {
  const row = await kysely(work.query)
    .insertInto('account_bindings')
    .values({
      account: binding.account,
      person_id: binding.personId,
      created_at: binding.now,
      held_person_id: null,
      held_at: null,
    })
    .onConflict((conflict) => conflict.column('account').doNothing())
    .returning('account')
    .executeTakeFirst();
  return row !== undefined;
}

/** Reads one binding and keeps it from changing until the transaction ends. */
export async function lockBinding(work: UnitOfWork, account: string): Promise<AccountBindingsTable | null> {
  let select = kysely(work.query).selectFrom('account_bindings').selectAll().where('account', '=', account);
  if (work.driver === 'postgres') select = select.forUpdate();
  return (await select.executeTakeFirst()) ?? null;
}

export async function holdBinding(work: UnitOfWork, account: string, personId: string, now: number): Promise<void> {
  await kysely(work.query)
    .updateTable('account_bindings')
    .set({ held_person_id: personId, held_at: now })
    .where('account', '=', account)
    .execute();
}

/** Gives a held account to its claimant. */
export async function moveBinding(work: UnitOfWork, account: string, personId: string, now: number): Promise<void> {
  await kysely(work.query)
    .updateTable('account_bindings')
    .set({ person_id: personId, created_at: now, held_person_id: null, held_at: null })
    .where('account', '=', account)
    .execute();
}

export async function releaseClaim(work: UnitOfWork, account: string): Promise<void> {
  await kysely(work.query)
    .updateTable('account_bindings')
    .set({ held_person_id: null, held_at: null })
    .where('account', '=', account)
    .execute();
}

/** Every binding, by account. */
export async function listBindings(query: Query): Promise<AccountBindingsTable[]> {
  return kysely(query).selectFrom('account_bindings').selectAll().orderBy('account').execute();
}

/** Every bound account and the identity that it is bound to. */
export async function listOwners(query: Query): Promise<{ account: string; issuer: string; subject: string }[]> {
  return kysely(query)
    .selectFrom('account_bindings')
    .innerJoin('people', 'people.id', 'account_bindings.person_id')
    .select(['account_bindings.account', 'people.issuer', 'people.subject'])
    .execute();
}
