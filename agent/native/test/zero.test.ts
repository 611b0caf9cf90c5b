import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

const nativeDir = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'identree-zero-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Each is built alone: one that does not compile says nothing about the other. */
describe('zero is no yes', () => {
  for (const [program, claim] of [
    ['endings', 'an ending that was zeroed, forgotten or cancelled permits nothing'],
    ['events', 'a grant is seen with its last byte, not before and not again'],
  ] as const) {
    test(claim, { timeout: 60_000 }, () => {
      const made = spawnSync('make', ['-s', '-C', nativeDir, `TEST_OUT=${folder}`, join(folder, program)], {
        encoding: 'utf8',
      });
      assert.equal(made.status, 0, made.stderr);
      const ran = spawnSync(join(folder, program), { encoding: 'utf8' });
      assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, '', '']);
    });
  }
});
