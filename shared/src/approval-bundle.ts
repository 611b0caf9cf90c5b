import { z } from 'zod';
import { hostRecord, type Verdict } from './decision.ts';
import { eventHash, eventRecord } from './events.ts';
import { challengeId } from './names.ts';
import { type PinnedTrust, readApproverKeySet, type VerdictProblem, verifyVerdict } from './verify-verdict.ts';

const publicKey = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() });

/** What `identree-server export-approval` writes: everything that is needed to check one decision offline. */
export const approvalBundle = z.object({
  v: z.literal(1),
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

/** Checks a bundle against keys that the auditor got on another channel. */
export async function verifyApprovalBundle(
  bundle: ApprovalBundle,
  trust: PinnedTrust,
): Promise<{ ok: true; verdict: Verdict } | { ok: false; problem: VerdictProblem | 'rolled_back' | 'event_altered' }> {
  for (const event of bundle.events) {
    const { hash, ...rest } = event;
    if (eventHash(rest) !== hash || event.challengeId !== bundle.challengeId)
      return { ok: false, problem: 'event_altered' };
  }
  const keys = await readApproverKeySet(bundle.approverKeys, trust, 0);
  if (!keys.ok) return keys;
  return verifyVerdict({
    token: bundle.verdict,
    record: bundle.record,
    challengeId: bundle.challengeId,
    trust,
    approverKeys: keys.set,
    minimumClass: 'policy',
    now: null,
  });
}
