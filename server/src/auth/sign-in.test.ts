import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestSite, identity, ORIGIN } from '../testing/test-site.ts';
import type { SignInProblem } from './identity-provider.ts';

forEachDriver('signing in', (driver) => {
  test('makes a person, a session and their events', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    const response = await browser.signIn(identity('alice', { groups: ['staff'] }), '?return_to=/hosts');
    assert.equal(response.statusCode, 303);
    assert.equal(response.headers.location, '/hosts');
    const me = await browser.me();
    assert.equal(me?.person.username, 'alice');
    assert.equal(me?.role, 'user');
    assert.deepEqual(me?.accounts, ['alice']);
    assert.deepEqual(await site.eventNames(), ['account_bound', 'user_logged_in']);
    const [event] = await site.eventsNamed('user_logged_in');
    assert.equal(event?.username, 'alice');
    assert.equal(event?.remoteAddr, '192.0.2.7');
    assert.deepEqual(site.problems, []);
  });

  test('again finds the same person by subject, under whatever name', async (t) => {
    const site = await createTestSite(t, { driver });
    await site.browser().signIn(identity('alice'));
    const id = await site.personId('alice');
    await site.browser().signIn(identity('alice.b', { subject: 'subject of alice', displayName: 'Alice B' }));
    assert.equal(await site.personId('alice.b'), id);
  });

  test('with the same user name and another subject is another person', async (t) => {
    const site = await createTestSite(t, { driver });
    await site.browser().signIn(identity('alice'));
    await site.browser().signIn(identity('alice', { subject: 'somebody new' }));
    await site.browser().signIn(identity('alice', { issuer: 'https://other-idp.test' }));
    const people = await kysely(site.db.query).selectFrom('people').selectAll().execute();
    assert.equal(people.length, 3);
  });

  test('by one person in many tabs at once works and makes one person', async (t) => {
    const site = await createTestSite(t, { driver });
    const answers = await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const browser = site.browser(`192.0.2.${i}`);
        const state = await browser.beginSignIn();
        site.provider.next = { ok: true, identity: identity('alice') };
        return browser.get(`/callback?code=c&state=${encodeURIComponent(state)}`);
      }),
    );
    assert.deepEqual(
      answers.map(({ statusCode }) => statusCode),
      [303, 303, 303, 303, 303],
    );
    assert.equal((await kysely(site.db.query).selectFrom('people').selectAll().execute()).length, 1);
    assert.equal((await site.eventsNamed('account_bound')).length, 1);
    assert.deepEqual(site.problems, []);
  });

  test('leaves nothing behind when the event cannot be written', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    const state = await browser.beginSignIn();
    site.provider.next = { ok: true, identity: identity('alice') };
    const head = await site.events.head();
    await site.db.transaction((work) => kysely(work.query).updateTable('event_head').set({ hash: 'broken' }).execute());
    await site.db.transaction((work) =>
      kysely(work.query)
        .insertInto('events')
        .values({
          seq: head.seq + 2,
          at: 0,
          event: 'x',
          username: '',
          host_id: null,
          hostname: null,
          challenge_id: null,
          code: null,
          actor: null,
          reason: null,
          remote_addr: null,
          data: '{}',
          prev_hash: 'x',
          hash: 'x',
        })
        .execute(),
    );
    const answer = await browser.get(`/callback?code=c&state=${encodeURIComponent(state)}`);
    assert.equal(answer.statusCode, 500);
    assert.equal(answer.cookies.length, 0);
    assert.deepEqual(await kysely(site.db.query).selectFrom('sessions').selectAll().execute(), []);
    assert.deepEqual(await kysely(site.db.query).selectFrom('people').selectAll().execute(), []);
  });
});

test('the session cookie is out of reach of scripts, sister domains and plain http', async (t) => {
  const site = await createTestSite(t);
  const response = await site.browser().signIn(identity('alice'));
  assert.match(
    String(response.headers['set-cookie']),
    /^__Host-identree_session=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure$/,
  );
});

test('on http, which exists on loopback only, the cookie has no prefix', async (t) => {
  const site = await createTestSite(t, { env: { IDENTREE_EXTERNAL_URL: 'http://localhost:8090' } });
  const browser = site.browser();
  const response = await browser.signIn(identity('alice'));
  assert.match(
    String(response.headers['set-cookie']),
    /^identree_session=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Lax$/,
  );
  assert.equal((await browser.me())?.person.username, 'alice');
});

test('on https a cookie without the prefix, which anybody could have planted, is not looked at', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const cookie = `identree_session=${browser.jar.get(browser.sessionCookie)}`;
  const response = await browser.get('/trpc/me.get', { cookie });
  assert.equal(response.json().result.data, null);
});

const PROBLEMS: [SignInProblem, number][] = [
  ['refused_by_provider', 403],
  ['invalid_answer', 400],
  ['provider_unreachable', 503],
  ['not_fresh', 403],
  ['username_unusable', 403],
  ['claims_unusable', 403],
];
for (const [problem, status] of PROBLEMS) {
  test(`a sign-in that ends as ${problem} says so in an event and keeps the detail to the log`, async (t) => {
    const site = await createTestSite(t);
    const browser = site.browser();
    const state = await browser.beginSignIn('?return_to=/hosts');
    site.provider.next = { ok: false, problem, detail: 'inner detail' };
    const response = await browser.get(`/callback?error=x&state=${encodeURIComponent(state)}`);
    assert.equal(response.statusCode, status);
    assert.match(String(response.headers['content-type']), /^text\/html/);
    assert.equal(response.body.includes('inner detail'), false);
    assert.match(response.body, /href="\/sessions\/login\?return_to=%2Fhosts"/);
    assert.equal(browser.jar.has(browser.sessionCookie), false);
    const [event] = await site.eventsNamed('login_failed');
    assert.equal(event?.reason, problem);
    assert.equal(JSON.stringify(site.logged).includes('inner detail'), true);
  });
}

test('pages around the sign-in run no script and cannot be framed', async (t) => {
  const site = await createTestSite(t);
  const response = await site.browser().get('/signed-out');
  const policy = String(response.headers['content-security-policy']);
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.equal(policy.includes('script-src'), false);
  assert.equal(response.headers['cache-control'], 'no-store');
});

test('while the identity provider is away the page says so and nothing is remembered', async (t) => {
  const site = await createTestSite(t);
  site.provider.away = { problem: 'provider_unreachable', detail: 'no answer' };
  const response = await site.browser().get('/sessions/login?return_to=/hosts');
  assert.equal(response.statusCode, 503);
  assert.match(response.body, /href="\/sessions\/login\?return_to=%2Fhosts"/);
  assert.deepEqual(await kysely(site.db.query).selectFrom('login_attempts').selectAll().execute(), []);
});

test('somebody who is signed in goes straight on, unless a fresh sign-in is asked for', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const straight = await browser.get('/sessions/login?return_to=/hosts');
  assert.equal(straight.headers.location, '/hosts');
  const again = await browser.get('/sessions/login?step_up=1&return_to=/hosts');
  assert.match(String(again.headers.location), /^https:\/\/idp\.test\/authorize/);
  assert.deepEqual(
    site.provider.begun.map(({ fresh }) => fresh),
    [false, true],
  );
});

test('signing out says goodbye, ends the session for good and does not sign in again by itself', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const value = browser.jar.get(browser.sessionCookie)!;
  const response = await browser.submit('/signout', { csrf_token: await browser.csrf() });
  assert.equal(response.statusCode, 303);
  assert.equal(response.headers.location, '/signed-out');
  assert.equal(browser.jar.has(browser.sessionCookie), false);
  const goodbye = await browser.get('/signed-out');
  assert.equal(goodbye.statusCode, 200);
  assert.equal(goodbye.headers.refresh, undefined);
  assert.equal(/http-equiv/i.test(goodbye.body), false);
  browser.jar.set(browser.sessionCookie, value);
  assert.equal(await browser.me(), null);
  assert.equal((await site.eventsNamed('user_logged_out')).length, 1);
});

test('signing out without a session is harmless', async (t) => {
  const site = await createTestSite(t);
  const response = await site.browser().submit('/signout', {});
  assert.equal(response.statusCode, 303);
  assert.deepEqual(await site.eventNames(), []);
});

test('a browser that begins eleven sign-ins in a minute waits, its neighbour behind the same address does not', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser('192.0.2.1');
  await browser.get('/sessions/login');
  for (let i = 0; i < 10; i++) assert.equal((await browser.get('/sessions/login')).statusCode, 302);
  const refused = await browser.get('/sessions/login');
  assert.equal(refused.statusCode, 429);
  assert.match(String(refused.headers['content-type']), /^text\/html/);
  assert.match(refused.body, /Wait a minute/);
  assert.equal((await site.browser('192.0.2.1').get('/sessions/login')).statusCode, 302);
  site.clock.advance(60_000);
  assert.equal((await browser.get('/sessions/login')).statusCode, 302);
});

test('eighty colleagues behind one address sign in within a minute, while somebody there sends callbacks of nobody', async (t) => {
  const site = await createTestSite(t);
  const stranger = site.browser('192.0.2.1');
  for (let i = 0; i < 11; i++) await stranger.get(`/callback?state=guess-${i}`);
  for (let i = 0; i < 80; i++) {
    const response = await site.browser('192.0.2.1').signIn(identity(`colleague${i}`));
    assert.equal(response.statusCode, 303, `colleague ${i}: ${response.body}`);
  }
});

test('callbacks of no sign-in are limited, and each costs no more than a look', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser('192.0.2.1');
  for (let i = 0; i < 10; i++) assert.equal((await browser.get('/callback?state=x')).statusCode, 400);
  assert.equal((await browser.get('/callback?state=x')).statusCode, 429);
});

test('behind a trusted proxy each client has its own limit, and nobody can write themselves another address', async (t) => {
  const site = await createTestSite(t, { env: { IDENTREE_TRUSTED_PROXIES: '10.0.0.0/8' } });
  const proxied = site.browser('10.0.0.5');
  const from = (address: string) => proxied.get('/callback?state=x', { 'x-forwarded-for': `198.51.100.9, ${address}` });
  for (let i = 0; i < 10; i++) await from('203.0.113.1');
  assert.equal((await from('203.0.113.1')).statusCode, 429);
  assert.equal((await from('203.0.113.2')).statusCode, 400);
  const direct = site.browser('192.0.2.1');
  const pretend = (i: number) => direct.get('/callback?state=x', { 'x-forwarded-for': `198.51.100.${i}` });
  for (let i = 0; i < 10; i++) await pretend(i);
  assert.equal((await pretend(11)).statusCode, 429);
});

test('administrators are shown the addresses that the identity provider has to know; others are not', async (t) => {
  const site = await createTestSite(t);
  const admin = site.browser();
  await admin.signIn(identity('olga', { groups: ['admins'] }));
  assert.deepEqual((await admin.query('people.signIn')).data, {
    issuer: 'http://localhost:9',
    clientId: 'identree',
    redirectUri: `${ORIGIN}/callback`,
    signedOutUri: `${ORIGIN}/signed-out`,
    backchannelUri: `${ORIGIN}/api/backchannel-logout`,
    groupsClaim: 'groups',
    adminGroups: ['admins'],
  });
  const alice = site.browser();
  await alice.signIn(identity('alice'));
  assert.equal((await alice.query('people.signIn')).refusal, 'forbidden');
});
