/** A person as a directory file says them. */
export interface FileUser {
  id: string;
  username: string;
  issuer?: string;
  firstName?: string;
  lastName?: string;
  email?: string;
  disabled?: boolean;
  customClaims?: FileClaim[];
}

export interface FileGroup {
  id: string;
  name: string;
  issuer?: string;
  friendlyName?: string;
  customClaims?: FileClaim[];
  userIds: string[];
}

export interface FileClaim {
  key: string;
  value: string;
}

export interface FileContent {
  users: FileUser[];
  groups: FileGroup[];
}

const claimsOf = (claims: Record<string, string>): FileClaim[] =>
  Object.entries(claims).map(([key, value]) => ({ key, value }));

/** The id of a person who signs in under it at the identity providers of tests. */
export const fileIdOf = (username: string): string => `sub-${username}`;

export const fileUser = (username: string, claims: Record<string, string> = {}): FileUser => ({
  id: fileIdOf(username),
  username,
  customClaims: claimsOf(claims),
});

/** @param userIds its members, see {@link fileIdOf} */
export const fileGroup = (
  name: string,
  userIds: readonly string[],
  claims: Record<string, string> = {},
): FileGroup => ({
  id: `group-${name}`,
  name,
  customClaims: claimsOf(claims),
  userIds: [...userIds],
});
