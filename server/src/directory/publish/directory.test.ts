import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Database } from '../../db/database.ts';
import { kysely } from '../../db/query.ts';
import { forEachDatabase, openTestSqlite } from '../../db/test-databases.ts';
import { createEventLog } from '../../events/log.ts';
import type { Entry } from '../../ldap/entry.ts';
import { manualClock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';
import { DEFAULT_GUARDS } from '../guards/guard.ts';
import { createNumbers } from '../numbers/numbers.ts';
import { createUidMapTools } from '../numbers/uidmap.ts';
import type { Lint } from '../source/lint.ts';
import type { DirectorySnapshot } from '../source/model.ts';
import type { DirectorySource, SourceProblem } from '../source/source.ts';
import type { StoredRule } from '../tree/model.ts';
import { ISSUER, type TestGroup, type TestUser, testSettings, testSnapshot } from '../tree/test-tree.ts';
import { createDirectory, type DirectoryDeps } from './directory.ts';
import type { HostPower } from './round.ts';
import { createRounds, type RoundsDeps } from './rounds.ts';

const DAY = 86_400_000;
const admin = { username: 'root-admin', remoteAddr: '192.0.2.9' };

/** What a test changes about rounds and what decides when there is one. */
type Over = Partial<Omit<RoundsDeps, 'signal'>> & Partial<Pick<DirectoryDeps, 'refreshMs'>>;

async function setUp(t: Pick<TestContext, 'after'>, db: Database, over: Over = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-directory-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const clock = manualClock();
  const events = await createEventLog({ db, clock, onError: () => {} });
  t.after(() => events.close());
  const settings = over.settings ?? testSettings();
  const mapFile = join(folder, 'uidmap.json');
  let content: DirectorySnapshot = testSnapshot([]);
  let problem: SourceProblem | null = null;
  let fetches = 0;
  const source: DirectorySource = {
    name: 'file',
    async fetch(signal) {
      signal.throwIfAborted();
      fetches += 1;
      return problem ? { ok: false, problem } : { ok: true, snapshot: content };
    },
  };
  const published: (readonly Entry[] | null)[] = [];
  const errors: string[] = [];
  const make = (more: Over = {}) => {
    const stopping = new AbortController();
    const rounds = createRounds({
      db,
      events,
      clock,
      random: systemRandom,
      settings,
      guards: DEFAULT_GUARDS,
      source,
      numbers: createNumbers({ db, events, clock, settings, mapFile }),
      storedRules: async () => [],
      hosts: async () => [],
      hostPower: async () => [],
      admitHosts: async () => {},
      pinned: async () => new Map(),
      macKey: Buffer.alloc(32, 7),
      publish: (entries) => void published.push(entries),
      onLeft: async () => {},
      signal: stopping.signal,
      ...over,
      ...more,
    });
    const directory = createDirectory({
      db,
      events,
      clock,
      random: systemRandom,
      source: over.source === undefined ? source : over.source,
      rounds,
      withdraw: () => void published.push(null),
      metrics: { refreshed: () => {}, syncFailed: () => {}, syncSeconds: () => {}, published: () => {} },
      onError: (error) => void errors.push(String(error)),
      refreshMs: over.refreshMs ?? 300_000,
      cacheMaxAgeMs: 7 * DAY,
      minGapMs: 0,
    });
    t.after(() => {
      stopping.abort();
      return directory.stop();
    });
    return directory;
  };
  return {
    make,
    clock,
    events,
    published,
    errors,
    mapFile,
    tools: createUidMapTools({ db, events, clock, settings, mapFile, actor: 'root' }),
    fetches: () => fetches,
    put(users: TestUser[], groups: TestGroup[] = []) {
      content = testSnapshot(users, groups);
      problem = null;
    },
    /** What the source says, with another issuer. */
    reissue(issuer: string) {
      const by = <T extends object>(records: readonly T[]) => records.map((record) => ({ ...record, issuer }));
      content = { users: by(content.users), groups: by(content.groups) };
    },
    fail(one: SourceProblem = { code: 'unreachable', message: 'no answer' }) {
      problem = one;
    },
    names: () =>
      published
        .at(-1)
        ?.map(({ dn }) => dn.split(',')[0]!)
        .filter((rdn) => /^(uid|cn)=/.test(rdn)) ?? null,
    value: (rdn: string, attribute: string) =>
      published
        .at(-1)
        ?.find(({ dn }) => dn.startsWith(`${rdn},`))
        ?.attributes.find(([name]) => name === attribute)?.[1],
    eventNames: async () => (await events.read(0, 1000)).map(({ event }) => event as string),
  };
}

const people = (...names: string[]) => names.map((username) => ({ username }));
const storedRule = (name: string, ...sudoUsers: string[]): StoredRule => ({
  id: name,
  name,
  sudoUsers,
  description: '',
  written: {
    hosts: null,
    commands: ['/bin/id'],
    runAsUser: null,
    runAsGroup: null,
    options: [],
    order: null,
    notBefore: null,
    notAfter: null,
  },
});
const ops = (...members: string[]): TestGroup => ({ name: 'ops', members, claims: { sudoCommands: '/bin/id' } });

forEachDatabase('the directory', (open) => {
  test('publishes what the source says, once per change, with numbers already on disk', async (t) => {
    const site = await setUp(t, await open(t));
    site.put(people('alice', 'bob'), [ops('alice')]);
    let onDisk: unknown;
    const directory = site.make({
      publish: async (entries) => {
        site.published.push(entries);
        onDisk ??= JSON.parse(await readFile(site.mapFile, 'utf8')).uids;
      },
    });
    await directory.start();
    await directory.settled();
    assert.deepEqual(site.names(), ['cn=ops', 'cn=alice', 'cn=bob', 'uid=alice', 'uid=bob', 'cn=defaults', 'cn=ops']);
    assert.deepEqual(onDisk, { 'id-alice': 200_000, 'id-bob': 200_001 });
    assert.deepEqual([directory.status().state, directory.health()], ['fresh', null]);
    directory.refresh('poll');
    await directory.settled();
    assert.equal(site.published.length, 1, 'the same again is not published again');
    const before = site.published[0]!;
    site.put(people('alice', 'bob', 'carol'), [ops('alice')]);
    directory.refresh('webhook');
    await directory.settled();
    const after = site.published[1]!;
    const stamp = (entries: readonly Entry[], rdn: string) => entries.find(({ dn }) => dn.startsWith(rdn))?.operational;
    assert.deepEqual(stamp(after, 'uid=alice'), stamp(before, 'uid=alice'));
    assert.ok(stamp(after, 'uid=carol')!.entryUSN > Math.max(...before.map(({ operational }) => operational.entryUSN)));
    assert.deepEqual((await site.eventNames()).filter((name) => name === 'directory_published').length, 2);
  });

  test('who corrects the slash at the end of an issuer makes nobody somebody else', async (t) => {
    const site = await setUp(t, await open(t));
    site.put(people('alice', 'bob'), [ops('alice')]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    const told = await site.eventNames();
    site.reissue(`${ISSUER}/`);
    directory.refresh('webhook');
    await directory.settled();
    assert.deepEqual(await site.eventNames(), told, 'nothing has changed');
    site.put(people('alice', 'bob', 'carol'), [ops('alice')]);
    site.reissue(`${ISSUER}/`);
    directory.refresh('webhook');
    await directory.settled();
    const uids = ['alice', 'bob', 'carol'].map((name) => String(site.value(`uid=${name}`, 'uidNumber')));
    assert.deepEqual(uids, ['200000', '200001', '200003'], 'and whoever comes then is of the same issuer');
    site.reissue('https://another.example');
    directory.refresh('webhook');
    await directory.settled();
    assert.notEqual(
      String(site.value('uid=alice', 'uidNumber')),
      '200000',
      'people of another issuer are other people',
    );
  });

  test('numbers that an operator gives to somebody reach hosts with the next round', async (t) => {
    const site = await setUp(t, await open(t));
    const alice = { username: 'alice', id: 'first' };
    site.put([alice, ...people('bob')]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    site.put([{ ...alice, id: 'second' }, ...people('bob')]);
    directory.refresh('webhook');
    await directory.settled();
    const [hold] = await directory.holds();
    assert.ok(hold, 'a stranger waits for the name');
    await directory.confirm(hold, admin);
    await directory.settled();
    const uid = () => site.value('uid=alice', 'uidNumber')?.toString();
    assert.equal(uid(), '200002');
    directory.refresh('poll');
    await directory.settled();
    await site.tools.adopt(await site.tools.find('first', true), await site.tools.find('second', false));
    const rounds = site.published.length;
    directory.rebuild();
    await directory.settled();
    assert.deepEqual([site.published.length, uid()], [rounds + 1, '200000']);
    directory.refresh('poll');
    await directory.settled();
    assert.equal(site.published.length, rounds + 1);
  });

  test('keeps serving the last good directory while the source fails, also after a restart', async (t) => {
    const site = await setUp(t, await open(t));
    site.put(people('alice'), [ops('alice')]);
    const first = site.make();
    await first.start();
    await first.settled();
    const served = site.published.at(-1);
    site.fail();
    first.refresh('poll');
    await first.settled();
    assert.equal(site.published.length, 1);
    assert.equal(first.status().problem, 'no answer');
    site.clock.advance(451_000);
    assert.deepEqual([first.health(), first.status().state], ['stale', 'stale']);
    await first.stop();

    const second = site.make();
    await second.start();
    assert.deepEqual(site.published.at(-1), served, 'the same entries with the same numbers and times');
    await second.settled();
    assert.equal(second.status().state, 'stale');
    site.clock.advance(8 * DAY);
    second.refresh('poll');
    await second.settled();
    assert.equal(site.published.at(-1), null, 'too old to be true');
    await second.stop();

    const third = site.make();
    await third.start();
    await third.settled();
    assert.equal(third.status().state, 'cold');
    site.put(people('alice'), [ops('alice')]);
    third.refresh('poll');
    await third.settled();
    assert.deepEqual(site.value('uid=alice', 'uidNumber'), ['200000']);
  });

  test('thirty changes are decided together, all of them or none', async (t) => {
    const site = await setUp(t, await open(t));
    const groups = Array.from({ length: 30 }, (_, n) => ({
      ...ops('alice'),
      name: `g${n}`,
      claims: { sudoCommands: `/bin/${n}` },
    }));
    site.put(people('alice', 'bob'), groups);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    site.put(
      people('alice', 'bob'),
      groups.map((group) => ({ ...group, members: ['alice', 'bob'] })),
    );
    directory.refresh('poll');
    await directory.settled();
    const holds = (await directory.holds())
      .toSorted((a, b) => a.subject.localeCompare(b.subject))
      .map(({ id, digest }) => ({ id, digest, was: 'open' as const }));
    assert.equal(holds.length, 30);
    const [first, ...rest] = holds;
    await assert.rejects(directory.decideMany([...rest, { ...first!, digest: 'another' }], 'confirmed', admin));
    assert.deepEqual(new Set((await directory.holds()).map(({ state }) => state)), new Set(['open']));
    await directory.decideMany(rest, 'confirmed', admin);
    await directory.decideMany([first!], 'rejected', admin);
    await directory.settled();
    const confirmed = (await site.eventNames()).filter((name) => name === 'directory_change_confirmed');
    assert.equal(confirmed.length, 29);
    assert.deepEqual(site.value('cn=g7,ou=groups', 'memberUid'), ['alice', 'bob']);
    assert.deepEqual(
      (await directory.holds()).map(({ state }) => state),
      ['rejected'],
    );
  });

  test('many renames that wait hide nothing that gives power, and neither does a change that cannot be read', async (t) => {
    const db = await open(t);
    const site = await setUp(t, db);
    const named = (prefix: string) =>
      Array.from({ length: 600 }, (_, n) => ({ id: `id-${n}`, username: `${prefix}${n}` }));
    site.put([...named('a'), ...people('zoe')], [{ name: 'ops', members: [], claims: { sudoCommands: '/bin/id' } }]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    site.put(named('b').concat({ id: 'id-zoe', username: 'zoe' }), [ops()]);
    directory.refresh('poll');
    await directory.settled();
    site.clock.advance(60_000);
    site.put(named('b').concat({ id: 'id-zoe', username: 'zoe' }), [ops('zoe')]);
    directory.refresh('poll');
    await directory.settled();
    const seen = await directory.holds();
    assert.deepEqual([seen[0]?.kind, seen[0]?.subject], ['power_member', 'group ops']);
    assert.deepEqual([seen.length, await directory.openHolds()], [500, 601]);

    await db.transaction((work) =>
      kysely(work.query)
        .updateTable('directory_holds')
        .set({ detail: '{"added":' })
        .where('id', '=', seen[1]!.id)
        .execute(),
    );
    const [broken, ...others] = await directory.unreadableHolds();
    assert.deepEqual([broken?.id, others.length], [seen[1]!.id, 0]);
    assert.deepEqual((await directory.holds())[0], seen[0]);
    await directory.confirm(seen[0]!, admin);
    await directory.settled();
    assert.deepEqual(site.value('cn=ops,ou=groups', 'memberUid'), ['zoe']);
  });

  test('a rule that waits for its group gives nothing to a user of that name, now or once the name is free', async (t) => {
    const rule = storedRule('backup', '%dbas');
    const site = await setUp(t, await open(t), {
      settings: testSettings({ sudoSource: 'both' }),
      storedRules: async () => [rule],
    });
    site.put(people('alice'), [{ id: 'g', name: 'dbas', members: ['alice'] }]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    const fetch = async () => {
      directory.refresh('poll');
      await directory.settled();
      return (await directory.holds()).map(({ kind, subject, state }) => `${kind} ${subject} ${state}`);
    };
    site.put(people('alice', 'dbas'), [{ id: 'g', name: 'database-admins', members: ['alice'] }]);
    assert.deepEqual(await fetch(), [], 'the name is kept free, so there is nothing to decide');
    assert.ok(!site.names()!.includes('uid=dbas'));
    site.clock.advance(31 * DAY);
    assert.deepEqual(await fetch(), ['power_name account dbas open']);
    assert.deepEqual(
      site.names()!.filter((name) => name.endsWith('=dbas')),
      [],
    );
    const [hold] = await directory.holds();
    await directory.confirm(hold!, admin);
    await directory.settled();
    assert.deepEqual(
      site.names()!.filter((name) => name.endsWith('=dbas')),
      ['cn=dbas', 'uid=dbas'],
    );
    assert.deepEqual(await fetch(), [], 'what was let through is not asked about again');
  });

  test('names are given as they were looked at, whatever becomes free meanwhile', async (t) => {
    for (const how of ['time passes', 'an operator releases it'] as const) {
      const db = await open(t);
      let meanwhile: (() => Promise<void> | void) | null = null;
      const settings = testSettings({ sudoSource: 'both' });
      const site = await setUp(t, db, { settings, storedRules: async () => [storedRule('backup', '%dbas')] });
      const numbers = createNumbers({ db, events: site.events, clock: site.clock, settings, mapFile: null });
      site.put(people('alice'), [{ id: 'g', name: 'dbas', members: ['alice'] }]);
      const directory = site.make({
        numbers: {
          ...numbers,
          async assign(...said) {
            await meanwhile?.();
            meanwhile = null;
            return numbers.assign(...said);
          },
        },
      });
      await directory.start();
      await directory.settled();
      site.put(people('alice', 'dbas'), [{ id: 'g', name: 'database-admins', members: ['alice'] }]);
      directory.refresh('poll');
      await directory.settled();
      meanwhile = how === 'time passes' ? () => site.clock.advance(31 * DAY) : () => numbers.releaseName('dbas', admin);
      site.put(people('alice', 'bob', 'dbas'), [{ id: 'g', name: 'database-admins', members: ['alice'] }]);
      directory.refresh('poll');
      await directory.settled();
      assert.ok(site.names()!.includes('uid=bob'));
      assert.ok(!site.names()!.includes('uid=dbas'), how);
      directory.refresh('poll');
      await directory.settled();
      assert.deepEqual(
        (await directory.holds()).map(({ kind }) => kind),
        ['power_name'],
      );
      assert.ok(!site.names()!.includes('uid=dbas'), how);
      await directory.stop();
    }
  });

  test('what waits under a name is denied before another one has it, also when that fails at first', async (t) => {
    for (const how of ['renamed', 'removed'] as const) {
      const db = await open(t);
      const settings = testSettings({ names: { quarantineMs: 0 } });
      const site = await setUp(t, db, { settings, guards: { ...DEFAULT_GUARDS, bindings: 'publish' } });
      const numbers = createNumbers({ db, events: site.events, clock: site.clock, settings, mapFile: null });
      const told: string[] = [];
      let isAway = false;
      const directory = site.make({
        numbers,
        async onLeft(leavers) {
          if (isAway) throw new Error('the database is away');
          const names = await numbers.names();
          for (const { account, reason } of leavers)
            told.push(`${reason} ${account} of ${names.get(account!)?.subject}`);
        },
      });
      site.put([{ id: 'old', username: 'alice' }, { username: 'bob' }, { username: 'carol' }]);
      await directory.start();
      await directory.settled();
      site.put([
        ...(how === 'renamed' ? [{ id: 'old', username: 'alicia' }] : []),
        { id: 'new', username: 'alice' },
        { username: 'bob' },
        { username: 'carol' },
      ]);
      isAway = true;
      directory.refresh('poll');
      await directory.settled();
      assert.equal((await numbers.names()).get('alice')?.subject, 'old', how);
      isAway = false;
      directory.refresh('poll');
      await directory.settled();
      assert.equal(told[0], `${how} alice of old`);
      assert.equal((await numbers.names()).get('alice')?.subject, 'new', how);
      await directory.stop();
    }
  });

  test('a name that waits goes on waiting while much vanishes at once, and after it', async (t) => {
    const site = await setUp(t, await open(t), {
      settings: testSettings({ sudoSource: 'both' }),
      storedRules: async () => [storedRule('backup', 'zoe')],
    });
    const crowd = people('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    site.put(crowd);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    const fetch = async () => {
      directory.refresh('poll');
      await directory.settled();
      return (await directory.holds()).map(({ kind, state }) => `${kind} ${state}`);
    };
    site.put([...crowd, ...people('zoe')]);
    assert.deepEqual(await fetch(), ['power_name open']);
    site.put(people('zoe'));
    assert.deepEqual(await fetch(), ['mass_change open']);
    assert.ok(!site.names()!.includes('uid=zoe'), 'nobody was asked');
    const [hold] = await directory.holds();
    await directory.confirm(hold!, admin);
    await directory.settled();
    assert.deepEqual(await fetch(), ['power_name open']);
    assert.ok(!site.names()!.includes('uid=zoe'));
  });

  test('what a host says of its own files is looked at with the next round', async (t) => {
    let said: HostPower[] = [];
    const site = await setUp(t, await open(t), { hostPower: async () => said });
    site.put(people('alice', 'bob'), [{ name: 'fleet', members: ['alice'] }]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    said = [
      {
        hostId: 'h',
        hostname: 'db1',
        digest: 'd',
        grants: [],
        power: [{ type: 'group', name: 'fleet', gives: 'any command as root', file: '/etc/sudoers', line: 7 }],
      },
    ];
    site.put(people('alice', 'bob'), [{ name: 'fleet', members: ['alice', 'bob'] }]);
    directory.refresh('poll');
    await directory.settled();
    assert.deepEqual(site.value('cn=fleet,ou=groups', 'memberUid'), ['alice'], 'who had it keeps it');
    const [hold] = await directory.holds();
    assert.equal(hold?.kind, 'power_member');
    assert.deepEqual(hold?.kind === 'power_member' && hold.detail.local[0], { ...said[0]!.power[0], host: 'db1' });
  });

  test('a host that names everybody is one question; its report is ignored from then on, until that is taken back', async (t) => {
    const numbers = (count: number) =>
      Array.from({ length: count }, (_, n) => ({
        type: 'uid' as const,
        name: String(200_000 + n),
        gives: 'the files of a local account',
        file: '/etc/passwd',
        line: null,
      }));
    let said: HostPower[] = [{ hostId: 'h', hostname: 'dev1', digest: '1', grants: [], power: numbers(900) }];
    const site = await setUp(t, await open(t), { hostPower: async () => said });
    site.put(people('alice'));
    const directory = site.make();
    await directory.start();
    await directory.settled();
    const fetch = async (...names: string[]) => {
      site.put(people(...names));
      directory.refresh('poll');
      await directory.settled();
      return site.names()!.filter((name) => name.startsWith('uid=')).length;
    };
    const team = ['alice', ...'bcdefghijk'];
    assert.equal(await fetch(...team), 0);
    const [hold] = await directory.holds();
    assert.deepEqual([(await directory.holds()).length, hold!.kind, hold!.subject], [1, 'host_report', 'host dev1']);
    await directory.confirm(hold!, admin);
    await directory.settled();
    assert.equal(await fetch(...team), team.length);
    said = [{ ...said[0]!, digest: '2', power: numbers(950) }];
    assert.equal(await fetch(...team, 'l', 'm', 'n', 'o', 'p', 'q'), team.length + 6, 'nobody is asked again');
    const [answered] = await directory.holds();
    assert.deepEqual([answered?.id, answered?.state], [hold!.id, 'confirmed']);
    await assert.rejects(directory.confirm({ ...hold!, was: 'open' }, admin), 'once is enough');

    await directory.reject({ ...hold!, was: 'confirmed' }, admin);
    await directory.settled();
    assert.equal(
      await fetch(...team, 'l', 'm', 'n', 'o', 'p', 'q', 'r'),
      team.length + 6,
      'who is served stays served',
    );
    assert.deepEqual((await directory.holds()).map(({ kind, state }) => [kind, state]).toSorted(), [
      ['host_report', 'rejected'],
      ['power_name', 'open'],
    ]);
    const asked = (await directory.holds()).find(({ kind }) => kind === 'power_name')!;
    await directory.confirm(asked, admin);
    await assert.rejects(
      directory.reject({ ...asked, was: 'confirmed' }, admin),
      'what has happened is not taken back',
    );
  });

  test('holds growth of power until an operator confirms exactly that', async (t) => {
    const site = await setUp(t, await open(t));
    site.put(people('alice', 'bob', 'eve'), [ops('alice')]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    site.put(people('alice', 'bob', 'eve'), [ops('alice', 'bob')]);
    directory.refresh('poll');
    await directory.settled();
    assert.deepEqual(site.value('cn=ops,ou=sudoers', 'sudoUser'), ['alice']);
    const [hold] = await directory.holds();
    assert.deepEqual([hold?.kind, hold?.state], ['power_member', 'open']);
    assert.deepEqual(hold?.kind === 'power_member' && hold.detail, {
      group: 'ops',
      claims: { sudoCommands: '/bin/id' },
      rules: [],
      runAs: [],
      local: [],
      added: [{ subject: 'id-bob', username: 'bob', account: 'bob' }],
      count: 1,
    });
    directory.refresh('poll');
    await directory.settled();
    assert.equal((await site.eventNames()).filter((name) => name === 'directory_change_held').length, 1);

    await assert.rejects(directory.confirm({ id: hold!.id, digest: 'another' }, admin));
    site.put(people('alice', 'bob', 'eve'), [ops('alice', 'bob', 'eve')]);
    directory.refresh('poll');
    await directory.settled();
    await assert.rejects(directory.confirm(hold!, admin), 'the question has changed');
    assert.deepEqual(site.value('cn=ops,ou=sudoers', 'sudoUser'), ['alice']);

    const [current] = await directory.holds();
    await directory.confirm(current!, admin);
    await directory.settled();
    assert.deepEqual(site.value('cn=ops,ou=sudoers', 'sudoUser'), ['alice', 'bob', 'eve']);
    assert.ok((await site.eventNames()).includes('directory_change_confirmed'));
    directory.refresh('poll');
    await directory.settled();
    assert.deepEqual(await directory.holds(), []);
  });

  test('what an operator refused stays out over a restart, and is not asked again', async (t) => {
    const site = await setUp(t, await open(t));
    site.put(people('alice', 'bob'), [ops('alice')]);
    const first = site.make();
    await first.start();
    await first.settled();
    site.put(people('alice', 'bob'), [ops('alice', 'bob')]);
    first.refresh('poll');
    await first.settled();
    await first.reject((await first.holds())[0]!, admin);
    await first.settled();
    await first.stop();
    const second = site.make();
    await second.start();
    await second.settled();
    assert.deepEqual(site.value('cn=ops,ou=sudoers', 'sudoUser'), ['alice']);
    assert.deepEqual(
      (await second.holds()).map(({ state }) => state),
      ['rejected'],
    );
    assert.equal((await site.eventNames()).filter((name) => name === 'directory_change_held').length, 1);
  });

  test('what was refused can be let through after all, by somebody who has seen that it was refused', async (t) => {
    const site = await setUp(t, await open(t));
    site.put(people('alice', 'bob'), [ops('alice')]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    site.put(people('alice', 'bob'), [ops('alice', 'bob')]);
    directory.refresh('poll');
    await directory.settled();
    const [hold] = await directory.holds();
    const { id, digest } = hold!;
    await directory.reject({ id, digest }, admin);
    await directory.settled();
    await assert.rejects(directory.reject({ id, digest }, admin), 'once is enough');
    await assert.rejects(directory.confirm({ id, digest }, admin), 'a page from before the refusal');
    assert.deepEqual(site.value('cn=ops,ou=sudoers', 'sudoUser'), ['alice']);
    await directory.confirm({ id, digest, was: 'rejected' }, admin);
    await directory.settled();
    assert.deepEqual(site.value('cn=ops,ou=sudoers', 'sudoUser'), ['alice', 'bob']);
    await assert.rejects(directory.reject({ id, digest }, admin), 'it is done');
  });

  test('a confirmed takeover of a name moves the name and not the number', async (t) => {
    const site = await setUp(t, await open(t));
    site.put([{ id: 'old', username: 'alice' }, { username: 'bob' }]);
    const directory = site.make();
    await directory.start();
    await directory.settled();
    site.put([{ id: 'new', username: 'alice' }, { username: 'bob' }]);
    directory.refresh('poll');
    await directory.settled();
    assert.equal(site.value('uid=alice', 'uidNumber'), undefined);
    await directory.confirm((await directory.holds())[0]!, admin);
    await directory.settled();
    assert.deepEqual(site.value('uid=alice', 'uidNumber'), ['200002']);
    site.put([{ id: 'new', username: 'alice' }, { username: 'bob' }, { id: 'old', username: 'alice' }]);
    directory.refresh('poll');
    await directory.settled();
    assert.deepEqual(site.value('uid=alice', 'uidNumber'), ['200002'], 'the old owner does not get it back either');
  });

  test('a stored directory that somebody else changed is not used, and gives nobody power unseen', async (t) => {
    const db = await open(t);
    const site = await setUp(t, db);
    site.put(people('alice'), [ops('alice')]);
    const first = site.make();
    await first.start();
    await first.settled();
    await first.stop();
    await db.transaction((work) =>
      kysely(work.query).updateTable('directory_published').set({ source: 'forged' }).execute(),
    );
    const second = site.make();
    await second.start();
    await second.settled();
    assert.match(site.errors[0] ?? '', /changed by somebody else/);
    assert.deepEqual(site.value('uid=alice', 'uidNumber'), ['200000']);
    assert.equal(site.value('cn=ops,ou=sudoers', 'sudoUser'), undefined);
    assert.deepEqual(
      (await second.holds()).map(({ kind }) => kind),
      ['power_rule'],
    );
  });

  test('a broken UID map takes the directory off the air', async (t) => {
    const db = await open(t);
    const site = await setUp(t, db);
    site.put(people('alice', 'bob'));
    const first = site.make();
    await first.start();
    await first.settled();
    await first.stop();
    await db.transaction((work) =>
      kysely(work.query)
        .deleteFrom('directory_ids')
        .where('subject', '=', 'id-bob')
        .where('kind', '=', 'uid')
        .execute(),
    );
    const second = site.make();
    await second.start();
    await second.settled();
    assert.equal(site.published.at(-1), null);
    assert.deepEqual([second.status().state, second.health()], ['broken', 'broken']);
    assert.match(second.status().problem ?? '', /UID map/);
  });
});

test('a mass deletion is held, an empty source too', async (t) => {
  const site = await setUp(t, await openTestSqlite(t));
  const all = Array.from({ length: 20 }, (_, n) => `u${n}`);
  site.put(people(...all));
  const directory = site.make();
  await directory.start();
  await directory.settled();
  for (const left of [all.slice(10), []]) {
    site.put(people(...left));
    directory.refresh('poll');
    await directory.settled();
    assert.equal(site.names()?.filter((rdn) => rdn.startsWith('uid=')).length, 20);
    assert.deepEqual(
      (await directory.holds()).map(({ kind }) => kind),
      ['mass_change'],
    );
  }
});

test('a source that was away is asked again after its interval, however often it did not answer', async (t) => {
  const site = await setUp(t, await openTestSqlite(t), { refreshMs: 50 });
  site.fail();
  const directory = site.make();
  await directory.start();
  for (const end = Date.now() + 120_000; site.fetches() < 3 && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  site.put(people('alice'));
  for (const end = Date.now() + 120_000; site.names() === null && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(site.names()?.includes('uid=alice'));
});

test('a key that is not accepted is left alone for as long as it was asked', async (t) => {
  const site = await setUp(t, await openTestSqlite(t));
  site.fail({ code: 'unauthorised', message: 'no', retryAfterMs: 300_000 });
  const directory = site.make();
  await directory.start();
  await directory.settled();
  for (let n = 0; n < 5; n += 1) directory.refresh('webhook');
  await directory.settled();
  assert.equal(site.fetches(), 1);
  directory.refresh('console');
  await directory.settled();
  assert.equal(site.fetches(), 2);
});

test('a source of which a record was left out is served with what was left out said, unless a rule is for it', async (t) => {
  const lints: Lint[] = [{ code: 'record_left_out', subject: 'group Web', detail: 'userIds: no list' }];
  const source: DirectorySource = {
    name: 'file',
    fetch: async () => ({ ok: true, snapshot: testSnapshot(people('alice')), lints, groupsLeftOut: ['web'] }),
  };
  const settings = testSettings({ sudoSource: 'both' });
  const site = await setUp(t, await openTestSqlite(t), { source, settings });
  const written = { hosts: null, commands: ['/bin/id'], runAsUser: null, runAsGroup: null, options: [], order: null };
  const rule = {
    id: 'r1',
    name: 'web',
    sudoUsers: ['%web'],
    description: '',
    written: { ...written, notBefore: null, notAfter: null },
  };
  const ruled = site.make({ storedRules: async () => [rule] });
  await ruled.start();
  await ruled.settled();
  assert.deepEqual([site.names(), ruled.status().state], [null, 'cold']);
  assert.match(ruled.status().problem ?? '', /^group “web” cannot be read, and the rule web is for it$/);
  const directory = site.make();
  await directory.start();
  await directory.settled();
  assert.deepEqual([directory.lints(), directory.status().problem], [lints, null]);
  lints.pop();
  directory.refresh('poll');
  await directory.settled();
  assert.deepEqual(directory.lints(), [], 'what was corrected is not said any longer');
});

test('many signals at once are one fetch or two', async (t) => {
  const site = await setUp(t, await openTestSqlite(t));
  site.put(people('alice'));
  const directory = site.make();
  await directory.start();
  await directory.settled();
  const before = site.fetches();
  for (let n = 0; n < 50; n += 1) directory.refresh('webhook');
  await directory.settled();
  assert.ok(site.fetches() - before <= 2);
});

test('bridge mode serves the rules of the database, and follows their times', async (t) => {
  const site = await setUp(t, await openTestSqlite(t), {
    settings: testSettings({ people: false, sudoSource: 'store' }),
    source: null,
  });
  const written = {
    hosts: null,
    commands: ['/bin/id'],
    runAsUser: null,
    runAsGroup: null,
    options: [],
    order: null,
    notBefore: null,
  };
  const notAfter = site.clock.now() + 60_000;
  const rule = { id: 'r1', name: 'web', sudoUsers: ['%web'], description: '', written: { ...written, notAfter } };
  const directory = site.make({ storedRules: async () => [rule] });
  await directory.start();
  assert.deepEqual(site.names(), ['cn=defaults', 'cn=web']);
  assert.equal(directory.health(), null);
  site.clock.advance(60_001);
  directory.rebuild();
  await directory.settled();
  assert.deepEqual(site.names(), ['cn=defaults']);
});

test('a directory of several thousand people is written in pieces that leave room for an approval', async (t) => {
  const db = await openTestSqlite(t);
  const site = await setUp(t, db);
  site.put(people(...Array.from({ length: 3000 }, (_, n) => `u${n}`)));
  const directory = site.make();
  await directory.start();
  let others = 0;
  let done = false;
  const busy = directory.settled().then(() => {
    done = true;
  });
  while (!done) {
    await db.transaction(async (work) => kysely(work.query).selectFrom('meta').selectAll().execute());
    others += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await busy;
  assert.ok(others >= 10, `${others} other transactions`);
  assert.equal(site.names()?.length, 6001);
});
