import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { ApproverKeySetsTable, CeremoniesTable, PasskeysTable, RecoveryCodesTable } from '../db/schema.ts';
import { first, statement } from '../db/statement.ts';

export async function insertPasskey(work: UnitOfWork, passkey: PasskeysTable): Promise<boolean> {
  const row = await kysely(work.query)
    .insertInto('passkeys')
    .values(passkey)
    .onConflict((conflict) => conflict.column('credential_id').doNothing())
    .returning('credential_id')
    .executeTakeFirst();
  return row !== undefined;
}

/** Passkeys of a person, oldest first. */
export async function passkeysOf(query: Query, personId: string): Promise<PasskeysTable[]> {
  return kysely(query)
    .selectFrom('passkeys')
    .selectAll()
    .where('person_id', '=', personId)
    .orderBy('created_at')
    .orderBy('credential_id')
    .execute();
}

export async function countPasskeys(query: Query, personId: string): Promise<number> {
  const row = await kysely(query)
    .selectFrom('passkeys')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('person_id', '=', personId)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** How many passkeys each person has. */
export async function countPasskeysByPerson(query: Query): Promise<Map<string, number>> {
  const rows = await kysely(query)
    .selectFrom('passkeys')
    .select(['person_id', (eb) => eb.fn.countAll().as('count')])
    .groupBy('person_id')
    .execute();
  return new Map(rows.map((row) => [row.person_id, Number(row.count)]));
}

/** Reads one passkey and keeps it from changing until the transaction ends: its counter is compared and then written. */
export async function lockPasskey(work: UnitOfWork, credentialId: string): Promise<PasskeysTable | null> {
  let select = kysely(work.query).selectFrom('passkeys').selectAll().where('credential_id', '=', credentialId);
  if (work.driver === 'postgres') select = select.forUpdate();
  return (await select.executeTakeFirst()) ?? null;
}

export async function notePasskeyUse(
  work: UnitOfWork,
  credentialId: string,
  use: { signCount: number; backedUp: boolean; now: number },
): Promise<void> {
  await kysely(work.query)
    .updateTable('passkeys')
    .set({ sign_count: use.signCount, backed_up: use.backedUp ? 1 : 0, last_used_at: use.now })
    .where('credential_id', '=', credentialId)
    .execute();
}

export async function renamePasskey(
  work: UnitOfWork,
  which: { personId: string; credentialId: string },
  name: string,
): Promise<boolean> {
  const row = await kysely(work.query)
    .updateTable('passkeys')
    .set({ name })
    .where('credential_id', '=', which.credentialId)
    .where('person_id', '=', which.personId)
    .returning('credential_id')
    .executeTakeFirst();
  return row !== undefined;
}

export async function deletePasskeys(
  work: UnitOfWork,
  which: { personId: string; credentialId?: string },
): Promise<PasskeysTable[]> {
  let query = kysely(work.query).deleteFrom('passkeys').where('person_id', '=', which.personId);
  if (which.credentialId !== undefined) query = query.where('credential_id', '=', which.credentialId);
  return query.returningAll().execute();
}

/** Every passkey with the person it belongs to, in a stable order. */
export async function allPasskeys(query: Query) {
  return kysely(query)
    .selectFrom('passkeys')
    .innerJoin('people', 'people.id', 'passkeys.person_id')
    .select(['passkeys.credential_id', 'passkeys.jwk', 'people.issuer', 'people.subject', 'people.username'])
    .orderBy('passkeys.credential_id')
    .execute();
}

export async function insertCeremony(work: UnitOfWork, ceremony: CeremoniesTable): Promise<void> {
  await kysely(work.query).insertInto('ceremonies').values(ceremony).execute();
}

/** Takes a ceremony out, once, and only for the session and purpose that it was begun for. */
export async function takeCeremony(
  work: UnitOfWork,
  which: Pick<CeremoniesTable, 'challenge' | 'purpose' | 'person_id' | 'session_hash'>,
): Promise<CeremoniesTable | null> {
  const row = await kysely(work.query)
    .deleteFrom('ceremonies')
    .where('challenge', '=', which.challenge)
    .where('purpose', '=', which.purpose)
    .where('person_id', '=', which.person_id)
    .where('session_hash', '=', which.session_hash)
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

/** Keeps everything about a person's passkeys from changing until the transaction ends. */
export async function lockOwner(work: UnitOfWork, personId: string): Promise<void> {
  let select = kysely(work.query).selectFrom('people').select('id').where('id', '=', personId);
  if (work.driver === 'postgres') select = select.forNoKeyUpdate();
  await select.executeTakeFirst();
}

/** The person that a code is made for. */
export async function findOwner(query: Query, personId: string) {
  const row = await kysely(query)
    .selectFrom('people')
    .select(['id', 'username', 'issuer', 'subject'])
    .where('id', '=', personId)
    .executeTakeFirst();
  return row ?? null;
}

export async function insertRecoveryCode(work: UnitOfWork, code: RecoveryCodesTable): Promise<void> {
  await kysely(work.query).insertInto('recovery_codes').values(code).execute();
}

/** A code that is unused, unexpired and made for this person. */
export async function findRecoveryCode(
  query: Query,
  which: { codeHash: string; personId: string },
  now: number,
): Promise<boolean> {
  const row = await kysely(query)
    .selectFrom('recovery_codes')
    .select('code_hash')
    .where('code_hash', '=', which.codeHash)
    .where('person_id', '=', which.personId)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return row !== undefined;
}

/** Uses a code up, in one statement. False when it is not good any more. */
export async function spendRecoveryCode(
  work: UnitOfWork,
  which: { codeHash: string; personId: string },
  now: number,
): Promise<boolean> {
  const row = await kysely(work.query)
    .updateTable('recovery_codes')
    .set({ used_at: now })
    .where('code_hash', '=', which.codeHash)
    .where('person_id', '=', which.personId)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .returning('code_hash')
    .executeTakeFirst();
  return row !== undefined;
}

/** Makes every unused code of a person worthless. */
export async function dropRecoveryCodes(work: UnitOfWork, personId: string): Promise<void> {
  await kysely(work.query)
    .deleteFrom('recovery_codes')
    .where('person_id', '=', personId)
    .where('used_at', 'is', null)
    .execute();
}

/** Version of the set in force; 0 when none was published yet. The set itself may be long. */
const selectNewestVersion = statement((query, _: object) =>
  query.selectFrom('approver_key_sets').select('version').orderBy('version', 'desc').limit(1),
);

export async function newestApproverKeysVersion(query: Query): Promise<number> {
  return first(await selectNewestVersion(query, {}))?.version ?? 0;
}

const selectNewestSet = statement((query, _: object) =>
  query.selectFrom('approver_key_sets').selectAll().orderBy('version', 'desc').limit(1),
);

export async function newestApproverKeySet(query: Query): Promise<ApproverKeySetsTable | null> {
  return first(await selectNewestSet(query, {}));
}

/** @throws when this version was never published */
export async function getApproverKeySet(query: Query, version: number): Promise<ApproverKeySetsTable> {
  return kysely(query)
    .selectFrom('approver_key_sets')
    .selectAll()
    .where('version', '=', version)
    .executeTakeFirstOrThrow();
}

export async function insertApproverKeySet(work: UnitOfWork, set: ApproverKeySetsTable): Promise<void> {
  await kysely(work.query).insertInto('approver_key_sets').values(set).execute();
}
