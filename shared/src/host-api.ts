import { z } from 'zod';
import { hostRecord } from './decision.ts';
import { canonicalSha256 } from './digest.ts';
import { hostChecks } from './host-checks.ts';
import { journalsKept } from './journal-head.ts';
import { logSeen, logShown } from './log-head.ts';
import { challengeId, hostName, sha256Text, timestamp, userCode, uuid } from './names.ts';
import { grantsInForce } from './offline-grant.ts';
import { shownText } from './shown-text.ts';

/** Host API v1. Every route but `enroll` is signed by the host's key; `enroll` by the key it brings. */
export const HOST_API = '/api/host/v1';

/** The largest request body that the host API reads, bytes. */
export const HOST_BODY_LIMIT = 32 * 1024;

/** The longest that a long poll stays open, seconds. */
export const LONG_POLL_SECONDS = 25;

/** A challenge whose host has not asked for this long after its last poll ended is cancelled, seconds. */
export const LEASE_SECONDS = 40;

const publicKey = z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: sha256Text, kid: sha256Text });

/** SHA-256 of /etc/machine-id with a fixed prefix: tells two machines apart without telling their ids. */
const machineId = sha256Text;

const agentFacts = {
  agentVersion: z.string().max(64),
  osInfo: z.string().max(256),
};

/** POST /enroll. Exactly one of `token` and `sharedSecret`. */
export const enrolRequest = z
  .strictObject({
    token: z.string().max(256).optional(),
    sharedSecret: z.string().max(512).optional(),
    hostname: hostName,
    machineId,
    /** 32 random bytes, echoed in the signed grant. */
    nonce: sha256Text,
    apiKey: publicKey,
    /** PKCS #10 request in PEM for the TLS client key. */
    csr: z.string().max(8192),
    /** This agent says what gives power on its host; the directory is served to it once it has. */
    reports: z.literal(true).optional(),
    ...agentFacts,
  })
  .refine((body) => (body.token === undefined) !== (body.sharedSecret === undefined), 'one of token and sharedSecret');
export type EnrolRequest = z.infer<typeof enrolRequest>;

/** `waiting`: an operator must confirm the host's key first. */
export const hostState = z.enum(['waiting', 'active', 'quarantined', 'revoked']);

/** The payload of the JWS in the enrolment answer, signed by the trust root. */
export const enrolmentGrant = z.strictObject({
  v: z.literal(1),
  nonce: sha256Text,
  hostId: uuid,
  hostname: hostName,
  state: hostState,
  serverId: uuid,
  externalUrl: z.string(),
  trustRoot: publicKey,
  verificationKeys: z.array(publicKey).min(1),
  /** JWS by the trust root. */
  approverKeys: z.string(),
  /** PEM. */
  certificate: z.string(),
  /** PEM. */
  caBundle: z.string(),
});
export type EnrolmentGrant = z.infer<typeof enrolmentGrant>;

export const enrolResponse = z.object({ grant: z.string() });

/**
 * POST /challenges. `counter` grows with every request of this host that carries one; a repeat means a clone, unless it was
 * signed before what was taken last: then it was held up on its way.
 */
export const createChallengeRequest = z.strictObject({
  record: hostRecord,
  counter: z.int().min(1),
  machineId,
  /** Highest approver-key set that the host holds; a newer one comes with the answer. */
  approverKeysVersion: z.int().min(0),
  agentVersion: z.string().max(64),
  /**
   * False: no person is there to wait (`sudo -n`); true when absent. The request is made only if a policy answers it
   * at once, and refused with `approval_required` otherwise, so that probes of scripts do not reach approvers.
   */
  mayWait: z.boolean().optional(),
});
export type CreateChallengeRequest = z.infer<typeof createChallengeRequest>;

/** Answer to POST /challenges (201) and GET /challenges/{id} (200). */
export const challengeAnswer = z.object({
  challengeId,
  userCode,
  status: z.enum(['pending', 'approved', 'denied', 'expired', 'cancelled']),
  approvalUrl: z.string(),
  expiresAt: timestamp,
  /** Server clock, milliseconds: the host shows time left by difference, not by its own clock. */
  now: timestamp,
  /** Who can approve, for display: `self`, `admins` or both. */
  approvers: z.array(z.enum(['self', 'admins'])),
  /** Compact JWS once decided. A status without it is only a hint and never lets a command run. */
  verdict: z.string().nullable(),
  /** Newer approver-key set, when the host's is older. */
  approverKeys: z.string().nullable(),
  /** JWS; see offline-grant.ts. With an approval by policy, where grants are made at all. */
  offlineGrant: z.string().max(4096).nullish(),
  /** Absent: a server that makes no grants. */
  grants: grantsInForce.optional(),
});
export type ChallengeAnswer = z.infer<typeof challengeAnswer>;

export const pollQuery = z.object({
  wait: z.coerce.number().int().min(0).max(LONG_POLL_SECONDS).default(0),
  /** Approver-key set version that the host holds. */
  keys: z.coerce.number().int().min(0).default(0),
});

/** POST /challenges/{id}/outcome: what the host did with the verdict. Shown to the approver and in the history. */
export const outcomeRequest = z.strictObject({
  outcome: z.enum(['granted', 'refused']),
  /** Machine-readable cause of a refusal: `target_changed`, `verdict_rejected`, `gone`, … */
  detail: z.string().max(200).nullable(),
});
export type OutcomeRequest = z.infer<typeof outcomeRequest>;

/** The most authorities that a host names in a heartbeat. */
export const MAX_AUTHORITIES = 32;

/** The authorities that a host goes by, each by the SHA-256 of its certificate. */
export const hostAuthorities = z.strictObject({
  /** Who signed its certificate; null: nobody whom it knows. */
  issuer: sha256Text.nullable(),
  /** Whom it accepts. */
  bundle: z.array(sha256Text).max(MAX_AUTHORITIES),
});
export type HostAuthorities = z.infer<typeof hostAuthorities>;

/** POST /heartbeat. */
export const heartbeatRequest = z.strictObject({
  counter: z.int().min(1),
  machineId,
  approverKeysVersion: z.int().min(0),
  /** Host clock, milliseconds. */
  now: timestamp,
  /** Sequence number of the newest event checkpoint that the host has seen. */
  checkpointSeq: z.int().min(0),
  /** Absent until the server has shown a signed head: one that signs none does not know this member. */
  log: logSeen.optional(),
  /** Absent until the server has named its own: one that names none does not know this member. */
  authorities: hostAuthorities.optional(),
  /** What the host found when it looked at itself; absent until the server has said that it takes it, and without news. */
  checks: hostChecks.optional(),
  /** JWS; see journal-head.ts. Absent until the server has said what it knows of them: an earlier one knows no heads. */
  journals: z.string().max(4096).optional(),
  ...agentFacts,
});
export type HeartbeatRequest = z.infer<typeof heartbeatRequest>;

/** The head of the event log, unsigned: for hosts that know no signed ones. */
export const checkpoint = z.object({ seq: z.int().min(0), hash: z.string() });
export type Checkpoint = z.infer<typeof checkpoint>;

export const heartbeatResponse = z.object({
  now: timestamp,
  state: hostState,
  approverKeys: z.string().nullable(),
  checkpoint,
  /** Null while the server cannot sign a head; absent where it signs none. */
  log: logShown.nullish(),
  /** {@link reportDigest} of the report that the server has of this host; null: none. Earlier servers keep none. */
  reportDigest: z.string().nullable().optional(),
  /**
   * Authorities that sign and accept certificates of hosts, each by the SHA-256 of its certificate, the one that signs first. Only
   * a hint to renew: what counts comes signed, with the new certificate. Null: nothing to go by now; absent: an earlier server.
   */
  authorities: z.array(sha256Text).max(8).nullish(),
  /** This server keeps {@link hostChecks}. Earlier ones do not know them. */
  takesChecks: z.boolean().optional(),
  /** What this server has of the journals of the host. Absent: an earlier one, which takes no heads of them. */
  journals: journalsKept.optional(),
  /** Absent: a server that makes no grants. */
  grants: grantsInForce.optional(),
});

/** The most of a report that fits into a request beside what else is in it, bytes of JSON. */
export const MAX_REPORT_BYTES = 24 * 1024;

/** Power that a file of a host gives to a name or number that a directory could come to have. */
export const localGrant = z.strictObject({
  type: z.enum(['user', 'group', 'uid', 'gid']),
  name: shownText(64),
  /** What it gives, in words. */
  gives: shownText(200),
  file: shownText(256),
  line: z.int().min(1).nullable(),
});
export type LocalGrant = z.infer<typeof localGrant>;

/**
 * What a host says of itself, beside the heartbeat and only when it changed. A host speaks about nothing but itself here:
 * what it names is kept from others, or asked about, and that is all it can bring about.
 */
export const hostReport = z.strictObject({
  v: z.literal(1),
  grants: z.array(localGrant).max(300),
  /** Local accounts: name, uid and gid. */
  accounts: z.array(z.tuple([shownText(64), z.int().min(0).max(0xffffffff), z.int().min(0).max(0xffffffff)])).max(1000),
  /** Places that may give power and could not be read. */
  unread: z.int().min(0),
  /** What is not as setup left it at the gate of sudo. */
  drift: z.array(shownText(300)).max(20),
  /** There was more than fits. */
  cut: z.boolean(),
});
export type HostReport = z.infer<typeof hostReport>;

/** By which host and server know that they mean the same report. */
export const reportDigest = (report: HostReport): string => canonicalSha256(report);

/** POST /report. */
export const reportRequest = z.strictObject({ counter: z.int().min(1), machineId, report: hostReport });
export type ReportRequest = z.infer<typeof reportRequest>;

/** POST /certificate: a new client certificate for the same host. Name and id come from who signed the request. */
export const certificateRequest = z.strictObject({
  counter: z.int().min(1),
  machineId,
  /** 32 random bytes, echoed in the signed grant. */
  nonce: sha256Text,
  /** PKCS #10 request in PEM. Only its key counts; names in it are ignored. */
  csr: z.string().max(8192),
});
export type CertificateRequest = z.infer<typeof certificateRequest>;

/**
 * The payload of the JWS in the answer, signed by the trust root: an attacker who sits in between, or has the
 * database, cannot make a host trust another CA.
 */
export const certificateGrant = z.strictObject({
  v: z.literal(1),
  nonce: sha256Text,
  serverId: uuid,
  hostId: uuid,
  hostname: hostName,
  /** PEM. */
  certificate: z.string(),
  /** PEM, newest first. */
  caBundle: z.string(),
});
export type CertificateGrant = z.infer<typeof certificateGrant>;

export const certificateResponse = z.object({ grant: z.string() });

/** GET /directory?nonce=…: 32 random bytes, echoed in the signed settings. */
export const directoryQuery = z.object({ nonce: sha256Text });

/** Printable, on one line: these values end up in configuration files. */
const oneLine = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u);

/**
 * What sssd needs to know about the directory. The payload of a JWS by the trust root, because it says who may tell this
 * host about accounts and sudo rules. Holds a secret when `bind` is set.
 */
export const directorySettings = z.strictObject({
  v: z.literal(1),
  nonce: sha256Text,
  serverId: uuid,
  hostId: uuid,
  /** `ldaps://…` or `ldap://…`, with or without a port. */
  ldapUrl: oneLine.regex(/^ldaps?:\/\//),
  baseDn: oneLine,
  /** `bridge`: people and groups come from another directory; only sudo rules are served. */
  mode: z.enum(['full', 'bridge']),
  /** CA certificates that verify the directory, PEM. */
  caBundle: z.string(),
  /** Whether TLS connections may or must bring the certificate of the host. */
  clientCertificates: z.enum(['off', 'optional', 'required']),
  /** Whether who has not authenticated may search. */
  anonymous: z.boolean(),
  /** The name and password of this host, where hosts have one. */
  bind: z.strictObject({ dn: oneLine, password: oneLine }).nullable(),
});
export type DirectorySettings = z.infer<typeof directorySettings>;

/** `settings` is a JWS. */
export const directoryResponse = z.object({ settings: z.string() });

/** POST /api/client/provision: another certificate for an enrolled host, vouched for by a token that was made for its name. */
export const provisionRequest = z.strictObject({
  token: z.string().max(256),
  /** PKCS #10 request in PEM. Only its key counts; names in it are ignored. */
  csr: z.string().max(8192),
});
export type ProvisionRequest = z.infer<typeof provisionRequest>;

/** The names that the earlier agent knows. The key is none of them: it never leaves the host. */
export interface ProvisionAnswer {
  ldap_url: string;
  base_dn: string;
  /** Where hosts have a password of their own. */
  bind_dn?: string;
  bind_password?: string;
  /** Who verifies the directory, PEM. */
  tls_ca_cert: string;
  /** PEM. */
  client_cert: string;
  /** Who signs for hosts, PEM. */
  ca_cert: string;
  /** In hex. */
  cert_serial: string;
}
