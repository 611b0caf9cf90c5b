import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { expectedFacts } from './expected.ts';
import { listFaults } from './list-faults.ts';
import { testFileOf } from './short-form.ts';

test('of every fault it is known what comes of it, and of nothing else', async () => {
  assert.deepEqual(
    Object.entries(expectedFacts()).map(([name, { title }]) => [name, title]),
    (await listFaults()).map(({ name, title }) => [name, title]),
  );
});

test('every fault is brought about by one test file, and no two have the same name', async () => {
  const faults = await listFaults();
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('-faults.test.ts'));
  assert.deepEqual(files, [...new Set(faults.map(({ group }) => testFileOf(group)))].sort());
  const names = faults.map(({ name }) => name);
  assert.deepEqual([...new Set(names)], names);
});
