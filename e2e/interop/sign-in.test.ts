import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createOidc } from '../../server/src/auth/oidc.ts';
import { kysely } from '../../server/src/db/query.ts';
import { systemClock } from '../../server/src/platform/clock.ts';
import { createTestSite } from '../../server/src/testing/test-site.ts';
import { type PocketId, type PocketIdSession, skip, startPocketId } from '../harness/pocketid.ts';

const EXTERNAL = 'http://localhost:8090';

describe('signing in with a real PocketID', () => {
  let pocketId: PocketId;
  let client: { clientId: string; clientSecret: string };
  let adminGroup: string;
  before(async () => {
    if (skip) return;
    pocketId = await startPocketId();
    client = await pocketId.createClient('identree', `${EXTERNAL}/callback`);
    // The role of an operator in `createTestSite`.
    adminGroup = await pocketId.createGroup('admins');
  });
  after(() => pocketId?.close());

  async function siteFor(t: TestContext) {
    const oidc = {
      issuerUrl: pocketId.url,
      ...client,
      scopes: null,
      groupsClaim: 'groups',
      userIdClaim: 'sub',
      endSession: true,
    };
    const provider = createOidc({
      config: { externalUrl: EXTERNAL, oidc },
      clock: systemClock,
      log: { warn: (detail) => assert.fail(JSON.stringify(detail)) },
    });
    const site = await createTestSite(t, { env: { IDENTREE_EXTERNAL_URL: EXTERNAL }, provider });
    /** From our sign-in link over PocketID back to us, in a fresh browser. */
    async function signIn(session: PocketIdSession, query = '') {
      const browser = site.browser();
      site.clock.set(Date.now());
      const begun = await browser.get(`/sessions/login${query}`);
      const request = new URL(String(begun.headers.location));
      const back = await session.authorize(request);
      site.clock.set(Date.now());
      const response = await browser.get(`${back.pathname}${back.search}`);
      return { request, back, response, me: await browser.me() };
    }
    return { site, signIn };
  }

  test('discovery, PKCE and the groups claim make an operator', { skip }, async (t) => {
    const olga = await pocketId.createUser({
      username: 'olga',
      firstName: 'Olga',
      lastName: 'Operator',
      displayName: 'Olga O.',
      email: 'olga@example.com',
    });
    await pocketId.setMembers(adminGroup, [olga]);
    const { site, signIn } = await siteFor(t);
    const { request, response, me } = await signIn(await pocketId.signIn(olga), '?return_to=/hosts');
    assert.equal(`${request.origin}${request.pathname}`, `${pocketId.url}/authorize`);
    assert.equal(request.searchParams.get('code_challenge_method'), 'S256');
    assert.equal(response.statusCode, 303, response.body);
    assert.equal(response.headers.location, '/hosts');
    assert.deepEqual([me?.person.username, me?.person.displayName, me?.role], ['olga', 'Olga Operator', 'admin']);
    const row = await kysely(site.db.query)
      .selectFrom('people')
      .select(['issuer', 'subject'])
      .where('username', '=', 'olga')
      .executeTakeFirstOrThrow();
    assert.deepEqual(row, { issuer: pocketId.url, subject: olga }, 'the subject is the id in the directory');
    assert.deepEqual(site.problems, []);
  });

  test('whoever is in no such group is nobody special, and who left it is not any more', { skip }, async (t) => {
    const pat = await pocketId.createUser({ username: 'pat' });
    const { signIn } = await siteFor(t);
    const session = await pocketId.signIn(pat);
    const plain = await signIn(session);
    assert.deepEqual([plain.me?.person.username, plain.me?.role], ['pat', 'user'], plain.response.body);
    await pocketId.setMembers(adminGroup, [pat]);
    assert.equal((await signIn(session)).me?.role, 'admin');
    await pocketId.setMembers(adminGroup, []);
    assert.equal((await signIn(session)).me?.role, 'user');
  });

  test('a renamed person is the same person; one made anew under the old name is another', { skip }, async (t) => {
    const first = await pocketId.createUser({ username: 'rena' });
    const { site, signIn } = await siteFor(t);
    await signIn(await pocketId.signIn(first));
    const id = await site.personId('rena');
    await pocketId.updateUser(first, { username: 'renate' });
    assert.equal((await signIn(await pocketId.signIn(first))).me?.person.username, 'renate');
    assert.equal(await site.personId('renate'), id);
    await pocketId.deleteUser(first);
    const second = await pocketId.createUser({ username: 'renate' });
    const { response } = await signIn(await pocketId.signIn(second));
    const people = await kysely(site.db.query).selectFrom('people').select(['id', 'subject']).execute();
    assert.equal(people.find(({ subject }) => subject === first)?.id, id, response.body);
    assert.notEqual(people.find(({ subject }) => subject === second)?.id, id);
  });

  test('a step-up counts when PocketID says when the person signed in, and only then', { skip }, async (t) => {
    const sam = await pocketId.createUser({ username: 'sam' });
    const { site, signIn } = await siteFor(t);
    const session = await pocketId.signIn(sam);
    await session.registerPasskey();
    const { request, response } = await signIn(session, '?step_up=1&return_to=/passkeys');
    assert.equal(request.searchParams.get('max_age'), '0');
    const refused = await site.eventsNamed('login_failed');
    // Up to 2.9 it states no `auth_time`, and then nothing says that anybody was asked again.
    if (!/^2\.\d\./.test(pocketId.version)) {
      assert.deepEqual(
        [response.statusCode, response.headers.location, refused],
        [303, '/passkeys', []],
        response.body,
      );
    } else assert.deepEqual([response.statusCode, refused.map(({ reason }) => reason)], [403, ['not_fresh']]);
  });

  test('a code is worth nothing without the sign-in that asked for it', { skip }, async (t) => {
    const eve = await pocketId.createUser({ username: 'eve' });
    const session = await pocketId.signIn(eve);
    const { site, signIn } = await siteFor(t);
    const { back } = await signIn(session);
    const thief = site.browser();
    await thief.get('/sessions/login');
    assert.notEqual((await thief.get(`${back.pathname}${back.search}`)).statusCode, 303);
    assert.equal(await thief.me(), null);
    const browser = site.browser();
    const begun = new URL(String((await browser.get('/sessions/login')).headers.location));
    begun.searchParams.set('code_challenge', 'A'.repeat(43));
    const stolen = await session.authorize(begun);
    assert.notEqual((await browser.get(`${stolen.pathname}${stolen.search}`)).statusCode, 303);
  });
});
