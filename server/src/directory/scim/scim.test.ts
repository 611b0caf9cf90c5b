import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { kysely } from '../../db/query.ts';
import { forEachDriver } from '../../db/test-databases.ts';
import { TEST_EXTERNAL_URL } from '../../testing/test-config.ts';
import { ALICE, OPS, sourceContract, type Upstream } from '../source/test-source-contract.ts';
import { matchesFilter, parseFilter } from './filter.ts';
import { SCHEMA, slug } from './resource.ts';
import { type Json, openScim, TEST_ADMIN, TEST_ISSUER, testUser as user } from './test-scim.ts';

forEachDriver('SCIM', (driver) => {
  test('speaks with PocketID: lists, creates, replaces and deletes as its client does', async (t) => {
    const { client, eventNames, clock } = await openScim(t, driver);
    const { call } = await client();
    assert.deepEqual((await call('GET', '/Users?startIndex=1&count=1000')).body, {
      schemas: [SCHEMA.list],
      totalResults: 0,
      startIndex: 1,
      itemsPerPage: 0,
      Resources: [],
    });
    const made = await call(
      'POST',
      '/Users',
      user('alice', {
        name: { givenName: 'Alice', familyName: 'L' },
        emails: [{ value: 'a@example.com', primary: true }],
      }),
    );
    assert.equal(made.status, 201);
    assert.equal(made.headers.location, `${TEST_EXTERNAL_URL}/scim/v2/Users/${made.body.id}`);
    assert.equal(made.headers['content-type'], 'application/scim+json; charset=utf-8');
    const group = await call('POST', '/Groups', {
      schemas: [SCHEMA.group],
      externalId: OPS,
      displayName: 'Ops Team',
      members: [{ value: made.body.id }],
    });
    assert.equal(group.status, 201);
    clock.advance(5000);
    const same = await call(
      'PUT',
      `/Users/${made.body.id}`,
      user('alice', {
        name: { givenName: 'Alice', familyName: 'L' },
        emails: [{ value: 'a@example.com', primary: true }],
      }),
    );
    assert.equal(same.body.meta.version, 'W/"1"');
    assert.equal(Date.parse(same.body.meta.lastModified), clock.now(), 'also a write that changes nothing');
    clock.advance(999);
    const late = await call('PUT', `/Users/${made.body.id}`, user('alice', { displayName: 'Alice' }));
    // PocketID keeps seconds, and would not push what was changed later in this one.
    assert.equal(Date.parse(late.body.meta.lastModified), clock.now() - 999);
    assert.equal(Date.parse(late.body.meta.created) % 1000, 0, 'or a fresh one would be changed before it was made');
    const put = await call('PUT', `/Users/${made.body.id}`, user('alice', { active: false }));
    assert.deepEqual([put.body.active, put.body.meta.version, put.body.name], [false, 'W/"3"', undefined]);
    assert.equal((await call('DELETE', `/Users/${made.body.id}`)).status, 204);
    assert.equal((await call('GET', `/Users/${made.body.id}`)).status, 404);
    assert.equal((await call('DELETE', `/Users/${made.body.id}`)).status, 404);
    assert.deepEqual(await eventNames(), ['scim_client_created', ...Array(6).fill('scim_resource_changed')]);
  });

  test('pages by the true length, finds by filter, and shows a client only what it made', async (t) => {
    const { client, clock } = await openScim(t, driver);
    const one = await client();
    const other = await client({ issuer: 'https://other.example' });
    for (let n = 0; n < 7; n += 1) {
      await one.call('POST', '/Users', user(`u${n}`, { active: n % 2 === 0 }));
      clock.advance(1);
    }
    const page = await one.call('GET', '/Users?startIndex=6&count=5');
    assert.deepEqual([page.body.totalResults, page.body.startIndex, page.body.itemsPerPage], [7, 6, 2]);
    const names = async (filter: string) =>
      (await one.call('GET', `/Users?filter=${encodeURIComponent(filter)}`)).body.Resources.map(
        ({ userName }: Json) => userName,
      );
    assert.deepEqual(await names('userName eq "U3"'), ['u3']);
    assert.deepEqual(await names('externalId eq "ext-u4"'), ['u4']);
    assert.deepEqual(await names('externalId eq "EXT-U4"'), []);
    assert.deepEqual(await names('active eq false and userName gt "u1"'), ['u3', 'u5']);
    assert.equal((await one.call('GET', '/Users?filter=userName%20eq')).body.scimType, 'invalidFilter');
    assert.equal((await other.call('GET', '/Users')).body.totalResults, 0);
    const id = (await one.call('GET', '/Users?count=1')).body.Resources[0].id;
    for (const method of ['GET', 'DELETE'] as const)
      assert.equal((await other.call(method, `/Users/${id}`)).status, 404);
    assert.equal((await other.call('PUT', `/Users/${id}`, user('evil'))).status, 404);
    const member = await other.call('POST', '/Groups', { displayName: 'g', members: [{ value: id }] });
    assert.deepEqual([member.status, member.body.scimType], [400, 'invalidValue']);
  });

  test('an external id belongs to one person at a time, whichever client says so, and is never changed', async (t) => {
    const { client } = await openScim(t, driver);
    const [one, two] = [await client(), await client({ name: 'second' })];
    const made = await one.call('POST', '/Users', user('alice', { externalId: 'sub-1' }));
    assert.equal((await two.call('POST', '/Users', user('mallory', { externalId: 'sub-1' }))).status, 409);
    assert.equal((await two.call('POST', '/Users', user('alice', { externalId: 'sub-1' }))).status, 409);
    const moved = await one.call('PUT', `/Users/${made.body.id}`, user('alice', { externalId: 'sub-2' }));
    assert.deepEqual([moved.status, moved.body.scimType], [400, 'mutability']);
    const patched = await one.call('PATCH', `/Users/${made.body.id}`, {
      Operations: [{ op: 'replace', path: 'externalId', value: 'sub-2' }],
    });
    assert.equal(patched.status, 400);
    await one.call('DELETE', `/Users/${made.body.id}`);
    assert.equal((await two.call('POST', '/Users', user('alice', { externalId: 'sub-1' }))).status, 201);
    assert.equal((await one.call('POST', '/Users', user('mallory', { externalId: 'sub-1' }))).status, 409);
  });

  test('no identity is given twice, whoever is quicker and whatever it is made of', async (t) => {
    const { client, snapshot } = await openScim(t, driver);
    const [one, two] = [await client(), await client({ name: 'second' })];
    for (let n = 0; n < 10; n += 1) {
      const answers = await Promise.all(
        [one, two].map(({ call }, who) => call('POST', '/Users', user(`u${n}-${who}`, { externalId: `sub-${n}` }))),
      );
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 409], `both at once, ${n}`);
    }
    const own = await one.call('POST', '/Users', { userName: 'own' });
    const like = await two.call('POST', '/Users', { userName: 'like', externalId: own.body.id });
    assert.deepEqual([like.status, like.body.scimType], [409, 'uniqueness']);
    assert.equal((await snapshot()).users.length, 11);
  });

  test('names are unique without regard to case', async (t) => {
    const { client } = await openScim(t, driver);
    const { call } = await client();
    await call('POST', '/Users', user('alice'));
    const twice = await call('POST', '/Users', user('ALICE', { externalId: 'else' }));
    assert.deepEqual([twice.status, twice.body.scimType], [409, 'uniqueness']);
    const bob = await call('POST', '/Users', user('bob'));
    assert.equal((await call('PUT', `/Users/${bob.body.id}`, user('Alice', { externalId: 'ext-bob' }))).status, 409);
  });

  test('groups may share what people call them, never a POSIX name', async (t) => {
    const { client, snapshot } = await openScim(t, driver);
    const { call } = await client();
    for (const externalId of ['g1', 'g2']) {
      assert.equal((await call('POST', '/Groups', { externalId, displayName: 'Web Team' })).status, 201);
    }
    const found = await call('GET', `/Groups?filter=${encodeURIComponent('displayName eq "web team"')}`);
    assert.equal(found.body.totalResults, 2);
    const served = await snapshot();
    assert.deepEqual(
      served.groups.map(({ id, name }) => [id, name]),
      [
        ['g1', 'web-team'],
        ['g2', 'web-team-2'],
      ],
    );
  });

  test('the pseudo user of a PocketID key, which it pushes like a person, is nobody', async (t) => {
    const { client, snapshot } = await openScim(t, driver);
    const { call } = await client();
    const ghost = await call(
      'POST',
      '/Users',
      user('static-api-user-abc123', { externalId: '00000000-0000-0000-0000-000000000000' }),
    );
    const alice = await call('POST', '/Users', user('alice'));
    const members = [{ value: ghost.body.id }, { value: alice.body.id }];
    await call('POST', '/Groups', { externalId: OPS, displayName: 'ops', members });
    const served = await snapshot();
    assert.deepEqual(
      served.users.map(({ username }) => username),
      ['alice'],
    );
    assert.deepEqual(served.groups[0]?.userIds, ['ext-alice']);
    assert.equal((await call('GET', '/Users')).body.totalResults, 2, 'PocketID still finds what it pushed');
  });

  test('POSIX and sudo attributes need their own scope, by every way in', async (t) => {
    const { client } = await openScim(t, driver);
    const plain = await client();
    const sudo = await client({ name: 'sudo', issuer: 'https://sudo.example', sudo: true });
    const extension = { [SCHEMA.posixUser]: { loginShell: '/bin/zsh' } };
    const shouting = { [SCHEMA.posixUser.toUpperCase()]: { LOGINSHELL: '/bin/zsh' } };
    for (const part of [extension, shouting])
      assert.equal((await plain.call('POST', '/Users', user('alice', part))).status, 403);
    const made = await plain.call('POST', '/Users', user('alice'));
    assert.equal((await plain.call('PUT', `/Users/${made.body.id}`, user('alice', extension))).status, 403);
    for (const operation of [
      { op: 'add', path: `${SCHEMA.posixUser}:loginShell`, value: '/bin/zsh' },
      { op: 'Replace', value: extension },
      { op: 'add', value: { [`${SCHEMA.posixUser}:loginShell`]: '/bin/zsh' } },
    ]) {
      assert.equal(
        (await plain.call('PATCH', `/Users/${made.body.id}`, { Operations: [operation] })).status,
        403,
        JSON.stringify(operation),
      );
    }
    const group = { displayName: 'g', [SCHEMA.posixGroup]: { sudo: { commands: ['ALL'] } } };
    assert.equal((await plain.call('POST', '/Groups', group)).status, 403);
    const ok = await sudo.call('POST', '/Groups', group);
    assert.equal(ok.status, 201);
    assert.deepEqual(ok.body[SCHEMA.posixGroup], { sudo: { commands: ['ALL'] } });
  });

  test('a text that no database and no log can keep is kept without what is wrong with it, and stops nothing beside it', async (t) => {
    const { client, snapshot, eventNames } = await openScim(t, driver);
    const { call } = await client();
    const [nul, half] = ['a\0b', 'a\ud83db'];
    const made = await call('POST', '/Users', user('c', { userName: nul, displayName: half, title: half }));
    assert.deepEqual([made.status, made.body.userName, made.body.displayName], [201, 'ab', 'a\ufffdb']);
    assert.equal((await call('POST', '/Users', user('d', { userName: 'a\0\0b' }))).status, 409, 'it is the same name');
    assert.equal((await call('POST', '/Groups', { schemas: [SCHEMA.group], displayName: half })).status, 201);
    const Operations = [
      { op: 'replace', path: 'title', value: nul },
      { op: 'replace', path: 'active', value: false },
    ];
    assert.equal((await call('PATCH', `/Users/${made.body.id}`, { schemas: [SCHEMA.patch], Operations })).status, 200);
    assert.equal((await snapshot()).users[0]?.disabled, true);
    const found = await call('GET', `/Users?filter=${encodeURIComponent('userName eq "a\\u0000b"')}`);
    assert.equal(found.body.totalResults, 1);
    assert.equal((await call('GET', '/Users/a%00b')).status, 404);
    assert.deepEqual(await eventNames(), [
      'scim_client_created',
      ...['scim_resource_changed', 'scim_resource_changed', 'scim_resource_changed'],
    ]);
  });

  test('a stale ETag changes nothing; a known one saves the answer', async (t) => {
    const { client } = await openScim(t, driver);
    const { call } = await client();
    const made = await call('POST', '/Users', user('alice'));
    assert.equal(made.headers.etag, 'W/"1"');
    const path = `/Users/${made.body.id}`;
    assert.equal((await call('GET', path, undefined, { 'if-none-match': 'W/"1"' })).status, 304);
    await call('PUT', path, user('alice', { displayName: 'A' }), { 'if-match': 'W/"1"' });
    const stale = { 'if-match': 'W/"1"' };
    assert.equal((await call('PUT', path, user('alice'), stale)).status, 412);
    assert.equal(
      (await call('PATCH', path, { Operations: [{ op: 'remove', path: 'displayName' }] }, stale)).status,
      412,
    );
    assert.equal((await call('DELETE', path, undefined, stale)).status, 412);
    assert.equal((await call('GET', path)).body.displayName, 'A');
  });

  test('PATCH as Entra and Okta write it', async (t) => {
    const { client } = await openScim(t, driver);
    const { call } = await client();
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) ids.push((await call('POST', '/Users', user(name))).body.id);
    const path = `/Users/${ids[0]}`;
    const patch = async (at: string, ...operations: object[]) =>
      call('PATCH', at, { schemas: [SCHEMA.patch], Operations: operations });
    assert.equal((await patch(path, { op: 'Replace', path: 'active', value: 'False' })).body.active, false);
    const merged = await patch(path, {
      op: 'replace',
      value: { active: true, 'name.familyName': 'Z', title: 'ignored' },
    });
    assert.deepEqual([merged.body.active, merged.body.name], [true, { familyName: 'Z' }]);
    const mail = await patch(path, { op: 'Add', path: 'emails[type eq "work"].value', value: 'a@example.com' });
    assert.deepEqual(mail.body.emails, [{ type: 'work', value: 'a@example.com' }]);
    const group = await call('POST', '/Groups', { displayName: 'g', members: [{ value: ids[0] }] });
    const at = `/Groups/${group.body.id}`;
    const members = (body: Json) => body.members.map(({ value }: Json) => ids.indexOf(value));
    assert.deepEqual(
      members((await patch(at, { op: 'add', path: 'members', value: [{ value: ids[1] }, { value: ids[0] }] })).body),
      [0, 1],
    );
    assert.deepEqual(members((await patch(at, { op: 'remove', path: `members[value eq "${ids[0]}"]` })).body), [1]);
    assert.deepEqual(
      members(
        (
          await patch(
            at,
            { op: 'Add', path: 'members', value: [{ value: ids[2] }] },
            { op: 'Remove', path: 'members', value: [{ value: ids[1] }] },
          )
        ).body,
      ),
      [2],
    );
    for (const bad of [
      { op: 'move', path: 'members' },
      { op: 'replace', path: 'members[', value: 1 },
      { op: 'replace', path: 'emails[value eq "x"].value.y', value: 1 },
      { op: 'replace', path: 'displayName', value: 7 },
      { op: 'add', path: 'members', value: [{ value: 'nobody' }] },
      { op: 'remove' },
    ]) {
      assert.equal((await patch(at, bad)).status, 400, JSON.stringify(bad));
    }
    assert.deepEqual(members((await call('GET', at)).body), [2], 'what was refused changed nothing');
  });

  test('the POSIX name of a group stays when its display name changes, and is had once', async (t) => {
    const { client, snapshot } = await openScim(t, driver);
    const { call } = await client();
    const one = await call('POST', '/Groups', { displayName: 'Ops Team' });
    await call('POST', '/Groups', { displayName: 'Ops-Team' });
    await call('PUT', `/Groups/${one.body.id}`, { displayName: 'Wheel' });
    const served = await snapshot();
    assert.deepEqual(served.groups.map(({ name, friendlyName }) => [name, friendlyName]).sort(), [
      ['ops-team', 'Wheel'],
      ['ops-team-2', 'Ops-Team'],
    ]);
  });

  test('tokens: unknown, expired, revoked and guessed ones do nothing', async (t) => {
    const { client, scim, clock, http, db } = await openScim(t, driver);
    const { call, id, token } = await client();
    const rows = JSON.stringify(await kysely(db.query).selectFrom('scim_clients').selectAll().execute());
    assert.ok(!rows.includes(token) && !rows.includes(token.slice(5)), 'only the hash is stored');
    assert.equal((await http.inject({ url: '/scim/v2/Users' })).statusCode, 401);
    assert.equal((await http.inject({ url: '/scim/v2/Users' })).headers['www-authenticate'], 'Bearer');
    assert.equal((await http.inject({ url: '/scim/v2/ServiceProviderConfig' })).statusCode, 200);
    await scim.revokeClient(id, TEST_ADMIN);
    assert.equal((await call('GET', '/Users')).status, 401);
    const next = await client({ days: 1 });
    clock.advance(86_400_000);
    assert.equal((await next.call('GET', '/Users')).status, 401);
    for (let n = 0; n < 40; n += 1) await http.inject({ url: '/scim/v2/Users' });
    assert.equal((await http.inject({ url: '/scim/v2/Users' })).statusCode, 429);
  });
});

test('bodies that are no resource are refused without repeating them', async (t) => {
  const { client, http } = await openScim(t);
  const { call, token } = await client();
  for (const body of [
    {},
    { userName: '' },
    { userName: 7 },
    user('a', { emails: 'secret' }),
    user('a', { externalId: 'a b' }),
    [],
    null,
  ]) {
    const { status, body: answer } = await call('POST', '/Users', body);
    assert.equal(status, 400, JSON.stringify(body));
    assert.deepEqual(answer.schemas, [SCHEMA.error]);
    assert.doesNotMatch(JSON.stringify(answer), /secret/);
  }
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' };
  assert.equal((await http.inject({ method: 'POST', url: '/scim/v2/Users', headers, payload: '{' })).statusCode, 400);
  assert.equal(
    (
      await http.inject({
        method: 'POST',
        url: '/scim/v2/Users',
        headers: { ...headers, 'content-type': 'text/plain' },
        payload: '{}',
      })
    ).statusCode,
    415,
  );
  const polluted = await http.inject({
    method: 'POST',
    url: '/scim/v2/Users',
    headers,
    payload: '{"userName":"p","__proto__":{"active":false},"constructor":{}}',
  });
  assert.equal(polluted.statusCode, 201);
  assert.equal(polluted.json().active, true);
});

sourceContract('SCIM', async (t) => {
  const { client, db, source } = await openScim(t);
  const { call } = await client({ sudo: true });
  const ids = new Map<string, string>();
  const put = async (content: Upstream) => {
    for (const one of content.users) {
      const shell = one.customClaims?.[0]?.value;
      const body = user(one.username, {
        externalId: one.id,
        name: { givenName: one.firstName },
        active: one.disabled !== true,
        ...(shell ? { [SCHEMA.posixUser]: { loginShell: shell } } : {}),
      });
      const known = ids.get(one.id);
      const answer = known ? await call('PUT', `/Users/${known}`, body) : await call('POST', '/Users', body);
      ids.set(one.id, answer.body.id);
    }
    for (const one of content.groups) {
      const members = one.userIds.map((value) => ({ value: ids.get(value) }));
      const sudo = { commands: JSON.parse(`["${one.customClaims?.[0]?.value}"]`) };
      const body = { externalId: one.id, displayName: one.name, members, [SCHEMA.posixGroup]: { sudo } };
      const known = ids.get(one.id);
      const answer = known ? await call('PUT', `/Groups/${known}`, body) : await call('POST', '/Groups', body);
      ids.set(one.id, answer.body.id);
    }
  };
  return {
    source: {
      ...source,
      // The contract's claim is plain text; SCIM's lists arrive as JSON, which means the same.
      fetch: async (signal) => {
        const result = await source.fetch(signal);
        if (!result.ok) return result;
        const plain = (value: string) => (value === '["ALL"]' ? 'ALL' : value);
        const groups = result.snapshot.groups.map((group) => ({
          ...group,
          customClaims: group.customClaims.map(({ key, value }) => ({ key, value: plain(value) })),
        }));
        return { ok: true, snapshot: { ...result.snapshot, groups } };
      },
    },
    issuer: TEST_ISSUER,
    put,
    breakIt: async () => {
      await db.transaction((work) =>
        kysely(work.query)
          .updateTable('scim_resources')
          .set({ resource: '{}' })
          .where('external_id', '=', ALICE)
          .execute(),
      );
    },
  };
});

test('filters: grammar, precedence and refusals', () => {
  const resource = {
    userName: 'Bob',
    id: 'X1',
    emails: [
      { type: 'work', value: 'b@example.com' },
      { type: 'home', value: 'h@x.org' },
    ],
    name: { familyName: 'B' },
    meta: { lastModified: '2026-01-02T00:00:00Z' },
    [SCHEMA.posixUser]: { loginShell: '/bin/sh' },
  };
  const cases: [string, boolean][] = [
    ['userName eq "bob"', true],
    ['USERNAME Eq "bob"', true],
    ['id eq "x1"', false],
    ['userName sw "B" and not (name.familyName eq "C")', true],
    ['userName eq "x" or userName eq "bob" and id eq "X1"', true],
    ['(userName eq "x" or userName eq "bob") and id eq "y"', false],
    ['emails[type eq "work" and value co "example"]', true],
    ['emails[type eq "home" and value co "example"]', false],
    ['emails.type eq "home"', true],
    ['title pr', false],
    ['userName pr', true],
    ['userName ne "bob"', false],
    ['meta.lastModified gt "2026-01-01T00:00:00Z"', true],
    [`${SCHEMA.posixUser}:loginShell eq "/bin/sh"`, true],
    ['userName eq "a\\"b"', false],
  ];
  for (const [text, expected] of cases) {
    const filter = parseFilter(text);
    assert.ok(filter, text);
    assert.equal(matchesFilter(filter, resource), expected, text);
  }
  for (const bad of [
    '',
    'userName',
    'userName eq',
    'userName eq bob',
    'eq "x"',
    '(userName pr',
    'userName pr)',
    'a eq "x" and',
    'a[b eq 1',
    'a xx "b"',
    'a eq {"b":1}',
    `${'('.repeat(50)}a pr${')'.repeat(50)}`,
    'a pr '.repeat(2000),
  ]) {
    assert.equal(parseFilter(bad), null, bad.slice(0, 40));
  }
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      parseFilter(text);
    }),
    { numRuns: 3000 },
  );
});

test('names made of display names are names', () => {
  assert.deepEqual(['Ops Team', 'Büro München', '  1st Level! ', '工程', 'a'.repeat(99)].map(slug), [
    'ops-team',
    'buro-munchen',
    'st-level',
    '',
    'a'.repeat(28),
  ]);
});
