import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapUserName } from '../numbers/names.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import type { StoredRule } from '../tree/model.ts';
import { type Claims, testSnapshot } from '../tree/test-tree.ts';
import { DEFAULT_GUARDS, guard } from './guard.ts';
import type { NewHost } from './guard-hosts.ts';
import { type LocalPower, powerIndex } from './power.ts';
import { createTestNames } from './test-names.ts';

interface Size {
  people: number;
  rules: number;
  hosts: number;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** Every read of a member of what is handed in, however deep: so much work, on any machine. */
function createCounter() {
  let reads = 0;
  const known = new WeakMap<object, object>();
  function counted<T>(value: T): T {
    if (typeof value !== 'object' || value === null || value instanceof Map || value instanceof Set) return value;
    const before = known.get(value);
    if (before) return before as T;
    const proxy = new Proxy(value, {
      get(target, key, receiver) {
        reads += 1;
        return counted(Reflect.get(target, key, receiver));
      },
    });
    known.set(value, proxy);
    return proxy as T;
  }
  return { counted, reads: () => reads };
}

/** A directory in which everything is asked about: each group of ten people gets a member, and each host is new. */
function worldOf({ people, rules, hosts }: Size) {
  const users = range(people).map((n) => ({ username: `user${n}` }));
  const teams = range(Math.ceil(people / 10)).map((n) => ({
    name: `team${n}`,
    members: users.slice(n * 10, n * 10 + 10).map(({ username }) => username),
    claims: { sudoCommands: `/opt/team${n}/run`, sudoHosts: 'web*' },
  }));
  const before = testSnapshot(
    users,
    teams.map((team) => ({ ...team, members: team.members.slice(1) })),
  );
  const stored = range(rules).map(
    (n): StoredRule => ({
      id: String(n),
      name: `rule${n}`,
      sudoUsers: [`%team${n % teams.length}`, `user${n % people}`],
      description: '',
      written: {
        hosts: [`web${n}*`],
        commands: [`/opt/rule${n}`],
        runAsUser: null,
        runAsGroup: null,
        options: [],
        order: null,
        notBefore: null,
        notAfter: null,
      },
    }),
  );
  const fresh = range(hosts).map(
    (n): NewHost => ({
      id: `h${n}`,
      hostname: `web${n}.example.com`,
      group: null,
      isNew: true,
      silent: false,
      waits: true,
    }),
  );
  const locals = fresh.flatMap(({ hostname }, n): LocalPower[] =>
    ['user', 'group'].map((type) => ({
      host: hostname,
      type: type as 'user' | 'group',
      name: `${type === 'user' ? 'user' : 'team'}${n}`,
      gives: 'any command',
      file: '/etc/sudoers',
      line: 1,
    })),
  );
  return { before, after: testSnapshot(users, teams), stored, fresh, locals };
}

/** Compares power in a whole round. @returns how much was read, and how much is asked about */
function work(size: Size) {
  const { before, after, stored, fresh, locals } = worldOf(size);
  const names = createTestNames();
  names.publish(before);
  const { counted, reads } = createCounter();
  const result = guard({
    published: counted(before),
    candidate: counted(after),
    decided: new Map(),
    accountOf: ({ username }) => {
      const mapped = mapUserName(username, DEFAULT_SETTINGS.names);
      return mapped.ok ? mapped.name : null;
    },
    lastNameOf: () => null,
    owners: new Map(),
    pinned: new Map(),
    claimsGivePower: true,
    power: powerIndex(counted(stored), new Set(), counted(locals)),
    reporters: new Map(),
    hosts: {
      hosts: counted(fresh),
      stored: counted(stored),
      localOf: ({ hostname }) => locals.filter(({ host }) => host === hostname),
      settings: { expand: true, netgroups: true },
    },
    was: names.was(),
    will: names.will,
    settings: DEFAULT_GUARDS,
  });
  return { reads: reads(), asked: result.arising.length };
}

test('comparing power costs what there is to compare: four times the people, rules or hosts, four times the work', () => {
  const small: Size = { people: 100, rules: 20, hosts: 20 };
  const base = work(small);
  assert.ok(base.asked >= 30, `${base.asked} questions`);
  const four = (most: number, ...which: (keyof Size)[]) => {
    const { reads } = work({ ...small, ...Object.fromEntries(which.map((what) => [what, small[what] * 4])) });
    const ratio = reads / base.reads;
    assert.ok(ratio < most, `four times the ${which.join(' and ')}: ${ratio.toFixed(1)} times the work`);
  };
  for (const what of ['people', 'rules', 'hosts'] as const) four(5, what);
  // Nobody is looked at once for each host.
  four(5, 'people', 'hosts');
  // Each pattern of a rule is tried on each host.
  four(6, 'people', 'rules', 'hosts');
});

test('a rule whose lists multiply is asked about as a whole, and not taken apart', () => {
  const list = (letter: string, count: number): string =>
    range(count)
      .map((n) => `${letter}${n}`)
      .join(',');
  const claims = (count: number): Claims => ({
    sudoCommands: list('/opt/c', count),
    sudoHosts: list('h', count),
    sudoRunAsUser: list('u', count),
  });
  const ALL: Claims = { sudoCommands: 'ALL', sudoHosts: 'ALL', sudoRunAsUser: 'ALL' };
  const asked = (count: number): string[] => {
    const groups = (more: Claims) => [
      { name: 'admins', members: ['a'], claims: ALL },
      { name: 'many', members: ['a'], claims: more },
    ];
    const names = createTestNames();
    const published = testSnapshot([{ username: 'a' }], groups({}));
    names.publish(published);
    return guard({
      published,
      candidate: testSnapshot([{ username: 'a' }], groups(claims(count))),
      decided: new Map(),
      accountOf: ({ username }) => username,
      lastNameOf: () => null,
      owners: new Map(),
      pinned: new Map(),
      claimsGivePower: true,
      power: powerIndex([], new Set(), []),
      reporters: new Map(),
      hosts: { hosts: [], stored: [], localOf: () => [], settings: { expand: true, netgroups: true } },
      was: names.was(),
      will: names.will,
      settings: DEFAULT_GUARDS,
    }).arising.map(({ kind }) => kind);
  };
  assert.deepEqual(asked(5), [], 'who may do everything gains nothing by a part of it');
  assert.deepEqual(asked(20), ['power_rule'], '8,000 combinations are not looked at one by one');
});
