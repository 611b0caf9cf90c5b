import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordsFor } from '../words/words.ts';
import type { MenuEntry } from './menu-model.ts';
import { newProfile } from './profile.ts';
import type { Reach } from './reach.ts';
import type { ServerView } from './server-view.ts';
import { trayModel } from './tray-model.ts';

const words = wordsFor('en');

function view(host: string, commands: [command: string, createdAt: number][], reach: Reach = 'live'): ServerView {
  const pending = commands.map(([command, createdAt]) => ({
    id: `${host}${createdAt}`,
    code: `ABCDEF-${String(createdAt).padStart(6, '0')}`,
    who: 'alice',
    command,
    host: 'web1',
    createdAt,
    expiresAt: createdAt + 1000,
    canDeny: true,
    isTold: true,
  }));
  return { profile: { ...newProfile(`https://${host}`, []), name: host }, reach, pending };
}

const labels = (entries: readonly MenuEntry[]) => entries.map((entry) => (entry === 'line' ? '-' : entry.label));

test('nothing waits: the menu says so, and nothing but opening, pausing and quitting can be chosen', () => {
  const model = trayModel(words, [view('a.example', [])], null);
  assert.equal(model.count, 0);
  assert.equal(model.tooltip, 'identree: Nothing waits');
  assert.deepEqual(labels(model.entries), [
    'Nothing waits',
    '-',
    'Open identree',
    'Pause notifications for an hour',
    '-',
    'Quit',
  ]);
});

test('the newest five of all servers, each of which opens that request in the window', () => {
  const a = view(
    'a.example',
    [1, 3, 5, 7].map((n) => [`a${n}`, n]),
  );
  const b = view(
    'b.example',
    [2, 4, 6].map((n) => [`b${n}`, n]),
  );
  const { count, tooltip, entries } = trayModel(words, [a, b], null);
  assert.equal(count, 7);
  assert.equal(tooltip, 'identree: 7 requests wait');
  assert.deepEqual(labels(entries).slice(0, 9), [
    'alice: a7 (web1 · a.example)',
    'alice: b6 (web1 · b.example)',
    'alice: a5 (web1 · a.example)',
    'alice: b4 (web1 · b.example)',
    'alice: a3 (web1 · a.example)',
    '2 more…',
    '-',
    'a.example (4)',
    'b.example (3)',
  ]);
  const second = entries[1];
  assert.deepEqual(second !== 'line' && second?.action, {
    do: 'review',
    origin: 'https://b.example',
    code: 'ABCDEF-000006',
  });
});

test('a command cannot break out of its line, hide what it is, or be longer than the menu', () => {
  const { entries } = trayModel(words, [view('a.example', [[`id\n\u202etxt.exe${'x'.repeat(500)}`, 1]])], null);
  const label = labels(entries)[0]!;
  assert.match(label, /^alice: id\\x0a\\u\{202e\}txt\.exex+… \(web1\)$/);
  assert.ok(label.length < 90);
});

test('what is not known is said: a server that is not reached, one that nobody is signed in at, a pause', () => {
  const views = [view('a.example', [], 'name_not_found'), view('b.example', [], 'signed_out')];
  const { tooltip, entries } = trayModel(words, views, '15:04');
  assert.equal(
    tooltip,
    'identree: b.example (signed out) · a.example is not reached · notifications paused until 15:04',
  );
  assert.deepEqual(labels(entries).slice(0, 3), ['a.example (name not found)', 'b.example (signed out)', '-']);
  assert.ok(labels(entries).includes('Resume notifications'));
});

test('that nothing waits is said only where a server tells it', () => {
  for (const [reach, tooltip, line] of [
    ['signed_out', 'identree: a.example (signed out)', 'a.example (signed out)'],
    ['unreachable', 'identree: a.example is not reached', 'a.example (does not answer)'],
    ['connecting', 'identree', 'a.example'],
  ] as const) {
    const model = trayModel(words, [view('a.example', [], reach)], null);
    assert.equal(model.tooltip, tooltip);
    assert.deepEqual(labels(model.entries).slice(0, 3), [line, '-', 'Open identree']);
  }
  const none = trayModel(words, [], null);
  assert.deepEqual([none.tooltip, labels(none.entries)[0]], ['identree', 'Open identree']);
});

test('what waited when a server was lost is told with the word that it is lost', () => {
  const views = [view('a.example', [['id', 1]], 'unreachable'), view('b.example', [['id', 2]])];
  const { entries } = trayModel(words, views, null);
  assert.deepEqual(labels(entries).slice(3, 5), ['a.example (1, does not answer)', 'b.example (1)']);
});

test('in German, with its own plural', () => {
  const { tooltip } = trayModel(wordsFor('de-AT'), [view('a.example', [['id', 1]])], null);
  assert.equal(tooltip, 'identree: 1 Anfrage wartet');
});
