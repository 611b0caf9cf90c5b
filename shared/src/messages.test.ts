import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import de from './locales/de.json' with { type: 'json' };
import en from './locales/en.json' with { type: 'json' };
import { localeOf, type MessageKey, t, timeLeft } from './messages.ts';

const places = (text: string) => [...text.matchAll(/\{[a-zA-Z]+\}/g)].map(([place]) => place).sort();

describe('messages', () => {
  it('every language has every message with the same places', () => {
    assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
    for (const key of Object.keys(en) as MessageKey[]) assert.deepEqual(places(de[key]), places(en[key]), key);
  });
  it('are plain: no exclamation marks, no long dashes, no blanks at the ends', () => {
    for (const text of [...Object.values(en), ...Object.values(de)]) {
      assert.doesNotMatch(text, /[!—]/);
      assert.equal(text, text.trim());
    }
  });
  it('fill their places once: a value cannot bring in further ones', () => {
    assert.equal(t('gate.deniedReason', { name: '{reason}', reason: '{name}' }), 'Denied by {reason}: {name}');
    assert.equal(t('gate.denied', { name: '$& $1' }), 'Denied by $& $1.');
    assert.equal(t('gate.denied'), 'Denied by {name}.');
    assert.equal(t('gate.denied', { name: 'a' }, 'de'), 'Abgelehnt von a.');
  });
  for (const [posix, locale] of [
    ['de_DE.UTF-8', 'de'],
    ['de', 'de'],
    ['de@euro', 'de'],
    ['de-AT', 'de'],
    ['DE', 'de'],
    ['C', 'en'],
    ['POSIX', 'en'],
    ['', 'en'],
    ['fr_FR', 'en'],
    ['den', 'en'],
    ['../../de', 'en'],
  ] as const) {
    it(`the locale "${posix}" reads ${locale}`, () => assert.equal(localeOf(posix), locale));
  }
  for (const [ms, text] of [
    [-1, '0 s'],
    [0, '0 s'],
    [45_000, '45 s'],
    [119_990, '2 min'],
    [60_000, '60 s'],
    [900_000, '15 min'],
    [7_200_000, '2 h'],
    [86_400_000, '24 h'],
  ] as const) {
    it(`[E-P12] ${ms} ms left is ${text}`, () => assert.equal(timeLeft(ms, 'en'), text));
  }
});
