import { z } from 'zod';
import { type HostRecord, hostRecord, type ResolvedBySudo } from './decision.ts';
import { canonicalSha256 } from './digest.ts';
import { runRequest } from './host-run.ts';
import { accountName, challengeId, sha256Text, timestamp, uuid } from './names.ts';

/**
 * Offline grants: what a policy answered once by itself, a host may answer by itself for a while, for exactly the same
 * command. ARCHITECTURE.md says what that is worth to an attacker.
 */

/** The longest that one counts, milliseconds, whatever a server signs. */
export const OFFLINE_GRANT_LONGEST_MS = 3_600_000;

/** How many commands one lets run. It bounds what a host writes down while nobody reads it. */
export const OFFLINE_GRANT_USES = 100;

/** The payload of the JWS that comes with an automatic approval, signed by a key that signs verdicts. */
export const offlineGrant = z.strictObject({
  v: z.literal(1),
  iss: uuid,
  /** The host. */
  aud: uuid,
  /** Seconds since the Unix epoch, RFC 7519 NumericDate. */
  iat: z.int().min(0),
  exp: z.int().min(0),
  /** The request that it was issued with, and the nonce of that: an earlier grant does not pass for the answer to it. */
  challengeId,
  nonce: sha256Text,
  user: accountName,
  /** {@link grantShape} of what may run. */
  shape: sha256Text,
  policyVersion: sha256Text,
  rule: z.string().min(1).max(64),
  /** Grows with every grant of a host; see {@link grantsInForce}. */
  sequence: z.int().min(1),
  uses: z.int().min(1).max(OFFLINE_GRANT_USES),
});
export type OfflineGrant = z.infer<typeof offlineGrant>;

/** Which grants of a host count still, as answers to it say. */
export const grantsInForce = z.object({
  /** Grants up to this sequence number are revoked. */
  revokedTo: z.int().min(0),
  /** Grants of another policy count no more; null: none does, because there is no policy that can be used. */
  policyVersion: sha256Text.nullable(),
  /** This server takes entries of the kind `run`. Absent: it is older, and refuses them. */
  runs: z.literal(true).optional(),
});
export type GrantsInForce = z.infer<typeof grantsInForce>;

/** Whether the record says all of what it is about: of two folders that cannot be said, neither is the other. */
function isWhole({ cwd }: HostRecord, { command, chroot, descriptorsMore, settings }: ResolvedBySudo): boolean {
  const isCut = [cwd, command, chroot].some((path) => path?.endsWith('…'));
  return cwd !== null && !isCut && descriptorsMore === undefined && settings?.groupsMore === undefined;
}

/**
 * What a grant is for: everything in the record of a request but what differs each time that the same command is started,
 * and what says only from where. A member that the record comes to have is part of it.
 *
 * @returns null where no grant may be made: what runs is not known to the last byte, or could be anything
 */
export function grantShape(record: HostRecord): string | null {
  const { nonce: _nonce, createdAt: _createdAt, tty: _tty, origin: _origin, reason: _reason, ...shape } = record;
  // Anywhere but at the plugin the environment of the command is not known.
  if (record.gate !== 'plugin' || record.resolved === undefined || record.resolved.intercepted) return null;
  if (record.mode !== 'command' || record.unrestricted.length > 0) return null;
  if (record.target === null || record.target.sha256 === null) return null;
  if (!isWhole(record, record.resolved)) return null;
  return canonicalSha256({ purpose: 'offline-grant', shape });
}

/** What every entry of the journal of a host has: the hash of the one before it, and its own. */
const entry = { id: uuid, at: timestamp, prevHash: sha256Text, hash: sha256Text };

/**
 * POST /offline-grants/journal: what a host did by its grants, oldest first. A use is written down before the command is
 * released, its end afterwards; a use without an end may or may not have been released. What sudo did with the command
 * follows, as far as its plugin saw it.
 */
export const grantEntry = z.discriminatedUnion('kind', [
  z.strictObject({
    ...entry,
    kind: z.literal('use'),
    /** The JWS. */
    grant: z.string().max(4096),
    /** What was asked for, as it would have been sent. */
    record: hostRecord,
  }),
  z.strictObject({
    ...entry,
    kind: z.literal('end'),
    /** Nonce of the record of the use. */
    nonce: sha256Text,
    outcome: z.enum(['granted', 'refused']),
    detail: z.string().max(200).nullable(),
  }),
  z.strictObject({
    ...entry,
    kind: z.literal('run'),
    /** Nonce of the record of the use. */
    nonce: sha256Text,
    run: runRequest,
  }),
]);
export type GrantEntry = z.infer<typeof grantEntry>;
export type GrantUse = Extract<GrantEntry, { kind: 'use' }>;
export type GrantEnd = Extract<GrantEntry, { kind: 'end' }>;
export type GrantRun = Extract<GrantEntry, { kind: 'run' }>;

/** Why a use that a host told of is not one that its grant allowed. */
export type UseProblem = 'another_request' | 'outside_its_time';
