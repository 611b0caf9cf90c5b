import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { Config } from '../config/config.ts';
import { kysely } from '../db/query.ts';
import { systemClock } from '../platform/clock.ts';
import type { TestBrowser } from '../testing/test-browser.ts';
import { startTestIdp, type TestIdp, type TestIdpOptions } from '../testing/test-idp.ts';
import { createTestSite } from '../testing/test-site.ts';
import { identityOf } from './claims.ts';
import { createOidc } from './oidc.ts';
import type { Fetch } from './provider-metadata.ts';

const EXTERNAL = 'http://localhost:8090';
const silent = { warn(_detail: object, _message: string) {} };

const settingsFor = (idp: Pick<TestIdp, 'issuer' | 'clientId' | 'clientSecret'>): Config['oidc'] => ({
  issuerUrl: idp.issuer,
  clientId: idp.clientId,
  clientSecret: idp.clientSecret,
  scopes: null,
  groupsClaim: 'groups',
  userIdClaim: 'sub',
  endSession: true,
});

function oidcFor(
  idp: Pick<TestIdp, 'issuer' | 'clientId' | 'clientSecret'>,
  more: { fetch?: Fetch; externalUrl?: string; settings?: Partial<Config['oidc']>; log?: typeof silent } = {},
) {
  const { externalUrl = EXTERNAL, settings, ...rest } = more;
  const oidc = { ...settingsFor(idp), ...settings };
  return createOidc({ config: { externalUrl, oidc }, clock: systemClock, log: silent, ...rest });
}

/** Where the browser is sent. */
async function urlAt(oidc: ReturnType<typeof oidcFor>): Promise<URL> {
  const begun = await oidc.authorizationUrl(secrets, { fresh: false });
  assert.ok(begun.ok, JSON.stringify(begun));
  return begun.url;
}

/** Why nobody can be sent anywhere. */
async function troubleAt(oidc: ReturnType<typeof oidcFor>) {
  const begun = await oidc.authorizationUrl(secrets, { fresh: false });
  assert.ok(!begun.ok, 'a sign-in could begin');
  return begun;
}

async function siteWith(t: TestContext, options: TestIdpOptions = {}, settings: Partial<Config['oidc']> = {}) {
  const idp = await startTestIdp(t, options);
  const logged: string[] = [];
  const log = { warn: (detail: object, message: string) => void logged.push(`${message} ${JSON.stringify(detail)}`) };
  const provider = oidcFor(idp, { settings, log });
  const site = await createTestSite(t, { env: { IDENTREE_EXTERNAL_URL: EXTERNAL }, provider });
  site.clock.set(Date.now());
  const atIdp = idp.browser();
  /** From our sign-in link over the provider back to us; `tamper` is what an attacker does to the address in between. */
  async function signIn(browser: TestBrowser, query = '', tamper: (url: URL) => void = () => {}) {
    site.clock.set(Date.now());
    const begun = await browser.get(`/sessions/login${query}`);
    const url = new URL(String(begun.headers.location));
    tamper(url);
    const back = await atIdp.visit(url);
    site.clock.set(Date.now());
    return { back, response: await browser.get(`${back.pathname}${back.search}`), url };
  }
  return { idp, site, atIdp, signIn, logged };
}

test('a scope that the provider does not have is not asked for: it would refuse the whole sign-in', async (t) => {
  const { idp, site, atIdp, signIn } = await siteWith(t, { groupsInProfile: true });
  const browser = site.browser();
  const { response, url } = await signIn(browser);
  assert.equal(response.statusCode, 303, response.body);
  assert.equal(url.searchParams.get('scope'), 'openid profile email');
  assert.equal((await browser.me())?.role, 'admin', 'groups came without being asked for');

  // What this provider says to one who asks for more.
  const asking = await urlAt(oidcFor(idp));
  asking.searchParams.set('scope', 'openid profile email groups');
  assert.equal((await atIdp.visit(asking)).searchParams.get('error'), 'invalid_scope');
});

test('a provider that does not say which scopes it has is asked for all', async (t) => {
  const { idp } = await siteWith(t);
  const quiet: Fetch = async (url, init) => {
    const answer = await fetch(url, init);
    const { scopes_supported, ...rest } = (await answer.json()) as Record<string, unknown>;
    assert.ok(scopes_supported);
    return Response.json(rest);
  };
  const url = await urlAt(oidcFor(idp, { fetch: quiet }));
  assert.equal(url.searchParams.get('scope'), 'openid profile email groups');
});

const secrets = { state: 'plain.state', nonce: 'nonce', codeVerifier: 'v'.repeat(43) };

test('a person signs in with a real provider: PKCE, state, nonce, groups and role', async (t) => {
  const { site, signIn, idp } = await siteWith(t);
  const browser = site.browser();
  const { response, url } = await signIn(browser, '?return_to=/hosts');
  assert.equal(response.statusCode, 303, response.body);
  assert.equal(response.headers.location, '/hosts');
  assert.equal(url.searchParams.get('code_challenge_method'), 'S256');
  assert.equal(url.searchParams.get('redirect_uri'), `${EXTERNAL}/callback`);
  assert.equal(url.searchParams.get('scope'), 'openid profile email groups');
  assert.ok(url.searchParams.get('state'));
  assert.ok(url.searchParams.get('nonce'));
  const me = await browser.me();
  assert.equal(me?.person.username, 'alice');
  assert.equal(me?.person.displayName, 'Alice Example');
  assert.equal(me?.role, 'admin');
  assert.ok(Math.abs(me.authTime - Date.now()) < 60_000, 'the provider said when');
  assert.match(String(idp.seen.find(({ path }) => path === '/token')?.authorization), /^Basic /);
  assert.deepEqual(site.problems, []);
});

test('a provider that gives claims at the userinfo endpoint only works as well', async (t) => {
  const { site, signIn, idp } = await siteWith(t, { conform: true });
  const browser = site.browser();
  await signIn(browser);
  assert.equal((await browser.me())?.role, 'admin');
  assert.ok(idp.seen.some(({ path }) => path === '/me'));
});

test('a provider that wants the client secret in the body gets it there', async (t) => {
  const { site, signIn } = await siteWith(t, { authMethod: 'client_secret_post' });
  const browser = site.browser();
  assert.equal((await signIn(browser)).response.statusCode, 303);
});

test('scopes of the settings are asked for as they are, whatever the provider says it has', async (t) => {
  const { idp } = await siteWith(t, { groupsInProfile: true });
  const url = await urlAt(oidcFor(idp, { settings: { scopes: ['openid', 'profile', 'roles'] } }));
  assert.equal(url.searchParams.get('scope'), 'openid profile roles');
});

test('a list of scopes that is no list says nothing, and ends nothing', async (t) => {
  const { idp } = await siteWith(t);
  for (const odd of ['openid profile', null, 7, { openid: true }]) {
    const answering: Fetch = async (url, init) => {
      const answer = (await (await fetch(url, init)).json()) as Record<string, unknown>;
      return Response.json({ ...answer, scopes_supported: odd });
    };
    const url = await urlAt(oidcFor(idp, { fetch: answering }));
    assert.equal(url.searchParams.get('scope'), 'openid profile email groups');
  }
});

test('groups come from the claim that the settings name', async (t) => {
  const claim = 'https://example.com/groups';
  const alice = { preferred_username: 'alice', [claim]: ['admins'], groups: ['nobody'] };
  const { site, signIn } = await siteWith(t, { accounts: { alice }, moreClaims: [claim] }, { groupsClaim: claim });
  const browser = site.browser();
  await signIn(browser);
  assert.equal((await browser.me())?.role, 'admin');
});

test('odd entries among the groups are left out and told; the others count', async (t) => {
  const groups = ['admins', 7, null, '', { name: 'ops' }, 'x'.repeat(300), 'staff'];
  const { site, signIn, logged } = await siteWith(t, { accounts: { alice: { preferred_username: 'alice', groups } } });
  const browser = site.browser();
  const { response } = await signIn(browser);
  assert.equal(response.statusCode, 303, response.body);
  assert.equal((await browser.me())?.role, 'admin');
  assert.ok(
    logged.some((line) => line.includes('"leftOut":5')),
    logged.join(),
  );
});

test('a sign-in time with a fraction is a sign-in time', async (t) => {
  const { site, signIn, idp } = await siteWith(t);
  const browser = site.browser();
  idp.loginTs = Math.floor(Date.now() / 1000) - 59.25;
  const { response } = await signIn(browser);
  assert.equal(response.statusCode, 303, response.body);
  assert.equal((await browser.me())?.authTime, idp.loginTs * 1000);
});

const ADMIN = { preferred_username: 'alice', name: 'Alice', groups: ['admins'] };
const userinfoRefuses = (request: IncomingMessage, response: ServerResponse) => {
  if (!request.url?.startsWith('/me')) return false;
  response.writeHead(403, { 'content-type': 'application/json' }).end('{"error":"insufficient_scope"}');
  return true;
};
for (const [why, sentence, become] of [
  [
    'overage',
    /more groups than/,
    (alice: Record<string, unknown>) => {
      delete alice.groups;
      alice._claim_names = { groups: 'src1' };
      alice._claim_sources = { src1: { endpoint: 'https://graph.example.com/getMemberObjects' } };
    },
  ],
  ['not_sent', /sent no groups/, (alice: Record<string, unknown>) => delete alice.groups],
  [
    'unreadable',
    /in a form that/,
    (alice: Record<string, unknown>) => Object.assign(alice, { groups: { admins: {} } }),
  ],
  [
    'userinfo_failed',
    /did not answer when/,
    (alice: Record<string, unknown>, idp: TestIdp) => {
      delete alice.groups;
      idp.instead = userinfoRefuses;
    },
  ],
] as const) {
  test(`groups that did not come (${why}) are told to the administrator who lost their role, in the event and in the log`, async (t) => {
    const alice: Record<string, unknown> = { ...ADMIN };
    const { site, signIn, idp, logged } = await siteWith(t, {
      accounts: { alice },
      moreClaims: ['_claim_names', '_claim_sources'],
    });
    const before = site.browser();
    await signIn(before);
    assert.equal((await before.me())?.role, 'admin');

    become(alice, idp);
    const browser = site.browser();
    const { response } = await signIn(browser, '?return_to=/hosts');
    assert.equal(response.statusCode, 200, 'a page instead of a console that has lost half its pages');
    assert.match(response.body, /not as an administrator/);
    assert.match(response.body, sentence);
    assert.match(response.body, /href="\/hosts"/);
    assert.equal((await browser.me())?.role, 'user', 'signed in all the same');
    const { data } = (await site.eventsNamed('user_logged_in')).at(-1)!;
    assert.deepEqual([data.groupsUnknown, data.lostRole], [why, 'admin']);
    const told = [...logged, ...site.logged.map((line) => JSON.stringify(line))];
    assert.ok(
      told.some((line) => line.includes('signed in without groups')),
      told.join('\n'),
    );
    assert.deepEqual(site.problems, []);
  });
}

test('groups that a provider without a scope for them does not send are named so, and so are those that it did not grant', async (t) => {
  const alice = { preferred_username: 'alice' };
  const { site, signIn } = await siteWith(t, { accounts: { alice }, groupsInProfile: true });
  await signIn(site.browser());
  assert.equal((await site.eventsNamed('user_logged_in'))[0]!.data.groupsUnknown, 'scope_missing');

  const { idp, atIdp } = await siteWith(t, { accounts: { alice } });
  const granting: Fetch = async (url, init) => {
    const answer = await fetch(url, init);
    if (!String(url).endsWith('/token')) return answer;
    return Response.json({ ...((await answer.json()) as object), scope: 'openid profile email' });
  };
  const oidc = oidcFor(idp, { fetch: granting });
  const back = await atIdp.visit(await urlAt(oidc));
  const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
  assert.equal(result.ok && result.identity.groupsUnknown, 'scope_missing');
});

test('who loses the role by leaving the group, or never had it, is told nothing of the kind', async (t) => {
  const alice: Record<string, unknown> = { ...ADMIN };
  const { site, signIn } = await siteWith(t, { accounts: { alice, bob: { preferred_username: 'bob' } } });
  await signIn(site.browser());
  alice.groups = ['staff'];
  assert.equal((await signIn(site.browser())).response.statusCode, 303);
  assert.equal((await site.eventsNamed('user_logged_in')).at(-1)!.data.groupsUnknown, undefined);
});

test('a userinfo endpoint that fails ends the sign-in of somebody whom nothing else names', async (t) => {
  const { site, signIn, idp } = await siteWith(t, { conform: true });
  idp.instead = userinfoRefuses;
  const browser = site.browser();
  assert.equal((await signIn(browser)).response.statusCode, 400);
  assert.equal(await browser.me(), null);
});

test('groups that came and groups that were looked for are in the log, louder when they are nearly the same', async (t) => {
  const alice = { preferred_username: 'alice', groups: ['/admins', '/sales'] };
  const { site, signIn } = await siteWith(t, { accounts: { alice } });
  const browser = site.browser();
  await signIn(browser);
  assert.equal((await browser.me())?.role, 'user', 'a name that is nearly the same gives no power');
  const line = site.logged.find((entry) => 'lookedFor' in entry) as Record<string, unknown> | undefined;
  assert.deepEqual([line?.level, line?.came, line?.lookedFor], [40, ['/admins', '/sales'], ['admins']]);
});

test('a text that no database keeps is no address and no session of the provider, and as the subject nobody', () => {
  const rules = { groupsClaim: 'groups', userIdClaim: 'sub', userinfoFailed: false, scopeMissing: false };
  for (const odd of ['a\0b', 'a\ud83db']) {
    const said = { sub: 'a', preferred_username: 'alice', email: odd, sid: odd, name: odd, groups: ['admins'] };
    const read = identityOf('https://id.example', said, 0, rules);
    assert.deepEqual(read.ok && [read.identity.email, read.identity.sid, read.identity.groups], [
      null,
      null,
      ['admins'],
    ]);
    const nobody = identityOf('https://id.example', { ...said, sub: odd }, 0, rules);
    assert.equal(!nobody.ok && nobody.problem, 'claims_unusable');
  }
});

test('a person without a groups claim has no groups', async (t) => {
  const { site, signIn } = await siteWith(t, { accounts: { alice: { preferred_username: 'alice' } } });
  const browser = site.browser();
  await signIn(browser);
  const me = await browser.me();
  assert.equal(me?.role, 'user');
  assert.equal(me?.person.displayName, 'alice');
});

for (const [what, username] of [
  ['has white space', 'alice smith'],
  ['is a path', '../alice'],
  ['begins with a dash', '-alice'],
  ['has a character that nobody sees', 'ali\u200bce'],
  ['is missing', undefined],
  ['is a list', ['alice']],
]) {
  test(`a user name that ${what} is refused`, async (t) => {
    const { site, signIn } = await siteWith(t, { accounts: { alice: { preferred_username: username, groups: [] } } });
    const browser = site.browser();
    assert.equal((await signIn(browser)).response.statusCode, 403);
    assert.equal(await browser.me(), null);
    assert.equal((await site.eventsNamed('login_failed'))[0]?.reason, 'username_unusable');
  });
}

test('a user name that is an address signs in, and is the account of nobody', async (t) => {
  const { site, signIn } = await siteWith(t, {
    accounts: { alice: { preferred_username: 'alice@example.test', groups: [] } },
  });
  const browser = site.browser();
  assert.equal((await signIn(browser)).response.statusCode, 303);
  const me = await browser.me();
  assert.deepEqual([me?.person.username, me?.accounts], ['alice@example.test', []]);
  assert.deepEqual(await site.eventsNamed('account_bound'), []);
});

for (const conform of [false, true]) {
  const where = conform ? 'at the userinfo endpoint' : 'in the ID token';
  test(`what the source of people knows somebody by is read from the claim that is set, ${where}`, async (t) => {
    const alice = { preferred_username: 'alice', groups: [], oid: 'object-1' };
    const options = { accounts: { alice }, moreClaims: ['oid'], conform };
    const { site, signIn } = await siteWith(t, options, { userIdClaim: 'oid' });
    const read = async () =>
      kysely(site.db.query).selectFrom('people').select(['source_id_claim', 'source_id']).executeTakeFirstOrThrow();
    await signIn(site.browser());
    assert.deepEqual(await read(), { source_id_claim: 'oid', source_id: 'object-1' });
    for (const odd of [undefined, '', 'two words', ['object-1'], 'x'.repeat(129)]) {
      Object.assign(alice, { oid: odd });
      await signIn(site.browser(), '?step_up=1');
      assert.deepEqual(await read(), { source_id_claim: null, source_id: null }, String(odd));
    }
  });
}

test('a step-up makes the person type again although the provider knows them, and moves the sign-in time', async (t) => {
  const { site, signIn, idp } = await siteWith(t);
  const browser = site.browser();
  idp.loginTs = Math.floor(Date.now() / 1000) - 3600;
  await signIn(browser);
  assert.equal(idp.typed, 1);
  const before = (await browser.me())!.authTime;
  assert.ok(Date.now() - before >= 3_599_000);
  idp.loginTs = null;
  const { response, url } = await signIn(browser, '?step_up=1&return_to=/passkeys');
  assert.equal(url.searchParams.get('prompt'), 'login');
  assert.equal(url.searchParams.get('max_age'), '0');
  assert.equal(response.headers.location, '/passkeys');
  assert.equal(idp.typed, 2);
  assert.ok((await browser.me())!.authTime > before);
});

test('a step-up that somebody turned into a silent sign-in on the way is refused', async (t) => {
  const { site, signIn, idp } = await siteWith(t);
  const browser = site.browser();
  idp.loginTs = Math.floor(Date.now() / 1000) - 600;
  await signIn(browser);
  const before = browser.jar.get(browser.sessionCookie);
  for (const tamper of [
    (url: URL) => url.searchParams.delete('prompt'),
    (url: URL) => {
      url.searchParams.delete('prompt');
      url.searchParams.delete('max_age');
    },
    (url: URL) => {
      url.searchParams.delete('prompt');
      url.searchParams.set('max_age', '86400');
    },
  ]) {
    const { response } = await signIn(browser, '?step_up=1', tamper);
    if (response.statusCode === 303) assert.ok(idp.typed > 1, 'accepted only when the provider asked');
    else assert.equal(response.statusCode, 403);
    idp.typed = 1;
  }
  assert.equal(browser.jar.get(browser.sessionCookie), before);
  assert.equal(
    (await site.eventsNamed('login_failed')).every(({ reason }) => reason === 'not_fresh'),
    true,
  );
  assert.ok((await site.eventsNamed('login_failed')).length >= 2);
});

test('a sign-in in the past does not count as fresh, whatever the provider was asked', async (t) => {
  const { site, signIn, idp } = await siteWith(t);
  idp.loginTs = Math.floor(Date.now() / 1000) - 300;
  // oidc-provider itself would ask again for max_age=0; with an old timestamp it answers with it.
  const { response } = await signIn(site.browser(), '?step_up=1', (url) => url.searchParams.set('max_age', '86400'));
  assert.equal(response.statusCode, 403);
});

test('the person’s Cancel at the provider is an ordinary page, not an error of ours', async (t) => {
  const { site, signIn, idp } = await siteWith(t);
  idp.person = 'cancel';
  const { response } = await signIn(site.browser(), '?return_to=/hosts');
  assert.equal(response.statusCode, 403);
  assert.match(response.body, /return_to=%2Fhosts/);
  assert.match(
    JSON.stringify(site.logged),
    /the resource owner pressed Cancel/,
    'the log has the words of the provider',
  );
  assert.equal((await site.eventsNamed('login_failed'))[0]?.reason, 'refused_by_provider');
});

for (const [what, settings, words] of [
  ['another secret', { clientSecret: 'not that of the provider' }, /HTTP 401: .*IDENTREE_OIDC_CLIENT_SECRET/],
  ['a scope that it does not have', { scopes: ['openid', 'groups'] }, /invalid_scope/],
] as const) {
  test(`a client that the provider has with ${what} is a matter of settings: nobody is told to try again`, async (t) => {
    const { site, signIn } = await siteWith(t, { groupsInProfile: true }, settings as Partial<Config['oidc']>);
    const { response } = await signIn(site.browser());
    assert.equal(response.statusCode, 503);
    assert.match(response.body, /not set up for each other/);
    assert.equal((await site.eventsNamed('login_failed'))[0]?.reason, 'provider_misconfigured');
    const line = site.logged.find((one) => JSON.stringify(one).includes('sign-in failed'));
    assert.match(JSON.stringify(line), words);
  });
}

test('a token endpoint that asks for another client by a challenge means our secret, and the userinfo endpoint a token', async (t) => {
  for (const [challenge, problem] of [
    ['Basic realm="clients"', 'provider_misconfigured'],
    ['Bearer error="invalid_token"', 'invalid_answer'],
  ] as const) {
    const { idp, atIdp } = await siteWith(t);
    const oidc = oidcFor(idp);
    const back = await atIdp.visit(await urlAt(oidc));
    idp.instead = (request, response) => {
      if (!request.url?.startsWith('/token')) return false;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
      return true;
    };
    const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
    assert.ok(!result.ok);
    assert.equal(result.problem, problem);
    assert.match(result.detail, /HTTP 401/);
  }
});

test('an issuer at which there is no provider is said with what answered there', async (t) => {
  const { idp } = await siteWith(t);
  const trouble = await troubleAt(oidcFor({ ...idp, issuer: `${idp.issuer}/realms/mistyped` }));
  assert.equal(trouble.problem, 'provider_unreachable');
  assert.match(trouble.detail, /HTTP 404 from http:\/\/[^ ]+\/realms\/mistyped\/\.well-known\/openid-configuration/);
});

test('an authorization code works once', async (t) => {
  const { site, idp, atIdp } = await siteWith(t);
  const oidc = oidcFor(idp);
  const back = await atIdp.visit(await urlAt(oidc));
  const now = { fresh: false, startedAt: Date.now() };
  assert.equal((await oidc.exchange(back, secrets, now)).ok, true);
  const again = await oidc.exchange(back, secrets, now);
  assert.deepEqual([again.ok, !again.ok && again.problem], [false, 'invalid_answer']);
  assert.deepEqual(site.problems, []);
});

for (const [what, change, problem] of [
  ['another state', { state: 'plain.other' }, 'invalid_answer'],
  ['another nonce', { nonce: 'other' }, 'nonce_mismatch'],
  ['another code verifier', { codeVerifier: 'w'.repeat(43) }, 'invalid_answer'],
] as const) {
  test(`an answer to a sign-in with ${what} is refused`, async (t) => {
    const { idp, atIdp } = await siteWith(t);
    const oidc = oidcFor(idp);
    const back = await atIdp.visit(await urlAt(oidc));
    const result = await oidc.exchange(back, { ...secrets, ...change }, { fresh: false, startedAt: Date.now() });
    assert.deepEqual([result.ok, !result.ok && result.problem], [false, problem]);
  });
}

for (const [what, change] of [
  ['names another issuer (mix-up)', (url: URL) => url.searchParams.set('iss', 'https://evil.test')],
  ['names no issuer although the provider always does', (url: URL) => url.searchParams.delete('iss')],
  ['has lost its code', (url: URL) => url.searchParams.delete('code')],
  ['has a code of somebody else', (url: URL) => url.searchParams.set('code', 'x'.repeat(43))],
] as const) {
  test(`an answer that ${what} is refused`, async (t) => {
    const { idp, atIdp } = await siteWith(t);
    const oidc = oidcFor(idp);
    const back = await atIdp.visit(await urlAt(oidc));
    change(back);
    const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
    assert.deepEqual([result.ok, !result.ok && result.problem], [false, 'invalid_answer']);
  });
}

test('an ID token of another client, issuer or key is refused', async (t) => {
  const { idp, atIdp } = await siteWith(t);
  const oidc = oidcFor(idp);
  const other = await startTestIdp(t);
  // The other provider's tokens, handed out under the first one's name.
  const otherOidc = oidcFor({ ...other });
  const stolen = await other.browser().visit(await urlAt(otherOidc));
  const back = await atIdp.visit(await urlAt(oidc));
  idp.instead = (request, response) => {
    if (!request.url?.startsWith('/token')) return false;
    const body = new URLSearchParams({
      grant_type: 'authorization_code',
      code: stolen.searchParams.get('code')!,
      redirect_uri: `${EXTERNAL}/callback`,
      code_verifier: secrets.codeVerifier,
    });
    const authorization = `Basic ${Buffer.from(`${other.clientId}:${encodeURIComponent(other.clientSecret).replaceAll('%20', '+')}`).toString('base64')}`;
    fetch(`${other.issuer}/token`, { method: 'POST', body, headers: { authorization } })
      .then(async (answer) => {
        assert.equal(answer.status, 200);
        response.writeHead(200, { 'content-type': 'application/json' }).end(await answer.text());
      })
      .catch(() => response.destroy());
    return true;
  };
  const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
  assert.deepEqual([result.ok, !result.ok && result.problem], [false, 'invalid_answer']);
});

test('a redirect at the token endpoint is not followed: our client secret stays where it belongs', async (t) => {
  const { idp, atIdp } = await siteWith(t);
  const elsewhere = await startTestIdp(t);
  const oidc = oidcFor(idp);
  const back = await atIdp.visit(await urlAt(oidc));
  idp.instead = (request, response) => {
    if (!request.url?.startsWith('/token')) return false;
    response.writeHead(307, { location: `${elsewhere.issuer}/token` }).end();
    return true;
  };
  const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
  assert.equal(result.ok, false);
  assert.deepEqual(elsewhere.seen, []);
});

test('a provider that is down at first is found when it comes up, without a restart', async (t) => {
  const idp = await startTestIdp(t);
  let now = Date.now();
  const oidc = createOidc({
    config: { externalUrl: EXTERNAL, oidc: settingsFor(idp) },
    clock: { now: () => now },
    log: silent,
  });
  idp.instead = (_request, response) => {
    response.writeHead(503).end();
    return true;
  };
  assert.equal((await troubleAt(oidc)).problem, 'provider_unreachable');
  assert.equal((await oidc.trouble())?.problem, 'provider_unreachable');
  const asked = idp.seen.length;
  await troubleAt(oidc);
  assert.equal(idp.seen.length, asked, 'a dead provider is not asked for every visitor');
  idp.instead = null;
  now += 5_000;
  await urlAt(oidc);
  do now += 30_000;
  while ((await oidc.trouble()) !== null);
});

test('[M-10] a provider that hangs keeps nobody waiting who asks how the server is, and is told once it is known', async (t) => {
  const idp = await startTestIdp(t);
  let now = Date.now();
  const oidc = createOidc({
    config: { externalUrl: EXTERNAL, oidc: settingsFor(idp) },
    clock: { now: () => now },
    log: silent,
  });
  assert.equal(await oidc.trouble(), null);
  const held: ServerResponse[] = [];
  idp.instead = (_request, response) => {
    held.push(response);
    return true;
  };
  now += 30_000;
  assert.equal(await oidc.trouble(), null, 'what was known is told while it is asked');
  assert.equal(await oidc.trouble(), null);
  assert.equal(held.length, 1, 'it was asked, once, and has not answered');
  held[0]!.writeHead(503).end();
  while ((await oidc.trouble()) === null) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await oidc.trouble())?.problem, 'provider_unreachable');
});

test('discovery happens once for many sign-ins', async (t) => {
  const { site, signIn, idp } = await siteWith(t);
  await signIn(site.browser());
  await signIn(site.browser());
  assert.equal(idp.seen.filter(({ path }) => path.includes('.well-known')).length, 1);
});

test('an issuer on plain http on another machine is refused at once', () => {
  for (const issuer of ['http://idp.example.com', 'http://10.0.0.1', 'http://localhost.example.com']) {
    assert.throws(() => oidcFor({ issuer, clientId: 'c', clientSecret: 's' }), TypeError);
  }
});

test('a provider on https whose endpoints are plain http is not used', async () => {
  const issuer = 'https://idp.test';
  const metadata = {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: 'http://idp.test/token',
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  };
  const answering =
    (body: object): Fetch =>
    async () =>
      Response.json(body);
  const idp = { issuer, clientId: 'c', clientSecret: 's' };
  assert.deepEqual(await troubleAt(oidcFor(idp, { fetch: answering(metadata) })), {
    ok: false,
    problem: 'provider_misconfigured',
    detail: 'its token_endpoint is not https',
  });
  const sound = { ...metadata, token_endpoint: `${issuer}/token` };
  assert.ok(await urlAt(oidcFor(idp, { fetch: answering(sound) })));
  const impostor = { ...sound, issuer: 'https://evil.test' };
  assert.equal((await troubleAt(oidcFor(idp, { fetch: answering(impostor) }))).problem, 'provider_misconfigured');
});

for (const [what, named, configured] of [
  ['with a slash at its end', (issuer: string) => `${issuer}/realms/a/`, (issuer: string) => `${issuer}/realms/a`],
  ['without the slash at its end', (issuer: string) => `${issuer}/realms/a`, (issuer: string) => `${issuer}/realms/a/`],
  ['by another host', () => 'https://sso.example.com', (issuer: string) => issuer],
] as const) {
  test(`an issuer that calls itself otherwise, ${what}, is told apart from one that is away`, async (t) => {
    const idp = await startTestIdp(t);
    const own = named(idp.issuer);
    idp.instead = (request, response) => {
      if (!request.url?.includes('/.well-known/')) return false;
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ issuer: own }));
      return true;
    };
    const issuer = configured(idp.issuer);
    const logged: string[] = [];
    const provider = createOidc({
      config: { externalUrl: EXTERNAL, oidc: { ...settingsFor(idp), issuerUrl: issuer } },
      clock: systemClock,
      log: { warn: (detail, message) => void logged.push(`${message} ${JSON.stringify(detail)}`) },
    });
    const site = await createTestSite(t, { env: { IDENTREE_EXTERNAL_URL: EXTERNAL }, provider });
    const page = await site.browser().get('/sessions/login');
    assert.equal(page.statusCode, 503);
    assert.match(page.body, /Trying again does not help/);
    assert.doesNotMatch(page.body, /cannot be reached/);
    const health = (await site.app.http.inject('/healthz')).json();
    assert.equal(health.checks.oidc, 'misconfigured');
    assert.equal(health.details.oidc, `calls itself ${own}, configured is ${issuer}`);
    assert.ok(logged.some((line) => line.includes(`calls itself ${own}, configured is ${issuer}`)));
  });
}

test('a provider that cannot be reached during the exchange is told apart from one that lies', async (t) => {
  const { idp, atIdp } = await siteWith(t);
  let broken = false;
  const flaky: Fetch = (url, init) => (broken ? Promise.reject(new TypeError('fetch failed')) : fetch(url, init));
  const oidc = oidcFor(idp, { fetch: flaky });
  const back = await atIdp.visit(await urlAt(oidc));
  broken = true;
  const result = await oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
  assert.deepEqual([result.ok, !result.ok && result.problem], [false, 'provider_unreachable']);
});

test('a provider that hangs is waited for ten seconds and no longer', async (t) => {
  const { idp, atIdp } = await siteWith(t);
  const oidc = oidcFor(idp);
  const back = await atIdp.visit(await urlAt(oidc));
  const limits: { ms: number; pass: () => void }[] = [];
  t.mock.method(AbortSignal, 'timeout', (ms: number) => {
    const limit = new AbortController();
    limits.push({ ms, pass: () => limit.abort(new DOMException('timed out', 'TimeoutError')) });
    return limit.signal;
  });
  const asked = new Promise<void>((resolve) => {
    idp.instead = () => {
      resolve();
      return true;
    };
  });
  const exchanged = oidc.exchange(back, secrets, { fresh: false, startedAt: Date.now() });
  await asked;
  assert.ok(limits.length > 0);
  assert.deepEqual(new Set(limits.map(({ ms }) => ms)), new Set([10_000]));
  for (const { pass } of limits) pass();
  const result = await exchanged;
  assert.deepEqual([result.ok, !result.ok && result.problem], [false, 'provider_unreachable']);
});

test('nothing secret gets into what is logged', async (t) => {
  const { idp, atIdp } = await siteWith(t);
  const oidc = oidcFor(idp);
  const back = await atIdp.visit(await urlAt(oidc));
  const code = back.searchParams.get('code')!;
  const result = await oidc.exchange(back, { ...secrets, nonce: 'other' }, { fresh: false, startedAt: Date.now() });
  assert.equal(result.ok, false);
  const told = JSON.stringify(result);
  for (const secret of [code, idp.clientSecret, secrets.codeVerifier]) assert.equal(told.includes(secret), false);
});
