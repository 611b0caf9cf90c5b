import { Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import { type Outcome, outcomeOf } from '../db/together.ts';
import { evaluatePolicy, type Policy, type PolicyOutcome } from '../policies/policy.ts';
import type { PolicySource } from '../policies/source.ts';

/**
 * The person behind a Linux account, as far as policies and pages need to know. Groups that cannot be read are null: as
 * none they could ask for less than the person's groups do.
 */
interface Owner {
  readonly personId: string;
  readonly displayName: string;
  readonly groups: readonly string[] | null;
}

/** Whose a Linux account is; null when it is nobody's. */
export type AccountOwner = (query: Database['query'], account: string) => Promise<Owner | null>;
/** Whose each of several is; those that are nobody's are left out. */
export type AccountOwners = (
  query: Database['query'],
  accounts: readonly string[],
) => Promise<ReadonlyMap<string, Owner>>;

/** Who asks, and where. */
interface Asking {
  user: string;
  host: string;
  hostGroup: string | null;
}

function outcomeFor(policy: Policy, request: Asking, owner: Owner | null): PolicyOutcome {
  if (owner?.groups === null) throw new Refusal('unreadable', `groups of person ${owner.personId}`);
  return evaluatePolicy(policy, { ...request, groups: owner?.groups ?? [] });
}

export type Requirements = ReturnType<typeof createRequirements>;

/** What a request needs, by the policy in force. */
export function createRequirements(deps: {
  policies: PolicySource;
  accountOwner: AccountOwner;
  accountOwners: AccountOwners;
}) {
  return {
    /** The policy in force. @throws Refusal `policy_broken` */
    async policy(): Promise<Policy> {
      const state = await deps.policies.current();
      if (!state.ok) throw new Refusal('policy_broken', state.problem);
      return state.policy;
    },

    /** What a policy asks of a request of this account on this host. @throws Refusal `unreadable` */
    async outcome(query: Database['query'], policy: Policy, request: Asking): Promise<PolicyOutcome> {
      return outcomeFor(policy, request, await deps.accountOwner(query, request.user));
    },

    /** The same of several, by the policy in force. One of them may be refused, or all, by a policy that is broken. */
    async outcomes(query: Database['query'], requests: readonly Asking[]): Promise<Outcome<PolicyOutcome>[]> {
      const state = await deps.policies.current();
      if (!state.ok) return requests.map(() => ({ refusal: new Refusal('policy_broken', state.problem) }));
      const users = requests.map(({ user }) => user);
      const owners = await deps.accountOwners(query, users);
      return requests.map((request) =>
        outcomeOf(() => outcomeFor(state.policy, request, owners.get(request.user) ?? null)),
      );
    },
  };
}
