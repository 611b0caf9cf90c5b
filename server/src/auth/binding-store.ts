import type { Kysely } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import type { AccountBindingsTable, Schema } from '../db/schema.ts';

/** Linux accounts that are bound to a person, by name. */
export async function accountsOf(query: Kysely<Schema>, personId: string): Promise<string[]> {
  const rows = await query
    .selectFrom('account_bindings')
    .select('account')
    .where('person_id', '=', personId)
    .orderBy('account')
    .execute();
  return rows.map(({ account }) => account);
}

/** Like {@link accountsOf}, and keeps the bindings from moving until the transaction ends. */
export async function lockAccountsOf(work: UnitOfWork, personId: string): Promise<string[]> {
  let select = work.query
    .selectFrom('account_bindings')
    .select('account')
    .where('person_id', '=', personId)
    .orderBy('account');
  if (work.driver === 'postgres') select = select.forShare();
  return (await select.execute()).map(({ account }) => account);
}

/** Binds a free account. False when somebody has it. */
export async function bindFreeAccount(
  work: UnitOfWork,
  binding: { account: string; personId: string; now: number },
): Promise<boolean> {
  const row = await work.query
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
  let select = work.query.selectFrom('account_bindings').selectAll().where('account', '=', account);
  if (work.driver === 'postgres') select = select.forUpdate();
  return (await select.executeTakeFirst()) ?? null;
}

export async function holdBinding(work: UnitOfWork, account: string, personId: string, now: number): Promise<void> {
  await work.query
    .updateTable('account_bindings')
    .set({ held_person_id: personId, held_at: now })
    .where('account', '=', account)
    .execute();
}

/** Gives a held account to its claimant. */
export async function moveBinding(work: UnitOfWork, account: string, personId: string, now: number): Promise<void> {
  await work.query
    .updateTable('account_bindings')
    .set({ person_id: personId, created_at: now, held_person_id: null, held_at: null })
    .where('account', '=', account)
    .execute();
}

export async function releaseClaim(work: UnitOfWork, account: string): Promise<void> {
  await work.query
    .updateTable('account_bindings')
    .set({ held_person_id: null, held_at: null })
    .where('account', '=', account)
    .execute();
}

/** Every binding, by account. */
export async function listBindings(query: Kysely<Schema>): Promise<AccountBindingsTable[]> {
  return query.selectFrom('account_bindings').selectAll().orderBy('account').execute();
}

/** Every bound account and the identity that it is bound to. */
export async function listOwners(
  query: Kysely<Schema>,
): Promise<{ account: string; issuer: string; subject: string }[]> {
  return query
    .selectFrom('account_bindings')
    .innerJoin('people', 'people.id', 'account_bindings.person_id')
    .select(['account_bindings.account', 'people.issuer', 'people.subject'])
    .execute();
}
