import type { SignedIn, Standing, Subject } from '../auth/standing.ts';
import { bareIssuer } from '../platform/issuer.ts';
import type { PocketIdClient } from './pocketid/client.ts';
import type { Directory } from './publish/directory.ts';

const ANSWER_WITHIN_MS = 2000;

/** The directory's word on who may act: who is disabled in what is served, and at approvals what the source says now. */
export function createStanding(deps: {
  /** Whose Linux account it is; null: the directory has no such account. */
  ownerOf: (account: string) => Promise<Subject | null>;
  /** As whom the directory knows a person; null: it does not. */
  knownAs: (person: SignedIn) => Subject | null;
  directory: Pick<Directory, 'isPersonDisabled' | 'isAccountDisabled' | 'refresh'>;
  /** Null: the source cannot be asked about one person. */
  client: Pick<PocketIdClient, 'userState'> | null;
  /** Issuer of the people that `client` knows. */
  issuer: string;
  log: { warn(detail: object, message: string): void };
}): Standing {
  const { directory } = deps;
  const mayAct = (known: Subject | null): boolean => known === null || !directory.isPersonDisabled(known);
  const personMayAct = (person: SignedIn): boolean => mayAct(deps.knownAs(person));
  const accountMayAct = (account: string): boolean => !directory.isAccountDisabled(account);

  const isHere = (issuer: string) => bareIssuer(issuer) === bareIssuer(deps.issuer);

  /** Null: there was no answer. */
  async function ask({ issuer, subject }: Subject): Promise<boolean | null> {
    if (deps.client === null || !isHere(issuer)) return null;
    const answer = await deps.client
      .userState(subject, AbortSignal.timeout(ANSWER_WITHIN_MS))
      .catch(() => 'unknown' as const);
    return answer === 'unknown' ? null : answer === 'enabled';
  }

  return {
    personMayAct,
    accountMayAct,
    async confirm({ person, account }) {
      const self = deps.knownAs(person);
      const known = { person: mayAct(self), account: accountMayAct(account) };
      const owner = await deps.ownerOf(account);
      const isSelf =
        owner !== null &&
        self !== null &&
        bareIssuer(owner.issuer) === bareIssuer(self.issuer) &&
        owner.subject === self.subject;
      const asked = {
        person: self === null ? null : await ask(self),
        account: owner === null || isSelf ? null : await ask(owner),
      };
      if (isSelf) asked.account = asked.person;
      if (asked.person === null && self !== null && deps.client !== null && isHere(self.issuer)) {
        deps.log.warn({ subject: self.subject }, 'PocketID did not say in time whether an approver is still enabled');
      }
      const now = { person: asked.person ?? known.person, account: asked.account ?? known.account };
      if (now.person !== known.person || now.account !== known.account) directory.refresh('login');
      // What is served may be ahead of a source that is asked behind a cache: the stricter of both counts.
      return { person: now.person && known.person, account: now.account && known.account };
    },
  };
}
