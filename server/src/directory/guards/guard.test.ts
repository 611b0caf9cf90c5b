import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { mapUserName } from '../numbers/names.ts';
import type { ServedAs } from '../numbers/numbers.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import type { DirectorySnapshot } from '../source/model.ts';
import { hasSudoClaims } from '../sudo/from-claims.ts';
import type { StoredRule } from '../tree/model.ts';
import { ISSUER, type TestGroup, type TestUser, testSnapshot } from '../tree/test-tree.ts';
import { DEFAULT_GUARDS, type GuardInput, guard } from './guard.ts';
import type { NewHost } from './guard-hosts.ts';
import { type LocalPower, powerIndex } from './power.ts';
import { createTestNames } from './test-names.ts';

const NO_POWER = powerIndex([], new Set(), []);

const NO_HOSTS: GuardInput['hosts'] = {
  hosts: [],
  stored: [],
  localOf: () => [],
  settings: { expand: true, netgroups: true },
};

/** A rule of the database as it is served. */
const stored = (name: string, ...sudoUsers: string[]): StoredRule => ({
  id: name,
  name,
  sudoUsers,
  description: '',
  written: {
    hosts: null,
    commands: [`/bin/${name}`],
    runAsUser: null,
    runAsGroup: null,
    options: [],
    order: null,
    notBefore: null,
    notAfter: null,
  },
});

function run(published: DirectorySnapshot | null, candidate: DirectorySnapshot, over: Partial<GuardInput> = {}) {
  const world = createTestNames();
  if (published) world.publish(published);
  const result = guard({
    published,
    candidate,
    decided: new Map(),
    accountOf: ({ username }) => {
      const mapped = mapUserName(username, DEFAULT_SETTINGS.names);
      return mapped.ok ? mapped.name : null;
    },
    lastNameOf: () => null,
    owners: new Map(),
    pinned: new Map(),
    claimsGivePower: true,
    power: NO_POWER,
    reporters: new Map(),
    hosts: NO_HOSTS,
    was: world.was(),
    will: world.will,
    settings: DEFAULT_GUARDS,
    ...over,
  });
  return {
    ...result,
    was: world.was(),
    served: world.will(result.publish, result.wishes),
    kinds: result.arising.map(({ kind }) => kind),
    names: result.publish.users.map(({ username }) => username),
    members: (name: string) => result.publish.groups.find((group) => group.name === name)?.userIds,
    claim: (name: string) => result.publish.groups.find((group) => group.name === name)?.customClaims,
    confirmed: () =>
      run(published, candidate, {
        ...over,
        decided: new Map(result.arising.map(({ digest }) => [digest, 'confirmed'])),
      }),
  };
}

const people = (...names: string[]): TestUser[] => names.map((username) => ({ username }));
const ops = (members: string[], claims: Record<string, string> = { sudoCommands: '/bin/id' }): TestGroup => ({
  name: 'ops',
  members,
  claims,
});

describe('growth of a group that produces root', () => {
  const before = testSnapshot(people('a', 'b'), [ops(['a'])]);

  test('is held, and everything else goes through', () => {
    const result = run(before, testSnapshot(people('a', 'b', 'c'), [ops(['a', 'b']), { name: 'dev', members: ['c'] }]));
    assert.deepEqual(result.kinds, ['power_member']);
    assert.deepEqual(result.members('ops'), ['id-a']);
    assert.deepEqual(result.members('dev'), ['id-c']);
    assert.deepEqual(result.confirmed().members('ops'), ['id-a', 'id-b']);
  });

  test('a confirmation is for the people whom the operator saw', () => {
    const first = run(before, testSnapshot(people('a', 'b', 'c'), [ops(['a', 'b'])]));
    const decided = new Map(first.arising.map(({ digest }) => [digest, 'confirmed' as const]));
    const more = run(before, testSnapshot(people('a', 'b', 'c'), [ops(['a', 'b', 'c'])]), { decided });
    assert.deepEqual(more.members('ops'), ['id-a']);
  });

  test('also when somebody disabled comes back, and when a rule of the database names the group', () => {
    const disabled = testSnapshot([{ username: 'a', disabled: true }], [ops(['a'])]);
    assert.deepEqual(run(disabled, testSnapshot(people('a'), [ops(['a'])])).members('ops'), []);
    const plain = testSnapshot(people('a', 'b'), [ops(['a'], {})]);
    const grown = testSnapshot(people('a', 'b'), [ops(['a', 'b'], {})]);
    assert.deepEqual(run(plain, grown).kinds, []);
    const named = run(plain, grown, { power: powerIndex([stored('nightly', '%ops')], new Set(), []) });
    assert.deepEqual(named.members('ops'), ['id-a']);
    const [hold] = named.arising;
    assert.deepEqual(hold?.kind === 'power_member' && hold.detail, {
      group: 'ops',
      claims: {},
      rules: ['nightly'],
      runAs: [],
      local: [],
      added: [{ subject: 'id-b', username: 'b', account: 'b' }],
      count: 1,
    });
  });

  test('leaving it is never held', () => {
    const result = run(before, testSnapshot(people('a', 'b'), [ops([])]));
    assert.deepEqual([result.kinds, result.members('ops')], [[], []]);
  });

  test('the first directory of all is published as it is', () => {
    const result = run(null, before);
    assert.deepEqual([result.kinds, result.members('ops')], [[], ['id-a']]);
  });

  test('a rule that allows no more than its members can do already is not held', () => {
    const all = testSnapshot(people('a', 'b'), [ops(['a'], { sudoCommands: 'ALL' })]);
    const less = run(all, testSnapshot(people('a', 'b'), [ops(['a'], { sudoCommands: '/bin/id', sudoHosts: 'web1' })]));
    assert.deepEqual([less.kinds, less.claim('ops')?.length], [[], 2]);
    const noexec = { sudoCommands: '/bin/id', sudoOptions: 'noexec' };
    const back = run(testSnapshot(people('a'), [ops(['a'], noexec)]), testSnapshot(people('a'), [ops(['a'])]));
    assert.deepEqual(back.kinds, ['power_rule']);
  });

  test('a rule with exceptions counts as a whole', () => {
    const but = (hosts: string) => ({ sudoCommands: '/bin/id', sudoHosts: hosts });
    const all = testSnapshot(people('a'), [ops(['a'], but('ALL, !web1'))]);
    assert.deepEqual(run(all, testSnapshot(people('a'), [ops(['a'], but('ALL'))])).kinds, ['power_rule']);
    assert.deepEqual(run(all, testSnapshot(people('a'), [ops(['a'], but('web1'))])).kinds, ['power_rule']);
  });

  test('nor is somebody who has the same by another group', () => {
    const [one, two] = [ops(['a']), { ...ops(['b']), name: 'night' }];
    const both = testSnapshot(people('a', 'b'), [one, two]);
    assert.deepEqual(run(both, testSnapshot(people('a', 'b'), [one, { ...two, members: ['a', 'b'] }])).kinds, []);
  });

  test('can be let through by setting', () => {
    const settings = { ...DEFAULT_GUARDS, power: 'publish' as const };
    assert.deepEqual(run(before, testSnapshot(people('a', 'b'), [ops(['a', 'b'])]), { settings }).kinds, []);
  });
});

describe('the rule of a group', () => {
  const before = testSnapshot(people('a', 'b'), [ops(['a']), { name: 'dev', members: ['b'] }]);

  test('a changed or new rule is held; members and other claims are not', () => {
    const changed = run(
      before,
      testSnapshot(people('a', 'b'), [
        ops(['a'], { sudoCommands: 'ALL', accessHosts: 'web1' }),
        { name: 'dev', members: ['b'], claims: { sudoCommands: 'ALL' } },
      ]),
    );
    assert.deepEqual(changed.kinds, ['power_rule', 'power_rule']);
    assert.deepEqual(changed.arising[1]?.detail, {
      group: 'ops',
      before: { sudoCommands: '/bin/id' },
      after: { sudoCommands: 'ALL' },
      members: [{ subject: 'id-a', username: 'a', account: 'a' }],
      count: 1,
    });
    assert.deepEqual(changed.claim('ops'), [
      { key: 'accessHosts', value: 'web1' },
      { key: 'sudoCommands', value: '/bin/id' },
    ]);
    assert.deepEqual(changed.claim('dev'), []);
    assert.deepEqual(changed.confirmed().claim('dev'), [{ key: 'sudoCommands', value: 'ALL' }]);
  });

  test('a rule that was dropped for a claim that it cannot have waits, and stays dropped until then', () => {
    const mistyped = { sudoCommands: '/bin/id', sudoHost: 'web1' };
    const dropped = testSnapshot(people('a'), [ops(['a'], mistyped)]);
    const result = run(dropped, testSnapshot(people('a'), [ops(['a'], { sudoCommands: 'ALL' })]));
    assert.deepEqual(result.kinds, ['power_rule']);
    assert.deepEqual(
      result.claim('ops'),
      Object.entries(mistyped).map(([key, value]) => ({ key, value })),
    );
  });

  test('whoever joins while a rule waits is part of what is confirmed', () => {
    const wait = run(
      before,
      testSnapshot(people('a', 'b'), [ops(['a']), { name: 'dev', members: ['b'], claims: { sudoCommands: 'ALL' } }]),
    );
    const decided = new Map(wait.arising.map(({ digest }) => [digest, 'confirmed' as const]));
    const joined = testSnapshot(people('a', 'b', 'e'), [
      ops(['a']),
      { name: 'dev', members: ['b', 'e'], claims: { sudoCommands: 'ALL' } },
    ]);
    assert.deepEqual(run(before, joined, { decided }).claim('dev'), []);
  });

  test('a rule that is taken away goes at once', () => {
    const result = run(before, testSnapshot(people('a', 'b'), [ops(['a'], {}), { name: 'dev', members: ['b'] }]));
    assert.deepEqual([result.kinds, result.claim('ops')], [[], []]);
  });
});

describe('a name that gives power', () => {
  const index = (rules: StoredRule[], locals: LocalPower[] = [], netgroups: string[] = []) =>
    powerIndex(rules, new Set(netgroups), locals);
  const dbas = index([stored('backup', '%dbas')]);
  const before = testSnapshot(people('a'), [{ name: 'dev', members: ['a'] }]);
  const nameless = ({ wishes }: ReturnType<typeof run>) => [...wishes.withheld].map((key) => key.split(' ').at(-1));

  test('as the private group of a new user', () => {
    const candidate = testSnapshot(people('a', 'dbas'), [{ name: 'dev', members: ['a'] }]);
    const result = run(before, candidate, { power: dbas });
    assert.deepEqual([result.kinds, nameless(result)], [['power_name'], ['id-dbas']]);
    assert.deepEqual(result.arising[0]?.detail, {
      owner: { kind: 'user', issuer: ISSUER, subject: 'id-dbas', name: 'dbas' },
      name: 'dbas',
      rules: ['backup'],
      runAs: [],
      local: [],
      gains: [{ subject: 'id-dbas', username: 'dbas', account: 'dbas' }],
      count: 1,
    });
    assert.deepEqual(nameless(result.confirmed()), []);
  });

  test('as a new user whom a rule names, in any case', () => {
    const candidate = testSnapshot(people('a', 'zoe'), []);
    assert.deepEqual(nameless(run(before, candidate, { power: index([stored('night', 'Zoe')]) })), ['id-zoe']);
    const open = run(before, candidate, { power: index([stored('night', 'zo')]) });
    assert.deepEqual([open.kinds, nameless(open)], [[], []]);
  });

  test('as a group that is renamed: it keeps its old name, and what it gives', () => {
    const renamed = testSnapshot(people('a'), [{ id: 'id-dev', name: 'dbas', members: ['a'] }]);
    const result = run(before, renamed, { power: dbas });
    assert.deepEqual([result.kinds, result.members('dev')], [['power_name'], ['id-a']]);
    assert.deepEqual(result.confirmed().members('dbas'), ['id-a']);
  });

  test('as a new group', () => {
    const candidate = testSnapshot(people('a'), [{ name: 'dbas', members: ['a'] }]);
    const result = run(before, candidate, { power: dbas });
    assert.deepEqual([result.kinds, result.members('dbas')], [['power_member'], []]);
  });

  test('as a name that was kept free until now', () => {
    const world = createTestNames();
    const old = testSnapshot(people('a'), [{ id: 'g', name: 'dbas', members: ['a'] }]);
    world.publish(old);
    const candidate = testSnapshot(people('a', 'dbas'), [{ id: 'g', name: 'admins-of-db', members: ['a'] }]);
    const early = run(old, candidate, { power: dbas, was: world.was(), will: world.will, owners: new Map() });
    assert.deepEqual(early.kinds, [], 'nobody is served under the name, so there is nothing to decide');
    world.publish(early.publish, early.wishes);
    world.advance(31 * 86_400_000);
    const late = run(candidate, candidate, { power: dbas, was: world.was(), will: world.will, owners: new Map() });
    assert.deepEqual([late.kinds, nameless(late)], [['power_name'], ['id-dbas']]);
  });

  test('as somebody disabled who comes back', () => {
    const out = testSnapshot([...people('a'), { username: 'zoe', disabled: true }], []);
    const result = run(out, testSnapshot(people('a', 'zoe'), []), { power: index([stored('night', 'zoe')]) });
    assert.deepEqual([result.kinds, result.publish.users[1]?.disabled], [['power_name'], true]);
  });

  test('as somebody more whom others may run commands as', () => {
    const rule = stored('deploy', '%ops');
    const power = index([{ ...rule, written: { ...rule.written, runAsUser: ['%Svc'] } }]);
    const group = (members: string[]) => ({ name: 'svc', members });
    const published = testSnapshot(people('a', 'b', 'c'), [ops(['a'], {}), group(['c'])]);
    const grown = testSnapshot(people('a', 'b', 'c'), [ops(['a'], {}), group(['b', 'c'])]);
    const result = run(published, grown, { power });
    assert.deepEqual([result.kinds, result.members('svc')], [['power_member'], ['id-c']]);
    const [hold] = result.arising;
    assert.deepEqual(hold?.kind === 'power_member' && [hold.detail.rules, hold.detail.runAs], [[], ['deploy']]);
    assert.deepEqual(result.confirmed().members('svc'), ['id-b', 'id-c']);

    const claims = { sudoCommands: 'ALL', sudoRunAsUser: '%svc' };
    const claimed = (members: string[]) => testSnapshot(people('a', 'b', 'c'), [ops(['a'], claims), group(members)]);
    assert.deepEqual(run(claimed(['c']), claimed(['b', 'c'])).members('svc'), ['id-c']);
    const nobody = (members: string[]) => testSnapshot(people('a', 'b', 'c'), [ops([], claims), group(members)]);
    assert.deepEqual(run(nobody(['c']), nobody(['b', 'c'])).kinds, [], 'nobody has the rule');
  });

  test('by a netgroup of hosts, in whose triples every user is meant', () => {
    const power = index([stored('night', '+web')], [], ['web']);
    assert.deepEqual(nameless(run(before, testSnapshot(people('a', 'b'), []), { power })), ['id-b']);
    const foreign = index([stored('night', '+web')]);
    assert.deepEqual(run(before, testSnapshot(people('a', 'b'), []), { power: foreign }).kinds, []);
  });

  test('because a file of a host names it, also in the first directory of all', () => {
    const at = { host: 'db1', gives: 'any command as any user', file: '/etc/sudoers.d/x', line: 3 };
    const power = index(
      [],
      [
        { ...at, type: 'group', name: 'fleet' },
        { ...at, type: 'uid', name: '200001' },
      ],
    );
    const fleet = testSnapshot(people('a', 'b'), [{ name: 'fleet', members: ['a'] }]);
    for (const published of [null, testSnapshot(people('a'), [])]) {
      const result = run(published, fleet, { power });
      assert.deepEqual([result.kinds.toSorted(), result.members('fleet')], [['power_member', 'power_name'], []]);
      const hold = result.arising.find(({ kind }) => kind === 'power_member');
      assert.deepEqual(hold?.kind === 'power_member' && hold.detail.local, [{ ...at, type: 'group', name: 'fleet' }]);
      assert.deepEqual(nameless(result), ['id-b'], 'who would have the number');
    }
    assert.deepEqual(run(fleet, fleet, { power }).kinds, [], 'a host takes nothing away from who has it');
  });

  test('an answer is about the hosts that it was shown, and about what they give', () => {
    const id = {
      host: 'dev1',
      type: 'user',
      name: 'zoe',
      gives: '/bin/id as root',
      file: '/etc/sudoers',
      line: 1,
    } as const;
    const root = { ...id, host: 'prod1', gives: 'any command as any user' };
    const candidate = testSnapshot(people('a', 'zoe'), []);
    const held = (...locals: LocalPower[]) => run(before, candidate, { power: index([], locals) });
    const decided = new Map(held(id).arising.map(({ digest }) => [digest, 'confirmed' as const]));
    for (const more of [[id, root], [{ ...id, gives: root.gives }]]) {
      assert.deepEqual(nameless(run(before, candidate, { power: index([], more), decided })), ['id-zoe']);
    }
    // Another line of the file is none of its business.
    assert.deepEqual(nameless(run(before, candidate, { power: index([], [{ ...id, line: 9 }]), decided })), []);
    const many = Array.from({ length: 300 }, (_, line) => ({ ...id, gives: `/bin/id ${line}`, line }));
    const [hold] = held(...many, root).arising;
    assert.ok(
      hold?.kind === 'power_name' && hold.detail.local.some(({ host }) => host === 'prod1'),
      'many lines of one host hide no other',
    );
  });

  test('a group whose name hosts never see asks nothing', () => {
    const wheel = testSnapshot(people('a', 'b'), [ops(['a']), { ...ops(['b']), name: 'wheel' }]);
    assert.deepEqual(run(testSnapshot(people('a', 'b'), [ops(['a'])]), wheel).kinds, []);
  });
});

describe('a host that says it gives power to everybody', () => {
  const reporters = new Map([
    ['dev1', 'id-of-dev1'],
    ['prod1', 'id-of-prod1'],
  ]);
  const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `new${n}`);
  const says = (host: string, type: LocalPower['type'], name: string): LocalPower => ({
    host,
    type,
    name,
    gives: 'the files of a local account',
    file: '/etc/passwd',
    line: null,
  });
  const before = testSnapshot(people('a'), [ops(['a'])]);
  /** Every number that a newcomer could get, and then some. */
  const numbers = (host: string, count = 900): LocalPower[] =>
    Array.from({ length: count }, (_, n) => says(host, 'uid', String(DEFAULT_SETTINGS.ids.uidBase + n)));
  const meets = (count: number, locals: LocalPower[], decided: GuardInput['decided'] = new Map(), group = ['a']) =>
    run(before, testSnapshot(people('a', ...names(count)), [ops(group)]), {
      power: powerIndex([], new Set(), locals),
      reporters,
      decided,
    });
  const withheld = ({ wishes }: ReturnType<typeof run>) => wishes.withheld.size;
  const about = (result: ReturnType<typeof run>, kind: string, state: 'confirmed' | 'rejected') =>
    new Map(result.arising.filter((hold) => hold.kind === kind).map(({ digest }) => [digest, state]));

  test('is asked about once, whomever it keeps waiting; who is served stays served', () => {
    const result = meets(40, numbers('dev1'));
    assert.deepEqual([result.kinds, withheld(result)], [['host_report'], 40]);
    const [hold] = result.arising;
    assert.ok(hold?.kind === 'host_report');
    assert.deepEqual([hold.subject, hold.detail.host, hold.detail.count], ['host dev1', 'dev1', 40]);
    assert.ok(hold.detail.waiting.includes('account new7'));
    assert.deepEqual(result.members('ops'), ['id-a']);
    assert.equal(result.served.nameOf({ owner: 'user', issuer: ISSUER, subject: 'id-a' }), 'a');
  });

  test('a few whom it names are asked about one by one', () => {
    const result = meets(5, numbers('dev1'));
    assert.deepEqual([new Set(result.kinds), result.kinds.length], [new Set(['power_name']), 5]);
  });

  test('is ignored when an administrator says so: for everybody, whatever it says from then on', () => {
    const ignore = about(meets(40, numbers('dev1')), 'host_report', 'confirmed');
    const later = [
      meets(40, numbers('dev1'), ignore),
      meets(60, [...numbers('dev1', 1000), ...names(60).map((name) => says('dev1', 'user', name))], ignore),
      meets(0, [], ignore),
    ];
    for (const result of later) {
      assert.equal(withheld(result), 0);
      assert.deepEqual(new Map(result.arising.map(({ digest }) => [digest, 'confirmed'])), ignore, 'the answer stays');
    }
    const both = meets(40, [...numbers('dev1'), says('prod1', 'user', 'new3')], ignore);
    assert.deepEqual([withheld(both), both.kinds.toSorted()], [1, ['host_report', 'power_name']], 'others are heard');
  });

  test('counts when an administrator says that: each newcomer is asked about', () => {
    const heed = about(meets(40, numbers('dev1')), 'host_report', 'rejected');
    const result = meets(40, numbers('dev1'), heed);
    assert.deepEqual([withheld(result), result.kinds.filter((kind) => kind === 'power_name').length], [40, 40]);
  });

  test('hides no question that is not about it, and an answer to one holds when it has been answered', () => {
    const locals = [...numbers('dev1'), ...names(9).map((name) => says('dev1', 'user', name))];
    const grown = ['a', 'id-new1'].map((id) => id.replace('id-', ''));
    const open = meets(9, [...locals, says('prod1', 'group', 'ops')], new Map(), grown);
    assert.deepEqual(open.kinds.toSorted(), ['host_report', 'power_member']);
    assert.deepEqual(open.members('ops'), ['id-a']);
    const joined = about(open, 'power_member', 'confirmed');
    const waiting = meets(9, [...locals, says('prod1', 'group', 'ops')], joined, grown);
    assert.equal(withheld(waiting), 9, 'still kept waiting by the other host');
    const ignored = new Map([...joined, ...about(open, 'host_report', 'confirmed')]);
    const done = meets(9, [...locals, says('prod1', 'group', 'ops')], ignored, grown);
    assert.deepEqual([withheld(done), done.members('ops')], [0, ['id-a', 'id-new1']]);
  });

  test('is another host when it has been enrolled anew', () => {
    const ignore = about(meets(40, numbers('dev1')), 'host_report', 'confirmed');
    const again = run(before, testSnapshot(people('a', ...names(40)), [ops(['a'])]), {
      power: powerIndex([], new Set(), numbers('dev1')),
      reporters: new Map([['dev1', 'another id']]),
      decided: ignore,
    });
    assert.deepEqual([again.kinds, withheld(again)], [['host_report'], 40]);
  });
});

describe('a host that is new to the directory', () => {
  const web: NewHost = {
    id: 'h1',
    hostname: 'web9.example.com',
    group: 'web',
    isNew: true,
    silent: false,
    waits: false,
  };
  const at = (hosts: string[] | null) => {
    const rule = stored('restart', '%ops');
    return { ...rule, written: { ...rule.written, hosts } };
  };
  const meets = (hosts: NewHost[], rules: StoredRule[], over: Partial<GuardInput['hosts']> = {}, claims?: string) => {
    const group = ops(['a'], claims === undefined ? {} : { sudoCommands: '/bin/id', sudoHosts: claims });
    const snapshot = testSnapshot(people('a'), [group]);
    const input = { hosts: { ...NO_HOSTS, hosts, stored: rules, ...over } };
    return run(snapshot, snapshot, input);
  };

  test('is not meant by patterns and netgroups before somebody has looked', () => {
    for (const hosts of [['web*'], ['db1', '+web'], ['!web1.example.com', 'web?.example.com']]) {
      const result = meets([web], [at(hosts)]);
      assert.deepEqual([result.kinds, [...result.hosts.apart], result.hosts.admitted], [['new_host'], ['h1'], []]);
      const confirmed = result.confirmed().hosts;
      assert.deepEqual([[...confirmed.apart], confirmed.admitted], [[], ['h1']]);
    }
    const claimed = meets([web], [], {}, 'web*');
    assert.deepEqual(claimed.arising[0]?.detail, {
      host: 'web9.example.com',
      rules: [{ rule: 'ops', pattern: 'web*', commands: ['/bin/id'], to: ['%ops'] }],
      local: [],
    });
  });

  test('is meant by its name and by ALL, and asks nothing where no rule reaches it by chance', () => {
    for (const hosts of [null, ['ALL'], ['web9.example.com', 'web*'], ['db*'], ['+db']]) {
      const result = meets([web], [at(hosts)]);
      assert.deepEqual([result.kinds, result.hosts.admitted], [[], ['h1']], String(hosts));
    }
    const silent = meets([{ ...web, silent: true }], [at(['web*'])]);
    assert.deepEqual([silent.kinds, [...silent.hosts.apart], silent.hosts.admitted], [[], ['h1'], []], 'not yet');
    assert.deepEqual(meets([{ ...web, isNew: false }], [at(['web*'])]).kinds, [], 'it was there before');
  });

  test('is not served while its files give power to names that somebody has', () => {
    const waits = { ...web, isNew: false, waits: true };
    const one = { host: web.hostname, gives: 'any command', file: '/etc/sudoers', line: 3 };
    const localOf = () => [
      { ...one, type: 'group' as const, name: 'OPS' },
      { ...one, type: 'user' as const, name: 'nobody-here' },
    ];
    const result = meets([waits], [], { localOf });
    assert.deepEqual([result.kinds, [...result.hosts.apart]], [['new_host'], ['h1']]);
    const [hold] = result.arising;
    assert.deepEqual(hold?.kind === 'new_host' && hold.detail.local, [{ ...one, type: 'group', name: 'OPS' }]);
    assert.deepEqual(meets([waits], [], { localOf: () => [localOf()[1]!] }).hosts.admitted, ['h1']);
    const number = (type: 'uid' | 'gid', name: string) =>
      meets([waits], [], { localOf: () => [{ ...one, type, name }] });
    const numbers = ['uid 200000', 'uid 00200000', 'gid 200000', 'gid 200001', 'uid 200001', 'gid 300000'];
    assert.deepEqual(
      numbers.filter((text) => number(...(text.split(' ') as ['uid', string])).hosts.apart.size > 0),
      ['uid 200000', 'uid 00200000', 'gid 200000', 'gid 200001'],
    );
  });
});

describe('who has which account', () => {
  const ownerIn = ({ arising: [hold] }: ReturnType<typeof run>) => hold?.kind === 'binding' && hold.detail.owner;
  const before = testSnapshot(people('alice', 'bob'), [ops(['alice'])]);

  test('a rename is held; the person stays under the old name', () => {
    const renamed = testSnapshot(
      [{ id: 'id-alice', username: 'mallory', disabled: true }, { username: 'bob' }],
      [ops(['mallory'])],
    );
    const result = run(before, renamed);
    assert.deepEqual([result.kinds, result.names], [['binding'], ['alice', 'bob']]);
    assert.deepEqual(result.arising[0]?.detail, {
      person: { issuer: ISSUER, subject: 'id-alice', username: 'mallory' },
      from: 'alice',
      to: 'mallory',
      returning: false,
      owner: null,
    });
    assert.equal(result.publish.users[0]?.disabled, true, 'what takes power away is not held');
    assert.deepEqual(result.confirmed().names, ['mallory', 'bob']);
    assert.deepEqual([...result.confirmed().wishes.granted], [['mallory', `user ${ISSUER} id-alice`]]);
  });

  test('somebody new under a name that is somebody else’s does not get it', () => {
    const swapped = testSnapshot([{ id: 'new', username: 'alice' }, { username: 'bob' }], [ops(['alice'])]);
    const result = run(before, swapped);
    assert.deepEqual([result.kinds, result.names], [['binding'], ['bob']]);
    assert.deepEqual(ownerIn(result), {
      kind: 'user',
      issuer: ISSUER,
      subject: 'id-alice',
      name: 'alice',
      claim: 'has',
    });
    assert.deepEqual(result.members('ops'), []);
  });

  test('nothing is asked where no answer could give the name: its owner has it and keeps it', () => {
    const owners = new Map([['alice', `user ${ISSUER} id-alice`]]);
    const twin = testSnapshot(
      [{ username: 'alice' }, { username: 'bob' }, { id: 'new', username: 'alice' }],
      [ops(['alice'])],
    );
    const result = run(before, twin, { owners });
    assert.deepEqual([result.kinds, result.publish.users.map(({ id }) => id)], [[], ['id-alice', 'id-bob']]);
    assert.deepEqual(
      result.lints.map(({ code, subject }) => [code, subject]),
      [['name_collision', 'user alice']],
    );
    const renamed = testSnapshot([{ username: 'alice' }, { id: 'id-bob', username: 'alice' }], [ops(['alice'])]);
    const kept = run(before, renamed, { owners });
    assert.deepEqual([kept.kinds, kept.names], [[], ['alice', 'bob']]);
    assert.match(kept.lints[0]!.detail, /they stay bob/);
  });

  test('nor does somebody new under a name that was left lately', () => {
    const owners = new Map([['carol', `user ${ISSUER} gone`]]);
    const more = testSnapshot(people('alice', 'bob', 'carol'), [ops(['alice'])]);
    const result = run(before, more, { owners });
    assert.deepEqual([result.kinds, result.names], [['binding'], ['alice', 'bob']]);
    assert.deepEqual(ownerIn(result), { kind: 'user', issuer: ISSUER, subject: 'gone', name: null, claim: 'left' });
    assert.deepEqual(result.confirmed().names, ['alice', 'bob', 'carol']);
    const group = run(before, more, { owners: new Map([['carol', `group ${ISSUER} id-ops`]]) });
    assert.deepEqual(ownerIn(group), { kind: 'group', issuer: ISSUER, subject: 'id-ops', name: 'ops', claim: 'has' });
    const own = new Map([['carol', `user ${ISSUER} id-carol`]]);
    assert.deepEqual(run(before, more, { owners: own }).names, ['alice', 'bob', 'carol']);
  });

  test('an account that a sign-in bound to somebody else is not given away, not even at first', () => {
    const pinned = new Map([['alice', { issuer: ISSUER, subject: 'the-real-one' }]]);
    const result = run(null, before, { pinned });
    assert.deepEqual(result.names, ['bob']);
    assert.deepEqual(ownerIn(result), {
      kind: 'user',
      issuer: ISSUER,
      subject: 'the-real-one',
      name: null,
      claim: 'signs_in',
    });
    const own = new Map([['alice', { issuer: ISSUER, subject: 'id-alice' }]]);
    assert.deepEqual(run(null, before, { pinned: own }).names, ['alice', 'bob']);
  });

  test('somebody new under a new name is published, or held where every account is', () => {
    const more = testSnapshot(people('alice', 'bob', 'carol'), [ops(['alice'])]);
    assert.deepEqual(run(before, more).names, ['alice', 'bob', 'carol']);
    const settings = { ...DEFAULT_GUARDS, bindings: 'all' as const };
    assert.deepEqual(run(before, more, { settings }).names, ['alice', 'bob']);
  });

  test('two people cannot swap their names', () => {
    const swapped = testSnapshot(
      [
        { id: 'id-alice', username: 'bob' },
        { id: 'id-bob', username: 'alice' },
      ],
      [ops(['bob'])],
    );
    const result = run(before, swapped);
    assert.deepEqual(
      [result.kinds, result.names],
      [
        ['binding', 'binding'],
        ['alice', 'bob'],
      ],
    );
  });
});

describe('somebody whom hosts do not see now, but whose numbers are kept', () => {
  const before = testSnapshot(people('a'), []);
  const back = testSnapshot([...people('a'), { id: 'id-m', username: 'mallory' }], []);
  const lastNameOf = ({ id }: { id: string }) => (id === 'id-m' ? 'mira' : null);

  test('waits when they come back under another name, and is served under it when an operator says so', () => {
    const result = run(before, back, { lastNameOf });
    assert.deepEqual([result.kinds, result.names], [['binding'], ['a']]);
    const [hold] = result.arising;
    assert.deepEqual(hold?.kind === 'binding' && [hold.detail.from, hold.detail.to, hold.detail.returning], [
      'mira',
      'mallory',
      true,
    ]);
    assert.deepEqual(result.confirmed().names, ['a', 'mallory']);
  });

  test('is served at once under the name that they had, unless it is somebody else’s now', () => {
    const same = testSnapshot([...people('a'), { id: 'id-m', username: 'mira' }], []);
    assert.deepEqual(run(before, same, { lastNameOf }).names, ['a', 'mira']);
    const owners = new Map([['mira', `user ${ISSUER} id-other`]]);
    assert.deepEqual(run(before, same, { lastNameOf, owners }).names, ['a']);
  });

  test('the first directory of all is published as it is, also after a UID map was imported', () => {
    assert.deepEqual(run(null, back, { lastNameOf }).names, ['a', 'mallory']);
  });
});

describe('a mass change', () => {
  const names = Array.from({ length: 20 }, (_, n) => `u${n}`);
  const before = testSnapshot(people(...names), [
    { name: 'all', members: names },
    { name: 'dev', members: [] },
  ]);

  test('is held as a whole', () => {
    const result = run(
      before,
      testSnapshot(people(...names.slice(7)), [{ name: 'all', members: names.slice(7) }, { name: 'dev' }]),
    );
    assert.deepEqual([result.kinds, result.publish], [['mass_change'], before]);
    const gone = ['u0', 'u1', 'u2', 'u3', 'u4', 'u5', 'u6'];
    assert.deepEqual(result.arising[0]?.detail, {
      users: { count: 7, before: 20, names: gone },
      groups: { count: 0, before: 2, names: [] },
      memberships: { count: 7, before: 20, names: gone.map((name) => `${name} in all`) },
    });
    assert.equal(result.confirmed().names.length, 13);
  });

  test('also when everybody is disabled or put out of their groups', () => {
    const disabled = names.map((username) => ({ username, disabled: true }));
    assert.deepEqual(run(before, testSnapshot(disabled, [{ name: 'all', members: names }, { name: 'dev' }])).kinds, [
      'mass_change',
    ]);
    assert.deepEqual(run(before, testSnapshot(people(...names), [{ name: 'all' }, { name: 'dev' }])).kinds, [
      'mass_change',
    ]);
  });

  test('an empty answer never goes through by itself', () => {
    const small = testSnapshot(people('a'), []);
    assert.deepEqual(run(small, testSnapshot([], [])).publish, small);
    const settings = { ...DEFAULT_GUARDS, massChangePercent: 0 };
    assert.deepEqual(run(small, testSnapshot([], []), { settings }).publish, small);
  });

  test('a few people leaving is no mass change', () => {
    assert.deepEqual(
      run(before, testSnapshot(people(...names.slice(5)), [{ name: 'all', members: names.slice(5) }, { name: 'dev' }]))
        .kinds,
      [],
    );
  });
});

test('whatever a source says, nobody gains root, and no account changes hands, without an operator', () => {
  const id = fc.constantFrom('1', '2', '3', '4');
  const snapshots = fc
    .record({
      users: fc.uniqueArray(
        fc.record({ id, username: fc.constantFrom('a', 'b', 'c', 'd', 'e'), disabled: fc.boolean() }),
        { selector: (user) => user.id, maxLength: 4 },
      ),
      groups: fc.uniqueArray(
        fc.record({
          id: fc.constantFrom('g', 'h'),
          members: fc.uniqueArray(id),
          power: fc.constantFrom('', 'ALL', '/bin/id'),
        }),
        { selector: (group) => group.id, maxLength: 2 },
      ),
    })
    .map(({ users, groups }) => {
      const nameOf = new Map(users.map((user) => [user.id, user.username]));
      const snapshot = testSnapshot(
        users.map((user) => ({ ...user })),
        groups.map((group) => ({
          id: group.id,
          name: `g${group.id}`,
          claims: (group.power === '' ? {} : { sudoCommands: group.power }) as Record<string, string>,
        })),
      );
      return {
        users: snapshot.users,
        groups: snapshot.groups.map((group) => ({
          ...group,
          userIds: groups
            .find((one) => one.id === group.id)!
            .members.filter((member) => nameOf.has(member))
            .sort(),
        })),
      };
    });
  const powers = (snapshot: DirectorySnapshot, names: ServedAs) =>
    new Set(
      snapshot.groups.filter(hasSudoClaims).flatMap((group) =>
        group.userIds
          .filter((member) => snapshot.users.find((user) => user.id === member)?.disabled === false)
          .filter((subject) => names.nameOf({ owner: 'user', issuer: ISSUER, subject }) !== undefined)
          .map((member) => `${member} ${group.customClaims[0]?.value}`),
      ),
    );
  fc.assert(
    fc.property(snapshots, snapshots, (before, after) => {
      const { publish, was, served } = run(before, after);
      const had = powers(before, was);
      for (const power of powers(publish, served)) {
        // Who may run everything may run each.
        assert.ok(had.has(power) || had.has(power.replace(/ .*/, ' ALL')), power);
      }
      for (const user of publish.users) {
        const owner = before.users.find(({ username }) => username === user.username);
        const self = before.users.find((one) => one.id === user.id);
        if (self) assert.equal(user.username, self.username);
        else assert.equal(owner, undefined, 'a taken name');
      }
    }),
    { numRuns: 3000 },
  );
});
