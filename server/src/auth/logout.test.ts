import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { generateKeyPair, SignJWT } from 'jose';
import type { Config } from '../config/config.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { systemClock } from '../platform/clock.ts';
import type { TestBrowser } from '../testing/test-browser.ts';
import { startTestIdp } from '../testing/test-idp.ts';
import { createTestSite } from '../testing/test-site.ts';
import { BACKCHANNEL_PATH } from './addresses.ts';
import { openIdToken, sealIdToken } from './id-token-seal.ts';
import { createOidc } from './oidc.ts';

const EXTERNAL = 'http://localhost:8090';
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

async function siteWith(
  t: TestContext,
  options: { driver?: 'sqlite' | 'postgres'; settings?: Partial<Config['oidc']> } = {},
) {
  let site: Awaited<ReturnType<typeof createTestSite>>;
  const tell = (body: Record<string, string>, remoteAddress = '192.0.2.200') =>
    site.app.http.inject({
      method: 'POST',
      url: BACKCHANNEL_PATH,
      remoteAddress,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams(body).toString(),
    });
  const told: string[] = [];
  const idp = await startTestIdp(t, {
    logout: {
      returnTo: `${EXTERNAL}/signed-out`,
      backchannel: `${EXTERNAL}${BACKCHANNEL_PATH}`,
      async onTold(token) {
        told.push(token);
        return (await tell({ logout_token: token })).statusCode;
      },
    },
  });
  const oidc = {
    issuerUrl: idp.issuer,
    clientId: idp.clientId,
    clientSecret: idp.clientSecret,
    scopes: null,
    groupsClaim: 'groups',
    userIdClaim: 'sub',
    endSession: true,
    ...options.settings,
  };
  const provider = createOidc({
    config: { externalUrl: EXTERNAL, oidc },
    clock: systemClock,
    log: { warn: (detail) => assert.fail(JSON.stringify(detail)) },
  });
  const { driver } = options;
  site = await createTestSite(t, { env: { IDENTREE_EXTERNAL_URL: EXTERNAL }, provider, ...(driver ? { driver } : {}) });
  site.clock.set(Date.now());
  /** Signs a browser in, by the browser's own session at the provider. */
  async function signIn(browser: TestBrowser, atIdp: ReturnType<typeof idp.browser>, person = 'alice') {
    idp.person = person;
    const begun = await browser.get('/sessions/login');
    const back = await atIdp.visit(String(begun.headers.location));
    const response = await browser.get(`${back.pathname}${back.search}`);
    assert.equal(response.statusCode, 303, response.body);
    return browser;
  }
  /** A logout token as the provider makes them, but for what is changed. */
  const token = (change: Record<string, unknown> = {}, header: Record<string, unknown> = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const payload = {
      iss: idp.issuer,
      aud: idp.clientId,
      iat: now,
      exp: now + 120,
      jti: randomUUID(),
      sub: 'alice',
      events: { [EVENT]: {} },
      ...change,
    };
    return idp.sign(payload, { typ: 'logout+jwt', ...header });
  };
  return { idp, site, signIn, tell, told, token };
}

/** Where the page after signing out sends the browser. */
const nextOf = (page: string): URL =>
  new URL(
    /http-equiv="refresh" content="0; url=([^"]+)"/.exec(page)![1]!.replaceAll('&amp;', '&').replaceAll('&#38;', '&'),
  );

forEachDriver('a sign-out at the provider', (driver) => {
  test('ends the sessions that began with that sign-in, of desktop apps too, and no others', async (t) => {
    const { idp, site, signIn, told } = await siteWith(t, { driver });
    const laptop = idp.browser();
    const first = await signIn(site.browser(), laptop);
    const second = await signIn(site.browser(), laptop);
    const desktop = await second.desktopApp();
    const phone = await signIn(site.browser(), idp.browser());
    const bob = await signIn(site.browser(), idp.browser(), 'bob');
    assert.equal((await desktop.me())?.person.username, 'alice');

    const page = await first.submit('/signout', { csrf_token: await first.csrf() });
    const back = await laptop.visit(nextOf(page.body));
    assert.equal(back.href, `${EXTERNAL}/signed-out`);
    assert.equal(told.length, 1);
    assert.deepEqual([await first.me(), await second.me(), await desktop.me()], [null, null, null]);
    assert.equal((await phone.me())?.person.username, 'alice', 'signed in at the provider by another sign-in');
    assert.equal((await bob.me())?.person.username, 'bob');

    const [event] = await site.eventsNamed('session_revoked');
    assert.deepEqual(
      [event!.username, event!.actor, event!.reason, (event!.data.sessions as string[]).length],
      ['alice', 'identity provider', 'signed out at the identity provider', 2],
    );
    assert.deepEqual(site.problems, []);
  });

  test('by subject alone ends all of them, and a desktop sign-in that is half done; its token works once', async (t) => {
    const { idp, site, signIn, tell, token } = await siteWith(t, { driver });
    const browsers = [await signIn(site.browser(), idp.browser()), await signIn(site.browser(), idp.browser())];
    const consent = await browsers[0]!.allowDesktop();
    const code = new URL(String(consent.headers.location)).searchParams.get('code')!;
    const logout = await token();
    const answer = await tell({ logout_token: logout });
    assert.deepEqual([answer.statusCode, answer.body, answer.headers['cache-control']], [200, '', 'no-store']);
    for (const browser of browsers) assert.equal(await browser.me(), null);
    const exchanged = await site.app.http.inject({
      method: 'POST',
      url: '/api/desktop/token',
      payload: { code, code_verifier: 'v'.repeat(64) },
    });
    assert.equal(exchanged.statusCode, 401);

    const again = await signIn(site.browser(), idp.browser());
    assert.equal((await tell({ logout_token: logout })).statusCode, 400, 'overheard and sent again');
    assert.equal((await again.me())?.person.username, 'alice');
  });
});

test('signing out here signs out at the provider: it asks who it is again', async (t) => {
  const { idp, site, signIn } = await siteWith(t);
  const laptop = idp.browser();
  const browser = await signIn(site.browser(), laptop);
  assert.equal(idp.typed, 1);
  await signIn(site.browser(), laptop);
  assert.equal(idp.typed, 1, 'the provider knows the browser');

  const page = await browser.submit('/signout', { csrf_token: await browser.csrf() });
  assert.equal(page.statusCode, 200);
  assert.equal(browser.jar.has(browser.sessionCookie), false);
  const next = nextOf(page.body);
  assert.equal(`${next.origin}${next.pathname}`, `${idp.issuer}/session/end`);
  assert.equal(next.searchParams.get('client_id'), idp.clientId);
  assert.equal(next.searchParams.get('post_logout_redirect_uri'), `${EXTERNAL}/signed-out`);
  assert.match(next.searchParams.get('id_token_hint') ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.equal((await laptop.visit(next)).href, `${EXTERNAL}/signed-out`);
  await signIn(site.browser(), laptop);
  assert.equal(idp.typed, 2);
});

test('signing out stays here where the settings say so', async (t) => {
  const { idp, site, signIn } = await siteWith(t, { settings: { endSession: false } });
  const browser = await signIn(site.browser(), idp.browser());
  const response = await browser.submit('/signout', { csrf_token: await browser.csrf() });
  assert.deepEqual([response.statusCode, response.headers.location], [303, '/signed-out']);
});

test('the database holds no ID token, and none at all of a session that has ended', async (t) => {
  const { idp, site, signIn } = await siteWith(t);
  const browser = await signIn(site.browser(), idp.browser());
  const kept = async () => (await kysely(site.db.query).selectFrom('sessions').selectAll().execute())[0]!;
  const { id_token: sealed } = await kept();
  assert.ok(sealed);
  assert.doesNotMatch(Buffer.from(sealed, 'base64url').toString('latin1'), /eyJ/);
  const value = browser.jar.get(browser.sessionCookie)!;
  assert.match(openIdToken(value, sealed) ?? '', /^eyJ/);
  assert.equal(openIdToken('x'.repeat(43), sealed), null);
  await browser.submit('/signout', { csrf_token: await browser.csrf() });
  assert.equal((await kept()).id_token, null);
});

test('a token that was changed does not open, and one that no address could hold is not kept', () => {
  const random = { bytes: (length: number) => Buffer.alloc(length, 7), int: () => 0, uuid: () => '' };
  const sealed = sealIdToken('value', 'a.b.c', random)!;
  assert.equal(openIdToken('value', sealed), 'a.b.c');
  const bytes = Buffer.from(sealed, 'base64url');
  bytes[bytes.length - 1]! ^= 1;
  assert.equal(openIdToken('value', bytes.toString('base64url')), null);
  assert.equal(openIdToken('value', 'short'), null);
  assert.equal(sealIdToken('value', 'x'.repeat(5000), random), null);
});

test('what is no logout token of this provider for this client ends nothing', async (t) => {
  const { idp, site, signIn, tell, token } = await siteWith(t);
  const browser = await signIn(site.browser(), idp.browser());
  const now = Math.floor(Date.now() / 1000);
  const { privateKey: foreign } = await generateKeyPair('RS256');
  const claims = { iss: idp.issuer, aud: idp.clientId, iat: now, jti: 'x', sub: 'alice', events: { [EVENT]: {} } };
  const bad: Record<string, string> = {
    'no token': '',
    nonsense: 'a.b.c',
    'an ID token': await token({ events: undefined, nonce: 'n' }, { typ: 'JWT' }),
    'a nonce beside the event': await token({ nonce: 'n' }),
    'no event': await token({ events: {} }),
    'another event': await token({ events: { 'http://schemas.openid.net/event/other': {} } }),
    'an event that is no object': await token({ events: { [EVENT]: true } }),
    'another client': await token({ aud: 'somebody else' }),
    'another issuer': await token({ iss: 'https://evil.test' }),
    'no id': await token({ jti: undefined }),
    'no time': await token({ iat: undefined }),
    'a time long past': await token({ iat: now - 3600, exp: now + 60 }),
    'a time to come': await token({ iat: now + 3600, exp: now + 7200 }),
    'an end that is past': await token({ exp: now - 60 }),
    'neither subject nor session': await token({ sub: undefined }),
    'another type': await token({}, { typ: 'at+jwt' }),
    'a foreign key': await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'test' }).sign(foreign),
    'the client secret as key': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(idp.clientSecret.padEnd(32))),
    'no signature': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`,
  };
  for (const [what, logoutToken] of Object.entries(bad)) {
    const answer = await tell({ logout_token: logoutToken });
    assert.equal(answer.statusCode, 400, `${what}: ${answer.body}`);
    assert.equal(answer.json().error, 'invalid_request');
    assert.equal((await browser.me())?.person.username, 'alice', what);
  }
  assert.deepEqual(await site.eventsNamed('session_revoked'), []);
  assert.equal((await tell({ logout_token: await token() })).statusCode, 200, 'the same without the fault ends it');
  assert.equal(await browser.me(), null);
});

test('logout tokens come from a program: no browser proves anything there, limits of number and size hold', async (t) => {
  const { tell, token } = await siteWith(t);
  assert.equal((await tell({ logout_token: `${await token()}${'x'.repeat(9000)}` })).statusCode, 413);
  for (let i = 0; i < 600; i++) await tell({}, '192.0.2.201');
  assert.equal((await tell({ logout_token: await token() }, '192.0.2.201')).statusCode, 429);
  assert.equal((await tell({ logout_token: await token() }, '192.0.2.202')).statusCode, 200);
});
