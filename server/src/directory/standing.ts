import type { Standing, Subject } from '../auth/standing.ts';
import type { PocketIdClient } from './pocketid/client.ts';
import type { Directory } from './publish/directory.ts';
import { identityKey } from './source/model.ts';

const ANSWER_WITHIN_MS = 2000;

/** The directory's word on who may act: who is disabled in what is served, and at approvals what the source says now. */
export function createStanding(deps: {
  /** Whose Linux account it is; null: the directory has no such account. */
  ownerOf: (account: string) => Promise<Subject | null>;
  directory: Pick<Directory, 'isPersonDisabled' | 'isAccountDisabled' | 'refresh'>;
  /** Null: the source cannot be asked about one person. */
  client: Pick<PocketIdClient, 'userState'> | null;
  /** Issuer of the people that `client` knows. */
  issuer: string;
  log: { warn(detail: object, message: string): void };
}): Standing {
  const { directory } = deps;
  const personMayAct = ({ issuer, subject }: Subject): boolean =>
    !directory.isPersonDisabled(identityKey({ issuer, id: subject }));
  const accountMayAct = (account: string): boolean => !directory.isAccountDisabled(account);

  /** Null: there was no answer. */
  async function ask({ issuer, subject }: Subject): Promise<boolean | null> {
    if (deps.client === null || issuer !== deps.issuer) return null;
    const answer = await deps.client
      .userState(subject, AbortSignal.timeout(ANSWER_WITHIN_MS))
      .catch(() => 'unknown' as const);
    return answer === 'unknown' ? null : answer === 'enabled';
  }

  return {
    personMayAct,
    accountMayAct,
    async confirm({ person, account }) {
      const known = { person: personMayAct(person), account: accountMayAct(account) };
      const owner = await deps.ownerOf(account);
      const isSelf = owner !== null && owner.issuer === person.issuer && owner.subject === person.subject;
      const asked = {
        person: await ask(person),
        account: owner === null || isSelf ? null : await ask(owner),
      };
      if (isSelf) asked.account = asked.person;
      if (asked.person === null && deps.client !== null && person.issuer === deps.issuer) {
        deps.log.warn({ subject: person.subject }, 'PocketID did not say in time whether an approver is still enabled');
      }
      const now = { person: asked.person ?? known.person, account: asked.account ?? known.account };
      if (now.person !== known.person || now.account !== known.account) directory.refresh('login');
      // What is served may be ahead of a source that is asked behind a cache: the stricter of both counts.
      return { person: now.person && known.person, account: now.account && known.account };
    },
  };
}
