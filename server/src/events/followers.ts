import { Refusal } from '#shared/errors.ts';

/** How many streams one person, and all of them, may have open. Each is a connection and a queue that are kept for it. */
export interface FollowerLimits {
  perPerson: number;
  inAll: number;
}

export const FOLLOWER_LIMITS: FollowerLimits = { perPerson: 40, inAll: 10_000 };

/** Counts who follows: a person with one session must not be able to take the connections of everybody else. */
export interface Followers {
  /** @returns what gives the place back, once. @throws Refusal when there is none. */
  admit(personId: string): () => void;
}

export function createFollowers(limits: FollowerLimits): Followers {
  const open = new Map<string, number>();
  let all = 0;
  return {
    admit(personId) {
      const own = open.get(personId) ?? 0;
      if (own >= limits.perPerson) throw new Refusal('too_many_streams');
      if (all >= limits.inAll) throw new Refusal('too_many_followers');
      open.set(personId, own + 1);
      all += 1;
      return () => {
        const left = open.get(personId)! - 1;
        if (left === 0) open.delete(personId);
        else open.set(personId, left);
        all -= 1;
      };
    },
  };
}
