/** Where power comes from that identree did not give. */
export type GrantKind = 'sudoers' | 'polkit' | 'doas' | 'wheel' | 'group';

/** Whom a grant is for. `name` is without the signs of the file it stands in: `wheel`, not `%wheel`; '' for everyone. */
export interface Who {
  type: 'user' | 'uid' | 'group' | 'gid' | 'netgroup' | 'non-unix group' | 'everyone';
  name: string;
}

/** Power that a file of this host gives. */
export interface Given {
  kind: GrantKind;
  who: Who;
  /** Those of `who` who do not get it. */
  except: Who[];
  /** What they may do, in words. */
  gives: string;
  /** Nothing is asked before they do it. */
  withoutPassword: boolean;
  /** As on the host, without the folder of a test. */
  file: string;
  line: number;
}

/** A place that may give power and could not be understood. Silence would say that it gives none. */
export interface Unread {
  kind: GrantKind;
  /** Why, and where to look instead. */
  unread: string;
  file: string;
  /** Null when it is the whole file. */
  line: number | null;
}

/** Plain JSON, in an order that depends on nothing but what the files say. */
export type Grant = Given | Unread;

/** @param problem why it could not be read. @param instead where to look. */
export const unread = (
  kind: GrantKind,
  at: Pick<Unread, 'file' | 'line'>,
  problem: string,
  instead: string,
): Unread => ({
  kind,
  unread: `${problem[0]!.toUpperCase()}${problem.slice(1)}. ${instead}`,
  ...at,
});

export const isUnread = (grant: Grant): grant is Unread => 'unread' in grant;

const rank = (grant: Grant): number => (isUnread(grant) ? 1 : grant.withoutPassword ? 0 : 2);
const compare = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);

/** What needs no password first, then what could not be read, then the rest; each by file, line and words, once. */
export function sortGrants(grants: readonly Grant[]): Grant[] {
  const keyed = grants.map((grant) => ({ grant, key: JSON.stringify(grant) }));
  const once = [...new Map(keyed.map((entry) => [entry.key, entry])).values()];
  return once
    .sort(
      (a, b) =>
        compare(rank(a.grant), rank(b.grant)) ||
        compare(a.grant.kind, b.grant.kind) ||
        compare(a.grant.file, b.grant.file) ||
        compare(a.grant.line ?? 0, b.grant.line ?? 0) ||
        compare(a.key, b.key),
    )
    .map(({ grant }) => grant);
}

/** Root needs nobody to give it anything, so what a file gives it is not worth a line. */
export const isRoot = ({ type, name }: Who): boolean =>
  (type === 'user' && name === 'root') || (type === 'uid' && name === '0');
