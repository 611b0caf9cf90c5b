import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EVENT_NAMES } from '#shared/event-outcome.ts';
import { aboutEvent, NOTICE_AT, noticeOf } from '../testing/notices.ts';
import { NOTIFIED } from './notified.ts';
import { NOTICE_LOCALES, noticeWords, overWords, plainLines } from './words.ts';

/** Written anew by `UPDATE_GOLDEN=1`, and read by a person then. */
const goldenFile = (locale: string): string => join(import.meta.dirname, 'golden', `${locale}.txt`);

for (const locale of NOTICE_LOCALES)
  describe(`in ${locale}`, () => {
    const wordsOf = (event: string) => noticeWords(aboutEvent(event), locale, NOTICE_AT);

    test('[N-01] every event has a title and a text of its own', () => {
      for (const part of ['title', 'text'] as const) {
        // Those without words of their own are called by their name.
        const all = [...new Set([...NOTIFIED, ...EVENT_NAMES])];
        const said = all.map((event) => wordsOf(event)[part]);
        assert.equal(new Set(said).size, all.length, part);
        for (const one of said) assert.doesNotMatch(one, /[{}#–]|^$/, one);
      }
    });

    test('[N-01] only a request that waits needs an approval and leads anywhere', () => {
      const needed = wordsOf('challenge_created');
      assert.ok(needed.link?.url.endsWith('/approve/ABCDEF-123456'));
      for (const event of [...NOTIFIED, ...EVENT_NAMES].filter((name) => name !== 'challenge_created')) {
        const { title, text, link } = wordsOf(event);
        assert.notEqual(title, needed.title, event);
        assert.doesNotMatch(`${title} ${text}`, /approval needed|needs? (an )?approval/i, event);
        assert.equal(link, null, event);
      }
    });

    test('[N-01] what takes an announcement back says in words of its own only that', () => {
      const { title, text, link } = overWords(locale);
      assert.ok(!NOTIFIED.some((event) => wordsOf(event).title === title));
      assert.match(title, /^[^{}#–]+$/);
      assert.deepEqual([text, link], ['', null]);
    });

    test('[N-01] the words are those that were read', async () => {
      const text = NOTIFIED.map((event) => {
        const words = wordsOf(event);
        return [`## ${event}`, words.title, ...plainLines(words), ''].join('\n');
      }).join('\n');
      const file = goldenFile(locale);
      if (process.env.UPDATE_GOLDEN) {
        await writeFile(`${file}.new`, text);
        await rename(`${file}.new`, file);
      }
      assert.equal(text, await readFile(file, 'utf8'));
    });

    test('[N-01] who did it and why stand beside it', () => {
      const { facts } = noticeWords(noticeOf({ event: 'challenge_rejected', actor: 'olga' }), locale, NOTICE_AT);
      assert.deepEqual(
        facts.map(([, value]) => value),
        ['alice', 'web1.example.com', '/usr/bin/systemctl restart nginx', 'ABCDEF-123456', 'ticket 4711', 'olga'],
      );
    });
  });

test('[N-01] a sentence names what it is about in every language', () => {
  const namesIn = (event: string, locale: (typeof NOTICE_LOCALES)[number]) => {
    const { text } = noticeWords(aboutEvent(event), locale, NOTICE_AT);
    return ['alice', 'web1.example.com', 'ABCDEF-123456'].filter((name) => text.includes(name));
  };
  for (const event of NOTIFIED)
    for (const locale of NOTICE_LOCALES)
      assert.deepEqual(namesIn(event, locale), namesIn(event, 'en'), `${event} ${locale}`);
});

test('[N-01] text of others neither hides nor turns what is read, and fills no screen', () => {
  const odd = 'a\u202eb\u0000c\nd\u200be\u{e0041}{actor}#';
  for (const locale of NOTICE_LOCALES) {
    const notice = noticeOf({
      event: 'challenge_rejected',
      username: odd,
      hostname: odd,
      reason: odd.repeat(500),
      actor: odd,
    });
    const said = JSON.stringify(noticeWords(notice, locale, NOTICE_AT));
    assert.doesNotMatch(JSON.parse(`[${said}]`)[0].text, /[\u0000-\u001f\u200b\u202e\u{e0041}]/u);
    assert.ok(said.includes('a\\\\u{202e}b\\\\x00c\\\\x0ad'), said);
    assert.ok(said.length < 3000);
  }
});

test('[N-01] what stands for others says how many', () => {
  const { text } = noticeWords(noticeOf({ folded: 12 }), 'en', NOTICE_AT);
  assert.match(text, / 12 more of this kind\.$/);
  assert.doesNotMatch(noticeWords(noticeOf(), 'en', NOTICE_AT).text, /more of this kind/);
});

test('[N-01] an event of another version is named', () => {
  const words = noticeWords(noticeOf({ event: 'from_the_\u202efuture' }), 'de', NOTICE_AT);
  assert.equal(words.title, 'Ereignis: from_the_\\u{202e}future');
});
