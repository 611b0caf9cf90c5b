import { Refusal } from '#shared/errors.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import {
  type AccountRules,
  bindFreeAccount,
  holdBinding,
  isOthersByDirectory,
  lockBinding,
  moveBinding,
  releaseClaim,
} from './binding-store.ts';
import { findPerson, type Person } from './people-store.ts';

/**
 * Never bound by a name in a sign-in: whoever may choose the user name `root` at the identity provider would approve for
 * root everywhere.
 */
const NEVER_BOUND: readonly string[] = ['root'];

/** Which Linux account belongs to which person. The link is pinned: a name alone could be given to somebody else. */
export interface Bindings {
  /** At a sign-in: binds the account of that name when it is free, notes a claim when it is somebody else's. */
  claim(work: UnitOfWork, person: Person, remoteAddr: string): Promise<void>;
  /** An operator gives the account to the claimant that they were shown. @throws Refusal */
  confirm(input: { account: string; personId: string }, actor: { username: string; remoteAddr: string }): Promise<void>;
  /** An operator leaves the account where it is. @throws Refusal */
  reject(input: { account: string; personId: string }, actor: { username: string; remoteAddr: string }): Promise<void>;
}

export function createBindings(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  accountRules: AccountRules;
}): Bindings {
  const { db, events, clock } = deps;

  /** The claim as the operator saw it; anything else has changed since and must be looked at again. */
  async function lockClaim(work: UnitOfWork, input: { account: string; personId: string }) {
    const binding = await lockBinding(work, input.account);
    if (!binding || binding.held_person_id !== input.personId) throw new Refusal('not_found');
    const owner = await findPerson(work.query, binding.person_id);
    const claimant = await findPerson(work.query, input.personId);
    if (!owner || !claimant) throw new Refusal('not_found');
    return { owner, claimant };
  }

  return {
    async claim(work, person, remoteAddr) {
      const account = person.username;
      if (NEVER_BOUND.includes(account)) return;
      const now = clock.now();
      const held = () =>
        events.append(work, {
          event: 'account_binding_held',
          username: account,
          remoteAddr,
          data: { account, issuer: person.issuer, subject: person.subject },
        });
      // The directory folds names: its account `mira` may be of a person who signs in as `Mira`, and a stranger who signs
      // in as `mira` would approve for her.
      if (deps.accountRules.directoryNames && (await isOthersByDirectory(work.query, account, person))) {
        await held();
        return;
      }
      if (await bindFreeAccount(work, { account, personId: person.id, now })) {
        await events.append(work, {
          event: 'account_bound',
          username: account,
          remoteAddr,
          data: { account, issuer: person.issuer, subject: person.subject },
        });
        return;
      }
      const binding = await lockBinding(work, account);
      if (!binding || binding.person_id === person.id || binding.held_person_id === person.id) return;
      await holdBinding(work, account, person.id, now);
      await held();
    },

    confirm: (input, actor) =>
      db.transaction(async (work) => {
        const { owner, claimant } = await lockClaim(work, input);
        await moveBinding(work, input.account, claimant.id, clock.now());
        await events.append(work, {
          event: 'account_bound',
          username: input.account,
          actor: actor.username,
          remoteAddr: actor.remoteAddr,
          reason: 'claim confirmed by an operator',
          data: {
            account: input.account,
            issuer: claimant.issuer,
            subject: claimant.subject,
            previous: { issuer: owner.issuer, subject: owner.subject },
          },
        });
      }),

    reject: (input, actor) =>
      db.transaction(async (work) => {
        const { owner, claimant } = await lockClaim(work, input);
        await releaseClaim(work, input.account);
        await events.append(work, {
          event: 'account_binding_rejected',
          username: input.account,
          actor: actor.username,
          remoteAddr: actor.remoteAddr,
          data: {
            account: input.account,
            issuer: owner.issuer,
            subject: owner.subject,
            rejected: { issuer: claimant.issuer, subject: claimant.subject },
          },
        });
      }),
  };
}
