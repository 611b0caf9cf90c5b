import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNewer } from './newer.ts';

test('a version is newer by its numbers, not by its letters', () => {
  for (const newer of ['0.3.1', '0.4.0', '0.10.0', '1.0.0', '0.3.1-rc.1']) assert.ok(isNewer(newer, '0.3.0'), newer);
  for (const other of ['0.3.0', '0.3.0~test', '0.2.9', '0.2.10']) assert.ok(!isNewer(other, '0.3.0'), other);
});

test('a server that tells no version offers none', () => {
  for (const none of [undefined, null, '', 7, '1.0', '1.0.0.0', 'latest', '1e9.0.0'])
    assert.ok(!isNewer(none, '0.3.0'));
});
