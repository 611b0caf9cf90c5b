import type { Config } from '../config/config.ts';
import type { UnitOfWork } from '../db/database.ts';
import type { Query } from '../db/query.ts';
import { bareIssuer } from '../platform/issuer.ts';
import {
  type AccountOwner,
  type AccountRules,
  accountOwners,
  accountsOf,
  directoryOwner,
  findInDirectory,
  listUnlinked,
  nameKey,
  type UnlinkedSource,
} from './account-store.ts';
import { listOwners } from './binding-store.ts';
import type { SignedIn, Subject } from './standing.ts';

export type { UnlinkedSource } from './account-store.ts';

/**
 * Port: which Linux account is whose, asked either way. Where a directory serves people it has one source, the directory;
 * for names that the directory never gave, and without a directory, it is what is bound. Two answers to this question would
 * let a person approve for another's account.
 */
export interface Accounts {
  /** True: a directory serves people. */
  readonly directory: boolean;
  /** The Linux account of a user name; null: none can be called that. */
  accountNameOf(username: string): string | null;
  /** The account that a user name which none can have would be in small letters; null: no account is called that. */
  accountNameLike(username: string): string | null;
  /** As whom the directory knows who signed in; null: their sign-in did not bring what it knows people by. */
  knownAs(person: SignedIn): Subject | null;
  /**
   * Linux accounts of people, by name; those without any are left out. Given a unit of work, none of them moves to
   * somebody else until it ends.
   */
  of(from: Query | UnitOfWork, personIds: readonly string[]): Promise<Map<string, string[]>>;
  /** The person behind an account, for policies and pages; null when it is nobody's. */
  ownerOf(query: Query, account: string): Promise<AccountOwner | null>;
  /** The same of several at once; those that are nobody's are left out. */
  ownersOf(query: Query, accounts: readonly string[]): Promise<ReadonlyMap<string, AccountOwner>>;
  /** The account that the directory has for a person; null when the directory does not have the person. */
  inDirectory(query: Query, person: SignedIn): Promise<{ account: string | null } | null>;
  /** Whose a name is by the directory, or was; null when it never gave it to a person, or does not serve people. */
  inDirectoryOf(query: Query, account: string): ReturnType<typeof directoryOwner>;
  /** Accounts, without regard to case, that are bound, and to whom: the directory gives them to nobody else unasked. */
  pinned(query: Query): Promise<ReadonlyMap<string, Subject>>;
  /** Issuers of which people sign in under names that the directory has, and nobody as whom the directory means. */
  unlinked(query: Query): Promise<UnlinkedSource[]>;
}

/** @param deps.accountNameOf the rule for names, which the directory goes by as well */
export function createAccounts(deps: {
  config: Pick<Config, 'ldap' | 'directory' | 'oidc'>;
  accountNameOf: AccountRules['accountNameOf'];
  accountNameLike: Accounts['accountNameLike'];
}): Accounts {
  const { config, accountNameOf } = deps;
  const directory = config.ldap !== null && config.directory.source !== 'none';
  const { userIdClaim } = config.oidc;
  const rules: AccountRules = { directory, userIdClaim, accountNameOf };

  const knownAs: Accounts['knownAs'] = ({ issuer, subject, sourceId }) => {
    if (userIdClaim === 'sub') return { issuer, subject };
    return sourceId?.claim === userIdClaim ? { issuer, subject: sourceId.value } : null;
  };

  return {
    directory,
    accountNameOf,
    accountNameLike: deps.accountNameLike,
    knownAs,
    of: (from, personIds) => accountsOf(from, personIds, rules),
    ownerOf: async (query, account) => (await accountOwners(query, [account], rules)).get(account) ?? null,
    ownersOf: (query, accounts) => accountOwners(query, accounts, rules),
    async inDirectory(query, person) {
      const known = directory ? knownAs(person) : null;
      return known && findInDirectory(query, known, rules);
    },
    inDirectoryOf: async (query, account) => (directory ? directoryOwner(query, account) : null),
    async pinned(query) {
      const owners = await listOwners(query, directory);
      return new Map(owners.map(({ name, ...person }) => [name, knownAs(person) ?? person]));
    },
    async unlinked(query) {
      if (!directory) return [];
      // With and without its domain: how names are cut may be just what is set wrongly.
      return listUnlinked(query, userIdClaim, (username) =>
        [username, username.replace(/@.*$/s, '')].flatMap((name) => {
          const account = accountNameOf(name);
          return account === null ? [] : [nameKey(account)];
        }),
      );
    },
  };
}

/** Whether two identities are one, however their issuer is written. */
export function isSame(one: Subject, other: Subject): boolean {
  return one.subject === other.subject && bareIssuer(one.issuer) === bareIssuer(other.issuer);
}
