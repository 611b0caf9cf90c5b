import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  type ApproverKey,
  type AssertionEvidence,
  type DecisionDocument,
  decisionChallenge,
} from '#shared/decision.ts';

/** A passkey in software: makes the assertions that a browser would. */
export interface TestPasskey {
  key: ApproverKey;
  assert(
    document: DecisionDocument,
    change?: { origin?: string; flags?: number; rpId?: string; type?: string },
  ): AssertionEvidence;
}

export const RP_ID = 'localhost';
export const ORIGIN = 'http://localhost:8090';

export function createPasskey(owner: { issuer: string; subject: string; username: string }): TestPasskey {
  const { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
  });
  const credentialId = randomBytes(16).toString('base64url');
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, string>;
  return {
    key: { credentialId, ...owner, jwk },
    assert(document, change = {}) {
      const client = {
        type: change.type ?? 'webauthn.get',
        challenge: decisionChallenge(document),
        origin: change.origin ?? ORIGIN,
        crossOrigin: false,
      };
      const clientData = Buffer.from(JSON.stringify(client));
      const rpIdHash = createHash('sha256')
        .update(change.rpId ?? RP_ID)
        .digest();
      const authData = Buffer.concat([rpIdHash, Buffer.from([change.flags ?? 0x05, 0, 0, 0, 1])]);
      const signed = Buffer.concat([authData, createHash('sha256').update(clientData).digest()]);
      return {
        document,
        credentialId,
        authenticatorData: authData.toString('base64url'),
        clientDataJSON: clientData.toString('base64url'),
        signature: sign('sha256', signed, privateKey).toString('base64url'),
      };
    },
  };
}
