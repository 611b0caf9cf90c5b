import {
  type ApprovalClass,
  type ApproverKeySet,
  approverKeySet,
  classSatisfies,
  decisionChallenge,
  type HostRecord,
  requestHash,
  type Verdict,
  verdict as verdictSchema,
} from './decision.ts';
import { type PublicJwk, tokenType, verifyToken } from './token.ts';
import { type AssertionProblem, verifyAssertion } from './webauthn-assertion.ts';

/** What a host pins at enrolment and an auditor is given on another channel. */
export interface PinnedTrust {
  serverId: string;
  /** Signs approver-key sets. */
  trustRoot: PublicJwk;
  /** Sign verdicts. */
  verificationKeys: readonly PublicJwk[];
}

export type VerdictProblem =
  | 'malformed'
  | 'wrong_type'
  | 'unknown_key'
  | 'bad_signature'
  | 'bad_payload'
  | 'wrong_server'
  | 'wrong_host'
  | 'wrong_request'
  | 'stale'
  | 'class_too_low'
  | 'assertion_missing'
  | 'assertion_of_another_request'
  | 'approver_key_unknown'
  | `assertion_${AssertionProblem}`;

/** How late an approval that was signed in the last moment may arrive, milliseconds: as long as a host waits for it. */
const DELIVERY_MS = 5000;

/**
 * Decides whether an answer is authentic and is about exactly this request. Anything else counts as no answer.
 *
 * @param now milliseconds; `null` skips the expiry check (an auditor reads old evidence).
 */
export async function verifyVerdict(input: {
  token: string;
  record: HostRecord;
  challengeId: string;
  trust: PinnedTrust;
  approverKeys: ApproverKeySet;
  minimumClass: ApprovalClass;
  now: number | null;
}): Promise<{ ok: true; verdict: Verdict } | { ok: false; problem: VerdictProblem }> {
  const { record, trust, approverKeys } = input;
  const verified = await verifyToken(tokenType.verdict, input.token, trust.verificationKeys, verdictSchema);
  if (!verified.ok) return verified;
  const verdict = verified.payload;
  const hash = requestHash(record);
  if (verdict.iss !== trust.serverId) return { ok: false, problem: 'wrong_server' };
  if (verdict.aud !== record.hostId) return { ok: false, problem: 'wrong_host' };
  if (verdict.nonce !== record.nonce || verdict.requestHash !== hash || verdict.challengeId !== input.challengeId) {
    return { ok: false, problem: 'wrong_request' };
  }
  if (input.now !== null && input.now >= verdict.exp * 1000) return { ok: false, problem: 'stale' };
  if (verdict.decision !== 'approved') return { ok: true, verdict };

  if (verdict.class === null || !classSatisfies(verdict.class, input.minimumClass)) {
    return { ok: false, problem: 'class_too_low' };
  }
  if (verdict.class !== 'passkey') return { ok: true, verdict };

  if (verdict.approvers.length === 0 || verdict.evidence.length === 0)
    return { ok: false, problem: 'assertion_missing' };
  for (const approver of verdict.approvers) {
    const evidence = verdict.evidence.find(
      ({ document }) => document.approver.issuer === approver.issuer && document.approver.subject === approver.subject,
    );
    if (!evidence) return { ok: false, problem: 'assertion_missing' };
    const { document } = evidence;
    // The end that the approver signed: a server whose keys were stolen can put any other into its own verdict.
    if (input.now !== null && input.now >= document.expiresAt + DELIVERY_MS) return { ok: false, problem: 'stale' };
    if (
      document.requestHash !== hash ||
      document.challengeId !== verdict.challengeId ||
      document.policyVersion !== verdict.policyVersion ||
      document.grace !== verdict.grace
    ) {
      return { ok: false, problem: 'assertion_of_another_request' };
    }
    const key = approverKeys.keys.find(
      (candidate) =>
        candidate.credentialId === evidence.credentialId &&
        candidate.issuer === approver.issuer &&
        candidate.subject === approver.subject,
    );
    if (!key) return { ok: false, problem: 'approver_key_unknown' };
    const assertion = verifyAssertion(evidence, {
      challenge: decisionChallenge(document),
      origins: approverKeys.origins,
      rpId: approverKeys.rpId,
      jwk: key.jwk,
    });
    if (!assertion.ok) return { ok: false, problem: `assertion_${assertion.problem}` };
  }
  return { ok: true, verdict };
}

/**
 * Reads an approver-key set signed by the trust root. A host passes the highest version it has accepted: an older set
 * would bring back a removed key.
 */
export async function readApproverKeySet(
  token: string,
  trust: Pick<PinnedTrust, 'serverId' | 'trustRoot'>,
  minimumVersion: number,
): Promise<
  { ok: true; set: ApproverKeySet } | { ok: false; problem: 'rolled_back' | 'wrong_server' | VerdictProblem }
> {
  const verified = await verifyToken(tokenType.approverKeys, token, [trust.trustRoot], approverKeySet);
  if (!verified.ok) return verified;
  if (verified.payload.iss !== trust.serverId) return { ok: false, problem: 'wrong_server' };
  if (verified.payload.version < minimumVersion) return { ok: false, problem: 'rolled_back' };
  return { ok: true, set: verified.payload };
}
