import { Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import { evaluatePolicy, type Policy, type PolicyOutcome } from '../policies/policy.ts';
import type { PolicySource } from '../policies/source.ts';

/**
 * The person behind a Linux account, as far as policies and pages need to know; null when it is nobody's. Groups that
 * cannot be read are null: as none they could ask for less than the person's groups do.
 */
export type AccountOwner = (
  query: Database['query'],
  account: string,
) => Promise<{ personId: string; displayName: string; groups: readonly string[] | null } | null>;

export type Requirements = ReturnType<typeof createRequirements>;

/** What a request needs, by the policy in force. */
export function createRequirements(deps: { policies: PolicySource; accountOwner: AccountOwner }) {
  return {
    /** The policy in force. @throws Refusal `policy_broken` */
    async policy(): Promise<Policy> {
      const state = await deps.policies.current();
      if (!state.ok) throw new Refusal('policy_broken', state.problem);
      return state.policy;
    },

    /** What a policy asks of a request of this account on this host. @throws Refusal `unreadable` */
    async outcome(
      query: Database['query'],
      policy: Policy,
      request: { user: string; host: string; hostGroup: string | null },
    ): Promise<PolicyOutcome> {
      const owner = await deps.accountOwner(query, request.user);
      if (owner?.groups === null) throw new Refusal('unreadable', `groups of person ${owner.personId}`);
      return evaluatePolicy(policy, { ...request, groups: owner?.groups ?? [] });
    },
  };
}
