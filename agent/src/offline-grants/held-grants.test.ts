import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { HostRecord } from '#shared/decision.ts';
import { sha256 } from '#shared/digest.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { grantShape, type OfflineGrant } from '#shared/offline-grant.ts';
import { grantableRecord } from '#shared/testing/grant-entry.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { silentLog } from '../platform/log.ts';
import { createServerKey } from '../testing/fake-server.ts';
import { createHeldGrants } from './held-grants.ts';

const HOST = randomUUID();
const SERVER = randomUUID();
const POLICY = sha256('policy');
const MINUTE_MS = 60_000;
const key = await createServerKey();
const other = await createServerKey();

/** A host whose clocks a test sets. */
function host(longestMs = 60 * MINUTE_MS) {
  const time: { wall: number; boot: number | null } = { wall: 1_800_000_000_000, boot: 5_000_000 };
  const grants = createHeldGrants({
    trust: { serverId: SERVER, trustRoot: key.public, verificationKeys: [key.public] },
    hostId: HOST,
    longestMs,
    clock: { now: () => time.wall },
    sinceBoot: () => time.boot,
    log: silentLog,
  });
  const record = (fields: Partial<HostRecord> = {}) =>
    grantableRecord({ hostId: HOST, createdAt: time.wall, ...fields });

  /** A request that is answered with a grant, or with one that somebody has changed. */
  async function ask(
    change: Partial<OfflineGrant> = {},
    by: { key?: typeof key; type?: keyof typeof tokenType; answer?: Partial<ChallengeAnswer> } = {},
    asked = record(),
  ): Promise<void> {
    const iat = Math.floor(time.wall / 1000);
    const grant: OfflineGrant = {
      v: 1,
      iss: SERVER,
      aud: HOST,
      iat,
      exp: iat + 3600,
      challengeId: 'a'.repeat(32),
      nonce: asked.nonce,
      user: asked.user,
      shape: grantShape(asked)!,
      policyVersion: POLICY,
      rule: 'robots',
      sequence: 100,
      uses: 3,
      ...change,
    };
    const token = await signToken(tokenType[by.type ?? 'offlineGrant'], grant, by.key ?? key);
    const answer: ChallengeAnswer = {
      challengeId: 'a'.repeat(32),
      userCode: 'ABCDEF-123456',
      status: 'approved',
      approvalUrl: 'https://x',
      expiresAt: time.wall,
      now: time.wall,
      approvers: [],
      verdict: null,
      approverKeys: null,
      offlineGrant: token,
      grants: { revokedTo: 0, policyVersion: POLICY },
      ...by.answer,
    };
    await grants.answered(asked, answer, grants.moment());
  }
  const may = (fields: Partial<HostRecord> = {}) => grants.take(record(fields)) !== null;
  return { time, grants, record, ask, may };
}

describe('offline grants that a host holds', () => {
  it('are good for the same command from anywhere, and for no other', async () => {
    const h = host();
    assert.equal(h.may(), false);
    await h.ask();
    assert.equal(h.may({ tty: null, origin: '192.0.2.1', reason: 'again' }), true);
    for (const fields of [
      { user: 'bob' },
      { uid: 0 },
      { cwd: '/tmp' },
      { argvSha256: sha256('other') },
      { runAs: { user: 'www-data', group: null, assurance: 'resolved' } },
      { hostId: randomUUID() },
    ] as const)
      assert.equal(h.may(fields), false, JSON.stringify(fields));
  });

  it('are counted when they are used', async () => {
    const h = host();
    await h.ask({ uses: 2 });
    assert.deepEqual([h.may(), h.may(), h.may()], [true, true, false]);
  });

  for (const [name, set] of [
    ['their time is over', (time) => ({ wall: time.wall + 60 * MINUTE_MS, boot: time.boot + 60 * MINUTE_MS })],
    ['the wall clock says so alone', (time) => ({ wall: time.wall + 60 * MINUTE_MS, boot: time.boot + 1 })],
    [
      'the wall clock was set back, and the one from boot says so',
      (time) => ({ ...time, boot: time.boot + 60 * MINUTE_MS }),
    ],
    ['the wall clock went back', (time) => ({ wall: time.wall - 1, boot: time.boot + 1 })],
    ['this is another boot', (time) => ({ wall: time.wall + 1, boot: 1000 })],
    ['the time since boot cannot be known', (time) => ({ wall: time.wall + 1, boot: null })],
  ] as const satisfies readonly (readonly [string, (time: { wall: number; boot: number }) => object])[])
    it(`end when ${name}, and do not come back`, async () => {
      const h = host();
      await h.ask();
      const before = { ...h.time };
      Object.assign(h.time, set({ wall: h.time.wall, boot: h.time.boot! }));
      assert.equal(h.may(), false);
      Object.assign(h.time, before);
      assert.equal(h.may(), false);
    });

  it('count for less where the host, or the server, says so, and never for longer than an hour', async () => {
    for (const [longestMs, seconds, endsMs] of [
      [10 * MINUTE_MS, 3600, 10 * MINUTE_MS],
      [60 * MINUTE_MS, 600, 10 * MINUTE_MS],
      [600 * MINUTE_MS, 36_000, 60 * MINUTE_MS],
    ] as const) {
      const h = host(longestMs);
      const pass = (ms: number) => Object.assign(h.time, { wall: h.time.wall + ms, boot: h.time.boot! + ms });
      await h.ask({ exp: Math.floor(h.time.wall / 1000) + seconds });
      pass(endsMs - 1);
      assert.equal(h.may(), true, String(endsMs));
      pass(1);
      assert.equal(h.may(), false, String(endsMs));
    }
    const never = host(0);
    await never.ask();
    assert.equal(never.grants.any(), false);
  });

  it('end when they are revoked, when another policy is in force, and when none is', async () => {
    for (const [inForce, counts] of [
      [{ revokedTo: 99, policyVersion: POLICY }, true],
      [{ revokedTo: 100, policyVersion: POLICY }, false],
      [{ revokedTo: 0, policyVersion: sha256('another') }, false],
      [{ revokedTo: 0, policyVersion: null }, false],
    ] as const) {
      const h = host();
      await h.ask();
      h.grants.hear(inForce);
      assert.equal(h.may(), counts, JSON.stringify(inForce));
    }
  });

  it('that were revoked do not come back with an answer that was on its way', async () => {
    const h = host();
    h.grants.hear({ revokedTo: 100, policyVersion: POLICY });
    await h.ask();
    assert.equal(h.may(), false);
    await h.ask({ sequence: 101 });
    assert.equal(h.may(), true);
  });

  it('end for an account that is asked about, or refused, and all with a host that is refused', async () => {
    for (const [end, alice, bob] of [
      [(h) => h.ask({}, { answer: { status: 'pending', offlineGrant: null } }), false, true],
      [(h) => h.grants.refused('alice', 'account_disabled'), false, true],
      [(h) => h.grants.refused('carol', 'host_revoked'), false, false],
      [(h) => h.grants.end(), false, false],
    ] as const satisfies readonly (readonly [(h: ReturnType<typeof host>) => unknown, boolean, boolean])[]) {
      const h = host();
      await h.ask();
      await h.ask({}, {}, h.record({ user: 'bob' }));
      await end(h);
      assert.deepEqual([h.may(), h.may({ user: 'bob' })], [alice, bob], String(end));
    }
  });

  it('a number from far ahead keeps a host without them for no longer than one would count', async () => {
    const h = host();
    h.grants.hear({ revokedTo: Number.MAX_SAFE_INTEGER, policyVersion: POLICY });
    await h.ask({ sequence: h.time.wall });
    assert.equal(h.may(), false);
    const ms = 61 * MINUTE_MS;
    Object.assign(h.time, { wall: h.time.wall + ms, boot: h.time.boot! + ms });
    await h.ask({ sequence: h.time.wall });
    assert.equal(h.may(), true);
  });

  for (const [name, change, by] of [
    ['signed by somebody else', {}, { key: other }],
    ['signed by somebody else in the name of the key', {}, { key: { ...other, kid: key.kid } }],
    ['a token of another kind', {}, { type: 'verdict' }],
    ['of another server', { iss: randomUUID() }, {}],
    ['for another host', { aud: randomUUID() }, {}],
    ['for another account', { user: 'bob' }, {}],
    ['for another command', { shape: sha256('other') }, {}],
    ['of an earlier request', { nonce: sha256('earlier') }, {}],
    ['of another request', { challengeId: 'b'.repeat(32) }, {}],
    ['of long ago', { iat: 1, exp: 3601 }, {}],
    ['of another policy than the one in force', { policyVersion: sha256('another') }, {}],
  ] as const satisfies readonly (readonly [
    string,
    Partial<OfflineGrant>,
    { key?: typeof key; type?: keyof typeof tokenType },
  ])[])
    it(`${name}: none`, async () => {
      const h = host();
      await h.ask(change, by);
      assert.equal(h.grants.any(), false);
    });
});
