import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DecisionDocument } from '#shared/decision.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestSite } from '../testing/test-site.ts';
import type { AssertionResponse } from './assertion-response.ts';

// The threat: an assertion that was good once is sent again, or an authenticator was copied.

const document: DecisionDocument = {
  v: 1,
  purpose: 'approve',
  decision: 'approved',
  requestHash: 'R'.repeat(43),
  challengeId: 'c'.repeat(32),
  approver: { issuer: 'https://idp.test', subject: 'subject of alice' },
  policyVersion: 'P'.repeat(43),
  grace: 0,
  expiresAt: 1_800_000_100_000,
};

forEachDriver('an assertion', (driver) => {
  async function prepare(t: TestContext, more: { counts?: boolean; backupEligible?: boolean } = {}) {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    const passkey = await browser.firstPasskey(site.authenticator(more));
    const person = await kysely(site.db.query).selectFrom('people').selectAll().executeTakeFirstOrThrow();
    const options = await site.app.approvals.approvalOptions(site.db.query, person.id, document);
    const verify = (assertion: AssertionResponse) =>
      site.db.transaction((work) => site.app.approvals.verifyApproval(work, { person, document, assertion }));
    return { site, browser, passkey, options, verify };
  }

  test('of a counting authenticator approves once', async (t) => {
    const { passkey, options, verify } = await prepare(t);
    const assertion = passkey.assert(options);
    assert.equal((await verify(assertion)).ok, true);
    assert.equal((await verify(assertion)).ok, false);
    assert.equal((await verify(passkey.assert(options))).ok, true, 'a new one of the same passkey is good');
  });

  test('sent many times at once approves once', async (t) => {
    const { site, passkey, options, verify } = await prepare(t);
    const assertion = passkey.assert(options);
    const results = await Promise.all([1, 2, 3, 4, 5].map(() => verify(assertion)));
    assert.equal(results.filter(({ ok }) => ok).length, 1);
    assert.deepEqual(site.problems, []);
  });

  test('sent again while the first one is being decided waits for it, and is refused', async (t) => {
    const { site, passkey, options, verify } = await prepare(t);
    const person = await kysely(site.db.query).selectFrom('people').selectAll().executeTakeFirstOrThrow();
    const assertion = passkey.assert(options);
    let second: ReturnType<typeof verify> | undefined;
    const first = await site.db.transaction(async (work) => {
      const result = await site.app.approvals.verifyApproval(work, { person, document, assertion });
      second = verify(assertion);
      await new Promise((resolve) => setTimeout(resolve, 150));
      return result;
    });
    assert.equal(first.ok, true);
    assert.equal((await second)?.ok, false);
  });

  test('of a copied authenticator, whose counter lags behind, is refused', async (t) => {
    const { passkey, options, verify } = await prepare(t);
    for (let i = 0; i < 3; i++) assert.equal((await verify(passkey.assert(options))).ok, true);
    for (const signCount of [0, 1, 3]) {
      assert.equal((await verify(passkey.assert(options, { signCount }))).ok, false, String(signCount));
    }
    assert.equal((await verify(passkey.assert(options, { signCount: 1000 }))).ok, true);
  });

  test('of a synced passkey, which has no counter, is accepted; its state of backup is noted', async (t) => {
    const { site, passkey, options, verify } = await prepare(t, { counts: false, backupEligible: true });
    assert.equal((await verify(passkey.assert(options, { backedUp: false }))).ok, true);
    const row = await kysely(site.db.query).selectFrom('passkeys').selectAll().executeTakeFirstOrThrow();
    assert.deepEqual([row.backup_eligible, row.backed_up, row.last_used_at], [1, 0, site.clock.now()]);
    assert.equal((await verify(passkey.assert(options))).ok, true);
  });

  test('whose use is rolled back can be used for the next try', async (t) => {
    const { site, passkey, options } = await prepare(t);
    const person = await kysely(site.db.query).selectFrom('people').selectAll().executeTakeFirstOrThrow();
    const assertion = passkey.assert(options);
    const attempt = site.db.transaction(async (work) => {
      assert.equal((await site.app.approvals.verifyApproval(work, { person, document, assertion })).ok, true);
      throw new Error('the decision failed');
    });
    await assert.rejects(attempt);
    const result = await site.db.transaction((work) =>
      site.app.approvals.verifyApproval(work, { person, document, assertion }),
    );
    assert.equal(result.ok, true);
  });

  test('that vouched for one passkey does not vouch for the next one', async (t) => {
    const { site, browser, passkey } = await prepare(t, { counts: false });
    const request = await browser.mutate('passkeys.additionOptions');
    const assertion = passkey.assert(request.data as never);
    assert.equal((await browser.mutate('passkeys.registrationOptions', { assertion })).refusal, null);
    assert.equal((await browser.mutate('passkeys.registrationOptions', { assertion })).refusal, 'passkey_rejected');
    const races = await browser.mutate('passkeys.additionOptions');
    const one = passkey.assert(races.data as never);
    const answers = await Promise.all(
      [1, 2, 3].map(() => browser.mutate('passkeys.registrationOptions', { assertion: one })),
    );
    assert.equal(answers.filter(({ refusal }) => refusal === null).length, 1);
    assert.deepEqual(site.problems, []);
  });

  test('that removed one passkey removes no other one later', async (t) => {
    const { browser, passkey } = await prepare(t, { counts: false });
    const second = await browser.addPasskey(passkey);
    await browser.addPasskey(passkey);
    const removal = await browser.mutate('passkeys.removalOptions', { credentialId: second.credentialId });
    const input = { credentialId: second.credentialId, assertion: passkey.assert(removal.data as never) };
    assert.equal((await browser.mutate('passkeys.remove', input)).refusal, null);
    assert.equal((await browser.mutate('passkeys.remove', input)).refusal, 'passkey_rejected');
    assert.equal((await browser.me())?.passkeys, 2);
  });

  test('of a registration registers once', async (t) => {
    const { site, browser, passkey } = await prepare(t);
    const request = await browser.mutate('passkeys.additionOptions');
    const creation = await browser.mutate('passkeys.registrationOptions', {
      assertion: passkey.assert(request.data as never),
    });
    const response = site.authenticator().register(creation.data as never);
    assert.equal((await browser.mutate('passkeys.register', { name: 'x', response })).refusal, null);
    assert.equal((await browser.mutate('passkeys.register', { name: 'x', response })).refusal, 'passkey_rejected');
  });
});
