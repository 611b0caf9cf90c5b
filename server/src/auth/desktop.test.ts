import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareCode } from '#shared/compare-code.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestDesktopApp, DESKTOP_REQUEST, desktopCodeIn, exchangeDesktopCode } from '../testing/test-browser.ts';
import { createTestSite, identity, ORIGIN, type TestSite } from '../testing/test-site.ts';
import { VERSION } from '../version.ts';

const REGISTRATION = { challenge: 'A'.repeat(43), rp: { id: 'identree.test' }, user: { id: 'AAAA' } };

const page = (change: Record<string, string> = {}) =>
  `/desktop/sign-in?${new URLSearchParams({ ...DESKTOP_REQUEST, ...change })}`;

async function signedInApp(site: TestSite, groups: string[] = []) {
  const browser = site.browser();
  await browser.signInFresh('alice', { groups });
  return { browser, desktop: await browser.desktopApp() };
}

forEachDriver('the desktop sign-in', (driver) => {
  test('asks for consent with the code that the app shows, and ends in a session of kind desktop', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice', { displayName: 'Alice <b>Example</b>' }));
    const consent = await browser.get(page());
    assert.equal(consent.statusCode, 200);
    assert.ok(consent.body.includes(compareCode(DESKTOP_REQUEST.code_challenge)));
    assert.ok(!consent.body.includes('<b>Example'));
    const policy = String(consent.headers['content-security-policy']);
    assert.match(policy, /form-action 'self' http:\/\/127\.0\.0\.1:43210(;|$)/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.deepEqual(
      await kysely(site.db.query).selectFrom('desktop_grants').selectAll().execute(),
      [],
      'looking grants nothing',
    );

    const allowed = await browser.allowDesktop();
    assert.equal(allowed.statusCode, 303);
    const location = new URL(String(allowed.headers.location));
    assert.equal(location.origin + location.pathname, DESKTOP_REQUEST.redirect_uri);
    assert.deepEqual([...location.searchParams.keys()].sort(), ['code', 'state']);
    assert.equal(location.searchParams.get('state'), DESKTOP_REQUEST.state);

    const { status, body, headers } = await exchangeDesktopCode(site.app, desktopCodeIn(allowed));
    assert.equal(status, 200);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(body.expiresAt, site.clock.now() + 12 * 60 * 60_000);
    const me = await createTestDesktopApp(site.app, body.credential).me();
    assert.equal(me?.sessionKind, 'desktop');
    assert.equal(me?.person.username, 'alice');
    assert.equal((await site.eventsNamed('user_logged_in')).at(-1)?.data.kind, 'desktop');
  });

  test('gives one credential for one code, also when two ask at once', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    const code = desktopCodeIn(await browser.allowDesktop());
    const answers = await Promise.all([1, 2, 3].map(() => exchangeDesktopCode(site.app, code)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401]);
    assert.equal((await exchangeDesktopCode(site.app, code)).status, 401);
  });

  test('refuses a code without its verifier, and burns it', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    const code = desktopCodeIn(await browser.allowDesktop());
    assert.equal((await exchangeDesktopCode(site.app, code, 'w'.repeat(64))).status, 401);
    assert.equal((await exchangeDesktopCode(site.app, code)).status, 401);
    const again = desktopCodeIn(await browser.allowDesktop());
    assert.equal(
      (await exchangeDesktopCode(site.app, again, DESKTOP_REQUEST.code_challenge)).status,
      401,
      'the challenge is not the verifier',
    );
  });

  test('refuses a code after 60 seconds, not before', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    const early = desktopCodeIn(await browser.allowDesktop());
    site.clock.advance(59_999);
    assert.equal((await exchangeDesktopCode(site.app, early)).status, 200);
    const late = desktopCodeIn(await browser.allowDesktop());
    site.clock.advance(60_000);
    assert.equal((await exchangeDesktopCode(site.app, late)).status, 401);
  });

  test('that is half done ends with "sign out everywhere else"', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    const code = desktopCodeIn(await browser.allowDesktop());
    await browser.mutate('sessions.revokeOthers');
    assert.equal((await exchangeDesktopCode(site.app, code)).status, 401);
  });

  test('leads to a session that is listed, and ended from the browser', async (t) => {
    const site = await createTestSite(t, { driver });
    const { browser, desktop } = await signedInApp(site);
    const list = (await browser.query('sessions.list')).data as { handle: string; kind: string }[];
    const own = list.find(({ kind }) => kind === 'desktop')!;
    await browser.mutate('sessions.revoke', { handle: own.handle });
    assert.equal(await desktop.me(), null);
  });
});

for (const redirect of [
  'http://localhost:43210/callback',
  'http://127.0.0.1.evil.test:43210/callback',
  'http://127.0.0.2:43210/callback',
  'http://0.0.0.0:43210/callback',
  'http://127.1:43210/callback',
  'http://2130706433:43210/callback',
  'http://[::ffff:127.0.0.1]:43210/callback',
  'https://127.0.0.1:43210/callback',
  'http://127.0.0.1/callback',
  'http://127.0.0.1:0/callback',
  'http://127.0.0.1:99999/callback',
  'http://127.0.0.1:43210',
  'http://127.0.0.1:43210/callback?x=1',
  'http://127.0.0.1:43210/callback#x',
  'http://127.0.0.1:43210/../callback',
  'http://alice@127.0.0.1:43210/callback',
  'http://127.0.0.1:43210@evil.test/callback',
  'http://127.0.0.1:43210\\@evil.test/',
  'http://evil.test/callback',
  '//127.0.0.1:43210/callback',
  'identree://callback',
  'javascript:alert(1)',
  '',
]) {
  test(`a code is not sent to ${redirect || 'nowhere'}`, async (t) => {
    const site = await createTestSite(t);
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    const shown = await browser.get(page({ redirect_uri: redirect }));
    assert.equal(shown.statusCode, 400);
    assert.equal(shown.headers.location, undefined);
    const posted = await browser.allowDesktop({ redirect_uri: redirect });
    assert.equal(posted.statusCode, 400);
    assert.deepEqual(await kysely(site.db.query).selectFrom('desktop_grants').selectAll().execute(), []);
  });
}

test('a code is sent to the IPv6 loopback address as well', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const allowed = await browser.allowDesktop({ redirect_uri: 'http://[::1]:43210/callback' });
  assert.match(String(allowed.headers.location), /^http:\/\/\[::1\]:43210\/callback\?code=/);
});

for (const [what, change] of [
  ['plain PKCE', { code_challenge_method: 'plain' }],
  ['a challenge that is none', { code_challenge: 'short' }],
  ['no state to recognise the answer by', { state: '' }],
  ['a state with other characters', { state: 's'.repeat(20).concat('&code=x') }],
] as const) {
  test(`a sign-in with ${what} is refused`, async (t) => {
    const site = await createTestSite(t);
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    assert.equal((await browser.get(page(change))).statusCode, 400);
    assert.equal((await browser.allowDesktop(change)).statusCode, 400);
  });
}

test('somebody who is not signed in signs in first and comes back to the same question', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  const first = await browser.get(page());
  assert.equal(first.statusCode, 303);
  const login = new URL(String(first.headers.location), ORIGIN);
  assert.equal(login.pathname, '/sessions/login');
  const back = await browser.signIn(identity('alice'), login.search);
  const again = await browser.get(String(back.headers.location));
  assert.equal(again.statusCode, 200);
  assert.ok(again.body.includes(compareCode(DESKTOP_REQUEST.code_challenge)));
});

test('nobody can allow it but the person on our own page', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const token = await browser.csrf();
  const attempts = [
    await browser.submit('/desktop/sign-in', DESKTOP_REQUEST),
    await browser.submit('/desktop/sign-in', { ...DESKTOP_REQUEST, csrf_token: 'x' }),
    await browser.submit(
      '/desktop/sign-in',
      { ...DESKTOP_REQUEST, csrf_token: token },
      { origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' },
    ),
    await site.browser().submit('/desktop/sign-in', { ...DESKTOP_REQUEST, csrf_token: token }),
  ];
  assert.deepEqual(
    attempts.map(({ statusCode }) => statusCode),
    [403, 403, 403, 401],
  );
  assert.deepEqual(await kysely(site.db.query).selectFrom('desktop_grants').selectAll().execute(), []);
});

test('Stop tells the app and grants nothing', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const consent = await browser.get(page());
  const stop = /href="(http:\/\/127\.0\.0\.1:43210[^"]*)"/.exec(consent.body)?.[1]?.replaceAll('&amp;', '&');
  const answer = new URL(stop!).searchParams;
  assert.deepEqual(Object.fromEntries(answer), { error: 'access_denied', state: DESKTOP_REQUEST.state });
});

test('codes cannot be guessed at leisure', async (t) => {
  const site = await createTestSite(t);
  for (let i = 0; i < 10; i++) assert.equal((await exchangeDesktopCode(site.app, 'A'.repeat(43))).status, 401);
  assert.equal((await exchangeDesktopCode(site.app, 'A'.repeat(43))).status, 429);
});

test('neither code nor credential is stored or told', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const code = desktopCodeIn(await browser.allowDesktop());
  const grants = JSON.stringify(await kysely(site.db.query).selectFrom('desktop_grants').selectAll().execute());
  const { body } = await exchangeDesktopCode(site.app, code);
  const sessions = JSON.stringify(await kysely(site.db.query).selectFrom('sessions').selectAll().execute());
  const events = JSON.stringify(await site.events.read(0, 100));
  for (const text of [grants, sessions, events]) {
    assert.equal(text.includes(code), false);
    assert.equal(text.includes(body.credential), false);
  }
});

// Session kinds have fixed capabilities: a desktop session may look and deny.

test('a desktop session, of an administrator too, registers, changes and enrols nothing', async (t) => {
  const site = await createTestSite(t);
  const { browser, desktop } = await signedInApp(site, ['admins']);
  const passkey = await browser.firstPasskey();
  const personId = await site.personId('alice');
  const { credentialId } = passkey;
  const assertion = passkey.assert((await browser.mutate('passkeys.additionOptions')).data as never);
  const before = (await site.eventNames()).length;
  for (const [path, input] of [
    ['passkeys.additionOptions', undefined],
    ['passkeys.registrationOptions', {}],
    ['passkeys.registrationOptions', { assertion }],
    ['passkeys.register', { name: 'x', response: passkey.register(REGISTRATION as never) }],
    ['passkeys.rename', { credentialId, name: 'x' }],
    ['passkeys.removalOptions', { credentialId }],
    ['passkeys.remove', { credentialId, assertion }],
    ['people.createRecoveryCode', { personId }],
    ['people.confirmBinding', { account: 'alice', personId }],
    ['people.rejectBinding', { account: 'alice', personId }],
    ['sessions.revokeOthers', undefined],
  ] as const) {
    assert.equal((await desktop.mutate(path, input)).refusal, 'session_kind', path);
  }
  assert.equal((await site.eventNames()).length, before);
  assert.equal((await desktop.me())?.passkeys, 1, 'it may look');
});

test('a desktop session ends itself but no other one', async (t) => {
  const site = await createTestSite(t);
  const { browser, desktop } = await signedInApp(site);
  const list = (await browser.query('sessions.list')).data as { handle: string; kind: string }[];
  const other = list.find(({ kind }) => kind === 'browser')!;
  assert.equal((await desktop.mutate('sessions.revoke', { handle: other.handle })).refusal, 'session_kind');
  assert.notEqual(await browser.me(), null);
  assert.equal((await desktop.mutate('sessions.signOut')).refusal, null);
  assert.equal(await desktop.me(), null);
  assert.equal((await site.eventsNamed('user_logged_out')).length, 1);
});

test('a desktop credential is nothing in a cookie, and a cookie nothing in a header', async (t) => {
  const site = await createTestSite(t);
  const { browser, desktop } = await signedInApp(site);
  const thief = site.browser();
  thief.jar.set(thief.sessionCookie, desktop.credential);
  assert.equal(await thief.me(), null);
  const cookie = browser.jar.get(browser.sessionCookie)!;
  assert.equal(await createTestDesktopApp(site.app, cookie).me(), null);
});

test('the desktop console is told which version came out with this server, a browser is not', async (t) => {
  const site = await createTestSite(t);
  const { browser, desktop } = await signedInApp(site);
  const told = async (who: { query<T>(name: string): Promise<{ data: T }> }) =>
    (await who.query<{ desktopVersion: string | null }>('me.get')).data.desktopVersion;
  assert.equal(await told(desktop), VERSION);
  assert.equal(await told(browser), null);
});

test('a request that brings both is judged by the header alone', async (t) => {
  const site = await createTestSite(t);
  const { browser } = await signedInApp(site);
  const response = await browser.get('/trpc/me.get', { authorization: `Bearer ${'A'.repeat(43)}` });
  assert.equal(response.json().result.data, null);
  const basic = await browser.get('/trpc/me.get', { authorization: 'Basic YTpi' });
  assert.equal(basic.json().result.data, null);
});

test('a desktop session cannot make another desktop session', async (t) => {
  const site = await createTestSite(t);
  const { desktop } = await signedInApp(site);
  const app = site.browser();
  const headers = { authorization: `Bearer ${desktop.credential}` };
  assert.equal((await app.get(page(), headers)).statusCode, 303, 'it is sent to the sign-in');
  const posted = await app.submit('/desktop/sign-in', { ...DESKTOP_REQUEST, csrf_token: 'x' }, headers);
  assert.equal(posted.statusCode, 403);
});

test('a desktop session runs out like any other', async (t) => {
  const site = await createTestSite(t);
  const { desktop } = await signedInApp(site);
  site.clock.advance(30 * 60_000);
  assert.equal(await desktop.me(), null);
});
