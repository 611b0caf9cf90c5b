import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_FORM, formOf, problemsAt, ruleOf } from './rule-form.ts';

test('what is typed becomes the rule, and the rule becomes what was typed', () => {
  const form = {
    ...EMPTY_FORM,
    name: 'nightly',
    group: ' web ',
    users: 'alice\n\n bob ',
    commands: '/usr/bin/apt update\n/usr/bin/apt upgrade',
    order: '7',
    notBefore: '2026-11-26T08:00',
    notAfter: '2026-11-26T18:00:30',
    enabled: false,
  };
  const { rule, problems } = ruleOf(form);
  assert.deepEqual(problems, []);
  assert.deepEqual(rule, {
    name: 'nightly',
    group: 'web',
    users: ['alice', 'bob'],
    netgroup: null,
    description: '',
    hosts: [],
    commands: ['/usr/bin/apt update', '/usr/bin/apt upgrade'],
    runAsUser: [],
    runAsGroup: [],
    options: [],
    order: 7,
    notBefore: new Date(2026, 10, 26, 8, 0).getTime(),
    notAfter: new Date(2026, 10, 26, 18, 0, 30).getTime(),
    enabled: false,
  });
  assert.deepEqual(formOf(rule), { ...form, group: 'web', users: 'alice\nbob' });
});

test('what the server would not read is told at its field', () => {
  const { problems } = ruleOf({
    ...EMPTY_FORM,
    users: `alice\n${'x'.repeat(65)}`,
    hosts: Array(501).fill('web1').join('\n'),
    order: '-1',
    notBefore: '2200-01-01T00:00',
  });
  assert.deepEqual(
    problems.map(({ field, line }) => [field, line]),
    [
      ['users', 2],
      ['hosts', null],
      ['order', null],
      ['notBefore', null],
    ],
  );
});

test('the server counts values, a person counts lines', () => {
  const form = { ...EMPTY_FORM, commands: '/usr/bin/id\n\n\napt\n' };
  assert.deepEqual(
    problemsAt(form, [
      { field: 'commands', index: 1, message: 'not an absolute path' },
      { field: 'group', index: null, message: 'say for whom' },
    ]),
    [
      { field: 'commands', line: 4, message: 'not an absolute path' },
      { field: 'group', line: null, message: 'say for whom' },
    ],
  );
});
