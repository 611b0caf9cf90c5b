import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
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

test('names that images of clouds give root to are nobody’s, nor is a user whose private group would be one of them', () => {
  for (const name of ['google-sudoers', 'disk', 'incus-admin', 'libvirt', 'shadow'] as const) {
    assert.equal(user(name), 'name_reserved', name);
    assert.equal(group(name), 'name_reserved', name);
  }
  for (const name of ['ssm-user', 'rocky', 'ec2-user', 'cloud-user', 'vagrant']) {
    assert.equal(user(name), 'name_reserved', name);
  }
});

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
  assert.deepEqual([user('ＡＬＩＣＥ'), user('\u212Aim'), user('ａ＠b.c', 'localpart')], ['alice', 'kim', 'a']);
  assert.equal(user('ｒｏｏｔ'), 'name_reserved');
  assert.equal(user('ＡＬＩＣＥ', 'strict'), 'name_invalid');
  for (const text of ['', '-x', '..', 'a.', 'a b', 'a:b', 'a\n', 'ä', 'x'.repeat(33), '@', 'A\u0308']) {
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

test('a name that changes hands while its owner takes another has one record, that of its new owner', () => {
  const had = { name: 'zoe', owner: 'user' as const, issuer, subject: 'a', since: 0, leftAt: null };
  const granted = new Map([['zoe', `user ${issuer} b`]]);
  const now = people([
    ['a', 'mira'],
    ['b', 'zoe'],
  ]);
  const plan = planNames(new Map([['zoe', had]]), now, names, () => 1, 5, granted);
  assert.deepEqual(
    plan.changed.map(({ name, subject, leftAt }) => [name, subject, leftAt]),
    [
      ['mira', 'a', null],
      ['zoe', 'b', null],
    ],
  );
});

test('a user who takes the name of a served group gets neither the name nor the group’s sudo lines', () => {
  const had = { name: 'ops', owner: 'group' as const, issuer, subject: 'g', since: 0, leftAt: null };
  const plan = planNames(new Map([['ops', had]]), people([['a', 'ops']], [['g', 'ops']]), names, () => 1, 0);
  assert.deepEqual([...plan.served.keys()], [`group ${issuer} g`]);
});

describe('what cannot be served is said with the rule that it breaks and a name that can be had', () => {
  const issuer = 'https://id.example';
  const plan = (users: string[], groups: string[], policy = names.policy) => {
    const people = users.map((username, n) => ({ ...NOBODY, issuer, id: `u${n}`, username }));
    const teams = groups.map((name, n) => ({
      issuer,
      id: `g${n}`,
      name,
      friendlyName: '',
      customClaims: [],
      userIds: [],
    }));
    const numberOf = ({ subject }: { subject: string }) => Number(subject.slice(1)) + 2000;
    const { lints } = planNames(new Map(), { users: people, groups: teams }, { ...names, policy }, numberOf, 0);
    return lints.map(({ subject, detail }) => `${subject}: ${detail}`);
  };
  const NOBODY = { firstName: '', lastName: '', displayName: '', email: '', disabled: false, customClaims: [] };

  test('a text that is no name', () => {
    assert.deepEqual(plan(['ada lovelace', 'bob@example.com', 'x.', 'y'.repeat(33)], ['Web Team', 'Büro']), [
      'user ada lovelace: it has a blank, and only a-z, 0-9, “_”, “.” and “-” are possible: rename it to ada-lovelace',
      'user bob@example.com: it has “@”, and only a-z, 0-9, “_”, “.” and “-” are possible: rename it to bob, or cut such names at “@” with IDENTREE_LDAP_USERNAME_POLICY=localpart',
      'user x.: it ends with a dot: rename it to x',
      `user ${'y'.repeat(33)}: it has 33 characters, and 32 are possible: rename it to ${'y'.repeat(28)}`,
      'group Web Team: it has a blank, and only a-z, 0-9, “_”, “.” and “-” are possible: rename it to web-team',
      'group Büro: it has “ü”, and only a-z, 0-9, “_”, “.” and “-” are possible: rename it to buro',
    ]);
    assert.deepEqual(plan(['Ada', '1st'], [], 'strict'), [
      'user Ada: it has the capital letter “A”: rename it to ada',
      'user 1st: it begins with “1” and not with a letter: rename it to st',
    ]);
    assert.deepEqual(plan(['@example.com'], [], 'localpart'), [
      'user @example.com: nothing is left of it: rename it to user',
    ]);
  });

  test('a name that is the system’s or somebody else’s', () => {
    assert.deepEqual(plan(['root', '_apt', 'ops'], ['docker', 'ops', 'OPS']), [
      'user root: root belongs to the system: rename it to root-2',
      'user _apt: _apt belongs to the system: rename it to apt-2',
      'group docker: docker belongs to the system: rename it to docker-team',
      'group ops: ops is the name of the private group of user ops: rename it to ops-team',
      'group OPS: ops is the name of the private group of user ops: rename it to ops-team-2',
    ]);
  });

  test('a character that cannot be seen is called that, and is in no advice', () => {
    assert.deepEqual(plan(['\\u{202e}root2', 'a\\b'], []), [
      'user \\u{202e}root2: it has a character that cannot be seen, and only a-z, 0-9, “_”, “.” and “-” are possible: rename it to root2',
      'user a\\b: it has “\\”, and only a-z, 0-9, “_”, “.” and “-” are possible: rename it to a-b',
    ]);
  });

  test('the name that somebody left is advised to nobody but them', () => {
    const left = { name: 'grace', owner: 'user' as const, issuer, subject: 'u0', since: 0, leftAt: 1 };
    const who = (subject: string) => ({ ...NOBODY, issuer, id: subject, username: 'Grace@example.com' });
    const advised = (subject: string) =>
      planNames(new Map([['grace', left]]), { users: [who(subject)], groups: [] }, names, () => 1, 2).lints[0]?.detail;
    assert.match(advised('u0') ?? '', / rename it to grace,/);
    assert.match(advised('u1') ?? '', / rename it to grace-2,/);
  });

  test('no advice is a name that somebody has, or that cannot be had', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }), { maxLength: 12 }), (texts) => {
        const details = plan(texts, ['root', ...texts]);
        const advised = details.flatMap((detail) => / rename it to ([^\s,]+)/.exec(detail)?.[1] ?? []);
        assert.equal(new Set(advised).size, advised.length);
        for (const name of advised) {
          assert.deepEqual(
            [mapUserName(name, names), mapGroupName(name, names)],
            [
              { ok: true, name },
              { ok: true, name },
            ],
          );
          assert.ok(!texts.includes(name), name);
        }
      }),
    );
  });
});
