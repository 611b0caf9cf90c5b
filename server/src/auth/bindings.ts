import { Refusal } from '#shared/errors.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { AccountClaimsTable } from '../db/schema.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import { nameKey } from './account-store.ts';
import { type Accounts, isSame } from './accounts.ts';
import { bind, boundPerson, deleteClaim, lockBindings, lockClaim, type SetAside, writeClaim } from './binding-store.ts';
import { findPerson, type Person } from './people-store.ts';
import type { Subject } from './standing.ts';

/**
 * Never bound by a name in a sign-in: whoever may choose the user name `root` at the identity provider would approve for
 * root everywhere.
 */
const NEVER_BOUND: readonly string[] = ['root'];

/** Links of people to Linux accounts that the directory does not say. Each is pinned: a name could be given to somebody else. */
export interface Bindings {
  /** At a sign-in: binds the account of that name when it is free, notes a claim when it is somebody else's. */
  claim(work: UnitOfWork, person: Person, remoteAddr: string): Promise<void>;
  /** An operator gives the account to the claimant that they were shown. @throws Refusal */
  confirm(input: { account: string; personId: string }, actor: { username: string; remoteAddr: string }): Promise<void>;
  /** An operator leaves the account where it is. @throws Refusal */
  reject(input: { account: string; personId: string }, actor: { username: string; remoteAddr: string }): Promise<void>;
}

/** Whose an account is before anything is decided about it. */
interface Holder extends Subject {
  /** Null: somebody whom the directory knows. */
  readonly personId: string | null;
  /** Whom the directory means by the name; null: nobody. */
  readonly directory: SetAside | null;
}

export function createBindings(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  accounts: Accounts;
}): Bindings {
  const { db, events, clock, accounts } = deps;

  async function holderOf(work: UnitOfWork, account: string): Promise<Holder | null> {
    const directory = await accounts.inDirectoryOf(work.query, account);
    const bound = await boundPerson(work.query, account);
    if (directory === null) return bound && { ...bound, directory };
    const aside = bound?.insteadOf ?? null;
    const preferred = aside !== null && isSame(aside, directory) && (!aside.hasLeft || directory.hasLeft);
    // Who has it by a binding from before: an operator has to see whom they would take it from.
    const keeps = bound !== null && (await accounts.ownerOf(work.query, account))?.personId === bound.personId;
    return bound !== null && (preferred || keeps)
      ? { ...bound, directory }
      : { ...directory, personId: null, directory };
  }

  const seenOwner = (claim: AccountClaimsTable): Subject => ({
    issuer: claim.owner_issuer,
    subject: claim.owner_subject,
  });

  async function lockOf(work: UnitOfWork, input: { account: string; personId: string }) {
    const claim = await lockClaim(work, input.account);
    const claimant = await findPerson(work.query, input.personId);
    if (!claim || !claimant || claim.person_id !== input.personId) throw new Refusal('not_found');
    return { claim, claimant };
  }

  /** The claim as the operator saw it; anything else has changed since and must be looked at again. */
  async function lockSeen(work: UnitOfWork, input: { account: string; personId: string }) {
    const { claim, claimant } = await lockOf(work, input);
    const owner = await holderOf(work, input.account);
    if (!owner || !isSame(owner, seenOwner(claim))) throw new Refusal('not_found');
    return { owner, claimant };
  }

  async function hold(work: UnitOfWork, account: string, person: Person, owner: Holder, remoteAddr: string) {
    const known = await lockClaim(work, account);
    const { issuer, subject } = owner;
    if (known?.person_id === person.id && isSame(seenOwner(known), owner)) return;
    await writeClaim(work, {
      account,
      person_id: person.id,
      held_at: clock.now(),
      owner_issuer: issuer,
      owner_subject: subject,
    });
    await events.append(work, {
      event: 'account_binding_held',
      username: account,
      remoteAddr,
      data: { account, issuer: person.issuer, subject: person.subject, owner: { issuer, subject } },
    });
  }

  /** Who has left the directory has no account by it, and nobody else's either. */
  function isThemselves(owner: Holder, person: Person): boolean {
    const self = accounts.knownAs(person);
    return owner.personId === null && self !== null && isSame(owner, self);
  }

  /** Notes a claim on the account of somebody else that a name which can be none itself is read as. It never binds. */
  async function claimAlike(work: UnitOfWork, person: Person, remoteAddr: string): Promise<void> {
    const account = accounts.accountNameLike(person.username);
    if (account === null) return;
    const own = (await accounts.of(work.query, [person.id])).get(person.id) ?? [];
    if (own.includes(account)) return;
    await lockBindings(work);
    const owner = await holderOf(work, account);
    if (owner === null || owner.personId === person.id || isThemselves(owner, person)) return;
    await hold(work, account, person, owner, remoteAddr);
  }

  return {
    async claim(work, person, remoteAddr) {
      const known = await accounts.inDirectory(work.query, person);
      const account = known ? known.account : accounts.accountNameOf(person.username);
      if (account === null && known === null) await claimAlike(work, person, remoteAddr);
      if (account === null || NEVER_BOUND.includes(nameKey(account))) return;
      const own = (await accounts.of(work.query, [person.id])).get(person.id) ?? [];
      if (own.includes(account)) return deleteClaim(work, account, person.id);
      await lockBindings(work);
      const owner = await holderOf(work, account);
      if (owner === null || (owner.directory === null && owner.personId === person.id)) {
        await bind(work, { account, personId: person.id, insteadOf: null, now: clock.now() });
        await deleteClaim(work, account, person.id);
        await events.append(work, {
          event: 'account_bound',
          username: account,
          remoteAddr,
          data: { account, issuer: person.issuer, subject: person.subject },
        });
        return;
      }
      if (isThemselves(owner, person)) return;
      await hold(work, account, person, owner, remoteAddr);
    },

    confirm: (input, actor) =>
      db.transaction(async (work) => {
        await lockBindings(work);
        const { owner, claimant } = await lockSeen(work, input);
        const { account, personId } = input;
        await bind(work, { account, personId, insteadOf: owner.directory, now: clock.now() });
        await deleteClaim(work, account);
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
        const { claim, claimant } = await lockOf(work, input);
        const owner = seenOwner(claim);
        await deleteClaim(work, input.account);
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
