import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from '../db/query.ts';
import { createTestSite, identity, ORIGIN } from '../testing/test-site.ts';
import { type CsrfInput, isForged } from './csrf.ts';

const TOKEN = 'T'.repeat(43);
const session = { idHash: '', handle: '', authTime: 0, csrfToken: TOKEN };
const browserViewer = { session: { ...session, kind: 'browser' as const } };
const desktopViewer = { session: { ...session, kind: 'desktop' as const } };
const good: CsrfInput = {
  method: 'POST',
  origin: ORIGIN,
  fetchSite: 'same-origin',
  token: TOKEN,
  viewer: browserViewer,
};

const TABLE: [string, Partial<CsrfInput>, boolean][] = [
  ['our own page', {}, false],
  ['our own page in a browser without Sec-Fetch-Site', { fetchSite: undefined }, false],
  ['our own page in a browser without Origin', { origin: undefined }, false],
  ['no token', { token: undefined }, true],
  ['an empty token', { token: '' }, true],
  ['another token', { token: 'U'.repeat(43) }, true],
  ['the beginning of the token', { token: TOKEN.slice(1) }, true],
  ['another site with the right token', { origin: 'https://evil.test', fetchSite: 'cross-site' }, true],
  ['another origin alone', { origin: 'https://evil.test' }, true],
  ['a sister domain', { origin: 'https://other.identree.test', fetchSite: 'same-site' }, true],
  ['another port', { origin: `${ORIGIN}:8443` }, true],
  ['plain http', { origin: 'http://identree.test' }, true],
  ['a sandboxed frame', { origin: 'null' }, true],
  ['a cross-site request that hides its origin', { origin: undefined, fetchSite: 'cross-site' }, true],
  ['an address typed by hand', { fetchSite: 'none' }, true],
  ['a client that says nothing about itself', { origin: undefined, fetchSite: undefined }, true],
  ['nobody signed in, from our own page', { viewer: null, token: undefined }, false],
  ['nobody signed in, from elsewhere', { viewer: null, token: undefined, origin: 'https://evil.test' }, true],
  [
    'the desktop app, which has no cookie to ride on',
    { viewer: desktopViewer, origin: undefined, fetchSite: undefined, token: undefined },
    false,
  ],
  ['reading', { method: 'GET', origin: 'https://evil.test', token: undefined }, false],
];

for (const [what, change, forged] of TABLE) {
  test(`${what} is ${forged ? 'refused' : 'let through'}`, () => {
    assert.equal(isForged({ ...good, ...change }, ORIGIN), forged);
  });
}

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'post', 'QUERY']) {
  test(`${method} needs the token`, () => assert.equal(isForged({ ...good, method, token: undefined }, ORIGIN), true));
}

test('a change without token or from another site does nothing, with the right ones it happens', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  const token = await browser.csrf();
  const call = (headers: Record<string, string>) => browser.mutate('passkeys.registrationOptions', {}, headers);
  assert.equal((await call({ origin: ORIGIN })).refusal, 'csrf');
  assert.equal((await call({ origin: ORIGIN, 'x-csrf-token': 'x' })).refusal, 'csrf');
  assert.equal((await call({ origin: 'https://evil.test', 'x-csrf-token': token })).refusal, 'csrf');
  assert.equal((await call({ 'x-csrf-token': token })).refusal, 'csrf');
  assert.deepEqual(await kysely(site.db.query).selectFrom('ceremonies').selectAll().execute(), []);
  assert.equal((await call({ origin: ORIGIN, 'x-csrf-token': token })).refusal, null);
});

test('the token of one session does not serve another one', async (t) => {
  const site = await createTestSite(t);
  const [mallory, alice] = [site.browser(), site.browser()];
  await mallory.signInFresh('mallory');
  await alice.signInFresh('alice');
  const headers = { origin: ORIGIN, 'x-csrf-token': await mallory.csrf() };
  assert.equal((await alice.mutate('passkeys.registrationOptions', {}, headers)).refusal, 'csrf');
});

test('the token ends with its session', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  const before = await browser.csrf();
  await browser.signInFresh('alice');
  assert.notEqual(await browser.csrf(), before);
  const headers = { origin: ORIGIN, 'x-csrf-token': before };
  assert.equal((await browser.mutate('sessions.revokeOthers', undefined, headers)).refusal, 'csrf');
});

test('a mutation by GET does nothing: a link or an image cannot change anything', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signInFresh('alice');
  const response = await browser.get('/trpc/sessions.revokeOthers');
  assert.equal(response.statusCode, 405);
  assert.equal((await browser.get('/signout')).statusCode, 404);
  assert.notEqual(await browser.me(), null);
  assert.deepEqual(await site.eventsNamed('session_revoked'), []);
});

test('a sign-out from another site changes nothing', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  assert.equal((await browser.submit('/signout', {})).statusCode, 403);
  assert.equal((await browser.submit('/signout', { csrf_token: 'x' })).statusCode, 403);
  const token = await browser.csrf();
  const foreign = { origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' };
  assert.equal((await browser.submit('/signout', { csrf_token: token }, foreign)).statusCode, 403);
  assert.notEqual(await browser.me(), null);
  assert.deepEqual(await site.eventsNamed('user_logged_out'), []);
});

test('a form that names a field twice is not guessed at', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const payload = `csrf_token=${await browser.csrf()}&csrf_token=x`;
  const headers = { origin: ORIGIN, 'sec-fetch-site': 'same-origin' };
  const contentType = 'application/x-www-form-urlencoded';
  assert.equal((await browser.send('POST', '/signout', { headers, contentType, payload })).statusCode, 400);
  assert.notEqual(await browser.me(), null);
});
