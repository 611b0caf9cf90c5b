import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestSite, identity } from '../testing/test-site.ts';

const callback = (state: string) => `/callback?code=c&state=${encodeURIComponent(state)}`;

test('a sign-in begun by an attacker cannot be ended in the browser of somebody else', async (t) => {
  const site = await createTestSite(t);
  const [attacker, victim] = [site.browser(), site.browser()];
  const state = await attacker.beginSignIn();
  site.provider.next = { ok: true, identity: identity('mallory') };

  const withoutCookie = await victim.get(callback(state));
  assert.equal(withoutCookie.statusCode, 400);
  assert.equal(victim.jar.has(victim.sessionCookie), false);
  assert.equal(await victim.me(), null);
  assert.deepEqual(await site.eventNames(), []);
  assert.equal((await attacker.get(callback(state))).statusCode, 400, 'a state that leaked is burnt');
});

test('a browser that has begun a sign-in of its own does not end that of an attacker', async (t) => {
  const site = await createTestSite(t);
  const [attacker, victim] = [site.browser(), site.browser()];
  await victim.beginSignIn();
  const state = await attacker.beginSignIn();
  site.provider.next = { ok: true, identity: identity('mallory') };
  assert.equal((await victim.get(callback(state))).statusCode, 400);
  assert.equal(await victim.me(), null);
});

test('the cookie that binds a sign-in cannot be planted or read by others', async (t) => {
  const site = await createTestSite(t);
  const response = await site.browser().get('/sessions/login');
  const cookie = String(response.headers['set-cookie']);
  assert.match(
    cookie,
    /^__Host-identree_login=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=900; HttpOnly; SameSite=Lax; Secure$/,
  );
});

for (const order of ['before', 'behind']) {
  test(`a cookie that was planted ${order} ours makes both worthless`, async (t) => {
    const site = await createTestSite(t, { env: { IDENTREE_EXTERNAL_URL: 'http://localhost:8090' } });
    const browser = site.browser();
    const state = await browser.beginSignIn();
    const pairs = [`${browser.loginCookie}=${browser.jar.get(browser.loginCookie)}`];
    pairs[order === 'before' ? 'unshift' : 'push'](`${browser.loginCookie}=${'A'.repeat(43)}`);
    site.provider.next = { ok: true, identity: identity('alice') };
    assert.equal((await browser.get(callback(state), { cookie: pairs.join('; ') })).statusCode, 400);
  });
}

for (const [what, query] of [
  ['no state', 'code=c'],
  ['an empty state', 'code=c&state='],
  ['a made-up state', `code=c&state=plain.${'A'.repeat(43)}`],
  ['a very long state', `code=c&state=${'A'.repeat(5000)}`],
]) {
  test(`a callback with ${what} is refused and writes nothing`, async (t) => {
    const site = await createTestSite(t);
    const browser = site.browser();
    await browser.beginSignIn();
    site.provider.next = { ok: true, identity: identity('alice') };
    assert.equal((await browser.get(`/callback?${query}`)).statusCode, 400);
    assert.equal(await browser.me(), null);
    assert.deepEqual(await site.eventNames(), []);
  });
}

test('a callback with two states is refused', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  const state = encodeURIComponent(await browser.beginSignIn());
  site.provider.next = { ok: true, identity: identity('alice') };
  assert.equal((await browser.get(`/callback?code=c&state=${state}&state=${state}`)).statusCode, 400);
});

forEachDriver('a sign-in under way', (driver) => {
  test('is good for one callback, also when two race', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    const state = await browser.beginSignIn();
    site.provider.next = { ok: true, identity: identity('alice') };
    const answers = await Promise.all([1, 2, 3, 4].map(() => browser.get(callback(state))));
    assert.deepEqual(answers.map(({ statusCode }) => statusCode).sort(), [303, 400, 400, 400]);
    assert.equal((await site.eventsNamed('user_logged_in')).length, 1);
  });

  test('ends after 15 minutes, not before', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    const early = await browser.beginSignIn();
    site.clock.advance(15 * 60_000 - 1);
    site.provider.next = { ok: true, identity: identity('alice') };
    assert.equal((await browser.get(callback(early))).statusCode, 303);
    const other = site.browser();
    const late = await other.beginSignIn();
    site.clock.advance(15 * 60_000);
    assert.equal((await other.get(callback(late))).statusCode, 400);
  });

  test('does not disturb another one in the next tab', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    const [one, two] = [
      await browser.beginSignIn('?return_to=/hosts'),
      await browser.beginSignIn('?return_to=/history'),
    ];
    site.provider.next = { ok: true, identity: identity('alice') };
    assert.equal((await browser.get(callback(one))).headers.location, '/hosts');
    assert.equal((await browser.get(callback(two))).headers.location, '/history');
  });
});
