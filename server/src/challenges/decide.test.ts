import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AssertionEvidence } from '#shared/decision.ts';
import type { PolicyOutcome } from '../policies/policy.ts';
import { type Actor, approveRefusal, type DecidableChallenge, decide, type Method } from './decide.ts';

const NOW = 1_800_000_000_000;
const challenge: DecidableChallenge = {
  id: 'a'.repeat(32),
  status: 'pending',
  hostId: 'host-1',
  user: 'alice',
  requestHash: 'h'.repeat(43),
  argvTruncated: false,
  expiresAt: NOW + 120_000,
  leaseUntil: NOW + 40_000,
};
const passkey: PolicyOutcome = {
  rule: 'default',
  version: 'p'.repeat(43),
  approval: 'passkey',
  approvers: ['self', 'admins'],
};
const session: PolicyOutcome = { ...passkey, approval: 'session' };
const none: PolicyOutcome = { ...passkey, approval: 'none' };
const alice = {
  kind: 'person',
  issuer: 'https://idp',
  subject: 's-alice',
  username: 'alice',
  role: 'user',
  sessionKind: 'browser',
  accounts: ['alice'],
} as const satisfies Actor;
const bob = { ...alice, subject: 's-bob', username: 'bob', accounts: ['bob'] } as const;
const admin = { ...alice, subject: 's-root', username: 'root', role: 'admin', accounts: [] } as const;
const evidence = (over: Partial<AssertionEvidence['document']> = {}): AssertionEvidence => ({
  document: {
    v: 1,
    purpose: 'approve',
    decision: 'approved',
    requestHash: challenge.requestHash,
    challengeId: challenge.id,
    approver: { issuer: alice.issuer, subject: alice.subject },
    policyVersion: passkey.version,
    grace: 0,
    expiresAt: challenge.expiresAt,
    ...over,
  },
  credentialId: 'cred',
  authenticatorData: '',
  clientDataJSON: '',
  signature: '',
});
const approve = (over: Partial<Extract<Method, { kind: 'approve' }>> = {}): Method => ({
  kind: 'approve',
  evidence: evidence(),
  confirmTruncated: false,
  ...over,
});
const refusal = (...args: Parameters<typeof decide>) => {
  const result = decide(...args);
  return result.ok ? null : result.refusal;
};

test('the person whose account asks approves with a passkey', () => {
  const result = decide(challenge, alice, approve(), passkey, NOW);
  assert.deepEqual(result, {
    ok: true,
    decision: { status: 'approved', class: 'passkey', reason: null, evidence: [evidence()] },
  });
});

test('a request that needs a passkey is not approved without one', () => {
  assert.equal(refusal(challenge, alice, approve({ evidence: null }), passkey, NOW), 'passkey_required');
});

test('where a session is enough, the class says so', () => {
  const result = decide(challenge, alice, approve({ evidence: null }), session, NOW);
  assert.ok(result.ok && result.decision.class === 'session');
});

test('somebody else gets the answer for a request that never was', () => {
  assert.equal(refusal(challenge, bob, approve(), passkey, NOW), 'not_found');
  assert.equal(refusal(challenge, bob, { kind: 'deny', reason: null }, passkey, NOW), 'not_found');
});

test('an administrator approves where policy lets administrators, and only with an assertion of their own', () => {
  const own = evidence({ approver: { issuer: admin.issuer, subject: admin.subject } });
  assert.ok(decide(challenge, admin, approve({ evidence: own }), passkey, NOW).ok);
  assert.equal(refusal(challenge, admin, approve(), passkey, NOW), 'passkey_rejected');
  assert.equal(
    refusal(challenge, admin, approve({ evidence: own }), { ...passkey, approvers: ['self'] }, NOW),
    'not_an_approver',
  );
});

test('self-approval is refused where policy asks for an administrator', () => {
  assert.equal(refusal(challenge, alice, approve(), { ...passkey, approvers: ['admins'] }, NOW), 'not_an_approver');
});

test('a desktop session may deny, never approve', () => {
  const desktop = { ...alice, sessionKind: 'desktop' } as const;
  assert.equal(refusal(challenge, desktop, approve(), passkey, NOW), 'session_kind');
  assert.ok(decide(challenge, desktop, { kind: 'deny', reason: 'no' }, passkey, NOW).ok);
});

test('an assertion for another request, policy, expiry or person does not approve', () => {
  for (const over of [
    { requestHash: 'x'.repeat(43) },
    { challengeId: 'b'.repeat(32) },
    { policyVersion: 'q'.repeat(43) },
    { expiresAt: challenge.expiresAt + 1 },
    { approver: { issuer: alice.issuer, subject: 's-bob' } },
    { approver: { issuer: 'https://other', subject: alice.subject } },
  ]) {
    assert.equal(refusal(challenge, alice, approve({ evidence: evidence(over) }), passkey, NOW), 'passkey_rejected');
  }
});

test('a truncated command needs its own confirmation', () => {
  const long = { ...challenge, argvTruncated: true };
  assert.equal(refusal(long, alice, approve(), passkey, NOW), 'confirm_truncated');
  assert.ok(decide(long, alice, approve({ confirmTruncated: true }), passkey, NOW).ok);
});

test('expiry: open one millisecond before, closed at and after the moment', () => {
  const lasting = { ...challenge, leaseUntil: challenge.expiresAt + 60_000 };
  assert.ok(decide(lasting, alice, approve(), passkey, challenge.expiresAt - 1).ok);
  assert.equal(refusal(lasting, alice, approve(), passkey, challenge.expiresAt), 'expired');
  assert.equal(refusal(lasting, alice, approve(), passkey, challenge.expiresAt + 1), 'expired');
  assert.equal(refusal(lasting, { kind: 'clock' }, { kind: 'expire' }, passkey, challenge.expiresAt - 1), 'superseded');
  assert.ok(decide(lasting, { kind: 'clock' }, { kind: 'expire' }, passkey, challenge.expiresAt).ok);
});

test('a host that fell silent: not approved any more, cancelled by the clock', () => {
  assert.ok(decide(challenge, alice, approve(), passkey, challenge.leaseUntil - 1).ok);
  assert.equal(refusal(challenge, alice, approve(), passkey, challenge.leaseUntil), 'expired');
  assert.equal(
    refusal(challenge, { kind: 'clock' }, { kind: 'cancel' }, passkey, challenge.leaseUntil - 1),
    'forbidden',
  );
  assert.ok(decide(challenge, { kind: 'clock' }, { kind: 'cancel' }, passkey, challenge.leaseUntil).ok);
});

test('a host cancels its own request and no other', () => {
  assert.ok(decide(challenge, { kind: 'host', hostId: 'host-1' }, { kind: 'cancel' }, passkey, NOW).ok);
  assert.equal(
    refusal(challenge, { kind: 'host', hostId: 'host-2' }, { kind: 'cancel' }, passkey, NOW),
    'challenge_not_found',
  );
});

test('policy approves by itself only where it asks for nothing', () => {
  const result = decide(challenge, { kind: 'policy' }, { kind: 'auto' }, none, NOW);
  assert.ok(result.ok && result.decision.class === 'policy');
  assert.equal(refusal(challenge, { kind: 'policy' }, { kind: 'auto' }, session, NOW), 'forbidden');
  assert.equal(refusal(challenge, { kind: 'policy' }, { kind: 'auto' }, passkey, NOW), 'forbidden');
});

test('the directory denies what waits for somebody who was disabled, and can do nothing else', () => {
  const directory = { kind: 'directory' } as const;
  const result = decide(challenge, directory, { kind: 'deny', reason: 'disabled' }, passkey, NOW);
  assert.ok(result.ok && result.decision.status === 'denied' && result.decision.class === null);
  for (const method of [approve(), { kind: 'auto' }, { kind: 'expire' }, { kind: 'cancel' }] as const) {
    const loose = { ...passkey, approval: 'none' } as const;
    assert.equal(refusal(challenge, directory, method, loose, NOW), 'forbidden', method.kind);
  }
});

test('what is decided stays decided', () => {
  for (const status of ['approved', 'denied'] as const) {
    assert.equal(refusal({ ...challenge, status }, alice, approve(), passkey, NOW), 'already_decided');
    assert.equal(
      refusal({ ...challenge, status }, alice, { kind: 'deny', reason: null }, passkey, NOW),
      'already_decided',
    );
  }
  assert.equal(refusal({ ...challenge, status: 'expired' }, alice, approve(), passkey, NOW), 'expired');
  assert.equal(refusal({ ...challenge, status: 'cancelled' }, alice, approve(), passkey, NOW), 'superseded');
});

test('approveRefusal says what the button would meet', () => {
  assert.equal(approveRefusal(challenge, alice, passkey, NOW), null);
  assert.equal(approveRefusal(challenge, alice, { ...passkey, approvers: ['admins'] }, NOW), 'not_an_approver');
});

const anyActor: fc.Arbitrary<Actor> = fc.oneof(
  fc.record({
    kind: fc.constant('person' as const),
    issuer: fc.constantFrom('https://idp', 'https://other'),
    subject: fc.constantFrom('s-alice', 's-bob', 's-root'),
    username: fc.constantFrom('alice', 'bob'),
    role: fc.constantFrom('admin' as const, 'user' as const),
    sessionKind: fc.constantFrom('browser' as const, 'desktop' as const),
    accounts: fc.subarray(['alice', 'bob']),
  }),
  fc.constant({ kind: 'policy' as const }),
  fc.constant({ kind: 'clock' as const }),
  fc.constant({ kind: 'directory' as const }),
  fc.record({ kind: fc.constant('host' as const), hostId: fc.constantFrom('host-1', 'host-2') }),
);
const anyEvidence = fc.option(
  fc
    .record({
      requestHash: fc.constantFrom(challenge.requestHash, 'x'.repeat(43)),
      challengeId: fc.constantFrom(challenge.id, 'b'.repeat(32)),
      policyVersion: fc.constantFrom(passkey.version, 'q'.repeat(43)),
      expiresAt: fc.constantFrom(challenge.expiresAt, challenge.expiresAt + 1),
      approver: fc.record({
        issuer: fc.constantFrom('https://idp', 'https://other'),
        subject: fc.constantFrom('s-alice', 's-bob', 's-root'),
      }),
    })
    .map(evidence),
);
const anyMethod: fc.Arbitrary<Method> = fc.oneof(
  fc.record({ kind: fc.constant('approve' as const), evidence: anyEvidence, confirmTruncated: fc.boolean() }),
  fc.record({ kind: fc.constant('deny' as const), reason: fc.constant(null) }),
  fc.constantFrom({ kind: 'auto' as const }, { kind: 'expire' as const }, { kind: 'cancel' as const }),
);
const anyPolicy: fc.Arbitrary<PolicyOutcome> = fc.record({
  rule: fc.constant('r'),
  version: fc.constant(passkey.version),
  approval: fc.constantFrom('none' as const, 'session' as const, 'passkey' as const),
  approvers: fc.subarray(['self' as const, 'admins' as const]),
});

test('whatever is tried, an approval has an approver with the right, in time, and the evidence that policy asks for', () => {
  fc.assert(
    fc.property(
      anyActor,
      anyMethod,
      anyPolicy,
      fc.integer({ min: NOW - 1000, max: NOW + 200_000 }),
      fc.constantFrom(
        'pending' as const,
        'approved' as const,
        'denied' as const,
        'expired' as const,
        'cancelled' as const,
      ),
      fc.boolean(),
      (actor, method, policy, now, status, argvTruncated) => {
        const result = decide({ ...challenge, status, argvTruncated }, actor, method, policy, now);
        if (!result.ok || result.decision.status !== 'approved') return;
        assert.equal(status, 'pending');
        assert.ok(now < challenge.expiresAt);
        if (actor.kind === 'policy') {
          assert.equal(policy.approval, 'none');
          return;
        }
        assert.ok(actor.kind === 'person' && actor.sessionKind === 'browser' && method.kind === 'approve');
        assert.ok(now < challenge.leaseUntil);
        assert.ok(!argvTruncated || method.confirmTruncated);
        const asSelf = policy.approvers.includes('self') && actor.accounts.includes('alice');
        const asAdmin = policy.approvers.includes('admins') && actor.role === 'admin';
        assert.ok(asSelf || asAdmin);
        if (policy.approval === 'passkey') assert.equal(result.decision.class, 'passkey');
        if (result.decision.class === 'passkey') {
          const { document } = method.evidence!;
          assert.equal(document.requestHash, challenge.requestHash);
          assert.equal(document.challengeId, challenge.id);
          assert.equal(document.policyVersion, policy.version);
          assert.equal(document.expiresAt, challenge.expiresAt);
          // Some of the records that are made up have no prototype.
          assert.deepEqual({ ...document.approver }, { issuer: actor.issuer, subject: actor.subject });
        }
      },
    ),
    { numRuns: 3000 },
  );
});
