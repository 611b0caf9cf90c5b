import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idsIn, resultsOf } from './ids.ts';
import type { TestResult } from './results.ts';

const result = (name: string[], status: TestResult['status'], detail: string | null = null): TestResult => ({
  name,
  file: null,
  status,
  durationMs: 0,
  detail,
});
const promised = ['B-01', 'B-02', 'B-03', 'B-04'].map((id) => ({ id, text: `what ${id} is` }));

test('ids stand in the name of a test or of its suite', () => {
  assert.deepEqual(idsIn('[B-01] [B-2a] one [x] and B-03'), ['B-01', 'B-2a']);
});

test('an id fails with one of its tests, is skipped with all of them, and without one is missing', () => {
  const { ids, unknown } = resultsOf(promised, [
    result(['[B-01] a suite', 'one'], 'passed'),
    result(['[B-01] a suite', 'two'], 'skipped', 'no Postgres'),
    result(['[B-02] fails'], 'failed', 'Error'),
    result(['[B-02] passes'], 'passed'),
    result(['[B-03] needs a program'], 'skipped', 'no rsyslog'),
    result(['[B-99] a typing error'], 'passed'),
    result(['of no id'], 'failed'),
  ]);
  assert.deepEqual(
    ids.map(({ id, status, detail }) => [id, status, detail]),
    [
      ['B-01', 'passed', '1, skipped 1: no Postgres'],
      ['B-02', 'failed', '[B-02] fails'],
      ['B-03', 'skipped', 'no rsyslog'],
      ['B-04', 'no test', ''],
    ],
  );
  assert.deepEqual(unknown, ['B-99']);
});

test('an id that no test is to have says why, and counts as one as soon as a test has it', () => {
  const none = [{ id: 'E-B7', text: 'what it was', none: 'it is gone' }];
  const of = (results: TestResult[]) => resultsOf(none, results).ids.map(({ status, detail }) => [status, detail]);
  assert.deepEqual(of([]), [['none', 'it is gone']]);
  assert.deepEqual(of([result(['[E-B7] fails'], 'failed')]), [['failed', '[E-B7] fails']]);
});
