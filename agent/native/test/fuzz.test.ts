import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { nativeDir } from './support.ts';

test('the parsers survive the seeds, every prefix of them and every changed byte', { timeout: 120_000 }, () => {
  const ran = spawnSync('make', ['-s', '-C', nativeDir, 'fuzz-replay'], { encoding: 'utf8', timeout: 110_000 });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  assert.equal(ran.stdout.match(/^\d+ files, \d+ inputs$/gm)?.length, 4);
});
