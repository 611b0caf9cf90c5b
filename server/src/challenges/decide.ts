import type { ApprovalClass, AssertionEvidence } from '#shared/decision.ts';
import type { ErrorCode } from '#shared/errors.ts';
import type { Role, SessionKind } from '../http/viewer.ts';
import type { PolicyOutcome } from '../policies/policy.ts';

/** What a decision needs to know about the request; read and locked in the transaction that writes the decision. */
export interface DecidableChallenge {
  id: string;
  status: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
  hostId: string;
  user: string;
  requestHash: string;
  argvTruncated: boolean;
  expiresAt: number;
  leaseUntil: number;
}

/** Who acts. A person's facts are read in the same transaction: a revoked session or role no longer counts. */
export type Actor =
  | {
      kind: 'person';
      issuer: string;
      subject: string;
      username: string;
      role: Role;
      sessionKind: SessionKind;
      accounts: readonly string[];
    }
  | { kind: 'policy' }
  | { kind: 'clock' }
  /** The person was disabled or removed at the source of people. */
  | { kind: 'directory' }
  | { kind: 'host'; hostId: string };

/** What they want to do. `evidence` is a verified assertion over exactly this request, or null. */
export type Method =
  | { kind: 'approve'; evidence: AssertionEvidence | null; confirmTruncated: boolean }
  | { kind: 'deny'; reason: string | null }
  | { kind: 'auto' }
  | { kind: 'expire' }
  | { kind: 'cancel' };

export type Decision = {
  status: 'approved' | 'denied' | 'expired' | 'cancelled';
  class: ApprovalClass | null;
  reason: string | null;
  evidence: AssertionEvidence[];
};

export type DecisionResult = { ok: true; decision: Decision } | { ok: false; refusal: ErrorCode };

const refuse = (refusal: ErrorCode): DecisionResult => ({ ok: false, refusal });
const decided = (status: Decision['status'], more: Partial<Decision> = {}): DecisionResult => ({
  ok: true,
  decision: { status, class: null, reason: null, evidence: [], ...more },
});

/** May this person know that the request exists? Others get the same answer as for a code that never was. */
export function maySee(actor: Pick<Extract<Actor, { kind: 'person' }>, 'role' | 'accounts'>, user: string): boolean {
  return actor.role === 'admin' || actor.accounts.includes(user);
}

function mayApprove(
  actor: Pick<Extract<Actor, { kind: 'person' }>, 'role' | 'accounts'>,
  user: string,
  policy: PolicyOutcome,
): boolean {
  return (
    (policy.approvers.includes('self') && actor.accounts.includes(user)) ||
    (policy.approvers.includes('admins') && actor.role === 'admin')
  );
}

/**
 * The only way to a decision, of any kind, by anybody. Pure: everything that it depends on is in its arguments.
 *
 * @param policy what the request needs now, never looser than what it needed when it was made.
 * @param now milliseconds. A request is open until `expiresAt`, exclusive.
 */
export function decide(
  challenge: DecidableChallenge,
  actor: Actor,
  method: Method,
  policy: PolicyOutcome,
  now: number,
): DecisionResult {
  if (actor.kind === 'person' && !maySee(actor, challenge.user)) return refuse('not_found');
  if (actor.kind === 'host' && actor.hostId !== challenge.hostId) return refuse('challenge_not_found');
  if (challenge.status === 'expired') return refuse('expired');
  if (challenge.status === 'cancelled') return refuse('superseded');
  if (challenge.status !== 'pending') return refuse('already_decided');

  const open = now < challenge.expiresAt;
  switch (method.kind) {
    case 'expire':
      if (actor.kind !== 'clock') return refuse('forbidden');
      return open ? refuse('superseded') : decided('expired');

    case 'cancel':
      if (actor.kind === 'host') return decided('cancelled');
      // The host fell silent: nobody is waiting for this answer any more.
      if (actor.kind === 'clock' && now >= challenge.leaseUntil) return decided('cancelled');
      return refuse('forbidden');

    case 'auto':
      if (!open) return refuse('expired');
      return actor.kind === 'policy' && policy.approval === 'none'
        ? decided('approved', { class: 'policy' })
        : refuse('forbidden');

    case 'deny':
      if (!open) return refuse('expired');
      if (actor.kind === 'directory') return decided('denied', { reason: method.reason });
      return actor.kind === 'person'
        ? decided('denied', { class: 'session', reason: method.reason })
        : refuse('forbidden');

    case 'approve': {
      if (!open || now >= challenge.leaseUntil) return refuse('expired');
      if (actor.kind !== 'person') return refuse('forbidden');
      if (actor.sessionKind !== 'browser') return refuse('session_kind');
      if (!mayApprove(actor, challenge.user, policy)) return refuse('not_an_approver');
      if (challenge.argvTruncated && !method.confirmTruncated) return refuse('confirm_truncated');
      const { evidence } = method;
      if (evidence === null) {
        return policy.approval === 'passkey' ? refuse('passkey_required') : decided('approved', { class: 'session' });
      }
      const { document } = evidence;
      const bound =
        document.challengeId === challenge.id &&
        document.requestHash === challenge.requestHash &&
        document.policyVersion === policy.version &&
        document.expiresAt === challenge.expiresAt &&
        document.approver.issuer === actor.issuer &&
        document.approver.subject === actor.subject;
      return bound ? decided('approved', { class: 'passkey', evidence: [evidence] }) : refuse('passkey_rejected');
    }
  }
}

/** Why this person could not approve now, assuming a good passkey; null when they could. For buttons, not for deciding. */
export function approveRefusal(
  challenge: DecidableChallenge,
  actor: Extract<Actor, { kind: 'person' }>,
  policy: PolicyOutcome,
  now: number,
): ErrorCode | null {
  const result = decide(
    challenge,
    actor,
    { kind: 'approve', evidence: null, confirmTruncated: true },
    { ...policy, approval: 'session' },
    now,
  );
  return result.ok ? null : result.refusal;
}
