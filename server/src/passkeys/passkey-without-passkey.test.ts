import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { identityOf } from '../auth/claims.ts';
import type { TestBrowser } from '../testing/test-browser.ts';
import { createTestSite, identity } from '../testing/test-site.ts';

// The threat: somebody holds a stolen session, or signs in with a stolen password, and wants to become an approver.

async function victim(t: TestContext) {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  const passkey = await browser.firstPasskey();
  const thief = site.browser('203.0.113.66');
  thief.jar.set(thief.sessionCookie, browser.jar.get(browser.sessionCookie)!);
  return { site, browser, passkey, thief };
}

const count = async (browser: TestBrowser) => (await browser.me())?.passkeys;

test('a session alone, however fresh, adds no further passkey', async (t) => {
  const { browser, thief } = await victim(t);
  assert.equal((await thief.mutate('passkeys.registrationOptions', {})).refusal, 'passkey_required');
  assert.equal(await count(browser), 1);
});

test('a session alone removes no passkey', async (t) => {
  const { site, browser, passkey, thief } = await victim(t);
  const second = await browser.addPasskey(passkey);
  const options = await thief.mutate('passkeys.removalOptions', { credentialId: second.credentialId });
  const own = site.authenticator();
  for (const assertion of [
    own.assert(options.data as never),
    own.assert(options.data as never, { credentialId: passkey.credentialId }),
  ]) {
    const input = { credentialId: second.credentialId, assertion };
    assert.equal((await thief.mutate('passkeys.remove', input)).refusal, 'passkey_rejected');
  }
  assert.equal(await count(browser), 2);
  assert.deepEqual(await site.eventsNamed('passkey_removed'), []);
});

test('a passkey that the thief makes up does not vouch', async (t) => {
  const { site, thief, passkey } = await victim(t);
  const own = site.authenticator();
  for (const deviation of [{}, { credentialId: passkey.credentialId }]) {
    const options = await thief.mutate('passkeys.additionOptions');
    const assertion = own.assert(options.data as never, deviation);
    assert.equal((await thief.mutate('passkeys.registrationOptions', { assertion })).refusal, 'passkey_rejected');
  }
});

test('a first passkey needs a sign-in at most 5 minutes old', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  site.clock.advance(5 * 60_000);
  const options = await browser.mutate('passkeys.registrationOptions', {});
  assert.equal(options.refusal, null);
  site.clock.advance(1);
  assert.equal((await browser.mutate('passkeys.registrationOptions', {})).refusal, 'fresh_sign_in_required');
  const response = site.authenticator().register(options.data as never);
  assert.notEqual(
    (await browser.mutate('passkeys.register', { name: 'x', response })).refusal,
    null,
    'nor with older options',
  );
  assert.equal(await count(browser), 0);
});

test('a sign-in at an unknown time is not fresh', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice', { authTime: 0 }));
  assert.equal((await browser.mutate('passkeys.registrationOptions', {})).refusal, 'fresh_sign_in_required');
});

test('a sign-in in the future, by a provider whose clock is ahead, does not stay fresh', () => {
  const now = 1_800_000_000_000;
  const told = identityOf(
    'https://idp.test',
    { sub: 'a', preferred_username: 'alice', auth_time: now / 1000 + 86_400 },
    now,
    { groupsClaim: 'groups', userIdClaim: 'sub', userinfoFailed: false, scopeMissing: false },
  );
  assert.equal(told.ok && told.identity.authTime, now);
});

test('options for a first passkey are worthless once there is one', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  const early = await browser.mutate('passkeys.registrationOptions', {});
  await browser.firstPasskey();
  const response = site.authenticator().register(early.data as never);
  assert.equal((await browser.mutate('passkeys.register', { name: 'x', response })).refusal, 'passkey_required');
  assert.equal(await count(browser), 1);
});

test('options vouched for by a passkey are worthless once that passkey is gone', async (t) => {
  const { site, browser, passkey } = await victim(t);
  const second = await browser.addPasskey(passkey);
  const request = await browser.mutate('passkeys.additionOptions');
  const creation = await browser.mutate('passkeys.registrationOptions', {
    assertion: passkey.assert(request.data as never),
  });
  const removal = await browser.mutate('passkeys.removalOptions', { credentialId: passkey.credentialId });
  await browser.mutate('passkeys.remove', {
    credentialId: passkey.credentialId,
    assertion: second.assert(removal.data as never),
  });
  const response = site.authenticator().register(creation.data as never);
  assert.equal((await browser.mutate('passkeys.register', { name: 'x', response })).refusal, 'passkey_required');
});

test('what one session began, another session of the same person cannot finish', async (t) => {
  const { site, browser, passkey } = await victim(t);
  const other = site.browser();
  await other.signInFresh('alice');
  const request = await browser.mutate('passkeys.additionOptions');
  const assertion = passkey.assert(request.data as never);
  assert.equal((await other.mutate('passkeys.registrationOptions', { assertion })).refusal, 'passkey_rejected');
  const creation = await browser.mutate('passkeys.registrationOptions', { assertion });
  const response = site.authenticator().register(creation.data as never);
  assert.equal((await other.mutate('passkeys.register', { name: 'x', response })).refusal, 'passkey_rejected');
  assert.equal(
    (await browser.mutate('passkeys.register', { name: 'x', response })).refusal,
    null,
    'the session that began it can',
  );
});

test('a session that has ended in the meantime finishes nothing', async (t) => {
  const { site, browser, thief } = await victim(t);
  const fresh = site.browser();
  await fresh.signInFresh('bob');
  const options = await fresh.mutate('passkeys.registrationOptions', {});
  const cookie = `${fresh.sessionCookie}=${fresh.jar.get(fresh.sessionCookie)}`;
  const viewer = await site.app.callers.resolver.resolve({ cookie, authorization: undefined, remoteAddr: '' });
  await fresh.submit('/signout', { csrf_token: await fresh.csrf() });
  const response = site.authenticator().register(options.data as never);
  // As a request that was already past the door when the session ended.
  await assert.rejects(site.app.passkeys.register(viewer!, { name: 'x', response }), { code: 'session_expired' });
  assert.equal(await count(browser), 1);
  assert.equal(await count(thief), 1);
});

test('a ceremony ends after 5 minutes', async (t) => {
  const { site, browser, passkey } = await victim(t);
  const request = await browser.mutate('passkeys.additionOptions');
  const assertion = passkey.assert(request.data as never);
  site.clock.advance(5 * 60_000);
  assert.equal((await browser.mutate('passkeys.registrationOptions', { assertion })).refusal, 'passkey_rejected');
});

for (const [what, deviation] of [
  ['without user verification', { userVerified: false }],
  ['without user presence', { userPresent: false }],
  ['made for another origin', { origin: 'https://evil.test' }],
  ['made for a sister domain', { origin: 'https://other.identree.test' }],
  ['made for another RP ID', { rpId: 'evil.test' }],
  ['of another ceremony', { type: 'webauthn.get' }],
  ['with a challenge of its own', { challenge: 'A'.repeat(43) }],
] as const) {
  test(`a registration ${what} is refused`, async (t) => {
    const site = await createTestSite(t);
    const browser = site.browser();
    await browser.signInFresh('alice');
    const options = await browser.mutate('passkeys.registrationOptions', {});
    const response = site.authenticator().register(options.data as never, deviation);
    assert.equal((await browser.mutate('passkeys.register', { name: 'x', response })).refusal, 'passkey_rejected');
    assert.equal(await count(browser), 0);
    const again = site.authenticator().register(options.data as never);
    assert.equal(
      (await browser.mutate('passkeys.register', { name: 'x', response: again })).refusal,
      what === 'with a challenge of its own' ? null : 'passkey_rejected',
      'a ceremony is used up by its first answer',
    );
  });
}
