import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readInbox } from './pending.ts';
import { shortened } from './shortened.ts';

test('one line, nothing hidden, and a mark where something is left out', () => {
  assert.equal(shortened('id', 2), 'id');
  assert.equal(shortened('idx', 2), 'i…');
  assert.equal(shortened('a\nb\u202e', 20), 'a\\x0ab\\u{202e}');
  assert.equal(shortened('😀'.repeat(4), 4), '😀'.repeat(4));
  assert.equal(shortened('😀'.repeat(5), 4), '😀😀😀…');
});

test('the end is not in the middle of what is seen as one character', () => {
  // A letter with its accent, a flag, Hangul of parts, a hand with its colour.
  for (const one of ['e\u0301', '🇩🇪', '\u1112\u1161\u11ab', '👍🏽']) {
    const cut = shortened(`${'x'.repeat(8)}${one}yz`, 10);
    assert.equal(cut, `${'x'.repeat(8)}…`, one);
    assert.equal(shortened(`${'x'.repeat(8)}${one}`, 8 + [...one].length), `${'x'.repeat(8)}${one}`);
  }
  assert.equal([...shortened(`x${'\u0301'.repeat(100)}`, 10)].length, 10);
});

test('what a server sends is cut before anything is done with it, and who and where hide nothing either', () => {
  const one = {
    id: '0'.repeat(32),
    userCode: 'ABCDEF-000001',
    user: 'ali\u202ece\n',
    command: `id ${'x'.repeat(8_000_000)}`,
    host: { name: 'web1\u200b' },
    createdAt: 1,
    expiresAt: 2,
    now: 1,
    can: { deny: true },
  };
  const [read] = readInbox({ result: { data: [one] } }, 1);
  assert.deepEqual([read?.who, read?.host], ['ali\\u{202e}ce\\x0a', 'web1\\u{200b}']);
  assert.match(read?.command ?? '', /^id x+…$/);
  assert.equal(read?.command.length, 200);
});
