import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';

/** Notes a logout token as used. False when it was used before. */
export async function useLogoutToken(work: UnitOfWork, idHash: string, expiresAt: number): Promise<boolean> {
  const row = await kysely(work.query)
    .insertInto('logout_tokens')
    .values({ jti_hash: idHash, expires_at: expiresAt })
    .onConflict((conflict) => conflict.column('jti_hash').doNothing())
    .returning('jti_hash')
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Sessions that began with a sign-in at the provider which has ended there. One whose provider session is not known ends
 * with every session of its person.
 */
export async function sessionsOfProvider(
  query: Query,
  which: { issuer: string; subject: string | null; sid: string | null },
): Promise<{ personId: string; idHash: string }[]> {
  let select = kysely(query)
    .selectFrom('sessions')
    .innerJoin('people', 'people.id', 'sessions.person_id')
    .select(['sessions.person_id as personId', 'sessions.id_hash as idHash'])
    .where('people.issuer', '=', which.issuer)
    .where('sessions.revoked_at', 'is', null);
  const { subject, sid } = which;
  if (subject !== null) select = select.where('people.subject', '=', subject);
  if (sid !== null) {
    select = select.where(({ eb, or }) =>
      or([
        eb('sessions.provider_sid', '=', sid),
        ...(subject === null ? [] : [eb('sessions.provider_sid', 'is', null)]),
      ]),
    );
  }
  return select.execute();
}
