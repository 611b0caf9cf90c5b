import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalJson } from './canonical-json.ts';
import { classSatisfies, decisionChallenge, decisionDocument, hostRecord, requestHash } from './decision.ts';
import { CHAIN_START, eventHash } from './events.ts';

// Expected values computed independently: json.dumps(sort_keys, separators, ensure_ascii=False) and hashlib of Python.
const RECORD = hostRecord.parse({
  v: 1,
  hostId: '0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e',
  user: 'alice',
  uid: 1000,
  runAs: { user: 'root', group: null, assurance: 'derived' },
  gate: 'pam',
  service: 'sudo',
  mode: 'command',
  argvSha256: 'v5-LMeRBDB2_jWsGIZprAb44BDFv94LpQN2UuPhEdNI',
  argv: ['sudo', 'systemctl', 'restart', 'nginx'],
  argvTruncated: false,
  target: {
    path: '/usr/bin/systemctl',
    assurance: 'derived',
    device: '65024',
    inode: '1311',
    sha256: '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
  },
  unrestricted: [],
  cwd: '/home/alice/übung',
  tty: '/dev/pts/3',
  origin: null,
  reason: 'disk “full”\n',
  nonce: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8',
  createdAt: 1_800_000_000_000,
});

const DOCUMENT = decisionDocument.parse({
  v: 1,
  purpose: 'approve',
  decision: 'approved',
  requestHash: 'm3GlAWRkeQ-rq3EwTWK19OZMOZjbKl88HPNPyjrzaIs',
  challengeId: '00112233445566778899aabbccddeeff',
  approver: { issuer: 'https://id.example.com', subject: 'f3b1' },
  policyVersion: '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
  grace: 300,
  expiresAt: 1_800_000_120_000,
});

describe('a record', () => {
  it('holds no text that is read differently elsewhere', () => {
    assert.ok(hostRecord.safeParse({ ...RECORD, argv: ['sudo', '\u{1f600}\n'] }).success);
    for (const text of ['a\0b', '\ud800', 'x\udc00y']) {
      assert.equal(hostRecord.safeParse({ ...RECORD, argv: ['sudo', text] }).success, false);
      assert.equal(hostRecord.safeParse({ ...RECORD, reason: text }).success, false);
    }
  });
});

describe('fixed vectors', () => {
  it('the canonical form of a record', () => {
    assert.equal(
      canonicalJson(RECORD),
      '{"argv":["sudo","systemctl","restart","nginx"],"argvSha256":"v5-LMeRBDB2_jWsGIZprAb44BDFv94LpQN2UuPhEdNI","argvTruncated":false,"createdAt":1800000000000,"cwd":"/home/alice/übung","gate":"pam","hostId":"0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7e","mode":"command","nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","origin":null,"reason":"disk “full”\\n","runAs":{"assurance":"derived","group":null,"user":"root"},"service":"sudo","target":{"assurance":"derived","device":"65024","inode":"1311","path":"/usr/bin/systemctl","sha256":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},"tty":"/dev/pts/3","uid":1000,"unrestricted":[],"user":"alice","v":1}',
    );
  });
  it('requestHash', () => assert.equal(requestHash(RECORD), 'm3GlAWRkeQ-rq3EwTWK19OZMOZjbKl88HPNPyjrzaIs'));
  it('decisionChallenge', () =>
    assert.equal(decisionChallenge(DOCUMENT), 'wd89p7Mpd0MXlDGt8LJaLWiLHKnd-4t7HiXXLkFuYDs'));
  it('eventHash', () => {
    const event = {
      seq: 1,
      at: 1_800_000_000_000,
      event: 'challenge_approved',
      username: 'alice',
      hostId: null,
      hostname: 'web1.example.com',
      challengeId: '00112233445566778899aabbccddeeff',
      code: 'ABCDEF-123456',
      actor: 'dana',
      reason: null,
      remoteAddr: '192.0.2.1',
      data: { b: [1, { y: 2, x: 1 }], a: 'é' },
      salt: null,
      payloadHash: null,
      prevHash: CHAIN_START,
    };
    assert.equal(CHAIN_START, '0000000000000000000000000000000000000000000');
    assert.equal(eventHash(event), 'Laey_0gDqv0-qi8Sbm2ltLSRfkxdTvfIxp6GsD6kRJ4');
  });
});

describe('what a passkey signs', () => {
  const changes: Record<string, unknown> = {
    requestHash: 'A'.repeat(43),
    challengeId: 'f'.repeat(32),
    approver: { issuer: 'https://id.example.com', subject: 'other' },
    policyVersion: 'A'.repeat(43),
    grace: 301,
    expiresAt: 1_800_000_120_001,
  };
  for (const [field, value] of Object.entries(changes)) {
    it(`differs with another ${field}`, () => {
      assert.notEqual(decisionChallenge({ ...DOCUMENT, [field]: value }), decisionChallenge(DOCUMENT));
    });
  }
  it('has one purpose: no other document passes for it', () => {
    assert.equal(decisionDocument.safeParse({ ...DOCUMENT, purpose: 'sign-in' }).success, false);
    assert.equal(decisionDocument.safeParse({ ...DOCUMENT, decision: 'denied' }).success, false);
    assert.equal(decisionDocument.safeParse({ ...DOCUMENT, more: 1 }).success, false);
  });
});

describe('the record', () => {
  it('changes its hash with every field', () => {
    const changed: Record<string, unknown> = {
      hostId: '0b9c1f3e-7f4d-4c5a-9b1e-2f3a4b5c6d7f',
      user: 'bob',
      uid: 1001,
      runAs: { ...RECORD.runAs, user: 'www' },
      gate: 'try',
      service: 'sudo-i',
      mode: 'shell',
      argvSha256: 'A'.repeat(43),
      argv: [],
      argvTruncated: true,
      target: null,
      unrestricted: ['shell'],
      cwd: null,
      tty: null,
      origin: 'x',
      reason: null,
      nonce: 'A'.repeat(43),
      createdAt: 1,
    };
    assert.deepEqual(
      Object.keys(changed).sort(),
      Object.keys(RECORD)
        .filter((key) => key !== 'v')
        .sort(),
    );
    const hashes = Object.entries(changed).map(([field, value]) =>
      requestHash(hostRecord.parse({ ...RECORD, [field]: value })),
    );
    assert.equal(new Set([...hashes, requestHash(RECORD)]).size, hashes.length + 1);
  });
  for (const [name, change] of Object.entries({
    'an unknown field': { extra: 1 },
    'a user that is a path': { user: '../x' },
    'a negative uid': { uid: -1 },
    'a fraction of a uid': { uid: 0.5 },
    'an unknown gate': { gate: 'web' },
    'an unknown reason': { unrestricted: ['fine'] },
    'too much argv': { argv: Array.from({ length: 1025 }, () => '') },
    'a short nonce': { nonce: 'A' },
  })) {
    it(`is refused with ${name}`, () => assert.equal(hostRecord.safeParse({ ...RECORD, ...change }).success, false));
  }
});

describe('classes', () => {
  it('passkey above session above grace and policy', () => {
    const order = ['passkey', 'session', 'grace', 'policy'] as const;
    const table = order.map((minimum) => order.map((actual) => classSatisfies(actual, minimum)));
    assert.deepEqual(table, [
      [true, false, false, false],
      [true, true, false, false],
      [true, true, true, true],
      [true, true, true, true],
    ]);
  });
});
