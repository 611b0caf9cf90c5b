import { commandLine } from '#shared/command-words.ts';
import { type ErrorCode, Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import type { HostService } from '../hosts/service.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import { stricterOutcome } from '../policies/policy.ts';
import { approveRefusal } from './decide.ts';
import type { Requirements } from './requirement.ts';
import * as store from './store.ts';
import { actorOf, decidable } from './to-view.ts';

/** A request as those need it who tell people of it. */
export interface Announced {
  readonly userCode: string;
  readonly approvalUrl: string;
  readonly expiresAt: number;
  /** As people are shown it; null for a sign-in, and where it cannot be read. */
  readonly command: string | null;
  /** The rule of the policy under which it was asked. */
  readonly rule: string;
  /** Why somebody, in their browser and with a good passkey, could not approve it when it was made; null: they could. */
  refusalFor(person: Pick<Viewer, 'person' | 'role' | 'accounts'>): ErrorCode | null;
}

export type Announcing = ReturnType<typeof createAnnouncing>;

/** What of requests is told to people who are not here: whom it concerns is what {@link approveRefusal} says, and nothing else. */
export function createAnnouncing(deps: {
  db: Pick<Database, 'query'>;
  clock: Clock;
  hosts: Pick<HostService, 'facts'>;
  requirements: Requirements;
  externalUrl: string;
}) {
  const { db, requirements } = deps;

  async function decidersOf(challenge: store.Challenge): Promise<Announced['refusalFor']> {
    const current = await requirements.outcome(db.query, await requirements.policy(), {
      user: challenge.username,
      host: challenge.hostname,
      hostGroup: (await deps.hosts.facts(db.query, challenge.host_id)).group,
    });
    const policy = stricterOutcome(challenge.policy, current);
    // As it was made: whoever looks later gets the same answer.
    const asked = { ...decidable(challenge), status: 'pending', leaseUntil: challenge.expires_at } as const;
    return (person) => {
      const actor = actorOf({ ...person, session: { kind: 'browser' } });
      return approveRefusal(asked, actor, policy, challenge.created_at);
    };
  }

  return {
    /** Null: there is no such request. */
    async request(id: string): Promise<Announced | null> {
      const stored = await store.findChallenge(db.query, id);
      if (stored === null) return null;
      const about = {
        userCode: stored.user_code,
        approvalUrl: `${deps.externalUrl}/approve/${stored.user_code}`,
        expiresAt: stored.expires_at,
        rule: stored.policy_rule,
      };
      if (store.isUnreadable(stored)) return { ...about, command: null, refusalFor: () => 'unreadable' };
      const command = stored.record.gate === 'ssh' ? null : commandLine(stored.record);
      try {
        return { ...about, command, refusalFor: await decidersOf(stored) };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return { ...about, command, refusalFor: () => error.code };
      }
    },

    /** Which of these still wait for an answer. */
    open: async (ids: readonly string[]): Promise<ReadonlySet<string>> =>
      new Set(await store.stillPending(db.query, ids, deps.clock.now())),
  };
}
