import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type Json, openScim, TEST_ADMIN, testUser } from './test-scim.ts';

/** What providers and the clients built into them send, byte for byte where the shape is theirs. */

const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

const closers: (() => unknown)[] = [];
let shared: Awaited<ReturnType<typeof openScim>>;
before(async () => {
  shared = await openScim({ after: (close) => void closers.push(close as () => unknown) });
});
after(async () => {
  for (const close of closers) await close();
});

let issuers = 0;

/** A client with an issuer, people and groups of its own. @param own also a server of its own, which a test may start */
async function open(t: TestContext, { own = false } = {}) {
  const site = own ? await openScim(t) : shared;
  const client = await site.client({ sudo: true, issuer: `https://id-${issuers++}.example` });
  const make = async (name: string, over: object = {}): Promise<string> => {
    const made = await client.call('POST', '/Users', testUser(name, over));
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  };
  const group = async (displayName: string, ...members: string[]): Promise<string> => {
    const body = { displayName, members: members.map((value) => ({ value })) };
    const made = await client.call('POST', '/Groups', body);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  };
  return {
    ...site,
    ...client,
    make,
    group,
    /** The operations as text, so that a test can send what no serialiser of ours would. */
    patch: (path: string, operations: string) =>
      client.raw('PATCH', path, `{"schemas":["${PATCH}"],"Operations":[${operations}]}`),
    read: async (path: string) => (await client.call('GET', path)).body,
    members: async (id: string): Promise<string[]> =>
      ((await client.call('GET', `/Groups/${id}`)).body.members ?? []).map(({ value }: Json) => value),
    filtered: async (kind: 'Users' | 'Groups', filter: string): Promise<Json> =>
      (await client.call('GET', `/${kind}?filter=${encodeURIComponent(filter)}`)).body,
  };
}

describe('somebody leaves, and the same PATCH carries what is not kept', () => {
  const beside: [string, string][] = [
    ['a filtered phone number', '{"op":"Add","path":"phoneNumbers[type eq \\"mobile\\"].value","value":"+49 170 1"}'],
    ['a filtered address', '{"op":"Replace","path":"addresses[type eq \\"work\\"].formatted","value":"Main St 1"}'],
    ['a filtered role', '{"op":"Add","path":"roles[primary eq \\"True\\"].value","value":"User"}'],
    ['a plain attribute', '{"op":"Replace","path":"preferredLanguage","value":"de-DE"}'],
    ['an attribute of the enterprise extension', `{"op":"Add","path":"${ENTERPRISE}:department","value":"IT"}`],
    ['the manager', `{"op":"Add","path":"${ENTERPRISE}:manager","value":[{"$ref":"../Users/x","value":"x"}]}`],
    ['a part of a name', '{"op":"Replace","path":"name.honorificPrefix","value":"Dr."}'],
    ['a part of an address book entry', '{"op":"Add","path":"emails[type eq \\"work\\"].display","value":"Ada"}'],
    ['the removal of a photo', '{"op":"Remove","path":"photos[type eq \\"photo\\"].value"}'],
    ['an attribute that begins with a dollar', '{"op":"Add","path":"meta.$ref","value":"x"}'],
    [
      'values without a path',
      `{"op":"Add","value":{"title":"CTO","ims[type eq \\"xmpp\\"].value":"a","${ENTERPRISE}":{}}}`,
    ],
    ['an address that is empty', '{"op":"Replace","path":"emails[type eq \\"work\\"].value","value":""}'],
    ['an addition of nothing', '{"op":"Add","path":"emails"}'],
  ];
  for (const [what, operation] of beside) {
    test(what, async (t) => {
      const { make, patch, read } = await open(t);
      const id = await make('leaver');
      const leave = '{"op":"Replace","path":"active","value":"False"}';
      for (const operations of [`${operation},${leave}`, `${leave},${operation}`]) {
        await patch(`/Users/${id}`, '{"op":"Replace","path":"active","value":"True"}');
        const { status, body } = await patch(`/Users/${id}`, operations);
        assert.deepEqual([status, body.active], [200, false], JSON.stringify(body));
        assert.equal((await read(`/Users/${id}`)).active, false);
      }
    });
  }

  test('what is no path at all is refused, and nothing of it is done', async (t) => {
    const { make, patch, read } = await open(t);
    const id = await make('stays');
    for (const path of ['phoneNumbers[type eq', 'name..givenName', '[value eq 1]', 'emails[type].value', 'a b']) {
      const operation = `{"op":"Replace","path":${JSON.stringify(path)},"value":"x"}`;
      const { status, body } = await patch(
        `/Users/${id}`,
        `{"op":"Replace","path":"active","value":false},${operation}`,
      );
      assert.deepEqual([status, body.scimType], [400, 'invalidPath'], path);
    }
    assert.equal((await read(`/Users/${id}`)).active, true);
  });

  test('a slip in our own extension is refused: it may be the part that narrows a rule', async (t) => {
    const { call, patch, group, read } = await open(t);
    const id = await group('ops');
    const urn = 'urn:identree:params:scim:schemas:posix:2.0:Group';
    const sudo = { commands: ['/bin/id'], hosts: ['web1'] };
    assert.equal(
      (await call('PATCH', `/Groups/${id}`, { Operations: [{ op: 'add', path: `${urn}:sudo`, value: sudo }] })).status,
      200,
    );
    for (const operation of [
      `{"op":"add","path":"${urn}:sudo.host","value":"web2"}`,
      `{"op":"add","path":"${urn}:sudo","value":{"host":["web2"]}}`,
      `{"op":"add","value":{"${urn}":{"sudo":{"host":["web2"]}}}}`,
      `{"op":"add","value":{"${urn}:sudo.host":["web2"]}}`,
    ]) {
      assert.equal((await patch(`/Groups/${id}`, operation)).status, 400, operation);
    }
    const put = await call('PUT', `/Groups/${id}`, {
      displayName: 'ops',
      [urn]: { sudo: { commands: ['ALL'], host: ['web1'] } },
    });
    assert.equal(put.status, 400);
    for (const operation of [
      `{"op":"replace","path":"${urn}:sudo.hosts","value":null}`,
      `{"op":"replace","path":"${urn}:sudo.hosts"}`,
      `{"op":"replace","path":"${urn}:sudo","value":{"hosts":null}}`,
      `{"op":"replace","value":{"${urn}":{"sudo":{"commands":["ALL"],"hosts":null}}}}`,
    ]) {
      assert.equal((await patch(`/Groups/${id}`, operation)).status, 400, operation);
    }
    const everywhere = { displayName: 'ops', [urn]: { sudo: { commands: ['/bin/id'], hosts: null } } };
    assert.equal((await call('PUT', `/Groups/${id}`, everywhere)).status, 400, 'without hosts it would be all of them');
    assert.deepEqual((await read(`/Groups/${id}`))[urn].sudo, sudo);
    // What is not mentioned stays: a rule does not lose its hosts because its commands change.
    const narrower = `{"op":"replace","path":"${urn}:sudo","value":{"commands":["/bin/ls"]}}`;
    assert.equal((await patch(`/Groups/${id}`, narrower)).status, 200);
    assert.deepEqual((await read(`/Groups/${id}`))[urn].sudo, { commands: ['/bin/ls'], hosts: ['web1'] });
    const plain = await group('plain');
    for (const operation of [
      `{"op":"add","path":"${urn}:sudo.hosts"}`,
      `{"op":"replace","path":"${urn}:sudo.order","value":null}`,
      `{"op":"remove","path":"${urn}:sudo.hosts"}`,
    ]) {
      const { status, body } = await patch(`/Groups/${plain}`, operation);
      assert.deepEqual([status, body[urn]], [200, undefined], operation);
    }
  });
});

describe('one member is removed, and only that one', () => {
  const shapes: [string, (id: string) => string][] = [
    ['a filtered path, as Okta and RFC 7644 have it', (id) => `{"op":"remove","path":"members[value eq \\"${id}\\"]"}`],
    [
      'a list of objects, as Entra has it',
      (id) => `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"${id}"}]}`,
    ],
    ['an object', (id) => `{"op":"remove","path":"members","value":{"value":"${id}"}}`],
    ['a text', (id) => `{"op":"remove","path":"members","value":"${id}"}`],
    ['a list of texts', (id) => `{"op":"remove","path":"members","value":["${id}"]}`],
    [
      'keys in lower case and a URN',
      (id) =>
        `{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:Group:members","value":[{"VALUE":"${id}"}]}`,
    ],
    ['the value of a filtered path', (id) => `{"op":"remove","path":"members[value eq \\"${id}\\"].value"}`],
    ['a filter with the type', (id) => `{"op":"remove","path":"members[type eq \\"User\\" and value eq \\"${id}\\"]"}`],
    ['keys that begin with a capital', (id) => `{"Op":"Remove","Path":"members","Value":[{"value":"${id}"}]}`],
  ];
  for (const [what, shape] of shapes) {
    test(what, async (t) => {
      const { make, group, patch, members } = await open(t);
      const [a, b, c] = [await make('a'), await make('b'), await make('c')];
      const id = await group('g', a, b, c);
      const { status, body } = await patch(`/Groups/${id}`, shape(b));
      assert.deepEqual([status, body.members?.map(({ value }: Json) => value)], [200, [a, c]], JSON.stringify(body));
      assert.deepEqual(await members(id), [a, c]);
      assert.equal((await patch(`/Groups/${id}`, shape(b))).status, 200, 'again: it is as the provider wants it');
      assert.deepEqual(await members(id), [a, c]);
    });
  }

  test('what names nobody removes nobody: it is refused, or there is nothing to do', async (t) => {
    const { make, group, patch, members } = await open(t);
    const [a, b] = [await make('a'), await make('b')];
    const id = await group('g', a, b);
    for (const operation of [
      '{"op":"remove","path":"members","value":{}}',
      '{"op":"remove","path":"members","value":""}',
      '{"op":"remove","path":"members","value":[{"display":"A"}]}',
      '{"op":"remove","path":"members","value":[null]}',
      '{"op":"remove","path":"members","value":7}',
      '{"op":"remove","path":"members[display eq \\"a\\"]"}',
      `{"op":"remove","path":"members[$ref ew \\"${a}\\"]"}`,
      `{"op":"remove","path":"members[value eq \\"${a}\\" and display pr]"}`,
      '{"op":"remove","path":"members.value"}',
      `{"op":"remove","value":{"members":[{"value":"${a}"}]}}`,
      '{"op":"replace","path":"members"}',
      '{"op":"replace","path":"members","value":null}',
      '{"op":"replace","path":"members","value":[{}]}',
      `{"op":"replace","path":"members[value eq \\"nobody\\"]","value":{"value":"${a}"}}`,
    ]) {
      const { status } = await patch(`/Groups/${id}`, operation);
      assert.equal(status, 400, operation);
      assert.deepEqual(await members(id), [a, b], operation);
    }
    for (const operation of [
      '{"op":"add","path":"members"}',
      '{"op":"add","path":"members","value":null}',
      '{"op":"add","path":"members","value":[]}',
      '{"op":"add","value":{"members":null}}',
      '{"op":"replace","value":{"displayName":"h","members":null}}',
      '{"op":"remove","path":"members","value":[]}',
      '{"op":"remove","path":"members[value eq \\"nobody\\"]"}',
    ]) {
      const { status } = await patch(`/Groups/${id}`, operation);
      assert.equal(status, 200, operation);
      assert.deepEqual(await members(id), [a, b], operation);
    }
    assert.equal((await patch(`/Groups/${id}`, '{"op":"remove","path":"members"}')).status, 200);
    assert.deepEqual(await members(id), [], 'all of them, when that is what is said');
  });

  test('adding: objects, one object, texts; those who are in it already stay once', async (t) => {
    const { make, group, patch, members } = await open(t);
    const [a, b, c, d] = [await make('a'), await make('b'), await make('c'), await make('d')];
    const id = await group('g', a);
    for (const value of [`[{"value":"${b}","display":"b"},{"value":"${a}"}]`, `{"value":"${c}"}`, `"${d}"`]) {
      assert.equal((await patch(`/Groups/${id}`, `{"op":"add","path":"members","value":${value}}`)).status, 200, value);
    }
    assert.deepEqual(await members(id), [a, b, c, d]);
  });
});

describe('deleting', () => {
  test('a person leaves their groups, and those groups can still be changed', async (t) => {
    const { make, group, call, patch, members, read, clock } = await open(t);
    const [a, b, c] = [await make('a'), await make('b'), await make('c')];
    const [ops, dev] = [await group('ops', a, b), await group('dev', b)];
    const before = await read(`/Groups/${ops}`);
    clock.advance(10_000);
    assert.equal((await call('DELETE', `/Users/${b}`)).status, 204);
    assert.deepEqual([await members(ops), await members(dev)], [[a], []]);
    const after = await read(`/Groups/${ops}`);
    assert.notEqual(after.meta.version, before.meta.version);
    assert.equal(
      after.meta.lastModified,
      before.meta.lastModified,
      'PocketID holds back what it changed before this time',
    );
    const list = (...ids: string[]) => ({ displayName: 'Ops', members: ids.map((value) => ({ value })) });
    assert.equal(
      (await call('PUT', `/Groups/${ops}`, list(a, b, c))).status,
      200,
      'a list made before the provider knew',
    );
    assert.deepEqual(await members(ops), [a, c]);
    assert.equal(
      (await patch(`/Groups/${ops}`, `{"op":"replace","path":"displayName","value":"Operators"}`)).status,
      200,
    );
    const again = await patch(`/Groups/${ops}`, `{"op":"add","path":"members","value":[{"value":"${b}"}]}`);
    assert.deepEqual([again.status, again.body.scimType], [400, 'invalidValue'], 'nobody who is gone can be added');
    assert.equal((await call('PUT', `/Groups/${ops}`, list(a, 'never-seen'))).status, 400);
    assert.deepEqual(await members(ops), [a, c]);
  });

  test('a group with a member that an earlier version left in it can be changed', async (t) => {
    const { make, group, patch, call, db, members } = await open(t);
    const [a, b] = [await make('a'), await make('b')];
    const id = await group('ops', a);
    const { kysely } = await import('../../db/query.ts');
    const document = { displayName: 'ops', members: [{ value: a }, { value: '00000000-dead-4000-8000-000000000000' }] };
    await db.transaction((work) =>
      kysely(work.query)
        .updateTable('scim_resources')
        .set({ resource: JSON.stringify({ document, posixName: 'ops' }) })
        .where('id', '=', id)
        .execute(),
    );
    assert.equal(
      (await patch(`/Groups/${id}`, `{"op":"add","path":"members","value":[{"value":"${b}"}]}`)).status,
      200,
    );
    assert.deepEqual(await members(id), [a, b]);
    assert.equal((await call('DELETE', `/Groups/${id}`)).status, 204);
  });
});

describe('who somebody is', () => {
  test('a PUT without externalId leaves it as it is', async (t) => {
    const { make, group, call, snapshot } = await open(t, { own: true });
    const [id, other] = [await make('ada', { externalId: 'sub-ada' }), await group('ops')];
    const put = await call('PUT', `/Users/${id}`, { userName: 'ada', displayName: 'Ada' });
    assert.deepEqual([put.status, put.body.externalId, put.body.displayName], [200, 'sub-ada', 'Ada']);
    assert.equal((await snapshot()).users[0]?.id, 'sub-ada');
    assert.equal((await call('PUT', `/Groups/${other}`, { displayName: 'ops' })).status, 200);
    const given = await call('PUT', `/Groups/${other}`, { displayName: 'ops', externalId: 'g-1' });
    assert.deepEqual([given.status, given.body.externalId], [200, 'g-1'], 'it can be given once');
    const removed = await call('PATCH', `/Users/${id}`, { Operations: [{ op: 'remove', path: 'externalId' }] });
    assert.deepEqual([removed.status, removed.body.scimType], [400, 'mutability']);
  });

  test('nobody is enabled by what is not said', async (t) => {
    const { make, call, patch, read } = await open(t);
    const id = await make('off', { active: false });
    const active = async () => (await read(`/Users/${id}`)).active;
    assert.equal((await call('PUT', `/Users/${id}`, { userName: 'off' })).body.active, false);
    assert.equal((await call('PUT', `/Users/${id}`, { userName: 'off', active: null })).body.active, false);
    for (const operation of [
      '{"op":"remove","path":"active"}',
      '{"op":"replace","path":"active","value":null}',
      '{"op":"replace","path":"active"}',
      '{"op":"add","path":"active"}',
      '{"op":"replace","value":{"active":null}}',
      '{"op":"add","value":{"displayName":"Off"}}',
    ]) {
      assert.deepEqual([(await patch(`/Users/${id}`, operation)).status, await active()], [200, false], operation);
    }
    assert.equal((await patch(`/Users/${id}`, '{"op":"replace","path":"active","value":"True"}')).body.active, true);
    assert.equal((await patch(`/Users/${id}`, '{"op":"add","path":"active","value":null}')).body.active, true);
    const removed = await patch(`/Users/${id}`, '{"op":"remove","path":"active"}');
    assert.equal(removed.body.active, false, 'who is not said to be active is not');
  });

  test('somebody who comes back under a new name waits for an administrator', async (t) => {
    const { make, call, app, snapshot } = await open(t, { own: true });
    await app.start();
    const { directory } = app.directory!;
    const fetched = async () => {
      directory.refresh('console');
      await directory.settled();
    };
    const served = async () =>
      [...(await app.directory!.numbers.names()).values()]
        .filter(({ leftAt }) => leftAt === null)
        .map(({ name }) => name)
        .toSorted();
    await make('stays');
    const first = await make('mira', { externalId: 'sub-mira' });
    await fetched();
    assert.deepEqual(await served(), ['mira', 'stays']);
    await call('DELETE', `/Users/${first}`);
    await fetched();
    await make('mallory', { externalId: 'sub-mira' });
    assert.deepEqual((await snapshot()).users.map(({ username }) => username).toSorted(), ['mallory', 'stays']);
    await fetched();
    assert.deepEqual(await served(), ['stays'], 'nobody has the files of mira');
    const [hold] = await directory.holds();
    assert.deepEqual(
      hold?.kind === 'binding' && [hold.detail.person.subject, hold.detail.from, hold.detail.to, hold.state],
      ['sub-mira', 'mira', 'mallory', 'open'],
    );
    await directory.confirm({ id: hold!.id, digest: hold!.digest }, TEST_ADMIN);
    await directory.settled();
    assert.deepEqual(await served(), ['mallory', 'stays']);
  });

  test('somebody who comes back under the same name is served again at once', async (t) => {
    const { make, call, app } = await open(t, { own: true });
    await app.start();
    const { directory } = app.directory!;
    const fetched = async () => {
      directory.refresh('console');
      await directory.settled();
    };
    await make('stays');
    const first = await make('mira', { externalId: 'sub-mira' });
    await fetched();
    await call('DELETE', `/Users/${first}`);
    await fetched();
    await make('mira', { externalId: 'sub-mira' });
    await fetched();
    assert.deepEqual(await directory.holds(), []);
    assert.equal((await app.directory!.numbers.names()).get('mira')?.leftAt, null);
  });
});

describe('groups in groups', () => {
  test('are kept for the provider, left out for hosts, and said', async (t) => {
    const { make, group, call, patch, members, source } = await open(t, { own: true });
    const [a, b] = [await make('a'), await make('b')];
    const inner = await group('Web Team', b);
    const made = await call('POST', '/Groups', {
      displayName: 'Ops',
      members: [
        { value: a, type: 'User' },
        { value: inner, type: 'Group' },
      ],
    });
    assert.equal(made.status, 201);
    assert.deepEqual(
      made.body.members.map(({ value, type }: Json) => [value, type]),
      [
        [a, 'User'],
        [inner, 'Group'],
      ],
    );
    const result = await source.fetch(new AbortController().signal);
    assert.ok(result.ok);
    const ops = result.snapshot.groups.find(({ name }) => name === 'ops');
    assert.deepEqual(ops?.userIds, ['ext-a']);
    assert.deepEqual(result.lints, [
      { code: 'group_nested', subject: 'group Ops', detail: 'holds the groups “Web Team”' },
    ]);
    const path = `/Groups/${made.body.id}`;
    assert.equal((await patch(path, `{"op":"remove","path":"members[type eq \\"Group\\"]"}`)).status, 200);
    assert.deepEqual(await members(made.body.id), [a]);
    await patch(path, `{"op":"add","path":"members","value":"${inner}"}`);
    assert.deepEqual(await members(made.body.id), [a, inner]);
    assert.equal((await call('DELETE', `/Groups/${inner}`)).status, 204);
    assert.deepEqual(await members(made.body.id), [a]);
    assert.equal(
      (await call('POST', '/Groups', { displayName: 'x', members: [{ value: 'no', type: 'Group' }] })).status,
      400,
    );
  });
});

describe('a day of a provider, from the first question to the last removal', () => {
  const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
  const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';

  test('Entra', async (t) => {
    const { raw, members, read } = await open(t);
    const nobody = await raw('GET', `/Users?filter=${encodeURIComponent('userName eq "11111111-test-connection"')}`);
    assert.deepEqual([nobody.status, nobody.body.totalResults, nobody.body.Resources], [200, 0, []]);
    const made = await raw(
      'POST',
      '/Users',
      `{"schemas":["${USER}","${ENTERPRISE}"],"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"ada@example.com","active":true,"displayName":"Ada Lovelace","emails":[{"primary":true,"type":"work","value":"ada@example.com"}],"meta":{"resourceType":"User"},"name":{"formatted":"Ada Lovelace","familyName":"Lovelace","givenName":"Ada"},"roles":[],"${ENTERPRISE}":{"department":"IT","manager":{"value":"x"}}}`,
    );
    assert.equal(made.status, 201);
    const found = await raw(
      'GET',
      `/Users?filter=${encodeURIComponent('externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"')}`,
    );
    assert.equal(found.body.Resources[0].id, made.body.id);
    const changed = await raw(
      'PATCH',
      `/Users/${made.body.id}`,
      `{"schemas":["${PATCH}"],"Operations":[{"op":"Replace","path":"emails[type eq \\"work\\"].value","value":"a.l@example.com"},{"op":"Replace","path":"name.familyName","value":"King"},{"op":"Add","path":"phoneNumbers[type eq \\"work\\"].value","value":"1"},{"op":"Add","value":{"name.givenName":"A.","${ENTERPRISE}:costCenter":"7","addresses[type eq \\"work\\"].country":"UK"}}]}`,
    );
    assert.deepEqual(
      [changed.body.emails, changed.body.name],
      [
        [{ primary: true, type: 'work', value: 'a.l@example.com' }],
        { formatted: 'Ada Lovelace', familyName: 'King', givenName: 'A.' },
      ],
    );
    const group = await raw(
      'POST',
      '/Groups',
      `{"schemas":["${GROUP}","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"externalId":"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159","displayName":"Ops","meta":{"resourceType":"Group"}}`,
    );
    assert.equal(group.status, 201);
    const at = `/Groups/${group.body.id}`;
    const shown = await raw('GET', `${at}?excludedAttributes=members`);
    assert.deepEqual([shown.status, 'members' in shown.body], [200, false]);
    const one = `[{"$ref":null,"value":"${made.body.id}"}]`;
    for (const [op, expected] of [
      ['Add', [made.body.id]],
      ['Remove', []],
      ['Add', [made.body.id]],
    ] as const) {
      const body = `{"schemas":["${PATCH}"],"Operations":[{"op":"${op}","path":"members","value":${one}}]}`;
      assert.equal((await raw('PATCH', at, body)).status, 200);
      assert.deepEqual(await members(group.body.id), expected);
    }
    const off = `{"schemas":["${PATCH}"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`;
    assert.equal((await raw('PATCH', `/Users/${made.body.id}`, off)).body.active, false);
    assert.equal((await raw('DELETE', `/Users/${made.body.id}`)).status, 204);
    assert.deepEqual((await read(at)).members, []);
    assert.equal((await raw('DELETE', at)).status, 204);
  });

  test('Okta', async (t) => {
    const { raw, members } = await open(t);
    const asked = `/Users?filter=${encodeURIComponent('userName eq "ada@example.com"')}&startIndex=1&count=100`;
    assert.equal((await raw('GET', asked)).body.totalResults, 0);
    const written = `"userName":"ada@example.com","name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"primary":true,"value":"ada@example.com","type":"work"}],"displayName":"Ada Lovelace","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[]`;
    const made = await raw('POST', '/Users', `{"schemas":["${USER}"],${written},"password":"1mz050nq","active":true}`);
    assert.deepEqual([made.status, JSON.stringify(made.body).includes('1mz050nq')], [201, false]);
    const put = `{"schemas":["${USER}"],"id":"${made.body.id}",${written},"active":true,"meta":{"resourceType":"User"}}`;
    assert.equal((await raw('PUT', `/Users/${made.body.id}`, put)).body.meta.version, made.body.meta.version);
    const group = await raw('POST', '/Groups', `{"schemas":["${GROUP}"],"displayName":"Ops","members":[]}`);
    const at = `/Groups/${group.body.id}`;
    const refill = `{"schemas":["${PATCH}"],"Operations":[{"op":"remove","path":"members[value eq \\"${made.body.id}\\"]"},{"op":"add","path":"members","value":[{"value":"${made.body.id}","display":"ada@example.com"}]}]}`;
    assert.equal((await raw('PATCH', at, refill)).status, 200);
    assert.deepEqual(await members(group.body.id), [made.body.id]);
    const renamed = await raw(
      'PATCH',
      at,
      `{"schemas":["${PATCH}"],"Operations":[{"op":"replace","value":{"id":"${group.body.id}","displayName":"Operators"}}]}`,
    );
    assert.deepEqual([renamed.body.displayName, renamed.body.members.length], ['Operators', 1]);
    const off = await raw(
      'PATCH',
      `/Users/${made.body.id}`,
      `{"schemas":["${PATCH}"],"Operations":[{"op":"replace","value":{"active":false}}]}`,
    );
    assert.equal(off.body.active, false);
    const replaced = `{"schemas":["${PATCH}"],"Operations":[{"op":"replace","path":"members","value":[]}]}`;
    assert.deepEqual((await raw('PATCH', at, replaced)).body.members, []);
  });

  test('Authentik and Keycloak', async (t) => {
    const { raw, members } = await open(t);
    const config = await raw('GET', '/ServiceProviderConfig');
    assert.deepEqual([config.body.patch.supported, config.body.bulk.supported], [true, false]);
    const written = `"schemas":["${USER}"],"externalId":"5f2c8e0b7c","userName":"ada","name":{"formatted":"Ada ","givenName":"Ada","familyName":""},"displayName":"Ada","photos":[{"type":"photo","value":"data:image/svg+xml;base64,AAAA"}],"active":true,"emails":[{"value":"ada@example.com","type":"other","primary":true}]`;
    const made = await raw('POST', '/Users', `{${written},"title":null,"nickName":null,"x509Certificates":null}`, {
      'content-type': 'application/json',
    });
    assert.equal(made.status, 201);
    assert.equal((await raw('PUT', `/Users/${made.body.id}`, `{"id":"${made.body.id}",${written}}`)).status, 200);
    const group = await raw(
      'POST',
      '/Groups',
      `{"schemas":["${GROUP}"],"externalId":"g-5f2c","displayName":"Ops","members":[{"value":"${made.body.id}","$ref":"https://identree.example.com/scim/v2/Users/${made.body.id}"}]}`,
    );
    assert.equal(group.status, 201);
    const whole = `{"schemas":["${PATCH}"],"Operations":[{"op":"replace","path":null,"value":{"schemas":["${GROUP}"],"id":"${group.body.id}","externalId":"g-5f2c","displayName":"Operators","members":null}}]}`;
    const renamed = await raw('PATCH', `/Groups/${group.body.id}`, whole);
    assert.deepEqual([renamed.status, renamed.body.displayName], [200, 'Operators']);
    assert.deepEqual(await members(group.body.id), [made.body.id], 'members that were not mentioned stay');
    const out = `{"schemas":["${PATCH}"],"Operations":[{"op":"remove","path":"members","value":[{"value":"${made.body.id}"}]}]}`;
    assert.deepEqual((await raw('PATCH', `/Groups/${group.body.id}`, out)).body.members, []);
  });
});

describe('finding', () => {
  test('by value paths, URN-qualified names and texts for true and false', async (t) => {
    const { make, group, filtered } = await open(t);
    await make('ada', {
      emails: [
        { type: 'work', value: 'ada@example.com', primary: true },
        { type: 'home', value: 'ada@home.example' },
      ],
    });
    await make('bob', { active: false });
    const names = async (filter: string) =>
      (await filtered('Users', filter)).Resources.map((one: Json) => one.userName).toSorted();
    const user = 'urn:ietf:params:scim:schemas:core:2.0:User';
    for (const [filter, expected] of [
      ['emails[type eq "work"].value eq "ada@example.com"', ['ada']],
      ['emails[type eq "home"].value eq "ada@example.com"', []],
      ['emails[type eq "work" and value ew "@example.com"]', ['ada']],
      ['emails.value eq "ada@home.example"', ['ada']],
      ['emails eq "ada@example.com"', ['ada']],
      [`${user}:userName eq "ada"`, ['ada']],
      [`${user}:name.familyName pr`, []],
      [`${user}:emails[type eq "work"].value eq "ada@example.com"`, ['ada']],
      ['active eq "True"', ['ada']],
      ['active eq "false"', ['bob']],
      ['active eq true', ['ada']],
      ['emails[primary eq "True"].value eq "ada@example.com"', ['ada']],
      ['(userName eq "ada") or (userName eq "bob")', ['ada', 'bob']],
    ] as [string, string[]][]) {
      assert.deepEqual(await names(filter), expected, filter);
    }
    const [bob, eve] = [await make('robert'), await make('eve')];
    const [ops, dev] = [await group('ops', bob, eve), await group('dev', bob)];
    const groups = async (filter: string) => (await filtered('Groups', filter)).Resources.map((one: Json) => one.id);
    assert.deepEqual(
      await groups(`id eq "${ops}" and members eq "${eve}"`),
      [ops],
      'Entra looks for a member like this',
    );
    assert.deepEqual(await groups(`members eq "${eve}" and id eq "${dev}"`), []);
    assert.deepEqual(await groups(`displayName eq "OPS" and members[value eq "${bob}"]`), [ops]);
    assert.deepEqual((await groups(`members.value eq "${bob}"`)).toSorted(), [ops, dev].toSorted());
    for (const filter of ['emails[type eq "work"].', 'emails[type eq "work"].value', 'emails[type eq "work"] eq']) {
      assert.equal((await filtered('Users', filter)).scimType, 'invalidFilter', filter);
    }
  });
});

test('addresses without a value are left out, and one of them is the primary one', async (t) => {
  const { make, call, patch, read } = await open(t);
  const id = await make('ada', { emails: [{ type: 'work' }, { type: 'home', value: '' }, { type: 'x', value: null }] });
  assert.deepEqual((await read(`/Users/${id}`)).emails, []);
  const put = await call('PUT', `/Users/${id}`, testUser('ada', { emails: [{ type: 'work', primary: true }] }));
  assert.deepEqual([put.status, put.body.emails], [200, []]);
  await patch(`/Users/${id}`, '{"op":"Add","path":"emails[type eq \\"work\\"].value","value":"a@example.com"}');
  await patch(`/Users/${id}`, '{"op":"Add","path":"emails[type eq \\"work\\"].primary","value":"True"}');
  const second = await patch(
    `/Users/${id}`,
    '{"op":"add","path":"emails","value":[{"value":"b@example.com","primary":true}]}',
  );
  assert.deepEqual(
    second.body.emails.map(({ value, primary }: Json) => [value, primary]),
    [
      ['a@example.com', false],
      ['b@example.com', true],
    ],
  );
});
