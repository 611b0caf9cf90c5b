import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { constantTimeEqual } from '#shared/digest.ts';
import { type EnrolmentGrant, enrolmentGrant } from '#shared/host-api.ts';
import { type PublicJwk, publicJwk, tokenType } from '#shared/token.ts';
import { tokenAlone, verifyForRoot } from '#shared/trust-root.ts';
import { readApproverKeySet } from '#shared/verify-verdict.ts';
import { certificateProblem } from '../certificates/check.ts';
import { checkServerUrl } from '../config/client-conf.ts';

export type GrantProblem =
  | 'malformed'
  | 'wrong_trust_root'
  | 'bad_signature'
  | 'wrong_nonce'
  | 'wrong_hostname'
  | 'revoked'
  | 'bad_url'
  | 'bad_keys'
  | 'bad_approver_keys'
  | 'bad_certificate';

/** What each problem means to the person at the keyboard. */
export const GRANT_PROBLEMS: Record<GrantProblem, string> = {
  malformed: 'the answer is not an enrolment grant',
  wrong_trust_root: 'the server is not the one that made this token (its key has another fingerprint)',
  bad_signature: 'the signature on the answer is wrong',
  wrong_nonce: 'the answer belongs to another request',
  wrong_hostname: 'the answer names another host',
  revoked: 'the server answered that this host is revoked',
  bad_url: 'the server named an address for itself that is not https',
  bad_keys: 'the keys in the answer do not match their fingerprints',
  bad_approver_keys: 'the approver keys in the answer are not signed by the server',
  bad_certificate: 'the certificate in the answer does not fit the key of this host',
};

const claimedRoot = z.object({ trustRoot: z.object({ x: z.string() }) });

/** A public key with the id that it really has, whatever it was sent with. */
async function withTrueId(x: string): Promise<PublicJwk | null> {
  try {
    return await publicJwk(createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x } as JsonWebKey, format: 'jwk' }));
  } catch {
    return null;
  }
}

/**
 * Judges the answer to an enrolment. What passes is pinned for good, so everything in it is checked against what this
 * host sent or against the fingerprint that the operator carried here.
 *
 * @param expected.fingerprint RFC 7638 thumbprint of the trust root from the token; null when the operator compares it.
 */
export async function checkGrant(
  token: string,
  expected: { fingerprint: string | null; nonce: string; hostname: string; tlsKeyPem: string; now: number },
): Promise<{ ok: true; grant: EnrolmentGrant } | { ok: false; problem: GrantProblem }> {
  const refuse = (problem: GrantProblem) => ({ ok: false as const, problem });
  let claimed: z.infer<typeof claimedRoot>;
  try {
    claimed = claimedRoot.parse(decodeJwt(tokenAlone(token)));
  } catch {
    return refuse('malformed');
  }
  const root = await withTrueId(claimed.trustRoot.x);
  if (root === null) return refuse('malformed');
  if (expected.fingerprint !== null && !constantTimeEqual(root.kid, expected.fingerprint))
    return refuse('wrong_trust_root');
  const verified = await verifyForRoot(tokenType.enrolment, token, root, enrolmentGrant);
  if (!verified.ok) return refuse(verified.problem === 'bad_payload' ? 'malformed' : 'bad_signature');
  const grant = verified.payload;
  if (grant.nonce !== expected.nonce) return refuse('wrong_nonce');
  if (grant.hostname !== expected.hostname) return refuse('wrong_hostname');
  if (grant.state === 'revoked') return refuse('revoked');
  if (!checkServerUrl(grant.externalUrl).ok) return refuse('bad_url');
  for (const key of [grant.trustRoot, ...grant.verificationKeys]) {
    if ((await withTrueId(key.x))?.kid !== key.kid) return refuse('bad_keys');
  }
  const keys = await readApproverKeySet(grant.approverKeys, { serverId: grant.serverId, trustRoot: root }, 0);
  if (!keys.ok) return refuse('bad_approver_keys');
  const { hostname, hostId } = grant;
  if (certificateProblem(grant, { key: expected.tlsKeyPem, hostname, hostId, now: expected.now }) !== null)
    return refuse('bad_certificate');
  return { ok: true, grant };
}
