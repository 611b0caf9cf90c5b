import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileMessage } from './message-format.ts';

test('names, selections and plurals are filled in, within each other too', () => {
  const message = compileMessage(
    '{who} has {n, plural, one {# event} other {# events}}{why, select, none {} other { ({why})}}.',
    'en',
  );
  assert.equal(message.format({ who: 'olga', n: 1, why: 'none' }), 'olga has 1 event.');
  assert.equal(message.format({ who: '{n}', n: 12_000, why: 'a {brace}' }), '{n} has 12,000 events (a {brace}).');
  assert.deepEqual([...message.names], ['who', 'n', 'why']);
});

test('a value that is not there is shown as one', () => {
  assert.equal(compileMessage('{who} {kind, select, a {A} other {B}}', 'de').format({}), '– B');
});

test('what is no message is refused when it is compiled', () => {
  for (const text of ['{', '{a', 'a}', '{a, select, x {y}}', '{a, date, short}', '{1}', '{a, plural, other {}'])
    assert.throws(() => compileMessage(text, 'en'), SyntaxError, text);
});
