import { z } from 'zod';
import { hostRecord, type Verdict } from './decision.ts';
import { eventRecord, isAsHashed, isErased } from './events.ts';
import { challengeId } from './names.ts';
import { type PinnedTrust, readApproverKeySet, type VerdictProblem, verifyVerdict } from './verify-verdict.ts';

const publicKey = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() });

/** What `identree-server export-approval` writes: everything that is needed to check one decision offline. */
export const approvalBundle = z.object({
  /** 2: with events whose payload can be erased, which earlier versions cannot check. */
  v: z.union([z.literal(1), z.literal(2)]),
  challengeId,
  record: hostRecord,
  verdict: z.string(),
  /** The approver-key set that was in force when the decision was made. */
  approverKeys: z.string(),
  events: z.array(eventRecord),
  /** What the server says its keys are. Never trusted: the verifier pins its own. */
  claimed: z.object({ serverId: z.string(), trustRoot: publicKey, verificationKeys: z.array(publicKey) }),
});
export type ApprovalBundle = z.infer<typeof approvalBundle>;

/**
 * Checks a bundle against keys that the auditor got on another channel.
 *
 * @returns `erased`: of so many events only the hash is left, since their time was over
 */
export async function verifyApprovalBundle(
  bundle: ApprovalBundle,
  trust: PinnedTrust,
): Promise<
  | { ok: true; verdict: Verdict; erased: number }
  | { ok: false; problem: VerdictProblem | 'rolled_back' | 'event_altered' }
> {
  for (const event of bundle.events) {
    if (!isAsHashed(event) || event.challengeId !== bundle.challengeId) return { ok: false, problem: 'event_altered' };
  }
  const keys = await readApproverKeySet(bundle.approverKeys, trust, 0);
  if (!keys.ok) return keys;
  const result = await verifyVerdict({
    token: bundle.verdict,
    record: bundle.record,
    challengeId: bundle.challengeId,
    trust,
    approverKeys: keys.set,
    minimumClass: 'policy',
    now: null,
  });
  return result.ok ? { ...result, erased: bundle.events.filter(isErased).length } : result;
}
