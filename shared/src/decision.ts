import { z } from 'zod';
import { canonicalSha256 } from './digest.ts';
import { accountName, base64url, challengeId, sha256Text, timestamp, uuid } from './names.ts';

/** Which hook on the host asks. `try` is the rehearsal command, which never runs anything. */
export const gate = z.enum(['pam', 'plugin', 'ssh', 'try']);

/**
 * `derived`: the host worked it out from what was typed (PAM); `resolved`: sudo itself told (approval plugin).
 * Shown to the approver; no permission depends on it.
 */
export const assurance = z.enum(['derived', 'resolved']);

/** What kind of thing is asked for. `unparsed`: the host could not tell, so it counts as unrestricted root. */
export const requestMode = z.enum(['command', 'shell', 'login-shell', 'edit', 'list', 'validate', 'login', 'unparsed']);
export type RequestMode = z.infer<typeof requestMode>;

/** Why a request must be read as "anything at all, as root". */
export const unrestrictedReason = z.enum([
  'shell',
  'editor',
  'interpreter',
  'environment',
  'user-writable-target',
  'user-writable-path',
  'unparsed',
]);
export type UnrestrictedReason = z.infer<typeof unrestrictedReason>;

/** Why a variable of the environment is shown: what it can make a program do. */
export const notableKind = z.enum(['loader', 'interpreter', 'editor', 'pager', 'path', 'shell']);
export type NotableKind = z.infer<typeof notableKind>;

/** The most bytes of names of variables that a record carries; `sha256` always covers all of the environment. */
export const ENVIRONMENT_SHOWN_BYTES = 4096;

/** How many of the descriptors, and of the groups, of a command a record lists. */
export const RESOLVED_DESCRIPTORS_SHOWN = 64;
export const RESOLVED_GROUPS_SHOWN = 64;

/** What sudo sets of a command that others do not get: only what differs is there. */
const resolvedSettings = z.strictObject({
  /** The supplementary groups of who asks stay (`sudo -P`). */
  keepsGroups: z.literal(true).optional(),
  /** Supplementary groups that this host's own list does not give the account: names, or `#` and a number. */
  groups: z.array(z.string().min(1).max(256)).max(RESOLVED_GROUPS_SHOWN).optional(),
  /** How many more of those there are. */
  groupsMore: z.int().min(1).optional(),
  /** Octal digits, where it is not 022. */
  umask: z
    .string()
    .regex(/^[0-7]{1,5}$/)
    .optional(),
  /** After so long sudo ends the command. */
  timeoutSeconds: z.int().min(1).max(9_999_999_999).optional(),
  selinuxRole: z.string().min(1).max(256).optional(),
  selinuxType: z.string().min(1).max(256).optional(),
  apparmorProfile: z.string().min(1).max(256).optional(),
});

/**
 * What sudo told the approval plugin beside what every gate knows (`command_info` of sudo_plugin(5), and the environment
 * that it will set). Present exactly when `gate` is `plugin`.
 */
export const resolvedBySudo = z.strictObject({
  /** Version of the plugin interface of the sudo that asks: `1.21` for sudo 1.9.13. */
  sudo: z.string().max(64),
  /** The path that sudo executes; for `edit`, of the editor. */
  command: z.string().min(1).max(4096),
  /** The folder that becomes the root of the file system first. */
  chroot: z.string().max(4096).nullable(),
  /** Descriptors above 2 that stay open in the command. */
  descriptors: z.array(z.int().min(3).max(1_048_576)).max(RESOLVED_DESCRIPTORS_SHOWN),
  /** How many more of those there are; absent where all are listed. */
  descriptorsMore: z.int().min(1).optional(),
  settings: resolvedSettings.optional(),
  /** A command that an allowed one has started, caught by sudo's `intercept`. */
  intercepted: z.boolean(),
  environment: z.strictObject({
    /** SHA-256 over `NAME=value`, each ended by NUL, in the order in which sudo sets them. */
    sha256: sha256Text,
    /** Escaped by `escapeBytes`, in that order. */
    names: z.array(z.string().max(ENVIRONMENT_SHOWN_BYTES)).max(1024),
    truncated: z.boolean(),
    /** Variables that can change what runs, with what they are set to (cut at 256 characters). */
    notable: z
      .array(z.strictObject({ name: z.string().max(256), value: z.string().max(256), kind: notableKind }))
      .max(32),
  }),
});
export type ResolvedBySudo = z.infer<typeof resolvedBySudo>;

/** The most bytes of escaped argv that a record carries; `argvSha256` always covers all of them. */
export const ARGV_SHOWN_BYTES = 4096;

/**
 * Whether every text within can be kept and hashed as it is: a lone surrogate has no UTF-8, and at a NUL a text ends for
 * some who read it and not for others.
 */
function holdsWholeTexts(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(holdsWholeTexts);
}

/**
 * The request record. The host makes it, the server stores it byte for byte, the page renders it, the passkey signs
 * its hash, the host compares the hash again before the command runs.
 */
export const hostRecord = z
  .strictObject({
    v: z.literal(1),
    hostId: uuid,
    user: accountName,
    uid: z.int().min(0).max(4_294_967_295),
    runAs: z.strictObject({
      user: z.string().min(1).max(256),
      group: z.string().min(1).max(256).nullable(),
      assurance,
    }),
    gate,
    service: z.string().regex(/^[a-zA-Z0-9_-]{1,32}$/),
    mode: requestMode,
    /**
     * SHA-256 over the raw argv bytes, each argument ended by NUL: of the command as sudo starts it (`plugin`), of sudo as
     * it was typed (`pam`).
     */
    argvSha256: sha256Text,
    /** Arguments escaped by `escapeBytes`, shown up to ARGV_SHOWN_BYTES in all. */
    argv: z.array(z.string().max(ARGV_SHOWN_BYTES)).max(1024),
    argvTruncated: z.boolean(),
    target: z
      .strictObject({
        path: z.string().min(1).max(4096),
        assurance,
        device: z.string().regex(/^[0-9]{1,20}$/),
        inode: z.string().regex(/^[0-9]{1,20}$/),
        sha256: sha256Text.nullable(),
      })
      .nullable(),
    unrestricted: z.array(unrestrictedReason).max(8),
    cwd: z.string().max(4096).nullable(),
    tty: z.string().max(256).nullable(),
    origin: z.string().max(256).nullable(),
    reason: z.string().max(2000).nullable(),
    /** 32 random bytes made by the host for this request alone. */
    nonce: sha256Text,
    createdAt: timestamp,
    resolved: resolvedBySudo.optional(),
  })
  .refine((record) => (record.gate === 'plugin') === (record.resolved !== undefined), 'resolved belongs to the plugin')
  .refine(holdsWholeTexts, 'a text with NUL or a lone surrogate');
export type HostRecord = z.infer<typeof hostRecord>;

/** SHA-256 of the RFC 8785 form of the record: the one name of a request on host, server, passkey and audit trail. */
export function requestHash(record: HostRecord): string {
  return canonicalSha256(record);
}

/** A person: names are display, this pair is identity. */
export const subjectId = z.strictObject({ issuer: z.string().min(1).max(2048), subject: z.string().min(1).max(255) });
export type SubjectId = z.infer<typeof subjectId>;

/** What an approver's passkey signs (by its hash). The purpose keeps an assertion from serving anything else. */
export const decisionDocument = z.strictObject({
  v: z.literal(1),
  purpose: z.literal('approve'),
  decision: z.literal('approved'),
  requestHash: sha256Text,
  challengeId,
  approver: subjectId,
  policyVersion: sha256Text,
  /** Seconds during which the same user on the same host is not asked again, counted from the confirmed use. */
  grace: z.int().min(0),
  expiresAt: timestamp,
});
export type DecisionDocument = z.infer<typeof decisionDocument>;

/** The WebAuthn challenge (base64url) for a decision: SHA-256 of the RFC 8785 form of the document. */
export function decisionChallenge(document: DecisionDocument): string {
  return canonicalSha256(document);
}

/** A WebAuthn assertion with the document that its challenge commits to. All binary fields base64url. */
export const assertionEvidence = z.strictObject({
  document: decisionDocument,
  credentialId: base64url.max(1400),
  authenticatorData: base64url.max(2048),
  clientDataJSON: base64url.max(4096),
  signature: base64url.max(2048),
});
export type AssertionEvidence = z.infer<typeof assertionEvidence>;

/** How strong an approval is. A host states locally the lowest class that it accepts. */
export const approvalClass = z.enum(['passkey', 'session', 'grace', 'policy']);
export type ApprovalClass = z.infer<typeof approvalClass>;

const CLASS_RANK: Record<ApprovalClass, number> = { passkey: 3, session: 2, grace: 1, policy: 1 };

/** True when an approval of class `actual` satisfies a host that accepts `minimum` or better. */
export function classSatisfies(actual: ApprovalClass, minimum: ApprovalClass): boolean {
  return CLASS_RANK[actual] >= CLASS_RANK[minimum];
}

/** How a challenge can end. */
export const verdictDecision = z.enum(['approved', 'denied', 'expired', 'cancelled']);

/** The signed answer to one request; the payload of the verdict JWS. */
export const verdict = z.strictObject({
  v: z.literal(1),
  iss: uuid,
  aud: uuid,
  /** Seconds since the Unix epoch, RFC 7519 NumericDate. */
  iat: z.int().min(0),
  exp: z.int().min(0),
  challengeId,
  nonce: sha256Text,
  requestHash: sha256Text,
  decision: verdictDecision,
  class: approvalClass.nullable(),
  /** Who decided: the approvers, or the one who denied. Empty when no person did. */
  approvers: z.array(subjectId.extend({ username: z.string().max(255) })).max(16),
  reason: z.string().max(2000).nullable(),
  policyVersion: sha256Text,
  grace: z.int().min(0),
  evidence: z.array(assertionEvidence).max(16),
});
export type Verdict = z.infer<typeof verdict>;

/** One credential that may approve, as the trust root vouches for it. */
export const approverKey = z.strictObject({
  credentialId: base64url.max(1400),
  issuer: z.string(),
  subject: z.string(),
  username: z.string(),
  /** Public key in JWK form: P-256 (ES256), Ed25519 (EdDSA) or RSA (RS256). */
  jwk: z.record(z.string(), z.string()),
});
export type ApproverKey = z.infer<typeof approverKey>;

/** The versioned set of keys that may approve; the payload of a JWS by the trust root. Hosts never go back a version. */
export const approverKeySet = z.strictObject({
  v: z.literal(1),
  iss: uuid,
  version: z.int().min(0),
  issuedAt: timestamp,
  rpId: z.string(),
  origins: z.array(z.string()).min(1),
  keys: z.array(approverKey),
});
export type ApproverKeySet = z.infer<typeof approverKeySet>;
