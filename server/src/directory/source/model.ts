import { createHash } from 'node:crypto';
import { z } from 'zod';
import { visibleText } from '#shared/visible-text.ts';

/** A free key and value that an administrator attached to a person or group at the source. */
export interface CustomClaim {
  readonly key: string;
  readonly value: string;
}

/** A person as a source delivers them. The identity is (issuer, id); every name is display. */
export interface DirectoryUser {
  readonly issuer: string;
  /** The `sub` that the same person signs in with. */
  readonly id: string;
  readonly username: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly displayName: string;
  readonly email: string;
  readonly disabled: boolean;
  readonly customClaims: readonly CustomClaim[];
}

/** A group as a source delivers it. Members are ids of users of the same issuer. */
export interface DirectoryGroup {
  readonly issuer: string;
  readonly id: string;
  readonly name: string;
  readonly friendlyName: string;
  readonly customClaims: readonly CustomClaim[];
  readonly userIds: readonly string[];
}

/**
 * Everything a source knows, in canonical form: users and groups sorted by identity, claims by key, members by id, every
 * id once, every member known. Two snapshots with the same content are the same text.
 */
export interface DirectorySnapshot {
  readonly users: readonly DirectoryUser[];
  readonly groups: readonly DirectoryGroup[];
}

export const EMPTY_SNAPSHOT: DirectorySnapshot = { users: [], groups: [] };

/** Identity as one text. Neither part contains a space, so no two identities share it. */
export function identityKey(of: { readonly issuer: string; readonly id: string }): string {
  return `${of.issuer} ${of.id}`;
}

/** Most characters of one claim value that mean anything. */
export const MAX_CLAIM_LENGTH = 16 * 1024;

const printable = /^[\x21-\x7e]+$/;
const identifier = z.string().max(128).regex(printable);
// What the UID map says of itself begins with these.
export const issuerText = z
  .string()
  .max(512)
  .regex(/^(?!identree:|group:)[\x21-\x7e]+$/);

// Lone surrogates would become a different text once encoded; NUL ends a text for C programs.
const clean = (text: string): string => text.toWellFormed().replaceAll('\0', '');
/**
 * What an operator reads before they let a change through. A character that cannot be seen, or that turns the direction of
 * what is around it, could show them another name; none can be in the name of an account.
 */
const readName = z
  .string()
  .max(256)
  .transform((name) => visibleText(clean(name)).slice(0, 256).toWellFormed());
const optionalText = (max: number) =>
  z
    .string()
    .max(max)
    .nullish()
    .transform((value) => clean(value ?? ''));
/** PocketID sends null for an empty list. */
const many = <T extends z.ZodType>(item: T) => z.array(item).nullish();

/**
 * Whether the key of a claim says something about sudo, or was meant to: `sudoHost` with `ALL` commands is not every host.
 * Only its letters count, so that no blank or invisible character makes another word of it.
 */
export const isSudoKey = (key: string): boolean =>
  key
    .normalize('NFKC')
    .replace(/[^\p{L}]/gu, '')
    .toLowerCase()
    .startsWith('sudo');

const claimList = many(z.object({ key: z.string(), value: z.string() }));

const claims = claimList.transform((list): CustomClaim[] => {
  const kept = new Map<string, string>();
  for (const claim of list ?? []) {
    // A key with control characters could look like another one on a screen.
    const key = clean(claim.key)
      .slice(0, 256)
      .replace(/[\x00-\x1f\x7f]/g, '?');
    if (key === '' || kept.has(key)) continue;
    // Without one about sudo, the others could allow more.
    if (key !== clean(claim.key) && !isSudoKey(key)) continue;
    // Cut, but still visibly too long: a `sudoHosts` that vanished would turn into "every host".
    kept.set(key, clean(claim.value).slice(0, MAX_CLAIM_LENGTH + 1));
  }
  return [...kept].map(([key, value]) => ({ key, value })).sort((a, b) => order(a.key, b.key));
});

/** A user in PocketID's own shape, of any version from 0.48. `issuer` is ours, for files that join several providers. */
export const sourceUser = z.object({
  id: identifier,
  issuer: issuerText.optional(),
  username: readName,
  firstName: optionalText(256),
  lastName: optionalText(256),
  displayName: optionalText(256),
  email: optionalText(320),
  disabled: z
    .boolean()
    .nullish()
    .transform((value) => value ?? false),
  customClaims: claims,
  /** PocketID's user list embeds the groups. */
  userGroups: many(z.object({ id: identifier })),
});
export type SourceUser = z.infer<typeof sourceUser>;

/** One of two values would have to be left out, and it could be the one that narrows. */
const claimsOfGroup = claimList
  .superRefine((list, ctx) => {
    const values = new Map<string, string>();
    for (const { key, value } of list ?? []) {
      if (isSudoKey(key) && (values.get(key) ?? value) !== value)
        ctx.addIssue({ code: 'custom', message: `${key} stands twice` });
      values.set(key, value);
    }
  })
  .pipe(claims);

/** A group in PocketID's own shape: members as `userIds`, as `users`, or only in the users' `userGroups`. */
export const sourceGroup = z.object({
  id: identifier,
  issuer: issuerText.optional(),
  name: readName,
  friendlyName: optionalText(256),
  customClaims: claimsOfGroup,
  userIds: z.array(identifier).nullish(),
  users: many(z.object({ id: identifier })),
  userCount: z.int().min(0).nullish(),
});
export type SourceGroup = z.infer<typeof sourceGroup>;

/** Compares by UTF-16 code units: the same on every machine, unlike a locale's order. */
export function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const byIdentity = (a: DirectoryUser | DirectoryGroup, b: DirectoryUser | DirectoryGroup): number =>
  order(a.issuer, b.issuer) || order(a.id, b.id);

export type SnapshotResult =
  | { readonly ok: true; readonly snapshot: DirectorySnapshot }
  | { readonly ok: false; readonly problem: string };

/**
 * Brings what a source delivered into canonical form.
 *
 * @param issuer for every record that names none.
 * @returns a refusal when an id appears twice: then it cannot be told whose grants they would be.
 */
export function toSnapshot(
  delivered: { readonly users: readonly SourceUser[]; readonly groups: readonly SourceGroup[] },
  issuer: string,
): SnapshotResult {
  const users = new Map<string, DirectoryUser>();
  const membership = new Map<string, string[]>();
  for (const { userGroups, ...user } of delivered.users) {
    const whole = { ...user, issuer: user.issuer ?? issuer };
    const key = identityKey(whole);
    const twin = users.get(key);
    if (twin) return { ok: false, problem: sameId('users', twin.username, user.username, user.id) };
    users.set(key, plainUser(whole));
    for (const group of userGroups ?? []) {
      const groupKey = identityKey({ issuer: whole.issuer, id: group.id });
      const members = membership.get(groupKey);
      if (members) members.push(user.id);
      else membership.set(groupKey, [user.id]);
    }
  }
  const groups = new Map<string, DirectoryGroup>();
  for (const group of delivered.groups) {
    const whole = { ...group, issuer: group.issuer ?? issuer };
    const key = identityKey(whole);
    const twin = groups.get(key);
    if (twin) return { ok: false, problem: sameId('groups', twin.name, group.name, group.id) };
    const members = group.userIds ?? group.users?.map(({ id }) => id) ?? membership.get(key) ?? [];
    const known = new Set(members.filter((id) => users.has(identityKey({ issuer: whole.issuer, id }))));
    groups.set(key, plainGroup(whole, [...known].sort(order)));
  }
  return {
    ok: true,
    snapshot: { users: [...users.values()].sort(byIdentity), groups: [...groups.values()].sort(byIdentity) },
  };
}

const sameId = (kind: string, one: string, other: string, id: string): string =>
  `the ${kind} “${one}” and “${other}” have the same id ${id}`;

// Fixed member order, so that equal records have equal JSON.
function plainUser(user: Omit<DirectoryUser, never>): DirectoryUser {
  const { issuer, id, username, firstName, lastName, displayName, email, disabled, customClaims } = user;
  return { issuer, id, username, firstName, lastName, displayName, email, disabled, customClaims };
}

function plainGroup(group: Omit<DirectoryGroup, 'userIds'>, userIds: readonly string[]): DirectoryGroup {
  const { issuer, id, name, friendlyName, customClaims } = group;
  return { issuer, id, name, friendlyName, customClaims, userIds };
}

/** A group with other members, still canonical. */
export function withMembers(group: DirectoryGroup, userIds: readonly string[]): DirectoryGroup {
  return plainGroup(group, [...userIds].sort(order));
}

/** SHA-256 over the canonical text, base64url. Equal hashes: nothing changed. */
export function snapshotHash(snapshot: DirectorySnapshot): string {
  const hash = createHash('sha256');
  for (const user of snapshot.users) hash.update(`${JSON.stringify(user)}\n`);
  hash.update('\n');
  for (const group of snapshot.groups) hash.update(`${JSON.stringify(group)}\n`);
  return hash.digest('base64url');
}

/** The value of a claim; undefined when it is not set. */
export function claimOf(of: { readonly customClaims: readonly CustomClaim[] }, key: string): string | undefined {
  return of.customClaims.find((claim) => claim.key === key)?.value;
}
