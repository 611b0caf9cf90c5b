import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import Fastify from 'fastify';
import { DatabaseTrouble, type TroubleKind } from '../../db/trouble.ts';
import { TEST_EXTERNAL_URL } from '../../testing/test-config.ts';
import { CONTENT_TYPE, scimErrors } from './error-routes.ts';
import { SCHEMA } from './resource.ts';
import { type Json, openScim, testUser } from './test-scim.ts';

/** What RFC 7643 and 7644 have a server do whatever its resources are. */

async function open(t: TestContext) {
  const site = await openScim(t);
  const client = await site.client();
  return {
    ...site,
    ...client,
    make: async (name: string, over: object = {}): Promise<string> =>
      (await client.call('POST', '/Users', testUser(name, over))).body.id,
    group: async (displayName: string, ...members: string[]): Promise<string> =>
      (await client.call('POST', '/Groups', { displayName, members: members.map((value) => ({ value })) })).body.id,
  };
}

test('a DELETE with a content type and no body removes, as HTTP libraries send it', async (t) => {
  const { make, group, raw } = await open(t);
  for (const headers of [
    { 'content-type': 'application/scim+json' },
    { 'content-type': 'application/json; charset=utf-8', 'content-length': '0' },
    { 'content-type': 'application/x-www-form-urlencoded' },
  ] as Record<string, string>[]) {
    for (const path of [`/Users/${await make('gone')}`, `/Groups/${await group('gone')}`]) {
      assert.equal((await raw('DELETE', path, undefined, headers)).status, 204, JSON.stringify(headers));
      assert.equal((await raw('GET', path)).status, 404);
    }
  }
});

test('a wrong method is 405 and says which there are; a wrong address is 404; both in the words of SCIM', async (t) => {
  const { raw, make } = await open(t);
  const id = await make('ada');
  for (const [method, path, allow] of [
    ['PUT', '/Users', 'GET, HEAD, POST'],
    ['DELETE', '/Groups', 'GET, HEAD, POST'],
    ['POST', `/Users/${id}`, 'GET, HEAD, PUT, PATCH, DELETE'],
    ['POST', '/Schemas', 'GET, HEAD'],
    ['PATCH', '/ResourceTypes/User', 'GET, HEAD'],
    ['DELETE', '/ServiceProviderConfig', 'GET, HEAD'],
  ] as const) {
    const { status, body, headers } = await raw(method, path, method === 'DELETE' ? undefined : '{}');
    assert.deepEqual(
      [status, headers.allow?.toString().split(', ').toSorted()],
      [405, allow.split(', ').toSorted()],
      path,
    );
    assert.deepEqual([body.schemas, body.status], [[SCHEMA.error], '405']);
  }
  for (const path of ['/Nothing', '/Users/x/y', '/', '']) {
    const { status, body, headers } = await raw('GET', path);
    assert.deepEqual([status, body.schemas, body.status], [404, [SCHEMA.error], '404'], path);
    assert.match(String(headers['content-type']), /^application\/scim\+json/);
  }
  for (const path of ['/Me', '/Bulk', '/.search']) assert.equal((await raw('POST', path, '{}')).status, 501);
});

test('every refusal has the shape of SCIM, whoever refuses', async (t) => {
  const { raw, call, make, send, token } = await open(t);
  await make('ada');
  const shape = ({ body, headers }: { body: Json; headers: Json }, status: number, what: string) => {
    assert.deepEqual([body.schemas, body.status, typeof body.detail], [[SCHEMA.error], String(status), 'string'], what);
    assert.match(String(headers['content-type']), /^application\/scim\+json/);
  };
  const authorization = `Bearer ${token}`;
  const cases: [string, number, () => Promise<{ status: number; body: Json; headers: Json }>][] = [
    ['no token', 401, () => send('GET', '/Users', {})],
    ['no such person', 404, () => call('GET', '/Users/nobody')],
    ['a name that is taken', 409, () => call('POST', '/Users', testUser('ada', { externalId: 'else' }))],
    ['broken JSON', 400, () => raw('POST', '/Users', '{')],
    ['no body', 400, () => raw('POST', '/Users')],
    ['a body of another kind', 415, () => raw('POST', '/Users', '<a/>', { 'content-type': 'text/xml' })],
    ['a body without a type', 415, () => send('POST', '/Users', { authorization }, '{}')],
    ['a body that is too large', 413, () => raw('POST', '/Users', `"${'x'.repeat(8 * 1024 * 1024)}"`)],
    ['a filter that is none', 400, () => call('GET', '/Users?filter=userName%20xx')],
    ['a parameter twice', 400, () => call('GET', '/Users?count=1&count=2')],
    ['no scope', 403, () => call('POST', '/Users', testUser('bob', { [SCHEMA.posixUser]: { loginShell: '/bin/sh' } }))],
  ];
  for (const [what, status, run] of cases) {
    const answer = await run();
    assert.equal(answer.status, status, what);
    shape(answer, status, what);
  }
});

test('/Schemas and /ResourceTypes say what is kept, and nothing else', async (t) => {
  const { call } = await open(t);
  const { body } = await call('GET', '/Schemas');
  assert.deepEqual(
    body.Resources.map(({ id, name }: Json) => [id, name]),
    [
      [SCHEMA.user, 'User'],
      [SCHEMA.posixUser, 'PosixUser'],
      [SCHEMA.group, 'Group'],
      [SCHEMA.posixGroup, 'PosixGroup'],
    ],
  );
  const of = (id: string): Json => body.Resources.find((one: Json) => one.id === id);
  const userName = of(SCHEMA.user).attributes.find(({ name }: Json) => name === 'userName');
  assert.deepEqual(
    [userName.type, userName.required, userName.uniqueness, userName.multiValued],
    ['string', true, 'server', false],
  );
  const members = of(SCHEMA.group).attributes.find(({ name }: Json) => name === 'members');
  assert.deepEqual(
    [members.type, members.multiValued, members.subAttributes.map(({ name }: Json) => name)],
    ['complex', true, ['value', 'type', '$ref']],
  );
  for (const { id } of body.Resources) {
    const one = await call('GET', `/Schemas/${id}`);
    assert.deepEqual(
      [one.status, one.body.id, one.body.meta.location],
      [200, id, `${TEST_EXTERNAL_URL}/scim/v2/Schemas/${id}`],
    );
  }
  assert.equal((await call('GET', '/Schemas/urn:nothing')).status, 404);
  const types = (await call('GET', '/ResourceTypes')).body.Resources;
  assert.deepEqual(
    types.map(({ id, endpoint, schemaExtensions }: Json) => [id, endpoint, schemaExtensions.length]),
    [
      ['User', '/Users', 1],
      ['Group', '/Groups', 1],
    ],
  );
  assert.equal((await call('GET', '/ResourceTypes/User')).body.schema, SCHEMA.user);
});

test('attributes and excludedAttributes are honoured, in lists, single answers and answers to changes', async (t) => {
  const { call, make, group } = await open(t);
  const id = await make('ada', {
    name: { givenName: 'Ada', familyName: 'L' },
    emails: [{ value: 'a@example.com', type: 'work' }],
  });
  const ops = await group('ops', id);
  const keys = (body: Json) => Object.keys(body).toSorted();
  const get = async (path: string) => (await call('GET', path)).body;
  assert.deepEqual(keys(await get(`/Users/${id}?attributes=userName`)), ['id', 'schemas', 'userName']);
  assert.deepEqual(keys(await get(`/Users/${id}?attributes=USERNAME,%20${SCHEMA.user}:active`)), [
    'active',
    'id',
    'schemas',
    'userName',
  ]);
  assert.deepEqual((await get(`/Users/${id}?attributes=name.familyName`)).name, { familyName: 'L' });
  assert.deepEqual((await get(`/Users/${id}?attributes=emails.value`)).emails, [{ value: 'a@example.com' }]);
  assert.deepEqual((await get(`/Users/${id}?excludedAttributes=name.familyName,emails,id`)).name, { givenName: 'Ada' });
  const without = await get(`/Groups/${ops}?excludedAttributes=members`);
  assert.deepEqual(keys(without), ['displayName', 'id', 'meta', 'schemas']);
  const list = await get(`/Groups?excludedAttributes=members&filter=${encodeURIComponent('displayName eq "ops"')}`);
  assert.deepEqual([list.totalResults, keys(list.Resources[0])], [1, ['displayName', 'id', 'meta', 'schemas']]);
  assert.deepEqual(keys(await get(`/Users/${id}?attributes=`)), keys(await get(`/Users/${id}`)));
  const patched = await call('PATCH', `/Users/${id}?attributes=active`, {
    Operations: [{ op: 'replace', path: 'active', value: false }],
  });
  assert.deepEqual(keys(patched.body), ['active', 'id', 'schemas']);
  const made = await call('POST', '/Users?attributes=userName', testUser('bob'));
  assert.deepEqual([made.status, keys(made.body)], [201, ['id', 'schemas', 'userName']]);
  const put = await call('PUT', `/Groups/${ops}?excludedAttributes=members`, { displayName: 'ops', members: [] });
  assert.equal(put.body.members, undefined);
});

test('parameters that are empty or written otherwise are what is usual', async (t) => {
  const { call, make } = await open(t);
  for (let n = 0; n < 3; n += 1) await make(`u${n}`);
  const sizes = async (query: string) => {
    const { body } = await call('GET', `/Users?${query}`);
    return [body.totalResults, body.startIndex, body.itemsPerPage];
  };
  assert.deepEqual(await sizes('count=&startIndex=&filter='), [3, 1, 3]);
  assert.deepEqual(await sizes('startindex=2&COUNT=1'), [3, 2, 1]);
  assert.deepEqual(await sizes('count=many&startIndex=-4'), [3, 1, 3]);
  assert.deepEqual(await sizes('count=0'), [3, 1, 0]);
  assert.deepEqual(await sizes('count=-1'), [3, 1, 0]);
});

test('keys in lower case are read: of bodies, of operations, of the envelope', async (t) => {
  const { raw } = await open(t);
  const made = await raw(
    'POST',
    '/Users',
    '{"username":"ada","externalid":"sub-ada","ACTIVE":"true","emails":[{"VALUE":"a@example.com"}]}',
  );
  assert.deepEqual(
    [made.status, made.body.userName, made.body.externalId, made.body.active],
    [201, 'ada', 'sub-ada', true],
  );
  const patched = await raw(
    'PATCH',
    `/Users/${made.body.id}`,
    '{"operations":[{"OP":"replace","PATH":"displayname","VALUE":"Ada"}]}',
  );
  assert.deepEqual([patched.status, patched.body.displayName], [200, 'Ada']);
});

test('no length that is accepted keeps a person, and with them the whole directory, from hosts', async (t) => {
  const { client, snapshot } = await openScim(t);
  const { call } = await client({ sudo: true });
  const long = (length: number) => 'x'.repeat(length);
  const person = {
    externalId: long(128),
    userName: long(256),
    name: { givenName: long(256), familyName: long(256), formatted: long(512) },
    emails: [{ value: long(320), type: long(64) }],
    [SCHEMA.posixUser]: {
      loginShell: long(255),
      homeDirectory: long(255),
      sshPublicKeys: [long(16_384), long(16_384)],
    },
  };
  const made = await call('POST', '/Users', person);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const list = Array.from({ length: 500 }, (_, n) => `${n}`.padEnd(256, 'x'));
  const group = {
    externalId: long(128),
    displayName: long(256),
    members: [{ value: made.body.id }],
    [SCHEMA.posixGroup]: {
      posixName: long(64),
      accessHosts: list,
      sudo: { commands: list, hosts: list, order: 2 ** 40 },
    },
  };
  assert.equal((await call('POST', '/Groups', group)).status, 201);
  assert.equal((await call('POST', '/Groups', { displayName: '\u{1f600}' })).status, 201);
  const { users, groups } = await snapshot();
  assert.deepEqual([users.length, groups.length], [1, 2]);
});

test('a database that cannot be used is said to be away for now, and its own line of the log says of what', async () => {
  const logged: string[] = [];
  const app = Fastify();
  app.setErrorHandler(scimErrors({ error: (_detail, message) => void logged.push(message) }));
  app.get<{ Params: { kind: string } }>('/:kind', ({ params }) => {
    throw params.kind === 'bug' ? new TypeError('x') : new DatabaseTrouble(params.kind as TroubleKind, new Error('y'));
  });
  for (const [kind, status, detail] of [
    ['away', 503, /Try again in a moment/],
    ['busy', 503, /Try again in a moment/],
    ['full', 503, /no room/],
    ['bug', 500, /it has been logged/],
  ] as const) {
    const answer = await app.inject(`/${kind}`);
    assert.equal(answer.statusCode, status, kind);
    assert.equal(answer.headers['content-type'], CONTENT_TYPE);
    const { schemas, ...body } = answer.json();
    assert.deepEqual([schemas, body.status], [[SCHEMA.error], String(status)]);
    assert.match(body.detail, detail);
  }
  assert.deepEqual(logged, ['SCIM request failed']);
});
