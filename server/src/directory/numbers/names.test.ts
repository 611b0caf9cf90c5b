import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_SETTINGS } from '../settings.ts';
import { mapGroupName, mapUserName, planNames } from './names.ts';

const names = DEFAULT_SETTINGS.names;
const user = (text: string, policy = names.policy) => {
  const mapped = mapUserName(text, { ...names, policy, reserved: ['boss'] });
  return mapped.ok ? mapped.name : mapped.code;
};
const group = (text: string, policy = names.policy) => {
  const mapped = mapGroupName(text, { ...names, policy });
  return mapped.ok ? mapped.name : mapped.code;
};

test('words that sudo and the system give a meaning are nobody’s name, in any case', () => {
  for (const text of [
    'ALL',
    'all',
    'aLL',
    'root',
    'Root',
    'defaults',
    'DEFAULTS',
    'nobody',
    'systemd-network',
    '_apt',
    'boss',
  ]) {
    assert.equal(user(text), 'name_reserved', text);
  }
  for (const text of [
    'ALL',
    'docker',
    'Docker',
    'sudo',
    'wheel',
    'admin',
    'shadow',
    'systemd-journal',
    'defaults',
    'disk',
    'lxd',
  ]) {
    assert.equal(group(text), 'name_reserved', text);
  }
});

test('user names are folded, cut or refused by policy', () => {
  assert.equal(user('Alice'), 'alice');
  assert.equal(user('1000'), '_1000');
  assert.equal(user('a@b.c'), 'name_invalid');
  assert.equal(user('a@b.c', 'localpart'), 'a');
  assert.equal(user('ROOT@evil.example', 'localpart'), 'name_reserved');
  assert.equal(user('Alice', 'strict'), 'name_invalid');
  assert.equal(user('Alice', 'preserve'), 'Alice');
  for (const text of ['', '-x', '..', 'a.', 'a b', 'a:b', 'a\n', 'ä', 'x'.repeat(33), '@', '\u212Aim']) {
    assert.equal(user(text), 'name_invalid', JSON.stringify(text));
  }
});

test('group names follow the rules of the earlier program', () => {
  for (const text of ['sysadmins', 'web-admins', 'ops.team', 'db_users', '_special']) assert.equal(group(text), text);
  for (const text of ['1ops', '', 'x'.repeat(257), '../etc', 'a/b', 'a\ud800', 'ops team', '%ops', '+ops', '#0']) {
    assert.equal(group(text), 'name_invalid', JSON.stringify(text));
  }
  assert.equal(group('Ops'), 'ops');
  assert.equal(group('Ops', 'strict'), 'name_invalid');
});

test('whatever a source says, what comes out is a plain name that is not the system’s', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom('fold', 'localpart', 'strict', 'preserve'),
      (text, policy) => {
        for (const mapped of [mapUserName(text, { ...names, policy }), mapGroupName(text, { ...names, policy })]) {
          if (!mapped.ok) continue;
          assert.match(mapped.name, /^[a-zA-Z_][a-zA-Z0-9_.-]{0,31}$/);
          assert.doesNotMatch(mapped.name, /^(all|root|defaults)$/i);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

const issuer = 'https://id.example';
const people = (users: [string, string][], groups: [string, string][] = []) => ({
  users: users.map(([id, username]) => ({
    issuer,
    id,
    username,
    firstName: '',
    lastName: '',
    displayName: '',
    email: '',
    disabled: false,
    customClaims: [],
  })),
  groups: groups.map(([id, name]) => ({ issuer, id, name, friendlyName: '', customClaims: [], userIds: [] })),
});

test('two users that fold to one name: the older number has it', () => {
  const numbers = new Map([
    ['a', 9],
    ['b', 5],
  ]);
  const plan = planNames(
    new Map(),
    people([
      ['a', 'Alice'],
      ['b', 'ALICE'],
    ]),
    names,
    ({ subject }) => numbers.get(subject),
    0,
  );
  assert.deepEqual([...plan.served], [[`user ${issuer} b`, 'alice']]);
  assert.deepEqual(
    plan.lints.map(({ code, subject }) => [code, subject]),
    [['name_collision', 'user Alice']],
  );
});

test('a group is not served beside the private group of a user of that name', () => {
  const plan = planNames(new Map(), people([['a', 'ops']], [['g', 'ops']]), names, () => 1, 0);
  assert.deepEqual([...plan.served.keys()], [`user ${issuer} a`]);
  assert.deepEqual(
    plan.lints.map(({ code }) => code),
    ['group_shadows_upg'],
  );
});

test('a user who takes the name of a served group gets neither the name nor the group’s sudo lines', () => {
  const had = { name: 'ops', owner: 'group' as const, issuer, subject: 'g', since: 0, leftAt: null };
  const plan = planNames(new Map([['ops', had]]), people([['a', 'ops']], [['g', 'ops']]), names, () => 1, 0);
  assert.deepEqual([...plan.served.keys()], [`group ${issuer} g`]);
});
