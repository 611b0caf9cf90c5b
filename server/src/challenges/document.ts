import type { DecisionDocument } from '#shared/decision.ts';
import type { Viewer } from '../http/viewer.ts';
import type { PolicyOutcome } from '../policies/policy.ts';
import type { Challenge } from './store.ts';

/** What the passkey of an approver has to sign: the hash of exactly this. */
export function documentFor(challenge: Challenge, viewer: Viewer, policy: PolicyOutcome): DecisionDocument {
  return {
    v: 1,
    purpose: 'approve',
    decision: 'approved',
    requestHash: challenge.request_hash,
    challengeId: challenge.id,
    approver: { issuer: viewer.person.issuer, subject: viewer.person.subject },
    policyVersion: policy.version,
    grace: 0,
    expiresAt: challenge.expires_at,
  };
}
