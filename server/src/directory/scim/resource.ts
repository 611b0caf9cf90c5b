import { z } from 'zod';
import { type SourceGroup, type SourceUser, sourceGroup, sourceUser } from '../source/model.ts';

export const SCHEMA = {
  user: 'urn:ietf:params:scim:schemas:core:2.0:User',
  group: 'urn:ietf:params:scim:schemas:core:2.0:Group',
  posixUser: 'urn:identree:params:scim:schemas:posix:2.0:User',
  posixGroup: 'urn:identree:params:scim:schemas:posix:2.0:Group',
  list: 'urn:ietf:params:scim:api:messages:2.0:ListResponse',
  patch: 'urn:ietf:params:scim:api:messages:2.0:PatchOp',
  error: 'urn:ietf:params:scim:api:messages:2.0:Error',
} as const;

export type Kind = 'User' | 'Group';

/** What `/Schemas` says of an attribute beside its type (RFC 7643 7); what is left out has the RFC's default. */
export interface AttributeNote {
  readonly mutability?: 'immutable';
  readonly uniqueness?: 'server';
  readonly caseExact?: true;
  readonly canonicalValues?: readonly string[];
}
const note = (description: string, scim: AttributeNote = {}) => ({ description, scim });

const text = (max: number) => z.string().max(max);
const strings = (max: number) => z.array(text(max)).max(500);
// Entra sends "True" and "False".
const flag = z.preprocess(
  (value) => (typeof value === 'string' ? { true: true, false: false }[value.toLowerCase()] : value),
  z.boolean(),
);
const externalId = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[\x21-\x7e]+$/)
  .meta(
    note('What the person signs in as at the provider. It can be given once.', {
      mutability: 'immutable',
      caseExact: true,
    }),
  );

/** Providers send the type of an address that a person does not have. */
const withoutEmpty = (items: unknown): unknown =>
  Array.isArray(items) ? items.filter((item) => !item || typeof item !== 'object' || Boolean(item.value)) : items;

const posixUser = z.strictObject({
  uidNumber: z.int().optional(),
  gidNumber: z.int().optional(),
  loginShell: text(255).optional(),
  homeDirectory: text(255).optional(),
  sshPublicKeys: z.array(text(16_384)).max(100).optional(),
});

const posixGroup = z.strictObject({
  gidNumber: z.int().optional(),
  posixName: text(64).optional(),
  accessHosts: strings(256).optional(),
  sudo: z
    .strictObject({
      commands: strings(1024),
      hosts: strings(256).optional(),
      runAsUser: strings(64).optional(),
      runAsGroup: strings(64).optional(),
      options: strings(1024).optional(),
      order: z.int().min(0).optional(),
      notBefore: text(40).optional(),
      notAfter: text(40).optional(),
    })
    .optional(),
});

export const scimUser = z.object({
  externalId: externalId.optional(),
  userName: z
    .string()
    .min(1)
    .max(256)
    .meta(note('The name at the provider. The account is made of it.', { uniqueness: 'server' })),
  name: z
    .object({ givenName: text(256).optional(), familyName: text(256).optional(), formatted: text(512).optional() })
    .optional(),
  displayName: text(256).optional(),
  active: flag.default(true).meta(note('Whether the person may sign in and is served.')),
  emails: z
    .preprocess(
      withoutEmpty,
      z.array(z.object({ value: text(320), type: text(64).optional(), primary: flag.optional() })).max(20),
    )
    .optional(),
  [SCHEMA.posixUser]: posixUser.optional(),
});
export type ScimUser = z.infer<typeof scimUser>;

/** A member; `type` is kept for groups alone, and says what `value` is the id of. */
const member = z.object({
  value: text(128).min(1),
  type: z
    .literal('Group')
    .optional()
    .catch(undefined)
    .meta(note('What the member is.', { canonicalValues: ['User', 'Group'] })),
});
export type ScimMember = z.infer<typeof member>;

export const scimGroup = z.object({
  externalId: externalId.optional(),
  displayName: z.string().min(1).max(256),
  members: z.array(member).max(100_000).default([]),
  [SCHEMA.posixGroup]: posixGroup.optional(),
});
export type ScimGroup = z.infer<typeof scimGroup>;

/** Whether a document says something that needs the scope `sudo:write`. */
export function hasPosixPart(resource: ScimUser | ScimGroup): boolean {
  const part =
    (resource as Record<string, unknown>)[SCHEMA.posixUser] ?? (resource as Record<string, unknown>)[SCHEMA.posixGroup];
  return part !== undefined && Object.keys(part as object).length > 0;
}

/** A POSIX name made of a name for people: `Ops Team` → `ops-team`. Empty when nothing of it can be one. */
export function slug(displayName: string): string {
  return displayName
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_.]+/g, '-')
    .replace(/^[^a-z_]+|[^a-z0-9]+$/g, '')
    .slice(0, 28)
    .replace(/[^a-z0-9]+$/, '');
}

const list = (values: readonly string[] | undefined) => (values === undefined ? undefined : JSON.stringify(values));
const claims = (pairs: Record<string, string | number | undefined>) =>
  Object.entries(pairs)
    .filter((pair): pair is [string, string | number] => pair[1] !== undefined)
    .map(([key, value]) => ({ key, value: String(value) }));

/** In the words of a source. @param subject what the person signs in as. */
export function toSourceUser(user: ScimUser, issuer: string, subject: string): SourceUser | null {
  const posix = user[SCHEMA.posixUser];
  const keys = Object.fromEntries((posix?.sshPublicKeys ?? []).map((key, n) => [`sshPublicKey${n + 1}`, key]));
  const parsed = sourceUser.safeParse({
    id: subject,
    issuer,
    username: user.userName,
    firstName: user.name?.givenName,
    lastName: user.name?.familyName,
    // A formatted name may be longer than what is shown of it: that refuses nobody, and not the others with them.
    displayName: (user.displayName ?? user.name?.formatted)?.slice(0, 256),
    email: (user.emails?.find(({ primary }) => primary) ?? user.emails?.[0])?.value,
    disabled: !user.active,
    customClaims: claims({
      uidNumber: posix?.uidNumber,
      gidNumber: posix?.gidNumber,
      loginShell: posix?.loginShell,
      homeDirectory: posix?.homeDirectory,
      ...keys,
    }),
  });
  return parsed.success ? parsed.data : null;
}

export function toSourceGroup(
  group: ScimGroup,
  issuer: string,
  subject: string,
  posixName: string,
  memberSubjects: readonly string[],
): SourceGroup | null {
  const posix = group[SCHEMA.posixGroup];
  const sudo = posix?.sudo;
  const parsed = sourceGroup.safeParse({
    id: subject,
    issuer,
    name: posixName,
    friendlyName: group.displayName,
    userIds: memberSubjects,
    customClaims: claims({
      gidNumber: posix?.gidNumber,
      accessHosts: list(posix?.accessHosts),
      sudoCommands: list(sudo?.commands),
      sudoHosts: list(sudo?.hosts),
      sudoRunAsUser: list(sudo?.runAsUser),
      sudoRunAsGroup: list(sudo?.runAsGroup),
      sudoOptions: list(sudo?.options),
      sudoOrder: sudo?.order,
      sudoNotBefore: sudo?.notBefore,
      sudoNotAfter: sudo?.notAfter,
    }),
  });
  return parsed.success ? parsed.data : null;
}
