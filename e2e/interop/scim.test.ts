import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, before, type TestContext, test } from 'node:test';
import type { Config } from '../../server/src/config/config.ts';
import { forEachDriver } from '../../server/src/db/test-databases.ts';
import { openScim } from '../../server/src/directory/scim/test-scim.ts';
import { type PocketId, skip, startPocketId } from '../harness/pocketid.ts';
import { until } from '../harness/run.ts';
import { connect, inParallel } from './source.ts';

const signal = new AbortController().signal;

/** Our server on loopback with SCIM as its source, and a client of it for PocketID. */
async function startScimServer(t: TestContext, driver: Config['database']['driver'], issuer: string) {
  const { http, clock, client, source } = await openScim(t, driver);
  const requests: string[] = [];
  http.server.prependListener('request', (request, response) => {
    // What PocketID compares with its own changes is the time of a change.
    clock.set(Date.now());
    const path = String(request.url).replace(/\?.*|[0-9a-f-]{36}/g, '');
    response.on('finish', () => requests.push(`${request.method} ${path} ${response.statusCode}`));
  });
  clock.set(Date.now());
  const made = await client({ name: 'pocketid', issuer });
  await http.listen({ host: '127.0.0.1', port: 0 });
  return {
    endpoint: `http://127.0.0.1:${(http.server.address() as AddressInfo).port}/scim/v2`,
    token: made.token,
    source,
    /** Method, path without ids and status of what came since the last call. */
    seen: () => requests.splice(0),
  };
}

forEachDriver('SCIM from a real PocketID', (driver) => {
  let pocketId: PocketId;
  before(async () => {
    if (!skip) pocketId = await startPocketId();
  });
  after(() => pocketId?.close());

  /** A PocketID client that pushes to a SCIM server of ours. */
  async function pushing(t: TestContext, name: string) {
    const server = await startScimServer(t, driver, pocketId.url);
    const clientId = `${name}-${driver}`;
    await pocketId.createClient(clientId, 'http://localhost:8090/callback');
    const provider = await pocketId.createScimProvider(clientId, server.endpoint, server.token);
    return {
      ...server,
      clientId,
      sync: () => pocketId.syncScim(provider),
      async push() {
        const { status, body } = await pocketId.syncScim(provider);
        assert.equal(status, 200, JSON.stringify(body));
      },
      async snapshot() {
        const result = await server.source.fetch(signal);
        assert.ok(result.ok, JSON.stringify(result));
        return result.snapshot;
      },
    };
  }

  test('users and groups arrive, change and leave, under the same identities as by the API', { skip }, async (t) => {
    const { push, snapshot, seen } = await pushing(t, 'whole');
    const alice = await pocketId.createUser({
      username: 'alice',
      firstName: 'Alice',
      lastName: 'Liddell',
      displayName: 'Alice L.',
      email: 'alice@example.com',
    });
    const bob = await pocketId.createUser({ username: 'bob', disabled: true });
    const ops = await pocketId.createGroup('ops', 'Ops Team');
    await pocketId.setMembers(ops, [alice, bob]);
    await push();

    const first = await snapshot();
    const byApi = await connect(pocketId).source.fetch(signal);
    assert.ok(byApi.ok);
    // SCIM carries no claims, and names a group by what people call it.
    assert.deepEqual(
      first.users,
      byApi.snapshot.users.map((user) => ({ ...user, customClaims: [] })),
    );
    assert.deepEqual(first.groups, [
      { ...byApi.snapshot.groups[0], name: 'ops-team', friendlyName: 'Ops Team', customClaims: [] },
    ]);

    await pocketId.updateUser(alice, { username: 'alicia', firstName: 'Alice' });
    await pocketId.updateUser(bob, { username: 'bob' });
    await pocketId.renameGroup(ops, 'ops', 'Operations');
    await push();
    const second = await snapshot();
    const people = new Map(second.users.map((user) => [user.id, user]));
    assert.deepEqual([people.get(alice)?.username, people.get(bob)?.disabled], ['alicia', false]);
    assert.equal(people.get(alice)?.email, '');
    assert.deepEqual(second.groups[0]?.name, 'ops-team', 'a POSIX name does not move under a rule');
    assert.equal(second.groups[0]?.friendlyName, 'Operations');

    await pocketId.setMembers(ops, [bob]);
    await pocketId.deleteUser(alice);
    await push();
    const third = await snapshot();
    assert.equal(
      third.users.some(({ id }) => id === alice),
      false,
    );
    assert.deepEqual(third.groups[0]?.userIds, [bob]);

    await pocketId.deleteGroup(ops);
    await push();
    assert.deepEqual((await snapshot()).groups, []);
    assert.deepEqual(
      seen().filter((line) => !/^(GET|POST|PUT|DELETE) \S+ 20[014]$/.test(line)),
      [],
      'everything was accepted',
    );
    await pocketId.deleteUser(bob);
  });

  test('a change in the second of a push is pushed next time', { skip }, async (t) => {
    const { push, snapshot } = await pushing(t, 'quick');
    const id = await pocketId.createUser({ username: 'quick' });
    const nameNow = async () => (await snapshot()).users.find((user) => user.id === id)?.username;
    for (let n = 0; n < 8; n += 1) {
      await pocketId.updateUser(id, { username: `quick${n}` });
      await push();
      assert.equal(await nameNow(), `quick${n}`, `change ${n}`);
    }
    await pocketId.deleteUser(id);
  });

  test('nothing new: nothing is written', { skip }, async (t) => {
    const { push, seen } = await pushing(t, 'idle');
    const id = await pocketId.createUser({ username: 'idle' });
    await push();
    await until('a push with nothing to write', async () => {
      seen();
      await push();
      return seen().join() === 'GET /scim/v2/Users 200,GET /scim/v2/Groups 200';
    });
    await pocketId.deleteUser(id);
  });

  test('two groups that people call the same both arrive', { skip }, async (t) => {
    const { push, snapshot } = await pushing(t, 'namesakes');
    const ids = [await pocketId.createGroup('web-a', 'Web'), await pocketId.createGroup('web-b', 'Web')];
    await push();
    const { groups } = await snapshot();
    assert.deepEqual(groups.map(({ id }) => id).toSorted(), ids.toSorted());
    assert.deepEqual(groups.map(({ name }) => name).toSorted(), ['web', 'web-2']);
    for (const id of ids) await pocketId.deleteGroup(id);
  });

  test('somebody deleted and made anew under the same name is another person', { skip }, async (t) => {
    const { sync, push, snapshot } = await pushing(t, 'anew');
    const first = await pocketId.createUser({ username: 'zoe' });
    await push();
    await pocketId.deleteUser(first);
    const second = await pocketId.createUser({ username: 'zoe' });
    // PocketID makes before it deletes, so its first run meets the old name.
    await sync();
    await push();
    const called = (await snapshot()).users.filter(({ username }) => username === 'zoe');
    assert.deepEqual(
      called.map(({ id }) => id),
      [second],
    );
    await pocketId.deleteUser(second);
  });

  test('a client for some groups only gets those and their members, and loses who leaves', { skip }, async (t) => {
    const { push, snapshot, clientId } = await pushing(t, 'some');
    const [inside, outside] = [
      await pocketId.createUser({ username: 'inside' }),
      await pocketId.createUser({ username: 'outside' }),
    ];
    const group = await pocketId.createGroup('insiders', 'Insiders');
    await pocketId.setMembers(group, [inside]);
    const body = { name: clientId, callbackURLs: ['http://localhost:8090/callback'], isGroupRestricted: true };
    assert.equal((await pocketId.call('PUT', `/oidc/clients/${clientId}`, body)).status, 200);
    const allowed = { userGroupIds: [group] };
    assert.equal((await pocketId.call('PUT', `/oidc/clients/${clientId}/allowed-user-groups`, allowed)).status, 200);
    await push();
    assert.deepEqual(
      (await snapshot()).users.map(({ id }) => id),
      [inside],
    );
    await pocketId.setMembers(group, [outside]);
    await push();
    assert.deepEqual(
      (await snapshot()).users.map(({ id }) => id),
      [outside],
    );
    for (const id of [inside, outside]) await pocketId.deleteUser(id);
    await pocketId.deleteGroup(group);
  });

  test('more than a thousand people arrive over more than one page', { skip }, async (t) => {
    const { sync, push, snapshot, seen } = await pushing(t, 'many');
    const ids = await inParallel(
      Array.from({ length: 1010 }, (_, n) => `many${n}`),
      (username) => pocketId.createUser({ username }),
    );
    // A newer one also pushes by itself after a change. Of two pushes at once each is told of some that they are there.
    await until('a push that no other meets', async () => (await sync()).status === 200);
    const here = new Set((await snapshot()).users.map(({ id }) => id));
    assert.equal(ids.filter((id) => !here.has(id)).length, 0);
    seen();
    await push();
    assert.equal(seen().filter((line) => line === 'GET /scim/v2/Users 200').length, 2);
    await inParallel(ids, (id) => pocketId.deleteUser(id));
  });

  test('a token that is not accepted stops PocketID and changes nothing', { skip }, async (t) => {
    const server = await startScimServer(t, driver, pocketId.url);
    const clientId = `refused-${driver}`;
    await pocketId.createClient(clientId, 'http://localhost:8090/callback');
    const provider = await pocketId.createScimProvider(clientId, server.endpoint, `scim_${'A'.repeat(43)}`);
    assert.ok((await pocketId.syncScim(provider)).status >= 400);
    assert.deepEqual(server.seen(), ['GET /scim/v2/Users 401']);
  });
});
