import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestResult } from '../../scripts/testing/results.ts';

/** Tells the tests that ran in other namespaces again, as tests of this run. */
export function retell(results: readonly TestResult[]): void {
  test('there were tests', () => assert.ok(results.length > 0));
  for (const { name, status, detail } of results) {
    test(name.join(' > '), { skip: status === 'skipped' ? (detail ?? 'skipped') : false }, () => {
      if (status === 'failed') assert.fail(detail ?? 'failed');
    });
  }
}
