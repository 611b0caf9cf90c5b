import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedFacts } from './expected.ts';
import { listFaults } from './list-faults.ts';
import { isOfDatabase, testFaults } from './short-form.ts';

test('of every fault it is known what comes of it, and of nothing else', async () => {
  assert.deepEqual(
    Object.entries(expectedFacts()).map(([name, { title }]) => [name, title]),
    (await listFaults()).map(({ name, title }) => [name, title]),
  );
});

await testFaults((fault) => !isOfDatabase(fault));
