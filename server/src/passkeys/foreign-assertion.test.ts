import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DecisionDocument } from '#shared/decision.ts';
import type { Deviation } from '#shared/testing/authenticator.ts';
import { kysely } from '../db/query.ts';
import { createTestSite, type TestSite } from '../testing/test-site.ts';
import type { AssertionResponse } from './assertion-response.ts';

// The threat: a real assertion, made by a real passkey, but by somebody else, for something else or somewhere else.

const hash = (letter: string) => letter.repeat(43);

function documentFor(username: string, change: Partial<DecisionDocument> = {}): DecisionDocument {
  return {
    v: 1,
    purpose: 'approve',
    decision: 'approved',
    requestHash: hash('R'),
    challengeId: 'c'.repeat(32),
    approver: { issuer: 'https://idp.test', subject: `subject of ${username}` },
    policyVersion: hash('P'),
    grace: 0,
    expiresAt: 1_800_000_100_000,
    ...change,
  };
}

async function withPasskeys(t: TestContext) {
  const site = await createTestSite(t);
  const [alice, bob] = [site.browser(), site.browser()];
  await alice.signInFresh('alice');
  await bob.signInFresh('bob');
  return { site, alice, bob, hers: await alice.firstPasskey(), his: await bob.firstPasskey() };
}

async function verify(site: TestSite, username: string, document: DecisionDocument, assertion: AssertionResponse) {
  const person = await kysely(site.db.query)
    .selectFrom('people')
    .selectAll()
    .where('username', '=', username)
    .executeTakeFirstOrThrow();
  return site.db.transaction((work) => site.app.approvals.verifyApproval(work, { person, document, assertion }));
}

const optionsFor = async (site: TestSite, username: string, document: DecisionDocument) =>
  site.app.approvals.approvalOptions(site.db.query, await site.personId(username), document);

test('the owner’s assertion over this document is evidence that hosts accept', async (t) => {
  const { site, hers } = await withPasskeys(t);
  const document = documentFor('alice');
  const options = await optionsFor(site, 'alice', document);
  assert.deepEqual(
    options.allowCredentials?.map(({ id }) => id),
    [hers.credentialId],
  );
  assert.equal(options.userVerification, 'required');
  const result = await verify(site, 'alice', document, hers.assert(options));
  assert.ok(result.ok);
  assert.deepEqual(result.evidence.document, document);
  assert.equal(result.evidence.credentialId, hers.credentialId);
  assert.equal(result.passkeyName, 'first');
});

test('somebody else’s passkey does not approve', async (t) => {
  const { site, his, hers } = await withPasskeys(t);
  const document = documentFor('alice');
  const options = await optionsFor(site, 'alice', document);
  assert.equal((await verify(site, 'alice', document, his.assert(options))).ok, false);
  assert.equal(
    (await verify(site, 'alice', document, his.assert(options, { credentialId: hers.credentialId }))).ok,
    false,
  );
  assert.equal((await verify(site, 'alice', document, his.assert(options, { userHandle: null }))).ok, false);
  const bobs = documentFor('bob');
  assert.equal((await verify(site, 'bob', bobs, hers.assert(await optionsFor(site, 'bob', bobs)))).ok, false);
});

test('a document that names another approver is refused, whoever signed it', async (t) => {
  const { site, hers } = await withPasskeys(t);
  const document = documentFor('bob');
  assert.equal(
    (await verify(site, 'alice', document, hers.assert(await optionsFor(site, 'alice', document)))).ok,
    false,
  );
});

const OTHERS: [string, Partial<DecisionDocument>][] = [
  ['another request', { requestHash: hash('S') }],
  ['another challenge', { challengeId: 'd'.repeat(32) }],
  ['another policy', { policyVersion: hash('Q') }],
  ['another grace', { grace: 300 }],
  ['another expiry', { expiresAt: 1_800_000_100_001 }],
];
for (const [what, change] of OTHERS) {
  test(`an assertion over ${what} does not approve this one`, async (t) => {
    const { site, hers } = await withPasskeys(t);
    const assertion = hers.assert(await optionsFor(site, 'alice', documentFor('alice', change)));
    const result = await verify(site, 'alice', documentFor('alice'), assertion);
    assert.deepEqual([result.ok, !result.ok && result.refusal], [false, 'passkey_rejected']);
  });
}

const DEVIATIONS: [string, Deviation][] = [
  ['made on another origin', { origin: 'https://evil.test' }],
  ['made on a sister domain', { origin: 'https://other.identree.test' }],
  ['made on plain http', { origin: 'http://identree.test' }],
  ['made on another port', { origin: 'https://identree.test:8443' }],
  ['made for another RP ID', { rpId: 'evil.test' }],
  ['made for the parent domain', { rpId: 'test' }],
  ['made in a frame of another site', { crossOrigin: true }],
  ['of a registration', { type: 'webauthn.create' }],
  ['without user verification', { userVerified: false }],
  ['without user presence', { userPresent: false }],
  ['with the user handle of somebody else', { userHandle: 'bm9ib2R5' }],
  ['by a credential that has become a synced one', { backupEligible: true }],
];
for (const [what, deviation] of DEVIATIONS) {
  test(`an assertion ${what} does not approve`, async (t) => {
    const { site, hers } = await withPasskeys(t);
    const document = documentFor('alice');
    const assertion = hers.assert(await optionsFor(site, 'alice', document), deviation);
    assert.equal((await verify(site, 'alice', document, assertion)).ok, false);
  });
}

test('an assertion whose parts were exchanged does not approve', async (t) => {
  const { site, hers } = await withPasskeys(t);
  const document = documentFor('alice');
  const options = await optionsFor(site, 'alice', document);
  const [one, other] = [hers.assert(options), hers.assert({ ...options, challenge: hash('X') })];
  for (const part of ['clientDataJSON', 'authenticatorData', 'signature'] as const) {
    const mixed = { ...one, response: { ...one.response, [part]: other.response[part] } };
    assert.equal((await verify(site, 'alice', document, mixed)).ok, false, part);
  }
  const renamed = { ...one, rawId: 'AAAA' };
  assert.equal((await verify(site, 'alice', document, renamed)).ok, false);
});

test('an assertion for managing passkeys does not approve, and the other way round', async (t) => {
  const { site, alice, hers } = await withPasskeys(t);
  const managing = (await alice.mutate('passkeys.additionOptions')).data as never;
  assert.equal((await verify(site, 'alice', documentFor('alice'), hers.assert(managing))).ok, false);
  const approving = hers.assert(await optionsFor(site, 'alice', documentFor('alice')));
  assert.equal(
    (await alice.mutate('passkeys.registrationOptions', { assertion: approving })).refusal,
    'passkey_rejected',
  );
});

test('an answer to one kind of ceremony does not end another kind', async (t) => {
  const { site, alice, hers } = await withPasskeys(t);
  const adding = (await alice.mutate('passkeys.additionOptions')).data as { challenge: string };
  const creation = await alice.mutate('passkeys.registrationOptions', { assertion: hers.assert(adding as never) });
  const vouched = creation.data as { challenge: string };
  // An assertion over the challenge of a registration.
  const assertion = hers.assert({ ...adding, challenge: vouched.challenge } as never);
  assert.equal((await alice.mutate('passkeys.registrationOptions', { assertion })).refusal, 'passkey_rejected');
  // A registration over the challenge of an assertion.
  const another = (await alice.mutate('passkeys.additionOptions')).data as { challenge: string };
  const response = site.authenticator().register({ ...vouched, challenge: another.challenge } as never);
  assert.equal((await alice.mutate('passkeys.register', { name: 'x', response })).refusal, 'passkey_rejected');
  assert.equal((await alice.me())?.passkeys, 1);
});

test('an assertion for adding does not remove, and one for removing does not remove another one', async (t) => {
  const { alice, hers } = await withPasskeys(t);
  const second = await alice.addPasskey(hers);
  const third = await alice.addPasskey(hers);
  const adding = hers.assert((await alice.mutate('passkeys.additionOptions')).data as never);
  const remove = (credentialId: string, assertion: AssertionResponse) =>
    alice.mutate('passkeys.remove', { credentialId, assertion });
  assert.equal((await remove(second.credentialId, adding)).refusal, 'passkey_rejected');
  const removal = await alice.mutate('passkeys.removalOptions', { credentialId: second.credentialId });
  const removing = hers.assert(removal.data as never);
  assert.equal((await remove(third.credentialId, removing)).refusal, 'passkey_rejected');
  const again = await alice.mutate('passkeys.removalOptions', { credentialId: second.credentialId });
  const assertion = hers.assert(again.data as never);
  assert.equal((await alice.mutate('passkeys.registrationOptions', { assertion })).refusal, 'passkey_rejected');
  assert.equal((await alice.me())?.passkeys, 3);
});

test('a passkey that was removed approves nothing any more', async (t) => {
  const { site, alice, hers } = await withPasskeys(t);
  const second = await alice.addPasskey(hers);
  const document = documentFor('alice');
  const made = hers.assert(await optionsFor(site, 'alice', document));
  const removal = await alice.mutate('passkeys.removalOptions', { credentialId: hers.credentialId });
  await alice.mutate('passkeys.remove', {
    credentialId: hers.credentialId,
    assertion: second.assert(removal.data as never),
  });
  assert.equal((await verify(site, 'alice', document, made)).ok, false);
});

test('a key in the database that hosts were not given does not approve', async (t) => {
  const { site, hers, his } = await withPasskeys(t);
  const jwk = await kysely(site.db.query)
    .selectFrom('passkeys')
    .select('jwk')
    .where('credential_id', '=', his.credentialId)
    .executeTakeFirstOrThrow();
  // What hosts check and what the library checks differ: somebody wrote to one column.
  await site.db.transaction((work) =>
    kysely(work.query).updateTable('passkeys').set(jwk).where('credential_id', '=', hers.credentialId).execute(),
  );
  const document = documentFor('alice');
  const result = await verify(site, 'alice', document, hers.assert(await optionsFor(site, 'alice', document)));
  assert.equal(result.ok, false);
  assert.match(result.ok ? '' : result.detail, /hosts would refuse/);
});
