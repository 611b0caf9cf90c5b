import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { kysely } from '../../db/query.ts';
import { forEachDatabase, openTestSqlite } from '../../db/test-databases.ts';
import { UidMapBroken } from './numbers.ts';
import { DAY, group, setUp, snapshot, user } from './test-numbers.ts';

forEachDatabase('the UID map', (open) => {
  test('starts at the base, gives private groups the number of their user, and is the same after a restart', async (t) => {
    const { numbers, make, file } = await setUp(t, await open(t));
    const people = snapshot({ a: 'alice', b: 'bob' }, { g: 'ops' });
    const first = await numbers.assign(people);
    assert.deepEqual(
      [
        first.uidOf(user('a')),
        first.gidOf(user('a')),
        first.uidOf(user('b')),
        first.gidOf(user('b')),
        first.gidOf(group('g')),
      ],
      [200_000, 200_000, 200_001, 200_001, 200_002],
    );
    const again = await make().assign(snapshot({ z: 'zoe', a: 'alice', b: 'bob' }, { g: 'ops' }));
    assert.equal(again.uidOf(user('a')), 200_000);
    assert.equal(again.gidOf(group('g')), 200_002);
    assert.equal(again.uidOf(user('z')), 200_003);
    assert.deepEqual((await file()).uids, { a: 200_000, b: 200_001, z: 200_003 });
  });

  test('never gives a number to somebody else, and gives it back to its owner', async (t) => {
    const { numbers, clock } = await setUp(t, await open(t));
    await numbers.assign(snapshot({ a: 'alice', b: 'bob' }));
    await numbers.assign(snapshot({ a: 'alice' }));
    clock.advance(400 * DAY);
    const recreated = await numbers.assign(snapshot({ a: 'alice', c: 'bob' }));
    assert.equal(recreated.uidOf(user('c')), 200_002, 'the same name under another id is somebody else');
    const back = await numbers.assign(snapshot({ a: 'alice', b: 'robert', c: 'bob' }));
    assert.equal(back.uidOf(user('b')), 200_001);
  });

  test('two replicas give out no number twice', async (t) => {
    const db = await open(t);
    const { numbers, make } = await setUp(t, db);
    const other = make();
    await numbers.assign(snapshot({ a: 'alice' }));
    await other.assign(snapshot({ a: 'alice' }));
    const [one, two] = await Promise.all([
      numbers.assign(snapshot({ a: 'alice', b: 'bob', c: 'carol' })),
      other.assign(snapshot({ a: 'alice', b: 'bob', c: 'carol' })),
    ]);
    for (const id of ['a', 'b', 'c']) assert.equal(one.uidOf(user(id)), two.uidOf(user(id)));
    const rows = await kysely(db.query).selectFrom('directory_ids').select(['kind', 'number']).execute();
    assert.equal(rows.length, 6);
  });

  test('stops when rows are missing, instead of numbering again', async (t) => {
    const db = await open(t);
    const { numbers, make } = await setUp(t, db);
    await numbers.assign(snapshot({ a: 'alice', b: 'bob' }));
    await db.transaction((work) =>
      kysely(work.query).deleteFrom('directory_ids').where('kind', '=', 'uid').where('number', '=', 200_001).execute(),
    );
    await assert.rejects(make().assign(snapshot({ a: 'alice', c: 'carol' })), UidMapBroken);
  });

  test('stops when the map is gone but a directory was published', async (t) => {
    const db = await open(t);
    const { numbers, make } = await setUp(t, db);
    await db.transaction((work) =>
      kysely(work.query)
        .insertInto('directory_published')
        .values({ id: 1, source: 'file', hash: '', content: '', mac: '', published_at: 0, fetched_at: 0 })
        .execute(),
    );
    await assert.rejects(numbers.assign(snapshot({ a: 'alice' })), /UIDMAP_INIT=force/);
    const accepted = await make(true).assign(snapshot({ a: 'alice' }));
    assert.equal(accepted.uidOf(user('a')), 200_000, 'unless the loss is accepted by name');
  });

  test('stops when the database is older than the exported copy', async (t) => {
    const db = await open(t);
    const { numbers, make } = await setUp(t, db);
    await numbers.assign(snapshot({ a: 'alice' }));
    await db.transaction((work) => kysely(work.query).updateTable('directory_state').set({ generation: 0 }).execute());
    await assert.rejects(make().assign(snapshot({ a: 'alice', b: 'bob' })), /older than/);
  });

  test('keeps a left name from others until the quarantine ends or an operator releases it', async (t) => {
    const { numbers, clock } = await setUp(t, await open(t));
    await numbers.assign(snapshot({ a: 'alice', b: 'bob', c: 'carol' }));
    const taken = await numbers.assign(snapshot({ a: 'alice2', b: 'alice', c: 'carol' }));
    assert.equal(taken.nameOf(user('a')), 'alice2');
    assert.equal(taken.nameOf(user('b')), undefined);
    assert.deepEqual(
      taken.lints.map(({ code, name }) => [code, name]),
      [['name_requarantined', 'alice']],
    );
    clock.advance(29 * DAY);
    assert.equal((await numbers.assign(snapshot({ a: 'alice2', b: 'alice' }))).nameOf(user('b')), undefined);
    clock.advance(2 * DAY);
    assert.equal((await numbers.assign(snapshot({ a: 'alice2', b: 'alice' }))).nameOf(user('b')), 'alice');
    await assert.rejects(numbers.releaseName('alice', { username: 'root', remoteAddr: null }), /nothing here/);
    await numbers.releaseName('bob', { username: 'root', remoteAddr: null });
    const carol = await numbers.assign(snapshot({ a: 'alice2', b: 'alice', c: 'bob' }));
    assert.equal(carol.nameOf(user('c')), 'bob');
  });
});

const v1 = {
  uids: { a: 200_000, b: 200_007 },
  gids: { a: 200_000, b: 200_001, g: 200_005 },
  nextUID: 200_003,
  nextGID: 200_010,
};

test('a map of earlier installations is imported once, with its own counters', async (t) => {
  const { numbers, mapFile, file, make } = await setUp(t, await openTestSqlite(t));
  await writeFile(mapFile, JSON.stringify(v1), { mode: 0o600 });
  const first = await numbers.assign(snapshot({ a: 'alice', b: 'bob', c: 'carol' }, { g: 'ops', h: 'dev' }));
  assert.deepEqual(
    [
      first.uidOf(user('b')),
      first.gidOf(user('b')),
      first.gidOf(group('g')),
      first.uidOf(user('c')),
      first.gidOf(user('c')),
    ],
    [200_007, 200_001, 200_005, 200_008, 200_010],
  );
  assert.equal((await file()).version, 2);
  await writeFile(mapFile, JSON.stringify({ uids: { x: 200_000 }, gids: {} }), { mode: 0o600 });
  assert.equal((await make().assign(snapshot({ a: 'alice' }))).uidOf(user('a')), 200_000);
});

test('the exported copy brings everything back into an empty database', async (t) => {
  const one = await setUp(t, await openTestSqlite(t));
  await one.numbers.assign(snapshot({ a: 'alice', b: 'bob', same: 'carol' }, { same: 'ops' }));
  await one.numbers.assign(snapshot({ a: 'alice2', same: 'carol' }, { same: 'ops' }));
  const two = await setUp(t, await openTestSqlite(t));
  await writeFile(two.mapFile, await readFile(one.mapFile), { mode: 0o600 });
  const people = snapshot({ a: 'alice2', b: 'bob', same: 'carol', d: 'alice' }, { same: 'ops' });
  const [was, now] = [await one.numbers.assign(people), await two.numbers.assign(people)];
  for (const owner of [user('a'), user('b'), user('same'), user('d'), group('same')]) {
    assert.equal(now.gidOf(owner), was.gidOf(owner));
    assert.equal(now.uidOf(owner), was.uidOf(owner));
    assert.equal(now.nameOf(owner), was.nameOf(owner));
  }
});

test('the last thirty copies are kept', async (t) => {
  const { numbers, folder, mapFile } = await setUp(t, await openTestSqlite(t));
  for (let i = 0; i < 35; i += 1) {
    await numbers.assign(snapshot(Object.fromEntries(Array.from({ length: i + 1 }, (_, n) => [`p${n}`, `user${n}`]))));
  }
  const kept = (await readdir(folder)).filter((name) => /^uidmap\.json\.[0-9]+$/.test(name));
  assert.equal(kept.length, 30);
  const newest = Math.max(...kept.map((name) => Number(name.split('.')[2])));
  assert.deepEqual(await readFile(`${mapFile}.${newest}`), await readFile(mapFile));
});

test('a damaged, doubtful or foreign-writable map stops the directory', async (t) => {
  const bad: [string, unknown, RegExp][] = [
    ['not JSON', '{', /not valid JSON/],
    ['one number of two people', { uids: { a: 200_000, b: 200_000 }, gids: {} }, /belongs to both/],
    ['a system number', { uids: { a: 7 }, gids: {} }, /out of range/],
    ['a number above the range', { uids: { a: 4_294_967_000 }, gids: {} }, /above/],
    ['a wrong checksum', { version: 2, uids: { a: 200_001 }, gids: {}, checksum: 'sha256:x' }, /checksum/],
  ];
  for (const [name, content, message] of bad) {
    const { numbers, mapFile } = await setUp(t, await openTestSqlite(t));
    await writeFile(mapFile, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
    await assert.rejects(numbers.assign(snapshot({ z: 'zoe' })), message, name);
    await assert.rejects(numbers.assign(snapshot({ z: 'zoe' })), message, `${name}, asked again`);
  }
  const { numbers, mapFile } = await setUp(t, await openTestSqlite(t));
  await writeFile(mapFile, JSON.stringify(v1));
  await chmod(mapFile, 0o666);
  await assert.rejects(numbers.assign(snapshot({})), /writable/);
  const folder = await setUp(t, await openTestSqlite(t));
  await mkdir(folder.mapFile);
  await assert.rejects(folder.numbers.assign(snapshot({})), /not a regular file/);
});

test('excluded ranges, "nobody" and the end of the range are respected', async (t) => {
  const { numbers } = await setUp(t, await openTestSqlite(t), {
    uidBase: 65_533,
    gidBase: 65_533,
    exclude: [[65_537, 65_540]],
    max: 65_542,
  });
  const result = await numbers.assign(snapshot({ a: 'ua', b: 'ub', c: 'uc', d: 'ud', e: 'ue' }));
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((id) => result.uidOf(user(id))),
    [65_533, 65_536, 65_541, 65_542, undefined],
  );
  assert.deepEqual(
    result.lints.map(({ code }) => code),
    ['ids_exhausted'],
  );
  assert.equal(result.nameOf(user('e')), undefined);
});

test('a number asked for by claim is given only in the range, only if free, only the first time', async (t) => {
  const people = snapshot(
    { a: 'alice', b: 'bob', c: 'carol' },
    {},
    { a: 'uidNumber=5000', b: 'uidNumber=5000', c: 'uidNumber=0' },
  );
  const off = await (await setUp(t, await openTestSqlite(t))).numbers.assign(people);
  assert.equal(off.uidOf(user('a')), 200_000);
  const { numbers } = await setUp(t, await openTestSqlite(t), { claimRange: [5000, 6000] });
  const on = await numbers.assign(people);
  assert.deepEqual([on.uidOf(user('a')), on.gidOf(user('a'))], [5000, 5000]);
  assert.deepEqual([on.uidOf(user('b')), on.uidOf(user('c'))], [200_000, 200_001]);
  assert.deepEqual(
    on.lints.map(({ code }) => code),
    ['id_claim_refused', 'id_claim_refused'],
  );
  const later = await numbers.assign(snapshot({ a: 'alice' }, {}, { a: 'uidNumber=5001' }));
  assert.equal(later.uidOf(user('a')), 5000);
});

test('whatever comes and goes, a number never changes its owner', async () => {
  const step = fc.record({
    users: fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      fc.constantFrom('u1', 'u2', 'u3', 'u4', '1000', 'ALL'),
    ),
    groups: fc.dictionary(fc.constantFrom('a', 'g', 'h'), fc.constantFrom('u1', 'g1', 'docker')),
    days: fc.integer({ min: 0, max: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const after: (() => unknown)[] = [];
      const scope = { after: (run: () => unknown) => void after.unshift(run) } as unknown as TestContext;
      const { make, clock } = await setUp(scope, await openTestSqlite(scope));
      const owners = new Map<string, string>();
      for (const { users, groups, days } of steps) {
        const result = await make().assign(snapshot(users, groups));
        const names = new Set<string>();
        for (const owner of [...Object.keys(users).map(user), ...Object.keys(groups).map(group)]) {
          for (const [kind, number] of [
            ['uid', result.uidOf(owner)],
            ['gid', result.gidOf(owner)],
          ] as const) {
            if (number === undefined) continue;
            const known = owners.get(`${kind} ${number}`) ?? JSON.stringify(owner);
            assert.equal(known, JSON.stringify(owner));
            owners.set(`${kind} ${number}`, known);
          }
          const name = result.nameOf(owner);
          if (name !== undefined) {
            assert.ok(!names.has(name), 'one name, one owner');
            names.add(name);
            assert.ok(name !== 'all' && name !== 'docker');
          }
        }
        clock.advance(days * DAY);
      }
      for (const run of after) await run();
    }),
    { numRuns: 25 },
  );
});
