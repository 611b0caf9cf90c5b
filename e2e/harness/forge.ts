import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CompactSign } from 'jose';
import { canonicalJson } from '#shared/canonical-json.ts';
import {
  type ApproverKeySet,
  type AssertionEvidence,
  type DecisionDocument,
  decisionChallenge,
  type HostRecord,
  requestHash,
  type Verdict,
} from '#shared/decision.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import type { TestAuthenticator } from '#shared/testing/authenticator.ts';
import { type SigningKey, signingKeyFromPem, signToken, tokenType } from '#shared/token.ts';
import { keySetOf } from './host-client.ts';
import type { Server } from './server.ts';

/** Who approves, with which passkey. */
interface By {
  authenticator: TestAuthenticator;
  username: string;
}

/** What is not as it should be. */
interface Change {
  verdict?: Partial<Verdict>;
  document?: Partial<DecisionDocument>;
  origin?: string;
  rpId?: string;
  userVerified?: boolean;
}

/** A complete approval, as the server itself would write it, then changed. */
export function approvalBy(
  { authenticator, username }: By,
  { set, policyVersion }: { set: ApproverKeySet; policyVersion: string },
  answer: ChallengeAnswer,
  record: HostRecord,
  change: Change = {},
): Verdict {
  const mine = set.keys.find((candidate) => candidate.username === username);
  if (!mine) throw new Error(`${username} has no passkey`);
  const approver = { issuer: mine.issuer, subject: mine.subject };
  const document: DecisionDocument = {
    v: 1,
    purpose: 'approve',
    decision: 'approved',
    requestHash: requestHash(record),
    challengeId: answer.challengeId,
    approver,
    policyVersion,
    grace: 0,
    expiresAt: answer.expiresAt,
    ...change.document,
  };
  const { response } = authenticator.assert(
    {
      challenge: decisionChallenge(document),
      rpId: change.rpId ?? set.rpId,
      origin: change.origin ?? set.origins[0] ?? '',
    },
    { userVerified: change.userVerified ?? true },
  );
  const evidence: AssertionEvidence = {
    document,
    credentialId: authenticator.credentialId,
    authenticatorData: response.authenticatorData,
    clientDataJSON: response.clientDataJSON,
    signature: response.signature,
  };
  return {
    v: 1,
    iss: set.iss,
    aud: record.hostId,
    iat: Math.floor(Date.now() / 1000),
    exp: Math.ceil(answer.expiresAt / 1000) + 60,
    challengeId: answer.challengeId,
    nonce: record.nonce,
    requestHash: requestHash(record),
    decision: 'approved',
    class: 'passkey',
    approvers: [{ ...approver, username }],
    reason: null,
    policyVersion,
    grace: 0,
    evidence: [evidence],
    ...change.verdict,
  };
}

/** What somebody has who has stolen the server's keys folder. Each guard of the host is tested with everything else right. */
export interface Forger {
  verdictKey: SigningKey;
  trustRoot: SigningKey;
  /** The approver-key set in force. */
  keySet(): ApproverKeySet;
  /** A complete approval by `authenticator`, as the server itself would write it, then changed. */
  verdict(answer: ChallengeAnswer, record: HostRecord, by: By, change?: Change): Verdict;
  sign(verdict: Verdict, key?: SigningKey): Promise<string>;
  signSet(set: ApproverKeySet, key?: SigningKey): Promise<string>;
}

export async function createForger(server: Server): Promise<Forger> {
  const key = async (name: string): Promise<SigningKey> =>
    signingKeyFromPem(await readFile(join(server.keysDir, name), 'utf8'));
  const verdictKey = await key('verdict.pem');
  const trustRoot = await key('trust-root.pem');
  const keySet = (): ApproverKeySet => keySetOf(server.data.keySets().at(-1)?.token ?? '');
  return {
    verdictKey,
    trustRoot,
    keySet,
    verdict(answer, record, by, change) {
      const policyVersion = server.data.challenge(answer.userCode)?.policy_version ?? '';
      return approvalBy(by, { set: keySet(), policyVersion }, answer, record, change);
    },
    sign: (verdict, by = verdictKey) => signToken(tokenType.verdict, verdict, by),
    signSet: (set, by = trustRoot) => signToken(tokenType.approverKeys, set, by),
  };
}

/** A signing key that nobody knows. */
export async function strangerKey(): Promise<SigningKey> {
  const { privateKey } = generateKeyPairSync('ed25519');
  return signingKeyFromPem(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
}

/** A token without a signature, as libraries that trust the `alg` header accept it. */
export function unsigned(payload: object, kid: string): string {
  const part = (value: unknown): string => Buffer.from(canonicalJson(value)).toString('base64url');
  return `${part({ alg: 'none', typ: tokenType.verdict, kid })}.${part(payload)}.`;
}

/** A token whose payload was changed after it was signed. */
export function altered(token: string, change: (payload: Record<string, unknown>) => object): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const content = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
  return `${header}.${Buffer.from(canonicalJson(change(content))).toString('base64url')}.${signature}`;
}

/** Signs a payload under any type, with any key id. */
export async function signAs(typ: string, payload: object, key: SigningKey, kid = key.kid): Promise<string> {
  return new CompactSign(Buffer.from(canonicalJson(payload)))
    .setProtectedHeader({ alg: 'EdDSA', typ, kid })
    .sign(key.privateKey);
}
