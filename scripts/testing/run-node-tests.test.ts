import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseResult } from './results.ts';

test('a file whose tests left something open ends with them, and after its last hook', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'identree-run-node-tests-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'open.test.mjs');
  writeFileSync(
    file,
    `import { after, test } from 'node:test';
     import { createServer } from 'node:net';
     import { writeFileSync } from 'node:fs';
     import { setTimeout } from 'node:timers/promises';
     after(async () => { await setTimeout(100); writeFileSync(${JSON.stringify(join(folder, 'after'))}, 'ran'); });
     test('opens', () => { createServer().listen(0, '127.0.0.1'); });`,
  );
  const runner = join(import.meta.dirname, 'run-node-tests.ts');
  // Not as a test inside this one: it would report to it.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [runner, '--concurrency=1', '--timeout=60000', file], {
    encoding: 'utf8',
    env,
    timeout: 60_000,
  });
  assert.equal(status, 0, 'it ended by itself');
  const results = stdout.split('\n').flatMap((line) => parseResult(line) ?? []);
  assert.deepEqual(
    results.map(({ name, status }) => [name, status]),
    [[['opens'], 'passed']],
  );
  assert.equal(readFileSync(join(folder, 'after'), 'utf8'), 'ran');
});
