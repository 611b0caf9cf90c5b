import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { type ApprovalBundle, verifyApprovalBundle } from './approval-bundle.ts';
import {
  type ApproverKeySet,
  type AssertionEvidence,
  type DecisionDocument,
  decisionChallenge,
  type HostRecord,
  requestHash,
  type Verdict,
} from './decision.ts';
import { CHAIN_START, eventHash } from './events.ts';
import { type PublicJwk, publicJwk, type SigningKey, signToken, tokenType } from './token.ts';
import { type PinnedTrust, readApproverKeySet, verifyVerdict } from './verify-verdict.ts';
import { verifyAssertion } from './webauthn-assertion.ts';

const SERVER = '5d3f0f2a-1111-4222-8333-444455556666';
const NOW = 1_800_000_030_000;
const RECORD: HostRecord = {
  v: 1,
  hostId: '0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e',
  user: 'alice',
  uid: 1000,
  runAs: { user: 'root', group: null, assurance: 'derived' },
  gate: 'pam',
  service: 'sudo',
  mode: 'list',
  argvSha256: 'A'.repeat(43),
  argv: ['sudo', '-l'],
  argvTruncated: false,
  target: null,
  unrestricted: [],
  cwd: null,
  tty: null,
  origin: null,
  reason: null,
  nonce: 'N'.repeat(43),
  createdAt: 1_800_000_000_000,
};
const CHALLENGE = 'c'.repeat(32);
const PERSON = { issuer: 'https://id.example.com', subject: 'dana' };

interface Key extends SigningKey {
  public: PublicJwk;
}
const newKey = async (): Promise<Key> => {
  const pair = generateKeyPairSync('ed25519');
  const jwk = await publicJwk(pair.publicKey);
  return { kid: jwk.kid, privateKey: pair.privateKey, public: jwk };
};

/** An authenticator of any algorithm. */
function authenticator(pair: { publicKey: KeyObject; privateKey: KeyObject }, hash: 'sha256' | null) {
  return {
    jwk: pair.publicKey.export({ format: 'jwk' }) as Record<string, string>,
    assert(
      document: DecisionDocument,
      change: { origin?: string; flags?: number; extra?: object } = {},
    ): AssertionEvidence {
      const client = {
        type: 'webauthn.get',
        challenge: decisionChallenge(document),
        origin: change.origin ?? 'https://id.example.com',
        ...change.extra,
      };
      const clientData = Buffer.from(JSON.stringify(client));
      const authData = Buffer.concat([
        createHash('sha256').update('id.example.com').digest(),
        Buffer.from([change.flags ?? 5, 0, 0, 0, 0]),
      ]);
      const signed = Buffer.concat([authData, createHash('sha256').update(clientData).digest()]);
      return {
        document,
        credentialId: 'Y3JlZA',
        authenticatorData: authData.toString('base64url'),
        clientDataJSON: clientData.toString('base64url'),
        signature: sign(hash, signed, pair.privateKey).toString('base64url'),
      };
    },
  };
}
const p256 = () => authenticator(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'sha256');

const DOCUMENT: DecisionDocument = {
  v: 1,
  purpose: 'approve',
  decision: 'approved',
  requestHash: requestHash(RECORD),
  challengeId: CHALLENGE,
  approver: PERSON,
  policyVersion: 'P'.repeat(43),
  grace: 0,
  expiresAt: 1_800_000_120_000,
};

let root: Key;
let server: Key;
let trust: PinnedTrust;
const passkey = p256();
const KEYS: ApproverKeySet = {
  v: 1,
  iss: SERVER,
  version: 3,
  issuedAt: 1,
  rpId: 'id.example.com',
  origins: ['https://id.example.com'],
  keys: [{ credentialId: 'Y3JlZA', ...PERSON, username: 'dana', jwk: passkey.jwk }],
};
before(async () => {
  [root, server] = [await newKey(), await newKey()];
  trust = { serverId: SERVER, trustRoot: root.public, verificationKeys: [server.public] };
});

const payload = (change: Partial<Verdict> = {}): Verdict => ({
  v: 1,
  iss: SERVER,
  aud: RECORD.hostId,
  iat: 1_800_000_020,
  exp: 1_800_000_060,
  challengeId: CHALLENGE,
  nonce: RECORD.nonce,
  requestHash: requestHash(RECORD),
  decision: 'approved',
  class: 'passkey',
  approvers: [{ ...PERSON, username: 'dana' }],
  reason: null,
  policyVersion: 'P'.repeat(43),
  grace: 0,
  evidence: [passkey.assert(DOCUMENT)],
  ...change,
});
const check = async (change: Partial<Verdict> = {}, options: Partial<Parameters<typeof verifyVerdict>[0]> = {}) => {
  const token = await signToken(tokenType.verdict, payload(change), server);
  const result = await verifyVerdict({
    token,
    record: RECORD,
    challengeId: CHALLENGE,
    trust,
    approverKeys: KEYS,
    minimumClass: 'policy',
    now: NOW,
    ...options,
  });
  return result.ok ? 'ok' : result.problem;
};

describe('a verdict', () => {
  it('that is good in everything is good', async () => assert.equal(await check(), 'ok'));

  it('counts until the last millisecond before its end', async () => {
    assert.equal(await check({}, { now: 1_800_000_059_999 }), 'ok');
    assert.equal(await check({}, { now: 1_800_000_060_000 }), 'stale');
    assert.equal(await check({}, { now: null }), 'ok', 'an auditor reads old evidence');
  });

  it('counts no longer than each of its approvers has signed, whatever the server says', async () => {
    const late = { exp: 1_900_000_000 };
    assert.equal(await check(late, { now: DOCUMENT.expiresAt - 1 }), 'ok');
    assert.equal(await check(late, { now: DOCUMENT.expiresAt + 4999 }), 'ok', 'signed in the last moment');
    assert.equal(await check(late, { now: DOCUMENT.expiresAt + 5000 }), 'stale');
    assert.equal(await check(late, { now: null }), 'ok', 'an auditor reads old evidence');
  });

  const bad: [string, Partial<Verdict> | (() => Partial<Verdict>), string][] = [
    ['of another server', { iss: RECORD.hostId }, 'wrong_server'],
    ['for another host', { aud: SERVER }, 'wrong_host'],
    ['with another nonce', { nonce: 'M'.repeat(43) }, 'wrong_request'],
    ['about another request', { requestHash: 'M'.repeat(43) }, 'wrong_request'],
    ['of another challenge', { challengeId: 'd'.repeat(32) }, 'wrong_request'],
    ['without a class', { class: null }, 'class_too_low'],
    ['by nobody', { approvers: [] }, 'assertion_missing'],
    ['without evidence', { evidence: [] }, 'assertion_missing'],
    [
      'where one of two approvers did not sign',
      () => ({
        approvers: [
          { ...PERSON, username: 'dana' },
          { ...PERSON, subject: 'eve', username: 'eve' },
        ],
      }),
      'assertion_missing',
    ],
    [
      'with a document of another policy',
      () => ({ evidence: [passkey.assert({ ...DOCUMENT, policyVersion: 'Q'.repeat(43) })] }),
      'assertion_of_another_request',
    ],
    ['with a document of another grace', () => ({ grace: 600 }), 'assertion_of_another_request'],
    [
      'with a document of another challenge',
      () => ({ evidence: [passkey.assert({ ...DOCUMENT, challengeId: 'd'.repeat(32) })] }),
      'assertion_of_another_request',
    ],
    [
      'with a document that was changed after signing',
      () => ({ evidence: [{ ...passkey.assert({ ...DOCUMENT, expiresAt: 1 }), document: DOCUMENT }] }),
      'assertion_wrong_challenge',
    ],
    [
      'by a key that is not in the set',
      () => ({ evidence: [{ ...passkey.assert(DOCUMENT), credentialId: 'b3RoZXI' }] }),
      'approver_key_unknown',
    ],
    ['by another key under the same id', () => ({ evidence: [p256().assert(DOCUMENT)] }), 'assertion_bad_signature'],
    [
      'from another origin',
      () => ({ evidence: [passkey.assert(DOCUMENT, { origin: 'https://id.example.com.evil.example' })] }),
      'assertion_wrong_origin',
    ],
    [
      'from a frame of another site',
      () => ({ evidence: [passkey.assert(DOCUMENT, { extra: { crossOrigin: true } })] }),
      'assertion_wrong_ceremony',
    ],
    [
      'without the user verified',
      () => ({ evidence: [passkey.assert(DOCUMENT, { flags: 1 })] }),
      'assertion_user_not_verified',
    ],
    [
      'without the user present',
      () => ({ evidence: [passkey.assert(DOCUMENT, { flags: 4 })] }),
      'assertion_user_not_verified',
    ],
  ];
  for (const [name, change, problem] of bad) {
    it(`[E-P16] ${name}: ${problem}`, async () =>
      assert.equal(await check(typeof change === 'function' ? change() : change), problem));
  }

  it('a key of the set does not sign for another person', async () => {
    const stolen = { ...KEYS, keys: [{ ...KEYS.keys[0]!, subject: 'eve' }] };
    assert.equal(await check({}, { approverKeys: stolen }), 'approver_key_unknown');
  });

  it('below the class that the host asks for is not enough', async () => {
    for (const lower of ['session', 'grace', 'policy'] as const) {
      assert.equal(await check({ class: lower, evidence: [] }, { minimumClass: 'passkey' }), 'class_too_low');
      assert.equal(await check({ class: lower, evidence: [] }), 'ok');
    }
  });

  it('a denial needs no evidence and no class, but all the rest', async () => {
    const denied = { decision: 'denied', class: null, evidence: [], approvers: [] } as const;
    assert.equal(await check({ ...denied, approvers: [], evidence: [] }, { minimumClass: 'passkey' }), 'ok');
    assert.equal(await check({ ...denied, approvers: [], evidence: [], nonce: 'M'.repeat(43) }), 'wrong_request');
  });
});

describe('assertions of every kind of key', () => {
  const sets = {
    'ES256 on P-256': p256(),
    EdDSA: authenticator(generateKeyPairSync('ed25519'), null),
    'RS256 of 2048 bits': authenticator(generateKeyPairSync('rsa', { modulusLength: 2048 }), 'sha256'),
  };
  const expected = {
    challenge: decisionChallenge(DOCUMENT),
    origins: ['https://id.example.com'],
    rpId: 'id.example.com',
  };
  for (const [name, made] of Object.entries(sets)) {
    it(`${name} verifies`, () =>
      assert.deepEqual(verifyAssertion(made.assert(DOCUMENT), { ...expected, jwk: made.jwk }), { ok: true }));
  }
  for (const [name, made] of Object.entries({
    'P-384': authenticator(generateKeyPairSync('ec', { namedCurve: 'P-384' }), 'sha256'),
    'RSA of 1024 bits': authenticator(generateKeyPairSync('rsa', { modulusLength: 1024 }), 'sha256'),
  })) {
    it(`${name} is not accepted`, () => {
      assert.deepEqual(verifyAssertion(made.assert(DOCUMENT), { ...expected, jwk: made.jwk }), {
        ok: false,
        problem: 'unsupported_key',
      });
    });
  }
  it('nonsense is malformed, not an exception', () => {
    const good = passkey.assert(DOCUMENT);
    for (const change of [
      { clientDataJSON: 'bm9uc2Vuc2U' },
      { clientDataJSON: '' },
      { authenticatorData: 'AA' },
      { authenticatorData: '' },
    ]) {
      assert.deepEqual(verifyAssertion({ ...good, ...change }, { ...expected, jwk: passkey.jwk }), {
        ok: false,
        problem: 'malformed',
      });
    }
    assert.deepEqual(verifyAssertion({ ...good, signature: '' }, { ...expected, jwk: passkey.jwk }), {
      ok: false,
      problem: 'bad_signature',
    });
    assert.deepEqual(verifyAssertion(good, { ...expected, jwk: {} }), { ok: false, problem: 'unsupported_key' });
  });
});

describe('approver-key sets', () => {
  const read = async (change: Partial<ApproverKeySet>, minimum: number, key = root) => {
    const result = await readApproverKeySet(
      await signToken(tokenType.approverKeys, { ...KEYS, ...change }, key),
      trust,
      minimum,
    );
    return result.ok ? result.set.version : result.problem;
  };
  it('never go back a version', async () => {
    assert.equal(await read({}, 3), 3);
    assert.equal(await read({}, 4), 'rolled_back');
  });
  it('come from the pinned root of the pinned server', async () => {
    assert.equal(await read({}, 0, server), 'unknown_key');
    assert.equal(await read({ iss: RECORD.hostId }, 0), 'wrong_server');
  });
});

describe('an exported approval', () => {
  const event = {
    seq: 1,
    at: 1,
    event: 'challenge_approved',
    username: 'alice',
    hostId: null,
    hostname: null,
    challengeId: CHALLENGE,
    code: null,
    actor: null,
    reason: null,
    remoteAddr: null,
    data: {},
    salt: null,
    payloadHash: null,
    prevHash: CHAIN_START,
  };
  const bundle = async (change: Partial<ApprovalBundle> = {}): Promise<ApprovalBundle> => ({
    v: 1,
    challengeId: CHALLENGE,
    record: RECORD,
    verdict: await signToken(tokenType.verdict, payload(), server),
    approverKeys: await signToken(tokenType.approverKeys, KEYS, root),
    events: [{ ...event, hash: eventHash(event) }],
    claimed: { serverId: SERVER, trustRoot: root.public, verificationKeys: [server.public] },
    ...change,
  });
  const verify = async (change: Partial<ApprovalBundle> = {}, pinned = trust) => {
    const result = await verifyApprovalBundle(await bundle(change), pinned);
    return result.ok ? result.verdict.decision : result.problem;
  };
  it('proves itself years later', async () => assert.equal(await verify(), 'approved'));
  it('does not with an altered event, an event of another request, or an altered record', async () => {
    const [good] = (await bundle()).events;
    assert.equal(await verify({ events: [{ ...good!, username: 'root' }] }), 'event_altered');
    const foreign = { ...event, challengeId: 'd'.repeat(32) };
    assert.equal(await verify({ events: [{ ...foreign, hash: eventHash(foreign) }] }), 'event_altered');
    assert.equal(await verify({ record: { ...RECORD, argv: ['sudo', '-v'] } }), 'wrong_request');
  });
  it('does not by the keys that it brings along', async () => {
    const other = await newKey();
    assert.equal(await verify({}, { ...trust, verificationKeys: [other.public] }), 'unknown_key');
    assert.equal(await verify({}, { ...trust, trustRoot: other.public }), 'unknown_key');
  });
});
