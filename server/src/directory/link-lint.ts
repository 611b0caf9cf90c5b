import type { UnlinkedSource } from '../auth/accounts.ts';
import type { Lint } from './source/lint.ts';

/** Of the people who sign in the source knows none: accounts belong to no person then, and nothing else would say why. */
export function linkLint({ issuer, claim, people: count }: UnlinkedSource): Lint {
  const people = count === 1 ? 'one person has' : `${count} people have`;
  return {
    code: 'nobody_linked',
    subject: `issuer ${issuer}`,
    detail: `${people} signed in under a name of the source, and nobody’s ${claim} is an identifier of the source: name the claim that is in IDENTREE_OIDC_USER_ID_CLAIM, or have the source send the ${claim}`,
  };
}
