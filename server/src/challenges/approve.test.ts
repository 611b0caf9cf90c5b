import assert from 'node:assert/strict';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { verifyApprovalBundle } from '#shared/approval-bundle.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { readApproverKeySet, verifyVerdict } from '#shared/verify-verdict.ts';
import { kysely } from '../db/query.ts';
import { checkChain, readChallengeEvents } from '../events/store.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';
import type { Approval } from './showing.ts';

const policyPath = join(tmpdir(), `identree-approve-${process.pid}.json`);
const provider = createTestProvider();
let t: TestApp;
let host: TestHost;
let alice: TestPerson;
let bob: TestPerson;
let admin: TestPerson;

async function policy(policies: object[]): Promise<void> {
  await writeFile(policyPath, JSON.stringify({ policies }), { mode: 0o600 });
  await chmod(policyPath, 0o600);
}

before(async () => {
  await policy([]);
  t = await createTestApp({ config: { policiesFile: policyPath }, app: { provider } });
  // Overdue requests are ended, as on a server that runs.
  await t.app.start();
  host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
  alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
  bob = await signInTestPerson(t.app, provider, t.clock, 'bob');
  admin = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'] });
});
beforeEach(async () => {
  // A new minute for every limit, and nobody idle for long.
  t.clock.advance(61_000);
  await policy([]);
});
after(async () => {
  await t.close();
  await rm(policyPath, { force: true });
});

const look = (person: TestPerson, challenge: ChallengeAnswer) =>
  person.query<Approval>('challenges.get', { code: challenge.userCode });

/** Approves as a person in front of the page would. */
async function approve(person: TestPerson, challenge: ChallengeAnswer, more: object = {}) {
  const { data } = await look(person, challenge);
  const assertion = data?.passkey ? person.passkey.assert(data.passkey.options as never) : undefined;
  return person.mutate('challenges.approve', { challengeId: challenge.challengeId, assertion, ...more });
}

const statusOf = async (challenge: ChallengeAnswer) =>
  (await host.send('GET', `/challenges/${challenge.challengeId}?wait=0`)).body as unknown as ChallengeAnswer;

describe('approving', () => {
  test('the host gets a verdict that it can verify down to the passkey, and the event says who and what', async () => {
    const record = host.record({ argv: ['sudo', 'systemctl', 'restart', 'nginx'] });
    const challenge = await host.create(record);
    assert.equal((await approve(alice, challenge)).refusal, null);
    const answer = await statusOf(challenge);
    const trust = { ...t.app.trust };
    const keys = await readApproverKeySet(String(answer.approverKeys), trust, 0);
    assert.ok(keys.ok);
    const judged = await verifyVerdict({
      token: String(answer.verdict),
      record,
      challengeId: challenge.challengeId,
      trust,
      approverKeys: keys.set,
      minimumClass: 'passkey',
      now: t.clock.now(),
    });
    assert.ok(judged.ok, JSON.stringify(judged));
    assert.equal(judged.verdict.decision, 'approved');
    assert.equal(judged.verdict.class, 'passkey');
    assert.equal(judged.verdict.approvers[0]?.username, 'alice');
    const events = await readChallengeEvents(t.app.db.query, challenge.challengeId);
    assert.deepEqual(
      events.map(({ event }) => event),
      ['challenge_created', 'challenge_approved'],
    );
    assert.equal(events[1]!.data.command, 'sudo systemctl restart nginx');
    assert.equal(events[1]!.actor, 'alice');
  });

  test('one approval, one request: the twin still waits', async () => {
    const first = await host.create(host.record());
    const second = await host.create(host.record());
    await approve(alice, first);
    assert.equal((await statusOf(first)).status, 'approved');
    assert.equal((await statusOf(second)).status, 'pending');
  });

  test('without the passkey it is refused, and the attempt is an event', async () => {
    const challenge = await host.create();
    const tried = await alice.mutate('challenges.approve', { challengeId: challenge.challengeId });
    assert.equal(tried.refusal, 'passkey_required');
    assert.equal((await statusOf(challenge)).status, 'pending');
    const events = await readChallengeEvents(t.app.db.query, challenge.challengeId);
    assert.deepEqual(events.at(-1)?.event, 'decision_refused');
    assert.equal(events.at(-1)?.data.refusal, 'passkey_required');
  });

  test('an assertion for one request approves no other', async () => {
    const first = await host.create();
    const second = await host.create();
    const { data } = await look(alice, first);
    const assertion = alice.passkey.assert(data.passkey!.options as never);
    const tried = await alice.mutate('challenges.approve', { challengeId: second.challengeId, assertion });
    assert.equal(tried.refusal, 'passkey_rejected');
    assert.equal((await statusOf(second)).status, 'pending');
  });

  test('an assertion that was used is not used again', async () => {
    const challenge = await host.create();
    const { data } = await look(alice, challenge);
    const assertion = alice.passkey.assert(data.passkey!.options as never);
    const input = { challengeId: challenge.challengeId, assertion };
    assert.equal((await alice.mutate('challenges.approve', input)).refusal, null);
    assert.notEqual((await alice.mutate('challenges.approve', input)).refusal, null);
  });

  test("somebody else's request cannot be seen, approved or denied", async () => {
    const challenge = await host.create();
    assert.equal((await look(bob, challenge)).refusal, 'not_found');
    assert.equal((await bob.mutate('challenges.approve', { challengeId: challenge.challengeId })).refusal, 'not_found');
    assert.equal((await bob.mutate('challenges.deny', { challengeId: challenge.challengeId })).refusal, 'not_found');
    assert.deepEqual((await bob.query('challenges.inbox')).data, []);
    assert.equal((await statusOf(challenge)).status, 'pending');
  });

  test("another person's passkey does not approve, even in an administrator's session", async () => {
    const challenge = await host.create();
    const { data } = await look(admin, challenge);
    const assertion = alice.passkey.assert(data.passkey!.options as never);
    const tried = await admin.mutate('challenges.approve', { challengeId: challenge.challengeId, assertion });
    assert.equal(tried.refusal, 'passkey_rejected');
    assert.equal((await approve(admin, challenge)).refusal, null);
  });

  test('twenty approvals at once: exactly one counts', async () => {
    await policy([{ name: 'default', approval: 'session' }]);
    const challenge = await host.create();
    const tries = await Promise.all(
      Array.from({ length: 20 }, () => alice.mutate('challenges.approve', { challengeId: challenge.challengeId })),
    );
    assert.equal(tries.filter(({ refusal }) => refusal === null).length, 1);
    const events = await readChallengeEvents(t.app.db.query, challenge.challengeId);
    assert.equal(events.filter(({ event }) => event === 'challenge_approved').length, 1);
  });

  test('a truncated command needs the second confirmation', async () => {
    const challenge = await host.create(host.record({ argvTruncated: true }));
    assert.equal((await approve(alice, challenge)).refusal, 'confirm_truncated');
    assert.equal((await approve(alice, challenge, { confirmTruncated: true })).refusal, null);
  });

  test('too late is too late', async () => {
    const challenge = await host.create();
    const { data } = await look(alice, challenge);
    t.clock.advance(39_000);
    await statusOf(challenge);
    t.clock.advance(39_000);
    await statusOf(challenge);
    t.clock.advance(39_000);
    await statusOf(challenge);
    t.clock.advance(3_000);
    const assertion = alice.passkey.assert(data.passkey!.options as never);
    const tried = await alice.mutate('challenges.approve', { challengeId: challenge.challengeId, assertion });
    assert.equal(tried.refusal, 'expired');
  });
});

describe('policy', () => {
  test('only administrators where it says so', async () => {
    await policy([{ name: 'default', approval: 'passkey', require_admin: true }]);
    const challenge = await host.create();
    assert.equal((await look(alice, challenge)).data.view.approveRefusal, 'not_an_approver');
    assert.equal((await approve(alice, challenge)).refusal, 'not_an_approver');
    assert.equal((await approve(admin, challenge)).refusal, null);
  });

  test('nobody is asked where it says none', async () => {
    await policy([{ name: 'lab', match_hosts: ['web*'], approval: 'none' }]);
    const answer = await host.create();
    assert.equal(answer.status, 'approved');
    const events = await readChallengeEvents(t.app.db.query, answer.challengeId);
    assert.deepEqual(
      events.map(({ event }) => event),
      ['auto_approved'],
    );
  });

  test('a policy that became stricter while the request waited counts', async () => {
    await policy([{ name: 'default', approval: 'session' }]);
    const challenge = await host.create();
    await policy([{ name: 'default', approval: 'passkey' }]);
    const tried = await alice.mutate('challenges.approve', { challengeId: challenge.challengeId });
    assert.equal(tried.refusal, 'passkey_required');
    assert.equal((await approve(alice, challenge)).refusal, null);
  });

  test('a policy that became looser while the request waited does not', async () => {
    const challenge = await host.create();
    await policy([{ name: 'default', approval: 'session' }]);
    const tried = await alice.mutate('challenges.approve', { challengeId: challenge.challengeId });
    assert.equal(tried.refusal, 'passkey_required');
  });

  test('a policy that cannot be read: nothing is created, nothing is decided, health says so', async () => {
    const challenge = await host.create();
    await writeFile(policyPath, '{"policies": [');
    assert.equal((await approve(alice, challenge)).refusal, 'policy_broken');
    const refused = await host.send('POST', '/challenges', host.createBody());
    assert.equal(refused.body.error?.code, 'policy_broken');
    const health = await t.app.http.inject('/healthz');
    assert.equal(health.statusCode, 503);
    assert.equal(health.json().checks.policy, 'broken');
  });
});

describe('whoever lost the right has lost it at once', () => {
  test('a session that was ended while the page was open approves nothing', async () => {
    const guest = await signInTestPerson(t.app, provider, t.clock, 'gina');
    const challenge = await host.create(host.record({ user: 'gina' }));
    const { data } = await look(guest, challenge);
    const assertion = guest.passkey.assert(data.passkey!.options as never);
    await t.app.db.transaction(async (work) => {
      await kysely(work.query).updateTable('people').set({ epoch: 1 }).where('username', '=', 'gina').execute();
    });
    const tried = await guest.mutate('challenges.approve', { challengeId: challenge.challengeId, assertion });
    assert.equal(tried.status, 401);
    assert.equal((await statusOf(challenge)).status, 'pending');
  });

  test('an account that went to somebody else is no longer the first one’s to approve', async () => {
    const first = await signInTestPerson(t.app, provider, t.clock, 'hugo');
    const second = await signInTestPerson(t.app, provider, t.clock, 'hugo', { subject: 'another hugo' });
    const challenge = await host.create(host.record({ user: 'hugo' }));
    assert.equal((await look(second, challenge)).refusal, 'not_found');
    const rows = await kysely(t.app.db.query)
      .selectFrom('people')
      .select(['id'])
      .where('subject', '=', 'another hugo')
      .execute();
    await t.app.db.transaction(async (work) => {
      await kysely(work.query)
        .updateTable('account_bindings')
        .set({ person_id: rows[0]!.id })
        .where('account', '=', 'hugo')
        .execute();
    });
    assert.equal((await look(first, challenge)).refusal, 'not_found');
    assert.equal((await approve(second, challenge)).refusal, null);
  });
});

describe('forged requests of a browser', () => {
  test('a decision without our token, or from another site, is refused', async () => {
    const challenge = await host.create();
    const input = { challengeId: challenge.challengeId };
    const own = { origin: t.config.externalUrl, 'sec-fetch-site': 'same-origin', 'x-csrf-token': alice.csrf };
    for (const forged of [
      { 'x-csrf-token': 'x' },
      { origin: 'https://evil.example.com' },
      { 'sec-fetch-site': 'cross-site' },
    ])
      assert.equal((await alice.browser.mutate('challenges.deny', input, { ...own, ...forged })).status, 403);
    assert.equal((await statusOf(challenge)).status, 'pending');
  });

  test('nothing changes by GET', async () => {
    const challenge = await host.create();
    const tried = await alice.query('challenges.deny', { challengeId: challenge.challengeId });
    assert.equal(tried.status, 405);
    assert.equal((await statusOf(challenge)).status, 'pending');
  });
});

test('denying needs no passkey, and the reason reaches the host without control characters', async () => {
  const challenge = await host.create();
  const bad = await alice.mutate('challenges.deny', { challengeId: challenge.challengeId, reason: 'a\u0000b' });
  assert.equal(bad.status, 400);
  await alice.mutate('challenges.deny', { challengeId: challenge.challengeId, reason: 'not now' });
  const answer = await statusOf(challenge);
  const payload = JSON.parse(Buffer.from(String(answer.verdict).split('.')[1]!, 'base64url').toString('utf8'));
  assert.equal(payload.decision, 'denied');
  assert.equal(payload.reason, 'not now');
  assert.equal(payload.approvers[0].username, 'alice');
});

test('exported evidence stands on its own, and every altered byte of it is noticed', async () => {
  const record = host.record();
  const challenge = await host.create(record);
  await approve(alice, challenge);
  const answer = await statusOf(challenge);
  const events = await readChallengeEvents(t.app.db.query, challenge.challengeId);
  const bundle = {
    v: 1 as const,
    challengeId: challenge.challengeId,
    record,
    verdict: String(answer.verdict),
    approverKeys: String(answer.approverKeys),
    events,
    claimed: t.app.trust,
  };
  assert.ok((await verifyApprovalBundle(bundle, t.app.trust)).ok);
  const other = { ...record, argv: ['sudo', 'rm', '-rf', '/'] };
  assert.equal((await verifyApprovalBundle({ ...bundle, record: other }, t.app.trust)).ok, false);
  const altered = events.map((event, i) => (i === 1 ? { ...event, actor: 'bob' } : event));
  assert.equal((await verifyApprovalBundle({ ...bundle, events: altered }, t.app.trust)).ok, false);
  const flipped = `${bundle.verdict.slice(0, -2)}${bundle.verdict.endsWith('AA') ? 'BB' : 'AA'}`;
  assert.equal((await verifyApprovalBundle({ ...bundle, verdict: flipped }, t.app.trust)).ok, false);
});

test('after all of this the event chain is whole', async () => {
  assert.equal(await checkChain(t.app.db.query), null);
});
