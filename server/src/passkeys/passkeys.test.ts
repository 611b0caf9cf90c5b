import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProtectedHeader } from 'jose';
import { readApproverKeySet } from '#shared/verify-verdict.ts';
import { createCore } from '../app/core.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { checkChain } from '../events/store.ts';
import { createTestSite, identity, ORIGIN, type TestSite } from '../testing/test-site.ts';

async function publishedKeys(site: TestSite) {
  const { token, version } = await site.app.approverKeys.current(site.db.query);
  const read = await readApproverKeySet(token, site.app.trust, version);
  assert.ok(read.ok);
  assert.equal(read.set.version, version);
  return read.set;
}

forEachDriver('passkeys', (driver) => {
  test('the first one needs a fresh sign-in, further ones an existing passkey; each change is signed for the hosts', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    assert.equal((await publishedKeys(site)).version, 1);
    const first = await browser.firstPasskey();
    const one = await publishedKeys(site);
    assert.equal(one.version, 2);
    assert.deepEqual(
      one.keys.map(({ credentialId, username, subject }) => ({ credentialId, username, subject })),
      [{ credentialId: first.credentialId, username: 'alice', subject: 'subject of alice' }],
    );
    assert.equal(one.rpId, 'identree.test');
    assert.deepEqual(one.origins, ['https://identree.test']);

    site.clock.advance(10 * 60_000);
    await browser.me();
    const second = await browser.addPasskey(first);
    assert.equal((await publishedKeys(site)).keys.length, 2);

    const options = await browser.mutate('passkeys.removalOptions', { credentialId: first.credentialId });
    const assertion = second.assert(options.data as never);
    assert.equal(
      (await browser.mutate('passkeys.remove', { credentialId: first.credentialId, assertion })).refusal,
      null,
    );
    const last = await publishedKeys(site);
    assert.equal(last.version, 4);
    assert.deepEqual(
      last.keys.map(({ credentialId }) => credentialId),
      [second.credentialId],
    );
    assert.deepEqual(
      (await site.eventNames()).filter((name) => name.startsWith('passkey')),
      ['passkey_added', 'passkey_added', 'passkey_removed'],
    );
    assert.equal(await checkChain(site.db.query), null);
    assert.deepEqual(site.problems, []);
  });

  test('can be renamed by their owner alone', async (t) => {
    const site = await createTestSite(t, { driver });
    const [alice, bob] = [site.browser(), site.browser()];
    await alice.signInFresh('alice');
    const { credentialId } = await alice.firstPasskey();
    await bob.signInFresh('bob');
    assert.equal((await bob.mutate('passkeys.rename', { credentialId, name: 'mine' })).refusal, 'not_found');
    assert.equal((await alice.mutate('passkeys.rename', { credentialId, name: ' Blue key ' })).refusal, null);
    const { passkeys } = (await alice.query('passkeys.list')).data as { passkeys: { name: string }[] };
    assert.equal(passkeys[0]?.name, 'Blue key');
    for (const name of ['', '   ', 'a'.repeat(65), 'a\u202eb', 'a\nb']) {
      assert.equal((await alice.mutate('passkeys.rename', { credentialId, name })).status, 400, JSON.stringify(name));
    }
    assert.equal((await site.eventsNamed('passkey_renamed')).length, 1);
  });

  test('the last one cannot be removed', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    const first = await browser.firstPasskey();
    assert.equal(
      (await browser.mutate('passkeys.removalOptions', { credentialId: first.credentialId })).refusal,
      'passkey_last',
    );
    const second = await browser.addPasskey(first);
    // Both begun while there were two.
    const one = await browser.mutate('passkeys.removalOptions', { credentialId: first.credentialId });
    const two = await browser.mutate('passkeys.removalOptions', { credentialId: second.credentialId });
    const removals = [
      await browser.mutate('passkeys.remove', {
        credentialId: first.credentialId,
        assertion: second.assert(one.data as never),
      }),
      await browser.mutate('passkeys.remove', {
        credentialId: second.credentialId,
        assertion: second.assert(two.data as never),
      }),
    ];
    assert.deepEqual(
      removals.map(({ refusal }) => refusal),
      [null, 'passkey_last'],
    );
    assert.equal((await publishedKeys(site)).keys.length, 1);
  });

  test('two removals at once leave one', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    const first = await browser.firstPasskey();
    const second = await browser.addPasskey(first);
    const one = await browser.mutate('passkeys.removalOptions', { credentialId: first.credentialId });
    const two = await browser.mutate('passkeys.removalOptions', { credentialId: second.credentialId });
    await Promise.all([
      browser.mutate('passkeys.remove', {
        credentialId: first.credentialId,
        assertion: second.assert(one.data as never),
      }),
      browser.mutate('passkeys.remove', {
        credentialId: second.credentialId,
        assertion: first.assert(two.data as never),
      }),
    ]);
    assert.equal((await publishedKeys(site)).keys.length, 1);
    assert.deepEqual(site.problems, []);
  });

  test('a credential that is registered already is refused, also for somebody else', async (t) => {
    const site = await createTestSite(t, { driver });
    const [alice, bob] = [site.browser(), site.browser()];
    await alice.signInFresh('alice');
    const passkey = await alice.firstPasskey();
    await bob.signInFresh('bob');
    const options = await bob.mutate('passkeys.registrationOptions', {});
    const response = passkey.register(options.data as never);
    assert.equal((await bob.mutate('passkeys.register', { name: 'x', response })).refusal, 'passkey_exists');
    assert.deepEqual(
      (await publishedKeys(site)).keys.map(({ username }) => username),
      ['alice'],
    );
    assert.equal((await site.eventsNamed('passkey_added')).length, 1);
  });

  test('of different people added at the same time are all in the newest set', async (t) => {
    const site = await createTestSite(t, { driver });
    const names = ['anna', 'bert', 'cora', 'dirk'];
    const browsers = [];
    for (const name of names) {
      const browser = site.browser();
      await browser.signInFresh(name);
      browsers.push(browser);
    }
    await Promise.all(browsers.map((browser) => browser.firstPasskey()));
    const set = await publishedKeys(site);
    assert.equal(set.version, 5);
    assert.deepEqual(set.keys.map(({ username }) => username).sort(), names);
    assert.equal(await checkChain(site.db.query), null);
    assert.deepEqual(site.problems, []);
  });

  test('of one person, two first ones at once: one is registered', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    const answers = await Promise.all(
      [1, 2, 3].map(async () => {
        const options = await browser.mutate('passkeys.registrationOptions', {});
        return options;
      }),
    );
    const made = await Promise.all(
      answers.map((options) =>
        browser.mutate('passkeys.register', {
          name: 'x',
          response: site.authenticator().register(options.data as never),
        }),
      ),
    );
    assert.deepEqual(made.map(({ refusal }) => refusal).sort(), [null, 'passkey_required', 'passkey_required'].sort());
    assert.equal((await browser.me())?.passkeys, 1);
  });

  test('keep the person’s name of today in the signed set', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    await browser.firstPasskey();
    await browser.signIn(identity('alice.b', { subject: 'subject of alice' }), '?step_up=1');
    assert.deepEqual(
      (await publishedKeys(site)).keys.map(({ username }) => username),
      ['alice.b'],
    );
  });

  test('are not changed when the new set cannot be signed', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    const options = await browser.mutate('passkeys.registrationOptions', {});
    const response = site.authenticator().register(options.data as never);
    // The next version is taken: writing it fails, whatever the reason would be.
    await site.db.transaction((work) =>
      kysely(work.query).updateTable('approver_key_sets').set({ version: 2, token: 'x' }).execute(),
    );
    await site.db.transaction((work) =>
      kysely(work.query).insertInto('approver_key_sets').values({ version: 1, token: 'x', issued_at: 0 }).execute(),
    );
    await site.db.transaction((work) =>
      kysely(work.query).insertInto('approver_key_sets').values({ version: 3, token: 'x', issued_at: 0 }).execute(),
    );
    await site.db.transaction((work) => kysely(work.query).deleteFrom('event_head').execute());
    assert.equal((await browser.mutate('passkeys.register', { name: 'x', response })).refusal, 'internal');
    assert.deepEqual(await kysely(site.db.query).selectFrom('passkeys').selectAll().execute(), []);
  });
});

test('what the browser is asked for', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  const creation = (await browser.mutate('passkeys.registrationOptions', {})).data as Record<string, unknown>;
  assert.deepEqual(creation.rp, { id: 'identree.test', name: 'identree' });
  assert.equal(creation.attestation, 'none');
  assert.deepEqual(
    (creation.pubKeyCredParams as { alg: number }[]).map(({ alg }) => alg),
    [-7, -8, -257],
  );
  const selection = creation.authenticatorSelection as Record<string, unknown>;
  assert.equal(selection.userVerification, 'required');
  assert.equal(selection.residentKey, 'preferred');
  assert.deepEqual(creation.excludeCredentials, []);
  assert.equal(Buffer.from((creation.user as { id: string }).id, 'base64url').toString(), await site.personId('alice'));
  const first = await browser.firstPasskey();
  const request = (await browser.mutate('passkeys.additionOptions')).data as Record<string, unknown>;
  assert.equal(request.userVerification, 'required');
  assert.equal(request.rpId, 'identree.test');
  assert.deepEqual(
    (request.allowCredentials as { id: string }[]).map(({ id }) => id),
    [first.credentialId],
  );
  const next = await browser.mutate('passkeys.registrationOptions', { assertion: first.assert(request as never) });
  const excluded = (next.data as { excludeCredentials: { id: string }[] }).excludeCredentials;
  assert.deepEqual(
    excluded.map(({ id }) => id),
    [first.credentialId],
  );
});

for (const algorithm of ['EdDSA', 'RS256'] as const) {
  test(`a passkey with ${algorithm} registers, and can vouch for another one`, async (t) => {
    const site = await createTestSite(t);
    const browser = site.browser();
    await browser.signInFresh('alice');
    const passkey = await browser.firstPasskey(site.authenticator({ algorithm }));
    await browser.addPasskey(passkey);
    assert.equal((await browser.me())?.passkeys, 2);
  });
}

test('a synced passkey is allowed and said to be one', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  await browser.firstPasskey(site.authenticator({ backupEligible: true, counts: false }));
  const { passkeys } = (await browser.query('passkeys.list')).data as {
    passkeys: { synced: boolean; backedUp: boolean }[];
  };
  assert.deepEqual(
    passkeys.map(({ synced, backedUp }) => ({ synced, backedUp })),
    [{ synced: true, backedUp: true }],
  );
  assert.equal((await site.eventsNamed('passkey_added'))[0]?.data.backupEligible, true);
});

test('the signed set is a token of its own kind, by the trust root', async (t) => {
  const site = await createTestSite(t);
  const { token } = await site.app.approverKeys.current(site.db.query);
  assert.deepEqual(decodeProtectedHeader(token), {
    alg: 'EdDSA',
    typ: 'identree-approver-keys+jws',
    kid: site.app.trust.trustRoot.kid,
  });
});

test('version 1 is made once, and a server with another address publishes anew', async (t) => {
  const { app, db } = await createTestSite(t);
  const version = async () => (await app.approverKeys.current(db.query)).version;
  for (const [externalUrl, expected] of [
    [ORIGIN, 1],
    ['https://moved.test', 2],
  ] as const) {
    const again = await createCore({ ...app.config, externalUrl }, app);
    assert.equal(await version(), expected);
    await again.close();
  }
});
