import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences, rowsOfClaims, whoOf } from './rules.ts';

test('a claim that is not there is told by what it means', () => {
  const rows = (claims: Record<string, string>) =>
    rowsOfClaims(claims).map(({ label, values, said }) => [label, values.join(), said ?? false]);
  assert.deepEqual(rows({ sudoCommands: '/usr/bin/apt, ALL' }), [
    ['Commands', '/usr/bin/apt, ALL', false],
    ['On', 'every host', true],
    ['As', 'root', true],
  ]);
  // With only a group to run as, people stay who they are.
  assert.deepEqual(rows({ sudoCommands: 'ALL', sudoHosts: 'db1', sudoRunAsGroup: 'adm' }), [
    ['Commands', 'ALL', false],
    ['On', 'db1', false],
    ['As', 'themselves', true],
    ['With the group', 'adm', false],
  ]);
});

test('a claim that is left empty is not the default', () => {
  const hosts = rowsOfClaims({ sudoCommands: 'ALL', sudoHosts: ' ' }).find(({ label }) => label === 'On');
  assert.deepEqual(hosts, { label: 'On', values: ['left empty, so the rule is void'], said: true });
});

test('a host that vanishes from a rule is a difference: it then holds everywhere', () => {
  const before = rowsOfClaims({ sudoCommands: '/usr/bin/id', sudoHosts: 'lab1', sudoOptions: 'use_pty' });
  const after = rowsOfClaims({ sudoCommands: '/usr/bin/id' });
  assert.deepEqual(
    differences(before, after).map(({ label, same, before: was, after: is }) => [label, same, was?.values, is?.values]),
    [
      ['Commands', true, ['/usr/bin/id'], ['/usr/bin/id']],
      ['On', false, ['lab1'], ['every host']],
      ['As', true, ['root'], ['root']],
      ['Options', false, ['use_pty'], undefined],
    ],
  );
});

test('a host that is called "every host" is not every host', () => {
  const [row] = differences(
    rowsOfClaims({ sudoCommands: 'ALL', sudoHosts: 'every host' }),
    rowsOfClaims({ sudoCommands: 'ALL' }),
  ).filter(({ label }) => label === 'On');
  assert.equal(row?.same, false);
});

test('values of sudoUser in words', () => {
  assert.deepEqual(whoOf(['%web', 'alice', '+ops']), ['members of web', 'alice', 'netgroup ops']);
});
