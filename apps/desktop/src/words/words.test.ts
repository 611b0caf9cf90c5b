import assert from 'node:assert/strict';
import { test } from 'node:test';
import { languageOf, wordsFor } from './words.ts';

test('the language of the desktop, however it is named; English where ours is not', () => {
  for (const name of ['de', 'de-DE', 'de-AT', 'de_CH.UTF-8', 'DE']) assert.equal(languageOf(name), 'de', name);
  for (const name of ['en-US', 'C', '', 'den', 'fr', 'zh-Hans']) assert.equal(languageOf(name), 'en', name);
});

test('numbers take the form of their language', () => {
  const said = (language: string) => [0, 1, 2, 1000].map(wordsFor(language).tray.waiting);
  assert.deepEqual(said('en'), ['Nothing waits', '1 request waits', '2 requests wait', '1,000 requests wait']);
  assert.deepEqual(said('de'), ['Nichts wartet', '1 Anfrage wartet', '2 Anfragen warten', '1.000 Anfragen warten']);
});

test('no text stayed English in the German catalogue', () => {
  const flat = (words: object): string[] =>
    Object.values(words).flatMap((one: unknown) =>
      typeof one === 'string' ? [one] : typeof one === 'object' && one ? flat(one) : [],
    );
  const en = flat(wordsFor('en'));
  const same = flat(wordsFor('de')).filter((text, i) => text === en[i] && /[a-z]{4}/.test(text));
  assert.deepEqual(same, []);
});
