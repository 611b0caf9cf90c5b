import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { systemRandom } from '../platform/random.ts';
import { createTestSite, identity } from '../testing/test-site.ts';
import { newRecoveryCode, recoveryCodeHash } from './recovery-codes.ts';

test('a code is read however people type it', () => {
  const hash = recoveryCodeHash('01ABC-DEFGH-JKMNP-QRSTV');
  for (const typed of [
    '01abc-defgh-jkmnp-qrstv',
    ' 01ABC DEFGH JKMNP QRSTV ',
    '01ABCDEFGHJKMNPQRSTV',
    'olabc-defgh-jkmnp-qrstv',
    'OIABCDEFGHJKMNPQRSTV',
  ]) {
    assert.equal(recoveryCodeHash(typed), hash, typed);
  }
  assert.notEqual(recoveryCodeHash('01ABC-DEFGH-JKMNP-QRSTW'), hash);
});

test('codes have 100 bits and look alike', () => {
  const codes = new Set(Array.from({ length: 200 }, () => newRecoveryCode(systemRandom)));
  assert.equal(codes.size, 200);
  for (const code of codes) assert.match(code, /^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/);
});

forEachDriver('a recovery code', (driver) => {
  async function lostPasskey(t: TestContext) {
    const site = await createTestSite(t, { driver });
    const [admin, alice] = [site.browser('192.0.2.1'), site.browser('192.0.2.2')];
    await admin.signInFresh('root-admin', { groups: ['admins'] });
    await alice.signInFresh('alice');
    const lost = await alice.firstPasskey();
    const personId = await site.personId('alice');
    const code = async () =>
      (await admin.mutate('people.createRecoveryCode', { personId })).data as { code: string; expiresAt: number };
    return { site, admin, alice, lost, personId, code };
  }

  test('with a fresh sign-in removes the lost passkeys and adds the new one, all in one step', async (t) => {
    const { site, alice, lost, code } = await lostPasskey(t);
    const second = await alice.addPasskey(lost);
    const { code: recoveryCode } = await code();
    const found = site.authenticator();
    const versions = async () => (await site.eventsNamed('approver_keys_published')).length;
    const before = await versions();
    const options = await alice.mutate('passkeys.registrationOptions', { recoveryCode });
    const made = await alice.mutate('passkeys.register', {
      name: 'new phone',
      response: found.register(options.data as never),
      recoveryCode,
    });
    assert.equal(made.refusal, null);
    const { passkeys } = (await alice.query('passkeys.list')).data as { passkeys: { credentialId: string }[] };
    assert.deepEqual(
      passkeys.map(({ credentialId }) => credentialId),
      [found.credentialId],
    );
    assert.equal(await versions(), before + 1);
    const removed = (await site.eventsNamed('passkey_removed')).map(({ data }) => data.credentialId);
    assert.deepEqual(removed.sort(), [lost.credentialId, second.credentialId].sort());
    assert.equal((await site.eventsNamed('passkey_added')).at(-1)?.data.by, 'recovery');
  });

  test('works once', async (t) => {
    const { site, alice, code } = await lostPasskey(t);
    const { code: recoveryCode } = await code();
    const two = [site.authenticator(), site.authenticator()];
    const options = [];
    for (const _ of two) options.push(await alice.mutate('passkeys.registrationOptions', { recoveryCode }));
    const made = [];
    for (const [i, passkey] of two.entries()) {
      made.push(
        await alice.mutate('passkeys.register', {
          name: 'x',
          response: passkey.register(options[i]!.data as never),
          recoveryCode,
        }),
      );
    }
    assert.deepEqual(
      made.map(({ refusal }) => refusal),
      [null, 'recovery_code_wrong'],
    );
    assert.equal((await alice.mutate('passkeys.registrationOptions', { recoveryCode })).refusal, 'recovery_code_wrong');
  });

  test('is of no use without a fresh sign-in', async (t) => {
    const { site, alice, code } = await lostPasskey(t);
    const { code: recoveryCode } = await code();
    site.clock.advance(5 * 60_000 + 1);
    assert.equal(
      (await alice.mutate('passkeys.registrationOptions', { recoveryCode })).refusal,
      'fresh_sign_in_required',
    );
    await alice.signInFresh('alice');
    site.clock.advance(4 * 60_000);
    const options = await alice.mutate('passkeys.registrationOptions', { recoveryCode });
    assert.equal(options.refusal, null);
    site.clock.advance(60_001);
    const response = site.authenticator().register(options.data as never);
    const late = await alice.mutate('passkeys.register', { name: 'x', response, recoveryCode });
    assert.equal(late.refusal, 'fresh_sign_in_required');
  });

  test('ends after 24 hours, not before', async (t) => {
    const { site, alice, code } = await lostPasskey(t);
    const { code: recoveryCode, expiresAt } = await code();
    assert.equal(expiresAt, site.clock.now() + 24 * 60 * 60_000);
    site.clock.set(expiresAt - 1);
    await alice.signInFresh('alice');
    assert.equal((await alice.mutate('passkeys.registrationOptions', { recoveryCode })).refusal, null);
    site.clock.set(expiresAt);
    assert.equal((await alice.mutate('passkeys.registrationOptions', { recoveryCode })).refusal, 'recovery_code_wrong');
  });

  test('of one person does not serve another one', async (t) => {
    const { site, code } = await lostPasskey(t);
    const { code: recoveryCode } = await code();
    const bob = site.browser();
    await bob.signInFresh('bob');
    await bob.firstPasskey();
    assert.equal((await bob.mutate('passkeys.registrationOptions', { recoveryCode })).refusal, 'recovery_code_wrong');
  });

  test('ends when a newer one is made', async (t) => {
    const { alice, code } = await lostPasskey(t);
    const { code: older } = await code();
    const { code: newer } = await code();
    assert.equal(
      (await alice.mutate('passkeys.registrationOptions', { recoveryCode: older })).refusal,
      'recovery_code_wrong',
    );
    assert.equal((await alice.mutate('passkeys.registrationOptions', { recoveryCode: newer })).refusal, null);
  });

  test('is stored as a hash and never in an event', async (t) => {
    const { site, code } = await lostPasskey(t);
    const { code: text } = await code();
    const stored = JSON.stringify(await kysely(site.db.query).selectFrom('recovery_codes').selectAll().execute());
    const told = JSON.stringify(await site.events.read(0, 1000));
    for (const form of [text, text.replaceAll('-', '')]) {
      assert.equal(stored.includes(form), false);
      assert.equal(told.includes(form), false);
    }
    const [event] = await site.eventsNamed('recovery_code_created');
    assert.equal(event?.username, 'alice');
    assert.equal(event?.actor, 'root-admin');
  });

  test('is made by administrators only, and not for oneself', async (t) => {
    const { site, admin, alice, personId } = await lostPasskey(t);
    assert.equal((await alice.mutate('people.createRecoveryCode', { personId })).refusal, 'forbidden');
    const own = await site.personId('root-admin');
    assert.equal((await admin.mutate('people.createRecoveryCode', { personId: own })).refusal, 'forbidden');
    const nobody = '00000000-0000-4000-8000-000000000000';
    assert.equal((await admin.mutate('people.createRecoveryCode', { personId: nobody })).refusal, 'not_found');
    assert.deepEqual(await site.eventsNamed('recovery_code_created'), []);
  });

  test('can be made by an operator on the server for the only administrator', async (t) => {
    const { site } = await lostPasskey(t);
    const by = { personId: null, username: 'operator', remoteAddr: null };
    const { code: recoveryCode } = await site.app.passkeys.createRecoveryCode(await site.personId('root-admin'), by);
    assert.ok(recoveryCode);
    assert.equal((await site.eventsNamed('recovery_code_created'))[0]?.actor, 'operator');
  });

  test('is what a first passkey needs when the setting says so', async (t) => {
    const strict = await createTestSite(t, { driver, env: { IDENTREE_FIRST_PASSKEY_NEEDS_CODE: 'true' } });
    const bob = strict.browser();
    await bob.signInFresh('bob');
    assert.equal(((await bob.query('passkeys.list')).data as { firstNeedsCode: boolean }).firstNeedsCode, true);
    const attempt = async (recoveryCode?: string) => {
      const options = await bob.mutate('passkeys.registrationOptions', {});
      const response = strict.authenticator().register(options.data as never);
      return (await bob.mutate('passkeys.register', { name: 'x', response, ...(recoveryCode ? { recoveryCode } : {}) }))
        .refusal;
    };
    assert.equal(await attempt(), 'recovery_code_required');
    assert.equal(await attempt('AAAAA-AAAAA-AAAAA-AAAAA'), 'recovery_code_wrong');
    const by = { personId: null, username: 'operator', remoteAddr: null };
    const { code } = await strict.app.passkeys.createRecoveryCode(await strict.personId('bob'), by);
    assert.equal(await attempt(code), null);
    assert.deepEqual(strict.problems, []);
    assert.equal((await bob.me())?.passkeys, 1);
  });
});

test('an administrator of the desktop app cannot make one', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('root-admin', { groups: ['admins'] }));
  await site.browser().signIn(identity('alice'));
  const desktop = await browser.desktopApp();
  const answer = await desktop.mutate('people.createRecoveryCode', { personId: await site.personId('alice') });
  assert.equal(answer.refusal, 'session_kind');
});
