import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EVENT_NAMES } from '#shared/event-outcome.ts';
import { compileMessage } from '#shared/message-format.ts';
import { aboutEvent, NOTICE_AT, noticeOf } from '../testing/notices.ts';
import { CATALOGUES, NOTICE_LOCALES, type NoticeLocale, noticeWords, overWords, plainLines } from './words.ts';

const TOLD = [...EVENT_NAMES, 'test'] as const;

/** Written anew by `UPDATE_GOLDEN=1`, and read by a person then. */
const goldenFile = (locale: string): string => join(import.meta.dirname, 'golden', `${locale}.txt`);

const NAMES = ['linux', 'scim', 'sudo'];
/** Words of events that a language has in common with English. */
const LOANS: Record<NoticeLocale, readonly string[]> = {
  en: [],
  es: [...NAMES, 'token'],
  fr: [...NAMES, 'audit', 'code', 'continue', 'journal', 'notification', 'notifications', 'session', 'signature'],
  de: [
    ...NAMES,
    'administrator',
    'an',
    'audit',
    'code',
    'host',
    'hosts',
    'journal',
    'name',
    'offline',
    'passkey',
    'passkeys',
    'person',
    'server',
    'test',
    'token',
    'was',
  ],
  ja: NAMES,
  zh: NAMES,
  pt: [...NAMES, 'backup', 'host', 'hosts', 'no', 'token'],
  ko: NAMES,
};

for (const locale of NOTICE_LOCALES)
  describe(`in ${locale}`, () => {
    const wordsOf = (event: string) => noticeWords(aboutEvent(event), locale, NOTICE_AT);

    test('[N-01] every event has a title and a text of its own', () => {
      for (const part of ['title', 'text'] as const) {
        const said = TOLD.map((event) => wordsOf(event)[part]);
        assert.equal(new Set(said).size, TOLD.length, part);
        for (const one of said) assert.doesNotMatch(one, /[{}#–]|^$/, one);
      }
      // None is merely called by its name.
      const { titles, texts } = CATALOGUES[locale];
      for (const words of [titles, texts]) assert.deepEqual(Object.keys(words).sort(), [...TOLD].sort());
    });

    test('[N-01] a text says only what a notice holds', () => {
      const held = ['username', 'hostname', 'actor', 'reason', 'code'];
      const asked = held.map((name) => `has${name[0]!.toUpperCase()}${name.slice(1)}`);
      for (const event of TOLD) {
        const message = CATALOGUES[locale].texts[event];
        for (const name of compileMessage(message, locale).names) assert.ok([...held, ...asked].includes(name), event);
        for (const [, name] of message.matchAll(/(\w+), *(?:select|plural)/g)) assert.ok(asked.includes(name!), event);
      }
    });

    test('[N-01] a text is whole sentences, whatever is known', () => {
      const unknown = { username: '', hostname: '', actor: null, reason: null, request: null };
      for (const event of TOLD)
        for (const notice of [aboutEvent(event), noticeOf({ event, ...unknown })]) {
          const { text } = noticeWords(notice, locale, NOTICE_AT);
          assert.match(text, /^[^\s.,;:].*[^\s.。][.。]$/u, event);
          assert.doesNotMatch(text, /\s{2}|\s[.,。、，]/u, event);
        }
    });

    test('[N-01] what this server says holds nothing that a format takes for its own', () => {
      for (const event of TOLD) {
        const { title, text, facts, link } = noticeWords(aboutEvent(event), locale, NOTICE_AT, () => '');
        const said = [title, text, link?.label, ...facts.map(([label]) => label)].join(' ');
        assert.doesNotMatch(said, /[<>"*_`~|\\[\]@#{}]/, event);
      }
    });

    if (locale !== 'en')
      test('[N-01] no English is left in another language', () => {
        const wordsIn = (event: string, language: NoticeLocale) => {
          const { title, text } = noticeWords(aboutEvent(event), language, NOTICE_AT, () => '');
          return new Set(`${title} ${text}`.toLowerCase().match(/\p{L}{2,}/gu));
        };
        for (const event of TOLD) {
          const english = wordsIn(event, 'en');
          const same: string[] = [...wordsIn(event, locale)].filter(
            (word) => english.has(word) && !LOANS[locale].includes(word),
          );
          assert.deepEqual(same, [], event);
        }
      });

    test('[N-01] only a request that waits needs an approval and leads anywhere', () => {
      const needed = wordsOf('challenge_created');
      assert.ok(needed.link?.url.endsWith('/approve/ABCDEF-123456'));
      for (const event of TOLD.filter((name) => name !== 'challenge_created')) {
        const { title, text, link } = wordsOf(event);
        assert.notEqual(title, needed.title, event);
        assert.doesNotMatch(`${title} ${text}`, /approval needed|needs? (an )?approval/i, event);
        assert.equal(link, null, event);
      }
    });

    test('[N-01] what takes an announcement back says in words of its own only that', () => {
      const { title, text, link } = overWords(locale);
      assert.ok(!TOLD.some((event) => wordsOf(event).title === title));
      assert.match(title, /^[^{}#–]+$/);
      assert.deepEqual([text, link], ['', null]);
    });

    test('[N-01] the words are those that were read', async () => {
      const text = TOLD.map((event) => {
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
  for (const event of TOLD)
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
