import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { kysely } from '../../db/query.ts';
import { forEachDatabase, openTestSqlite } from '../../db/test-databases.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import { type AssignedNumber, ownerKey, reserved } from './ids.ts';
import { group, setUp, snapshot, user } from './test-numbers.ts';
import { UidMapRefusal } from './uidmap.ts';
import { formatUidMap, readUidMap } from './uidmap-file.ts';
import type { UidMapFormatName } from './uidmap-format-names.ts';
import { UID_MAP_FORMATS } from './uidmap-formats.ts';
import { repairUidMap } from './uidmap-repair.ts';

const issuer = 'https://id.example';

forEachDatabase('tools for the UID map', (open) => {
  test('a reserved number is given to nobody, survives a copy, and is nobody’s to begin with', async (t) => {
    const { numbers, tools, make, file, mapFile } = await setUp(t, await open(t));
    await numbers.assign(snapshot({ a: 'alice' }));
    await assert.rejects(tools.reserve(200_000), /uid 200000 is user alice \(a\)'s/);
    for (const wrong of [999, 2_147_483_648, Number.NaN]) await assert.rejects(tools.reserve(wrong), UidMapRefusal);
    assert.equal(await tools.reserve(200_001), true);
    assert.equal(await tools.reserve(200_001), false);
    const given = await numbers.assign(snapshot({ a: 'alice', b: 'bob' }, { g: 'ops' }));
    assert.deepEqual([given.uidOf(user('b')), given.gidOf(user('b'))], [200_002, 200_002]);
    assert.equal((await tools.verify()).problems.length, 0);
    assert.equal((await file()).retired.uids['identree:reserved 200001'].id, 200_001);
    const copy = await setUp(t, await openTestSqlite(t));
    await writeFile(copy.mapFile, await readFile(mapFile), { mode: 0o600 });
    await copy.numbers.assign(snapshot({ a: 'alice', b: 'bob' }, { g: 'ops' }));
    assert.equal(await copy.tools.reserve(200_001), false);
    assert.equal((await make().assign(snapshot({ a: 'alice', b: 'bob', c: 'carol' }))).uidOf(user('c')), 200_004);
  });

  test('another map is merged whole or not at all', async (t) => {
    const { numbers, tools, folder } = await setUp(t, await open(t));
    await numbers.assign(snapshot({ a: 'alice', b: 'bob' }));
    const other = join(folder, 'other.json');
    const write = (content: object) => writeFile(other, JSON.stringify(content), { mode: 0o600 });
    await write({ uids: { a: 200_000, c: 300_000 }, gids: { a: 200_000, c: 300_000 }, nextUID: 300_050, nextGID: 1 });
    await assert.rejects(tools.import(other, false), /--merge/);
    assert.equal(await tools.import(other, true), 2);
    assert.equal(await tools.import(other, true), 0);
    assert.deepEqual((await tools.verify()).problems, []);
    const given = await numbers.assign(snapshot({ a: 'alice', b: 'bob', c: 'carol', d: 'dora' }));
    assert.deepEqual([given.uidOf(user('c')), given.uidOf(user('d'))], [300_000, 300_050]);

    const before = await tools.read();
    await write({ uids: { a: 200_009, e: 200_001, f: 400_000 }, gids: {} });
    await assert.rejects(tools.import(other, true), (error: Error) => {
      assert.ok(error instanceof UidMapRefusal);
      assert.match(error.message, /a has uid 200000 here and 200009 in the file/);
      assert.match(error.message, /uid 200001 is user bob \(b\)'s here and user e's in the file/);
      return true;
    });
    assert.deepEqual(await tools.read(), before);
    assert.deepEqual(
      (await tools.diff(other)).map(({ number, here, there }) => [
        number,
        here?.subject ?? null,
        there?.subject ?? null,
      ]),
      [
        [200_000, 'a', null],
        [200_001, 'b', 'e'],
        [200_009, null, 'a'],
        [300_000, 'c', null],
        [300_050, 'd', null],
        [400_000, null, 'f'],
        [200_000, 'a', null],
        [200_001, 'b', null],
        [300_000, 'c', null],
        [300_050, 'd', null],
      ],
    );
  });

  test('somebody made anew gets numbers and name of the account that is gone, and nobody the ones they had', async (t) => {
    const { numbers, tools, make } = await setUp(t, await open(t));
    await numbers.assign(snapshot({ a: 'alice', b: 'bob' }, { g: 'ops' }));
    await numbers.assign(snapshot({ b: 'bob', a2: 'alice' }, { g: 'ops' }));
    await assert.rejects(tools.find('alice2', true), /Nobody who is gone/);
    await assert.rejects(tools.find('bob', true), /Nobody who is gone/);
    const gone = await tools.find('alice', true);
    const back = await tools.find('alice', false);
    assert.deepEqual([gone.subject, back.subject], ['a', 'a2']);
    await assert.rejects(tools.adopt(await tools.find('b', false), back), /is not gone/);
    await assert.rejects(tools.adopt(gone, gone), /not there/);
    await assert.rejects(tools.adopt(gone, await tools.find('ops', false)), /of a group/);
    await tools.adopt(gone, back);
    await assert.rejects(tools.find('alice', true), /Nobody who is gone/, 'twice does not change back');
    const next = await numbers.assign(snapshot({ b: 'bob', a2: 'alice' }, { g: 'ops' }));
    assert.deepEqual(
      [next.uidOf(user('a2')), next.gidOf(user('a2')), next.nameOf(user('a2'))],
      [200_000, 200_000, 'alice'],
    );
    const people = { b: 'bob', a2: 'alice', c: 'carol', a: 'alicia' };
    const later = await make().assign(snapshot(people, { g: 'ops' }));
    assert.deepEqual(
      [later.uidOf(user('a')), later.uidOf(user('c'))],
      [200_004, 200_005],
      'what alice had in between is nobody’s, also when who had hers comes back',
    );
    assert.equal(later.gidOf(group('g')), 200_002);
    assert.deepEqual((await tools.verify()).problems, []);
  });

  test('a change beside a round that was planned is not lost, and the round does not undo it', async (t) => {
    const db = await open(t);
    const { numbers, tools, folder } = await setUp(t, db);
    await numbers.assign(snapshot({ a: 'alice' }));
    const other = join(folder, 'other.json');
    await writeFile(other, JSON.stringify({ uids: {}, gids: {}, nextUID: 300_000, nextGID: 300_000 }), { mode: 0o600 });
    const round = numbers.assign(snapshot({ a: 'alice', b: 'bob' }));
    const merged = tools.import(other, true).then(() => numbers.names());
    await Promise.all([round, merged]);
    const { nextUid } = await tools.read();
    assert.ok(nextUid >= 300_000, `${nextUid}`);
    assert.ok((await numbers.assign(snapshot({ a: 'alice', b: 'bob', c: 'carol' }))).uidOf(user('c'))! >= 300_000);
    assert.deepEqual((await tools.verify()).problems, []);
  });

  test('a map that the server would refuse is not changed, except by what it lacks', async (t) => {
    const db = await open(t);
    const { numbers, tools, make, mapFile, folder } = await setUp(t, db);
    await numbers.assign(snapshot({ a: 'alice' }));
    const old = await tools.read();
    await numbers.assign(snapshot({ a: 'alice', b: 'bob' }));
    const newest = await readFile(mapFile, 'utf8');
    // The database of before bob.
    await db.transaction(async (work) => {
      await kysely(work.query).deleteFrom('directory_ids').where('subject', '=', 'b').execute();
      await kysely(work.query).deleteFrom('directory_names').where('name', '=', 'bob').execute();
      const { generation, nextUid, nextGid } = old;
      await kysely(work.query)
        .updateTable('directory_state')
        .set({ generation, next_uid: nextUid, next_gid: nextGid, uid_count: 1, gid_count: 1 })
        .execute();
    });
    await assert.rejects(make().assign(snapshot({ a: 'alice' })), /older than/);
    await assert.rejects(numbers.assign(snapshot({ a: 'alice' })), /older than/, 'also under a process that runs');
    await assert.rejects(tools.reserve(5000), /older than .* --merge/);
    const other = join(folder, 'other.json');
    const elsewhere = { nextUid: 300_000, nextGid: 300_000, upgPolicy: 'match' as const, numbers: [], names: [] };
    await writeFile(other, formatUidMap({ ...elsewhere, generation: 1000 }, issuer), { mode: 0o600 });
    await assert.rejects(tools.import(other, true), /older than/, 'what it lacks is not in any file that is newer');
    await chmod(mapFile, 0o666);
    await assert.rejects(tools.reserve(5000), /writable by group or others\. To go on/);
    await chmod(mapFile, 0o600);
    assert.equal(await readFile(mapFile, 'utf8'), newest);
    assert.equal(await tools.import(mapFile, true), 2);
    assert.deepEqual((await tools.verify()).problems, []);
    assert.equal((await make().assign(snapshot({ a: 'alice', b: 'bob' }))).uidOf(user('b')), 200_001);
    await db.transaction((work) => kysely(work.query).deleteFrom('directory_ids').where('subject', '=', 'b').execute());
    for (const act of [() => tools.reserve(200_001), () => tools.import(mapFile, true)]) {
      await assert.rejects(act(), /rows of the UID map are missing/);
    }
  });

  test('a map whose newest people are gone without a trace still raises what is given next', async (t) => {
    const { numbers, tools, folder } = await setUp(t, await open(t));
    await numbers.assign(snapshot({ a: 'alice' }));
    const other = join(folder, 'other.json');
    await writeFile(other, JSON.stringify({ uids: { a: 200_000 }, gids: null, nextUID: 200_050 }), { mode: 0o600 });
    assert.equal(await tools.import(other, true), 0);
    assert.equal((await numbers.assign(snapshot({ a: 'alice', b: 'bob' }))).uidOf(user('b')), 200_050);
  });

  test('whose number is whose: in order, by page, by name, number and identifier', async (t) => {
    const { numbers, tools } = await setUp(t, await open(t));
    await numbers.assign(snapshot({ a: 'Alice', b: 'bob_1', d: 'root' }, { g: 'ops' }));
    await numbers.assign(snapshot({ a: 'Alice', d: 'root' }, { g: 'ops' }));
    await tools.reserve(200_010);
    const list = async (search: string | null, after = 0, limit = 50) =>
      (await numbers.accounts({ search, after, limit })).map(({ kind, name, served, uid, gid, retiredAt }) =>
        [kind, name, served ? 'served' : retiredAt === null ? 'withheld' : 'retired', uid, gid].join(' '),
      );
    const all = [
      'user alice served 200000 200000',
      'user bob_1 retired 200001 200001',
      'user root withheld 200002 200002',
      'group ops served  200003',
      'reserved  retired 200010 200010',
    ];
    assert.deepEqual(await list(null), all);
    assert.deepEqual(await list(null, 0, 2), all.slice(0, 2));
    assert.deepEqual(await list(null, 200_001, 2), all.slice(2, 4));
    assert.deepEqual(await list('LIC'), [all[0]]);
    assert.deepEqual(await list('b_1'), [all[1]]);
    assert.deepEqual(await list('bo__1'), [], 'no wildcard');
    assert.deepEqual(await list('%'), []);
    assert.deepEqual(await list('200003'), [all[3]]);
    assert.deepEqual(await list('g'), [all[3]], 'an identifier');
  });

  test('verify finds missing rows and a copy that is none', async (t) => {
    const db = await open(t);
    const { numbers, tools, mapFile } = await setUp(t, db);
    await assert.rejects(tools.verify(), /no map yet/);
    await numbers.assign(snapshot({ a: 'alice', b: 'bob' }));
    const whole = await readFile(mapFile, 'utf8');
    await writeFile(mapFile, whole.replace('200001', '200009'), { mode: 0o600 });
    assert.match((await tools.verify()).problems.join('\n'), /checksum/);
    await writeFile(mapFile, whole, { mode: 0o600 });
    await db.transaction((work) =>
      kysely(work.query).deleteFrom('directory_ids').where('kind', '=', 'uid').where('number', '=', 200_001).execute(),
    );
    assert.match((await tools.verify()).problems.join('\n'), /missing: 1 uids of 2/);
  });
});

test('a map can be had for people and for other directories, and nobody smuggles anything into it', async (t) => {
  const { numbers, tools } = await setUp(t, await openTestSqlite(t));
  const evil = { n: 'x\nr00t::0:0::/:/bin/bash', r: 'root', z: 'alice' };
  await numbers.assign(snapshot({ a: 'Alice', b: '=bob,"x"', ...evil }, { g: 'ops' }));
  await numbers.assign(snapshot({ a: 'Alice', ...evil }, { g: 'ops' }));
  await tools.reserve(200_009);
  const settings = { ...DEFAULT_SETTINGS, baseDn: 'dc=example,dc=com', issuer };
  const as = async (name: UidMapFormatName, names = DEFAULT_SETTINGS.names) =>
    UID_MAP_FORMATS[name](await tools.read(), { ...settings, names });
  assert.equal(await as('passwd'), 'alice:x:200000:200000::/home/alice:/bin/bash\n');
  assert.match(await as('passwd', { ...DEFAULT_SETTINGS.names, policy: 'preserve' }), /^Alice:x:200000:[^\n]*\n$/);
  const csv = await as('csv');
  assert.match(csv, /^kind,number,owner,name,issuer,subject,assigned_at,retired_at\r\nuid,200000,user,Alice,/);
  assert.match(csv, /uid,200001,user,"'=bob,""x""",https:\/\/id\.example,b,/);
  assert.match(csv, /gid,200009,reserved,,/);
  assert.equal(
    await as('ldif'),
    `version: 1

dn: uid=alice,ou=people,dc=example,dc=com
objectClass: account
objectClass: posixAccount
uid: alice
cn: alice
uidNumber: 200000
gidNumber: 200000
homeDirectory: /home/alice
loginShell: /bin/bash

dn: cn=alice,ou=groups,dc=example,dc=com
objectClass: posixGroup
cn: alice
gidNumber: 200000

dn: cn=ops,ou=groups,dc=example,dc=com
objectClass: posixGroup
cn: ops
gidNumber: 200005
`,
  );
  assert.equal(JSON.parse(await as('json')).version, 2);
});

test('the copy says the same to whoever reads it, whatever identifiers look like', async (t) => {
  const { folder } = await setUp(t, await openTestSqlite(t));
  const path = join(folder, 'copy.json');
  const subject = fc.oneof(
    fc.constantFrom('a', 'group:a', 'group:', '__proto__', 'constructor', 'group:group:a', '1000'),
    fc.stringMatching(/^[!-~]{1,12}$/),
  );
  const kinds = fc.constantFrom('user' as const, 'group' as const);
  const owner = fc.record({ owner: kinds, issuer: fc.constantFrom(issuer, 'https://b'), subject });
  const owners = fc.uniqueArray(owner, { selector: ownerKey, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(owners, async (people) => {
      const numbers = people.flatMap((one, index): AssignedNumber[] => {
        const row = { ...one, number: 200_000 + index, name: '', assignedAt: 0, retiredAt: null };
        const gid = { ...row, kind: 'gid' as const };
        return one.owner === 'user' ? [{ ...row, kind: 'uid' }, gid] : [gid];
      });
      const nobody = { ...reserved(300_000), number: 300_000, name: '', assignedAt: 0, retiredAt: 0 };
      numbers.push({ ...nobody, kind: 'gid' });
      const map = {
        nextUid: 300_001,
        nextGid: 300_001,
        upgPolicy: 'match' as const,
        generation: 7,
        names: [],
        numbers,
      };
      await writeFile(path, formatUidMap(map, issuer), { mode: 0o600 });
      const read = await readUidMap(path, { issuer, ids: DEFAULT_SETTINGS.ids }, 0);
      assert.ok(read.ok, JSON.stringify(read));
      const sorted = (rows: readonly AssignedNumber[]) =>
        rows.map((row) => `${row.kind} ${row.number} ${ownerKey(row)}`).sort();
      assert.deepEqual(sorted(read.map.numbers), sorted(numbers));
    }),
    { numRuns: 200 },
  );
});

test('an installation that lost its map takes nothing older than the copy that is left', async (t) => {
  const one = await setUp(t, await openTestSqlite(t));
  await one.numbers.assign(snapshot({ a: 'alice' }));
  const older = await readFile(one.mapFile);
  await one.numbers.assign(snapshot({ a: 'alice', b: 'bob' }));
  const two = await setUp(t, await openTestSqlite(t));
  await writeFile(two.mapFile, await readFile(one.mapFile), { mode: 0o600 });
  const path = join(two.folder, 'older.json');
  await writeFile(path, older, { mode: 0o600 });
  await assert.rejects(two.tools.import(path, false), /has numbers that .*older\.json lacks/);
  assert.equal(await two.tools.import(two.mapFile, false), 4);
  assert.equal((await two.numbers.assign(snapshot({ a: 'alice', c: 'carol' }))).uidOf(user('c')), 200_002);
});

test('a copy that cannot be read is kept when a new one is written', async (t) => {
  const { numbers, make, mapFile } = await setUp(t, await openTestSqlite(t));
  await numbers.assign(snapshot({ a: 'alice' }));
  await writeFile(mapFile, 'torn', { mode: 0o600 });
  await make().assign(snapshot({ a: 'alice', b: 'bob' }));
  assert.equal(await readFile(`${mapFile}.unreadable`, 'utf8'), 'torn');
  assert.equal(JSON.parse(await readFile(mapFile, 'utf8')).uids.b, 200_001);
});

test('what is no map is not taken for an empty one', async (t) => {
  const { tools, folder } = await setUp(t, await openTestSqlite(t));
  const path = join(folder, 'other.json');
  for (const content of [{}, { gids: {} }, { uids: {}, gids: {}, nextUID: 9e15 }]) {
    await writeFile(path, JSON.stringify(content), { mode: 0o600 });
    await assert.rejects(tools.import(path, false), UidMapRefusal);
  }
  await writeFile(path, JSON.stringify({ uids: {}, gids: {} }), { mode: 0o600 });
  await tools.import(path, false);
  assert.equal((await tools.read()).nextUid, DEFAULT_SETTINGS.ids.uidBase);
});

test('a file in which two have one number is mended without taking anybody’s only number away', async (t) => {
  const { folder } = await setUp(t, await openTestSqlite(t));
  const path = join(folder, 'damaged.json');
  const damaged = {
    uids: { b: 200_000, a: 200_000, c: 7, d: 200_003, e: 7 },
    gids: { a: 200_000 },
    nextUID: 200_040,
    retired: { uids: { d: { id: 200_007, name: 'dora', at: '2026-01-01T00:00:00.000Z' } }, gids: {} },
  };
  await writeFile(path, JSON.stringify(damaged), { mode: 0o600 });
  const settings = { issuer, ids: { ...DEFAULT_SETTINGS.ids, exclude: [[200_041, 200_049]] as const } };
  const repaired = await repairUidMap(path, settings, 0);
  assert.ok(repaired.ok);
  const uids = repaired.map.numbers
    .filter(({ kind }) => kind === 'uid')
    .map((row) => [row.subject, row.number] as const);
  assert.deepEqual(Object.fromEntries(uids), {
    a: 200_000,
    b: 200_040,
    c: 200_050,
    d: 200_003,
    e: 200_051,
    200007: 200_007,
  });
  assert.deepEqual(
    repaired.renumbered.map(({ subject, was, number }) => [subject, was, number]),
    [
      ['b', 200_000, 200_040],
      ['c', 7, 200_050],
      ['e', 7, 200_051],
    ],
  );
  assert.deepEqual(
    repaired.reserved.map(({ subject, number }) => [subject, number]),
    [['d', 200_007]],
  );
  assert.deepEqual(repaired.dropped, []);
  assert.equal(repaired.map.nextUid, 200_052);
  const twice = (id: number) => ({
    uids: { a: 200_000, b: 200_001 },
    gids: {},
    retired: { uids: { b: { id, name: 'barbara', at: '2026-01-01T00:00:00.000Z' } }, gids: {} },
  });
  for (const number of [7, 200_000]) {
    await writeFile(path, JSON.stringify(twice(number)), { mode: 0o600 });
    const left = await repairUidMap(path, settings, 0);
    assert.ok(left.ok);
    assert.deepEqual([left.renumbered, left.reserved], [[], []]);
    assert.deepEqual(
      left.dropped.map((row) => [row.subject, row.number]),
      [['b', number]],
    );
    assert.deepEqual(left.map.numbers.map((row) => row.number).sort(), [200_000, 200_001]);
  }
  const early = { uids: { a: 200_000, b: 200_000, c: 200_005 }, gids: {}, nextUID: 0 };
  await writeFile(path, JSON.stringify(early), { mode: 0o600 });
  const again = await repairUidMap(path, settings, 0);
  assert.deepEqual(again.ok && again.renumbered.map(({ number }) => number), [200_006], 'above everybody');
  await writeFile(path, formatUidMap(repaired.map, issuer).replace('200050', '200060'), { mode: 0o600 });
  const changed = await repairUidMap(path, settings, 0);
  assert.match(changed.ok || changed.missing ? '' : changed.problem, /checksum/, 'what somebody changed stays so');
});
