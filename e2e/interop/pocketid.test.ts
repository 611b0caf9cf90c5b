import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createHttpGet, type HttpGet } from '../../server/src/directory/pocketid/transport.ts';
import { type DirectorySnapshot, MAX_CLAIM_LENGTH } from '../../server/src/directory/source/model.ts';
import { sourceContract } from '../../server/src/directory/source/test-source-contract.ts';
import { type PocketId, skip, startPocketId } from '../harness/pocketid.ts';
import { until } from '../harness/run.ts';
import { connect, createFiller, inParallel } from './source.ts';

const signal = new AbortController().signal;
const STATIC_KEY_USER = '00000000-0000-0000-0000-000000000000';

async function snapshotOf(source: ReturnType<typeof connect>['source']): Promise<DirectorySnapshot> {
  const result = await source.fetch(signal);
  assert.ok(result.ok, JSON.stringify(result));
  return result.snapshot;
}

if (skip) test('a real PocketID as a directory source', { skip }, () => {});
else {
  sourceContract('a real PocketID', async (t) => {
    const pocketId = await startPocketId();
    t.after(() => pocketId.close());
    const { put, idOf } = createFiller(pocketId);
    return { source: connect(pocketId).source, issuer: pocketId.url, put, idOf, breakIt: () => pocketId.stop() };
  });
}

describe('our source at a real PocketID', () => {
  let pocketId: PocketId;
  before(async () => {
    if (!skip) pocketId = await startPocketId();
  });
  after(() => pocketId?.close());

  const userCalled = ({ users }: DirectorySnapshot, username: string) =>
    users.find((user) => user.username === username);

  test('names, addresses, claims and members arrive as they were typed', { skip }, async () => {
    const { source, client } = connect(pocketId);
    assert.equal(await client.version(signal), pocketId.version);
    const ada = await pocketId.createUser({
      username: 'ada',
      firstName: 'Ada',
      lastName: 'Löfström',
      displayName: 'Ada "the count" L 😀',
      email: 'ada@example.com',
    });
    const bare = await pocketId.createUser({ username: 'bare' });
    const ops = await pocketId.createGroup('ops', 'Ops 🚀 Team');
    const empty = await pocketId.createGroup('empty');
    await pocketId.setMembers(ops, [ada, bare]);
    const long = 'x'.repeat(MAX_CLAIM_LENGTH + 500);
    await pocketId.setClaims('user', ada, [
      { key: 'sshPublicKey1', value: 'ssh-ed25519 AAAA, with a comma' },
      { key: 'json', value: '["/bin/a","/bin/b"]' },
      { key: 'nul', value: 'a\0b' },
      { key: 'two\nlines', value: 'looks like another' },
      { key: 'long', value: long },
    ]);
    await pocketId.setClaims('user-group', ops, [{ key: 'sudoCommands', value: 'ALL' }]);

    const snapshot = await snapshotOf(source);
    assert.deepEqual(userCalled(snapshot, 'ada'), {
      issuer: pocketId.url,
      id: ada,
      username: 'ada',
      firstName: 'Ada',
      lastName: 'Löfström',
      displayName: 'Ada "the count" L 😀',
      email: 'ada@example.com',
      disabled: false,
      customClaims: [
        { key: 'json', value: '["/bin/a","/bin/b"]' },
        // Cut, but visibly too long.
        { key: 'long', value: long.slice(0, MAX_CLAIM_LENGTH + 1) },
        { key: 'nul', value: 'ab' },
        { key: 'sshPublicKey1', value: 'ssh-ed25519 AAAA, with a comma' },
      ],
    });
    const { email, displayName, customClaims } = userCalled(snapshot, 'bare') ?? {};
    assert.deepEqual([email, displayName, customClaims], ['', '', []]);
    const groups = new Map(snapshot.groups.map((group) => [group.id, group]));
    assert.deepEqual(groups.get(ops)?.userIds, [ada, bare].sort());
    assert.equal(groups.get(ops)?.friendlyName, 'Ops 🚀 Team');
    assert.deepEqual(groups.get(ops)?.customClaims, [{ key: 'sudoCommands', value: 'ALL' }]);
    assert.deepEqual(groups.get(empty)?.userIds, []);
    for (const id of [ada, bare]) await pocketId.deleteUser(id);
    for (const id of [ops, empty]) await pocketId.deleteGroup(id);
  });

  test('the pseudo user of the static key is nobody, also as a member of a group', { skip }, async () => {
    const listed = await pocketId.call<{ data: { id: string }[] }>('GET', '/users');
    assert.ok(
      listed.body.data.some(({ id }) => id === STATIC_KEY_USER),
      'PocketID lists it',
    );
    const group = await pocketId.createGroup('ghosts');
    await pocketId.setMembers(group, [STATIC_KEY_USER]);
    const { users, groups } = await snapshotOf(connect(pocketId).source);
    assert.equal(
      users.some(({ id }) => id === STATIC_KEY_USER),
      false,
    );
    assert.deepEqual(groups.find(({ id }) => id === group)?.userIds, []);
    await pocketId.deleteGroup(group);
  });

  test('a person who is disabled, renamed, deleted and made anew', { skip }, async () => {
    const { source, client } = connect(pocketId);
    const id = await pocketId.createUser({ username: 'mona' });
    const group = await pocketId.createGroup('painters');
    await pocketId.setMembers(group, [id]);
    await pocketId.setClaims('user', id, [{ key: 'loginShell', value: '/bin/zsh' }]);
    const membersNow = async () =>
      (await snapshotOf(source)).groups.find((candidate) => candidate.id === group)?.userIds;

    await pocketId.updateUser(id, { username: 'mona', disabled: true });
    assert.equal(userCalled(await snapshotOf(source), 'mona')?.disabled, true);
    assert.equal(await client.userState(id, signal), 'disabled');
    assert.deepEqual(await membersNow(), [id], 'a disabled person stays a member');

    await pocketId.updateUser(id, { username: 'lisa' });
    const renamed = await snapshotOf(source);
    assert.equal(userCalled(renamed, 'mona'), undefined);
    assert.equal(userCalled(renamed, 'lisa')?.id, id);
    assert.deepEqual(userCalled(renamed, 'lisa')?.customClaims, [{ key: 'loginShell', value: '/bin/zsh' }]);
    assert.equal(await client.userState(id, signal), 'enabled');

    await pocketId.renameGroup(group, 'sculptors', 'The sculptors');
    const regrouped = (await snapshotOf(source)).groups.find((candidate) => candidate.id === group);
    assert.deepEqual([regrouped?.name, regrouped?.friendlyName], ['sculptors', 'The sculptors']);

    await pocketId.deleteUser(id);
    assert.equal(userCalled(await snapshotOf(source), 'lisa'), undefined);
    assert.deepEqual(await membersNow(), []);
    assert.equal(await client.userState(id, signal), 'gone');

    const again = await pocketId.createUser({ username: 'lisa' });
    const remade = userCalled(await snapshotOf(source), 'lisa');
    assert.notEqual(again, id);
    assert.deepEqual([remade?.id, remade?.customClaims], [again, []], 'another person of the same name');
    await pocketId.deleteUser(again);
    await pocketId.deleteGroup(group);
  });

  test('a key that is wrong, expired, of a disabled owner or of nobody special is not accepted', { skip }, async () => {
    const problemOf = async (apiKey: string) => {
      const result = await connect(pocketId, { apiKey }).source.fetch(signal);
      return result.ok ? null : result.problem;
    };
    const refused = {
      code: 'unauthorised',
      message: 'PocketID: the API key is not accepted. It may have expired',
      retryAfterMs: 300_000,
    };
    const powerless = { ...refused, message: 'PocketID: the owner of the API key is not an enabled administrator' };
    assert.deepEqual(await problemOf('k'.repeat(32)), refused);

    const admin = await pocketId.createUser({ username: 'keeper', isAdmin: true });
    const session = await pocketId.signIn(admin);
    const lasting = await session.createApiKey(Date.now() + 30 * 86_400_000);
    assert.equal(await problemOf(lasting), null);

    const soon = Date.now() + 2000;
    const short = await session.createApiKey(soon);
    assert.equal(await problemOf(short), null, 'good until it expires');
    await until('the key to expire', async () => (await problemOf(short)) !== null);
    assert.deepEqual(await problemOf(short), refused);
    assert.ok(Date.now() >= soon - 1000);

    await pocketId.updateUser(admin, { username: 'keeper', isAdmin: false });
    assert.deepEqual(await problemOf(lasting), powerless);
    await pocketId.updateUser(admin, { username: 'keeper', isAdmin: true, disabled: true });
    assert.deepEqual(await problemOf(lasting), powerless);
    await pocketId.deleteUser(admin);
    assert.deepEqual(await problemOf(lasting), refused);
  });
});

describe('a PocketID with more than a page of everything', () => {
  let pocketId: PocketId;
  let people: string[];
  let groups: string[];
  before(async () => {
    if (skip) return;
    pocketId = await startPocketId();
    const numbered = (count: number) => Array.from({ length: count }, (_, n) => String(n).padStart(3, '0'));
    people = await inParallel(numbered(230), (n) => pocketId.createUser({ username: `user${n}`, firstName: `U${n}` }));
    groups = await inParallel(numbered(120), (n) => pocketId.createGroup(`group${n}`));
    // Person n is in group n, and everybody is in the first group.
    await inParallel(groups, (id, n) => pocketId.setMembers(id, n === 0 ? people : [people[n] ?? '']));
    await inParallel(groups, (id, n) =>
      pocketId.setClaims('user-group', id, [{ key: 'sudoCommands', value: `/bin/${n}` }]),
    );
  });
  after(() => pocketId?.close());

  test('everything is read, once', { skip }, async () => {
    const snapshot = await snapshotOf(connect(pocketId).source);
    assert.deepEqual(
      snapshot.users.map(({ id }) => id),
      people.toSorted(),
    );
    assert.deepEqual(
      snapshot.groups.map(({ id }) => id),
      groups.toSorted(),
    );
    const byId = new Map(snapshot.groups.map((group) => [group.id, group]));
    for (const [n, id] of groups.entries()) {
      const group = byId.get(id);
      assert.deepEqual(group?.userIds, n === 0 ? people.toSorted() : [people[n]], `group ${n}`);
      assert.deepEqual(group?.customClaims, [{ key: 'sudoCommands', value: `/bin/${n}` }]);
    }
  });

  test('its paging is what the fake one imitates', { skip }, async () => {
    type Page = { data: { id: string }[]; pagination: Record<string, number> };
    const page = async (query: Record<string, string>) =>
      (await pocketId.call<Page>('GET', `/users?${new URLSearchParams(query)}`)).body;
    const sorted = { 'sort[column]': 'username', 'sort[direction]': 'asc' };
    const last = await page({ 'pagination[page]': '3', 'pagination[limit]': '100', ...sorted });
    assert.deepEqual(last.pagination, { totalPages: 3, totalItems: 231, currentPage: 3, itemsPerPage: 100 });
    const beyond = await page({ 'pagination[page]': '9', 'pagination[limit]': '100', ...sorted });
    assert.deepEqual(beyond, last, 'a page after the last one is the last one again');
    assert.equal((await page({ 'pagination[limit]': '5000' })).data.length, 100);
    assert.equal((await page({})).data.length, 20);
  });

  /** HTTP that lets somebody edit just before a list's second page is asked for. */
  const interrupted = (edit: (time: number) => Promise<void>): HttpGet => {
    const get = createHttpGet({ userAgent: 'identree/interop' });
    let times = 0;
    return async (url, headers, abort) => {
      if (url.includes('/users?') && url.includes('page%5D=2')) {
        times += 1;
        await edit(times);
      }
      return get(url, headers, abort);
    };
  };

  test('somebody who is deleted between two pages: read again, and then it adds up', { skip }, async () => {
    const doomed = await pocketId.createUser({ username: 'aaa' });
    const get = interrupted(async (time) => {
      if (time === 1) await pocketId.deleteUser(doomed);
    });
    const { source, slept } = connect(pocketId, { get });
    const snapshot = await snapshotOf(source);
    assert.deepEqual(slept, [500]);
    assert.equal(snapshot.users.length, people.length);
  });

  test('somebody who joins a group after the groups were counted: read again', { skip }, async () => {
    const get = interrupted(async (time) => {
      if (time === 1) await pocketId.setMembers(groups[1] ?? '', [people[1] ?? '', people[150] ?? '']);
    });
    const { source, slept } = connect(pocketId, { get });
    const snapshot = await snapshotOf(source);
    assert.deepEqual(slept, [500]);
    const joined = snapshot.groups.find(({ id }) => id === groups[1]);
    assert.deepEqual(joined?.userIds, [people[1], people[150]].toSorted());
    await pocketId.setMembers(groups[1] ?? '', [people[1] ?? '']);
  });

  test('edits that never stop are a problem, never half a directory', { skip }, async () => {
    const made: string[] = [];
    const get = interrupted(async (time) => void made.push(await pocketId.createUser({ username: `aaa${time}` })));
    const { source, slept } = connect(pocketId, { get });
    const result = await source.fetch(signal);
    assert.deepEqual([result.ok, !result.ok && result.problem.code, slept], [false, 'inconsistent', [500, 500]]);
    await inParallel(made, (id) => pocketId.deleteUser(id));
  });
});
