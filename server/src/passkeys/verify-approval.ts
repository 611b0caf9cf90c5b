import { generateAuthenticationOptions, type PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import {
  type AssertionEvidence,
  assertionEvidence,
  type DecisionDocument,
  decisionChallenge,
  decisionDocument,
} from '#shared/decision.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import type { ApproverKeys } from './approver-keys.ts';
import { checkAssertion } from './assertion.ts';
import type { AssertionResponse } from './assertion-response.ts';
import { transportsOf } from './passkey.ts';
import type { RelyingParty } from './relying-party.ts';
import { passkeysOf } from './store.ts';

/** Approving with a passkey: what to ask the browser for, and whether its answer is good. */
export interface Approvals {
  /** Options for `navigator.credentials.get` (JSON form). `allowCredentials` is empty for a person without a passkey. */
  approvalOptions(
    query: Database['query'],
    personId: string,
    document: DecisionDocument,
  ): Promise<PublicKeyCredentialRequestOptionsJSON>;
  /**
   * Verifies the answer within the transaction of the decision. The challenge is the hash of the document, so an
   * assertion over any other request, approver, policy or grace is refused.
   */
  verifyApproval(
    work: UnitOfWork,
    input: {
      person: { id: string; issuer: string; subject: string };
      document: DecisionDocument;
      assertion: AssertionResponse;
    },
  ): Promise<
    | { ok: true; evidence: AssertionEvidence; passkeyName: string }
    /** `detail` is for the log and the event, never for the client. */
    | { ok: false; refusal: 'passkey_rejected' | 'passkey_unsigned'; detail: string }
  >;
}

export function createApprovals(deps: {
  rp: RelyingParty;
  clock: Clock;
  approverKeys: Pick<ApproverKeys, 'unsigned'>;
}): Approvals {
  const { rp, clock } = deps;
  return {
    async approvalOptions(query, personId, document) {
      const passkeys = await passkeysOf(query, personId);
      return generateAuthenticationOptions({
        rpID: rp.id,
        challenge: Uint8Array.from(Buffer.from(decisionChallenge(document), 'base64url')),
        allowCredentials: passkeys.map((key) => ({ id: key.credential_id, transports: transportsOf(key) })),
        userVerification: 'required',
        timeout: 120_000,
      });
    },

    async verifyApproval(work, { person, document, assertion }) {
      const refuse = (detail: string) => ({ ok: false, refusal: 'passkey_rejected', detail }) as const;
      const exact = decisionDocument.safeParse(document);
      if (!exact.success) return refuse('not a decision document');
      const { approver } = exact.data;
      if (approver.issuer !== person.issuer || approver.subject !== person.subject) {
        return refuse('document names another approver');
      }
      const checked = await checkAssertion(work, {
        personId: person.id,
        challenge: decisionChallenge(exact.data),
        assertion,
        rp,
        now: clock.now(),
      });
      if (!checked.ok) return refuse(checked.detail);
      const { credential_id: credentialId } = checked.passkey;
      // Said now, to who is there: hosts would refuse it, and nobody would know why.
      if ((await deps.approverKeys.unsigned(work.query, [{ credentialId, ...approver }])).has(credentialId))
        return { ok: false, refusal: 'passkey_unsigned', detail: 'the trust root has not signed for this passkey' };
      const { authenticatorData, clientDataJSON, signature } = assertion.response;
      const evidence = assertionEvidence.parse({
        document: exact.data,
        credentialId: checked.passkey.credential_id,
        authenticatorData,
        clientDataJSON,
        signature,
      });
      return { ok: true, evidence, passkeyName: checked.passkey.name };
    },
  };
}
