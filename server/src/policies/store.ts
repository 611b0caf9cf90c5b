import { canonicalJson } from '#shared/canonical-json.ts';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { Policy } from './policy.ts';

/** Which policy was in force last, for all servers on this database. `version` null: there was none that could be used. */
export interface PolicyInForce {
  version: string | null;
  /** Why there was none. */
  problem: string | null;
}

const KEY = 'policy_in_force';

/** Null: nothing was ever noted. */
export async function readPolicyInForce(query: Query): Promise<PolicyInForce | null> {
  const row = await kysely(query).selectFrom('meta').select('value').where('key', '=', KEY).executeTakeFirst();
  return row ? (JSON.parse(row.value) as PolicyInForce) : null;
}

export async function writePolicyInForce(work: UnitOfWork, state: PolicyInForce): Promise<void> {
  const value = canonicalJson(state);
  await kysely(work.query)
    .insertInto('meta')
    .values({ key: KEY, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}

/** Keeps what a version says, for those who look at a decision later. */
export async function keepPolicyVersion(work: UnitOfWork, policy: Policy, now: number): Promise<void> {
  await kysely(work.query)
    .insertInto('policy_versions')
    .values({ version: policy.version, content: canonicalJson({ policies: policy.rules }), first_seen_at: now })
    .onConflict((conflict) => conflict.column('version').doNothing())
    .execute();
}
