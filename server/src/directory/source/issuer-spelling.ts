import { bareIssuer } from '../../platform/issuer.ts';
import { type DirectorySnapshot, order } from './model.ts';

const issuersIn = ({ users, groups }: DirectorySnapshot): Set<string> =>
  new Set([...users, ...groups].map(({ issuer }) => issuer));

/**
 * A snapshot whose issuers are written as numbers were given under them. Whoever corrects the slash at the end of an issuer,
 * which a provider counts and people do not see, would make everybody somebody else: with another uid, and without their
 * files.
 *
 * @param knownIssuers those of everybody who has a number; asked for only when there is another one
 * @param published what hosts see
 */
export async function spelledAsKnown(
  snapshot: DirectorySnapshot,
  published: DirectorySnapshot | null,
  knownIssuers: () => Promise<ReadonlySet<string>>,
): Promise<DirectorySnapshot> {
  const said = issuersIn(snapshot);
  const seen = published === null ? new Set<string>() : issuersIn(published);
  if ([...said].every((issuer) => seen.has(issuer))) return snapshot;
  const known = await knownIssuers();
  const instead = new Map<string, string>();
  for (const issuer of said) {
    const same = (other: string) => bareIssuer(other) === bareIssuer(issuer);
    const [only, ...more] = [...known].filter(same);
    // Where there are people of both, who of them is who is not for a program to say.
    if (known.has(issuer) || only === undefined || more.length > 0 || [...said].filter(same).length > 1) continue;
    instead.set(issuer, only);
  }
  if (instead.size === 0) return snapshot;
  const respelled = <T extends { readonly issuer: string; readonly id: string }>(records: readonly T[]): T[] =>
    records
      .map((record) => ({ ...record, issuer: instead.get(record.issuer) ?? record.issuer }))
      .sort((a, b) => order(a.issuer, b.issuer) || order(a.id, b.id));
  return { users: respelled(snapshot.users), groups: respelled(snapshot.groups) };
}
