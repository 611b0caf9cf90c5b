import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportEvents } from './export-events.ts';
import { EXPORT_FORMATS } from './formats.ts';

test('an export that finds nothing comes back after each look, so that it can be ended', {
  timeout: 60_000,
}, async () => {
  let looks = 0;
  const pieces = exportEvents({
    format: EXPORT_FORMATS.jsonl,
    reader: { viewer: { role: 'admin' }, locale: 'en' },
    last: { at: 9, seq: 9 },
    async find() {
      looks += 1;
      return { events: [], next: looks < 9 ? { at: 1, seq: looks } : null };
    },
    withoutTime: async () => [],
    maySee: () => true,
  });
  for (const look of [1, 2, 3]) {
    assert.deepEqual(await pieces.next(), { done: false, value: '' });
    assert.equal(looks, look);
  }
  await pieces.return(undefined);
  assert.equal(looks, 3);
});

test('an export of an empty log is a whole file', async () => {
  const pieces = exportEvents({
    format: EXPORT_FORMATS.json,
    reader: { viewer: { role: 'admin' }, locale: 'en' },
    last: null,
    find: () => assert.fail('there is nothing'),
    withoutTime: async () => [],
    maySee: () => true,
  });
  let text = '';
  for await (const piece of pieces) text += piece;
  assert.deepEqual(JSON.parse(text), []);
});
