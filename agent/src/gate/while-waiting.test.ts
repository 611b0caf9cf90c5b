import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '#shared/errors.ts';
import type { Clock } from '../platform/clock.ts';
import { createVoice } from './terminal-text.ts';
import { sayWhileUnanswered, type Trouble } from './while-waiting.ts';

const NO_TIME = { sleep: async () => {} } as unknown as Clock;

async function said(message: string, locale: string): Promise<string> {
  const lines: string[] = [];
  const voice = createVoice((line) => void lines.push(line.trim()), { cols: 100, rows: null, locale } as never);
  const trouble: Trouble = { kind: 'unavailable', unreachable: false, outage: false, message };
  await sayWhileUnanswered(voice, 'id.example.com', () => trouble, NO_TIME, new AbortController().signal);
  return lines.join(' ');
}

test('what a server says of itself ends with one full stop, whether it is a sentence or not', async () => {
  const [, unavailable] = ERRORS.unavailable;
  for (const locale of ['C.UTF-8', 'de_DE.UTF-8']) {
    const sentence = await said(unavailable, locale);
    assert.ok(sentence.includes(`${unavailable.replace(/\.$/, '')}. `), sentence);
    assert.doesNotMatch(sentence, /\.\./);
    assert.match(await said('socket hang up', locale), /socket hang up\. /);
  }
});
