import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EVENTS, type EventName } from '../events.ts';
import { eventSentence, SENTENCE_LOCALES, sentenceOf } from './sentence.ts';

const bare = { username: '', hostname: null, code: null, actor: null, reason: null, data: {} };
const full = {
  username: 'alice',
  hostname: 'web1.example.com',
  code: 'ABCDEF-123456',
  actor: 'olga',
  reason: 'ticket 4711',
  data: { state: 'ended', exitStatus: 3, count: 2, sink: 'loki', name: 'web-admins', kind: 'Group', to: 'production' },
};
const names = Object.keys(EVENTS) as EventName[];

for (const locale of SENTENCE_LOCALES) {
  describe(`in ${locale}`, () => {
    test('every event is one sentence, whatever is known of it', () => {
      for (const event of names)
        for (const known of [bare, full]) {
          const text = eventSentence({ event, ...known }, locale);
          assert.match(text, /^[\p{Lu}–a-z][^{}#]+\.$/u, event);
          assert.doesNotMatch(text, / {2}| [.,;]/, event);
        }
    });

    test('a sentence names what it is about in the same places as in English', () => {
      for (const event of names)
        assert.deepEqual([...sentenceOf(event, locale).names].sort(), [...sentenceOf(event, 'en').names].sort(), event);
    });
  });
}

test('who did what to whom is read, with what became of it', () => {
  const { data, ...about } = full;
  const of = (event: EventName, more: Record<string, unknown> = {}) => eventSentence({ event, ...about, data: more });
  assert.equal(
    of('challenge_approved'),
    'olga approved the request ABCDEF-123456 of alice on web1.example.com (“ticket 4711”).',
  );
  assert.match(of('challenge_run', { state: 'ended', exitStatus: 0 }), /ended with status 0\.$/);
  assert.match(of('challenge_run', { state: 'ended', exitStatus: null, signal: 'SIGKILL' }), /ended by SIGKILL\.$/);
  assert.match(of('challenge_outcome', { outcome: 'refused' }), /refused to release/);
  assert.match(
    eventSentence({ event: 'audit_dead_letters_retried', ...bare, actor: 'olga', data: { count: 1200 } }, 'de'),
    /^olga lässt 1\.200 Ereignisse erneut zustellen/,
  );
});

test('words that somebody else chose neither hide nor change what is read', () => {
  const text = eventSentence({
    event: 'challenge_rejected',
    ...full,
    reason: 'no {actor}\u202e\n#',
    data: { actor: 'mallory', hasActor: 'no' },
  });
  assert.equal(
    text,
    'olga denied the request ABCDEF-123456 of alice on web1.example.com (“no {actor}\\u{202e}\\x0a#”).',
  );
});

test('an event of another version is named', () => {
  assert.equal(eventSentence({ event: 'from_the_future', ...bare }), 'from_the_future.');
});
