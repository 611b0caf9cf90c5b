import { z } from 'zod';

/** POSIX-style account name as sudo and sshd report it. Stricter than a file name: `.` and `..` cannot appear. */
export const accountName = z.string().regex(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,63}$/);

/** DNS host name, lower-case, no trailing dot. */
export const hostName = z
  .string()
  .max(253)
  .regex(/^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/);

/** Group of hosts that a policy can name. */
export const hostGroup = z.string().regex(/^[a-zA-Z0-9._-]{1,64}$/);

/** RFC 9562 UUID in lower case. */
export const uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);

/** SHA-256 in base64url without padding. */
export const sha256Text = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** base64url without padding. */
export const base64url = z.string().regex(/^[A-Za-z0-9_-]*$/);

/** Milliseconds since the Unix epoch. */
export const timestamp = z.int().min(0).max(8_640_000_000_000_000);

/** Challenge identifier: its moment and random bytes, 16 in all, in lower-case hex. */
export const challengeId = z.string().regex(/^[0-9a-f]{32}$/);

/** What a person reads aloud or types: six letters without I and O, a hyphen, six digits. */
export const userCode = z.string().regex(/^[A-HJ-NP-Z]{6}-[0-9]{6}$/);

/** Lower-cases and strips one trailing dot, so that `Web1.Example.com.` and `web1.example.com` are one host. */
export function normaliseHostName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** Accepts a user code as people type it (lower case, spaces, missing hyphen); null when it cannot be one. */
export function parseUserCode(typed: string): string | null {
  const compact = typed.toUpperCase().replace(/[\s-]/g, '');
  const code = `${compact.slice(0, 6)}-${compact.slice(6)}`;
  return userCode.safeParse(code).success ? code : null;
}
