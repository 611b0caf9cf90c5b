import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { decisionChallenge } from '#shared/decision.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { kysely } from '../db/query.ts';
import { checkChain } from '../events/store.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson, testStranger } from '../testing/test-person.ts';
import type { Approval } from './showing.ts';

/**
 * People without the right to approve, with everything else that people can have: sessions, passkeys, assertions of
 * their own and of others, the id and the code of the request, an enrolled host. Whatever they call, in whatever order,
 * nothing is approved.
 */

const policyPath = join(tmpdir(), `identree-no-right-${process.pid}.json`);
const PEOPLE = ['bob', 'owner', 'claimant', 'nobody'] as const;
type Actor = (typeof PEOPLE)[number];
const SUBJECTS: Record<Actor, string> = {
  bob: 'subject of bob',
  owner: 'subject of alice',
  claimant: 'another alice',
  nobody: 'subject of bob',
};
/** `made for it`: over exactly the document that an approval by this person would need. */
const ASSERTIONS = ['none', 'used', 'of the owner', 'own', 'own, renamed', 'made for it'] as const;
type Assertion = (typeof ASSERTIONS)[number];

let t: TestApp;
let host: TestHost;
let other: TestHost;
let people: Record<Actor, TestPerson>;
/** Assertions by name, as JSON. */
let assertions: Record<Exclude<Assertion, 'made for it'>, object | null>;

before(async () => {
  const policies = [{ name: 'databases', match_hosts: ['db*'], approval: 'passkey', require_admin: true }];
  await writeFile(policyPath, JSON.stringify({ policies }), { mode: 0o600 });
  const provider = createTestProvider();
  t = await createTestApp({ config: { policiesFile: policyPath }, app: { provider } });
  host = await enrolTestHost(t.app, t.clock, 'db1.example.com');
  other = await enrolTestHost(t.app, t.clock, 'web1.example.com');
  const admin = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'] });
  // Whose account asks, where only administrators may approve.
  const owner = await signInTestPerson(t.app, provider, t.clock, 'alice');
  const bob = await signInTestPerson(t.app, provider, t.clock, 'bob');
  // Somebody else whom the identity provider calls alice, too.
  const claimant = await signInTestPerson(t.app, provider, t.clock, 'alice', { subject: 'another alice' });
  const nobody = await testStranger(t.app, provider, t.clock);
  people = { bob, owner, claimant, nobody };

  const sign = async (person: TestPerson, challenge: ChallengeAnswer) => {
    const { data } = await person.query<Approval>('challenges.get', { code: challenge.userCode });
    return person.passkey.assert(data.passkey!.options as never) as unknown as { id: string; rawId: string };
  };
  // An approval by somebody who may, of another request.
  const earlier = await host.create();
  const used = await sign(admin, earlier);
  const approved = await admin.mutate('challenges.approve', { challengeId: earlier.challengeId, assertion: used });
  assert.equal(approved.refusal, null);
  const owners = await sign(owner, await other.create());
  const own = await sign(bob, await other.create(other.record({ user: 'bob' })));
  assertions = {
    none: null,
    used,
    'of the owner': owners,
    own,
    'own, renamed': { ...own, id: used.id, rawId: used.rawId },
  };
});
after(async () => {
  await t?.close();
  await rm(policyPath, { force: true });
});

const rowOf = (challengeId: string) =>
  kysely(t.app.db.query).selectFrom('challenges').selectAll().where('id', '=', challengeId).executeTakeFirstOrThrow();

async function assertionOf(by: Actor, { challengeId }: ChallengeAnswer, kind: Assertion): Promise<object | null> {
  if (kind !== 'made for it') return assertions[kind];
  const row = await rowOf(challengeId);
  const challenge = decisionChallenge({
    v: 1,
    purpose: 'approve',
    decision: 'approved',
    requestHash: row.request_hash,
    challengeId,
    approver: { issuer: 'https://idp.example.com', subject: SUBJECTS[by] },
    policyVersion: row.policy_version,
    grace: 0,
    expiresAt: row.expires_at,
  });
  return people[by].passkey.assert({ challenge, rpId: 'identree.example.com' });
}

interface Call {
  by: Actor;
  what: string;
  assertion: Assertion;
}

const CALLS: Record<
  string,
  (person: TestPerson, target: ChallengeAnswer, assertion: object | null) => Promise<unknown>
> = {
  approve: (person, { challengeId }, assertion) =>
    person.mutate('challenges.approve', { challengeId, assertion, confirmTruncated: true }),
  get: (person, { userCode }) => person.query('challenges.get', { code: userCode }),
  page: (person, { userCode }) =>
    t.app.http.inject({ url: `/approve/${userCode}`, headers: { cookie: person.cookie } }),
  'add a passkey': async (person, _, assertion) => {
    const creation = await person.mutate('passkeys.registrationOptions', { assertion });
    if (creation.refusal !== null) return;
    const response = person.passkey.register(creation.data as never);
    await person.mutate('passkeys.register', { name: 'another', response });
  },
  'make a recovery code': async (person) => {
    const everybody = await kysely(t.app.db.query).selectFrom('people').select('id').execute();
    for (const { id } of everybody.slice(0, 2)) await person.mutate('people.createRecoveryCode', { personId: id });
  },
  'another host reports': (_, { challengeId }) =>
    other.send('POST', `/challenges/${challengeId}/outcome`, { outcome: 'granted', detail: null }),
  'another host polls': (_, { challengeId }) => other.send('GET', `/challenges/${challengeId}?wait=0`),
  'another host cancels': (_, { challengeId }) => other.send('DELETE', `/challenges/${challengeId}`),
  'the same record again': async (_, { challengeId }) => {
    const { record } = await rowOf(challengeId);
    await other.send('POST', '/challenges', other.createBody(JSON.parse(record)));
  },
  'by GET': (person, { challengeId }) => person.query('challenges.approve', { challengeId, assertion: null }),
  'as a batch': (person, { challengeId }, assertion) =>
    t.app.http.inject({
      method: 'POST',
      url: '/trpc/me.get,challenges.approve?batch=1',
      headers: { cookie: person.cookie, origin: t.config.externalUrl, 'x-csrf-token': person.csrf },
      payload: { 0: {}, 1: { challengeId, assertion, confirmTruncated: true } },
    }),
};

const call: fc.Arbitrary<Call> = fc.record({
  by: fc.constantFrom(...PEOPLE),
  what: fc.constantFrom('approve', ...Object.keys(CALLS)),
  assertion: fc.constantFrom(...ASSERTIONS),
});

test('no sequence of calls by people without the right yields an approval', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 12 }), async (calls) => {
      // A new minute, so that no limit does the work of a guard.
      t.clock.advance(61_000);
      const target = await host.create();
      for (const { by, what, assertion } of calls) {
        await CALLS[what]!(people[by], target, await assertionOf(by, target, assertion));
      }
      const { status, verdict, outcome } = await rowOf(target.challengeId);
      assert.deepEqual({ status, verdict, outcome }, { status: 'pending', verdict: null, outcome: null });
      await host.send('DELETE', `/challenges/${target.challengeId}`);
    }),
    {
      numRuns: process.env.IDENTREE_LONG === '1' ? 500 : 40,
      // Whatever chance leaves out: each of them, straight away, with what an approver would send.
      examples: PEOPLE.map((by) => [[{ by, what: 'approve', assertion: 'made for it' }]]),
    },
  );
  const approvals = (await t.app.events.read(0, 100_000)).filter(({ event }) => event === 'challenge_approved');
  assert.equal(approvals.length, 1, 'the one by the administrator');
  assert.equal(await checkChain(t.app.db.query), null);
});
