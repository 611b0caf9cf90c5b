import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_CLAIM_LENGTH, snapshotHash, sourceGroup, sourceUser, toSnapshot } from './model.ts';

const user = (over: object) => sourceUser.parse({ id: 'u1', username: 'alice', ...over });
const group = (over: object) => sourceGroup.parse({ id: 'g1', name: 'ops', ...over });

test('null and missing lists and names are empty', () => {
  const parsed = user({ lastName: null, email: null, customClaims: null, userGroups: null });
  assert.deepEqual([parsed.lastName, parsed.email, parsed.customClaims, parsed.disabled], ['', '', [], false]);
});

test('the first of two claims with one key wins; keys with control characters are left out', () => {
  const { customClaims } = user({
    customClaims: [
      { key: 'b', value: '1' },
      { key: 'b', value: '2' },
      { key: 'a\u0007', value: 'x' },
      { key: 'a', value: 'with\0nul' },
    ],
  });
  assert.deepEqual(customClaims, [
    { key: 'a', value: 'withnul' },
    { key: 'b', value: '1' },
  ]);
});

test('names are as people can see them, and stay so when they are read again', () => {
  const [RIGHT_TO_LEFT, NO_WIDTH] = ['\u202e', '\u200b'];
  assert.equal(
    user({ username: `mallory@${RIGHT_TO_LEFT}moc.elpmaxe@ada` }).username,
    'mallory@\\u{202e}moc.elpmaxe@ada',
  );
  assert.equal(group({ name: `o${NO_WIDTH}ps` }).name, 'o\\u{200b}ps');
  assert.equal(user({ username: 'Zoë Ångström' }).username, 'Zoë Ångström');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 256 }), (username) => {
      const once = user({ username });
      assert.deepEqual(user(once), once);
    }),
  );
});

test('no claim about sudo is left out of a group: the others could allow more without it', () => {
  const twice = (key: string, one: string, other: string) =>
    sourceGroup.safeParse({
      id: 'g1',
      name: 'ops',
      customClaims: [
        { key, value: one },
        { key, value: other },
      ],
    });
  assert.equal(twice('sudoHosts', 'web1', 'web2').error?.issues[0]?.message, 'sudoHosts stands twice');
  assert.equal(twice('sudoOptions', 'use_pty', 'noexec').success, false);
  assert.equal(twice('sudoHosts', 'web1', 'web1').success, true);
  assert.equal(twice('note', 'one', 'other').success, true);
  const { customClaims } = group({ customClaims: [{ key: 'sudoHosts\u0007', value: 'web1' }] });
  assert.deepEqual(customClaims, [{ key: 'sudoHosts?', value: 'web1' }]);
});

test('a value that is too long stays too long instead of vanishing', () => {
  const { customClaims } = group({ customClaims: [{ key: 'sudoHosts', value: 'x'.repeat(99_999) }] });
  assert.equal(customClaims[0]?.value.length, MAX_CLAIM_LENGTH + 1);
});

test('members come from userIds, from users, or from the groups of the users; unknown members are dropped', () => {
  const people = [user({ userGroups: [{ id: 'g1' }] }), user({ id: 'u2', username: 'bob' })];
  const members = (over: object) => {
    const result = toSnapshot({ users: people, groups: [group(over)] }, 'https://id.example');
    return result.ok ? result.snapshot.groups[0]?.userIds : null;
  };
  assert.deepEqual(members({ userIds: ['u2', 'u1', 'u2', 'nobody'] }), ['u1', 'u2']);
  assert.deepEqual(members({ users: [{ id: 'u2' }] }), ['u2']);
  assert.deepEqual(members({}), ['u1']);
  assert.deepEqual(members({ userIds: [] }), []);
});

test('an id that appears twice is refused, the same id of two issuers is two people', () => {
  const twice = toSnapshot({ users: [user({}), user({ username: 'eve' })], groups: [] }, 'https://id.example');
  assert.ok(!twice.ok);
  const two = toSnapshot(
    { users: [user({}), user({ issuer: 'https://other.example' })], groups: [] },
    'https://id.example',
  );
  assert.ok(two.ok && two.snapshot.users.length === 2);
});

test('a member of one issuer is not a member by the same id of another', () => {
  const result = toSnapshot(
    { users: [user({ issuer: 'https://other.example' })], groups: [group({ userIds: ['u1'] })] },
    'https://id.example',
  );
  assert.ok(result.ok);
  assert.deepEqual(result.snapshot.groups[0]?.userIds, []);
});

test('ids with spaces or control characters are refused, so that an identity has one spelling', () => {
  for (const id of ['', 'a b', 'a\n', 'ä', 'x'.repeat(129)])
    assert.ok(!sourceUser.safeParse({ id, username: 'x' }).success);
});

test('the order of delivery does not matter', () => {
  const ids = fc.uniqueArray(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(ids, fc.infiniteStream(fc.nat()), (list, picks) => {
      const shuffled = [...list].sort(() => (Number(picks.next().value) % 3) - 1);
      const make = (of: string[]) => {
        const result = toSnapshot(
          {
            users: of.map((id) => user({ id, username: id })),
            groups: [group({ userIds: of })],
          },
          'https://id.example',
        );
        assert.ok(result.ok);
        return snapshotHash(result.snapshot);
      };
      assert.equal(make(list), make(shuffled));
    }),
  );
});
