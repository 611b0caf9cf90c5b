import assert from 'node:assert/strict';
import type { TestResult } from '../../scripts/testing/results.ts';

/**
 * The tests that ran in other namespaces, as arguments for `test` in the file that ran them: a test belongs to the file
 * that declares it, and only a file of tests can be run once more.
 */
export function retold(
  results: readonly TestResult[],
): [name: string, options: { skip: string | false }, () => void][] {
  return [
    ['there were tests', { skip: false }, () => assert.ok(results.length > 0)],
    ...results.map(({ name, status, detail }): ReturnType<typeof retold>[number] => [
      name.join(' > '),
      { skip: status === 'skipped' ? (detail ?? 'skipped') : false },
      () => {
        if (status === 'failed') assert.fail(detail ?? 'failed');
      },
    ]),
  ];
}
