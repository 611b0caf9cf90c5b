import type { UnitOfWork } from './database.ts';
import { statement } from './statement.ts';

const putProbe = statement((query, given: { holder: string; at: number }) =>
  query
    .insertInto('storage_probes')
    .values({ holder: given.holder, at: given.at })
    .onConflict((conflict) => conflict.column('holder').doUpdateSet({ at: given.at })),
);
const deleteProbes = statement((query, given: { before: number }) =>
  query.deleteFrom('storage_probes').where('at', '<', given.before),
);

/** Writes a row of this server's own, so that no other server is waited for, and removes those of servers that are gone. */
export async function writeProbe(work: UnitOfWork, holder: string, now: number, forgetBefore: number): Promise<void> {
  await putProbe(work.query, { holder, at: now });
  await deleteProbes(work.query, { before: forgetBefore });
}
