import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingLine, type StageReport, type TestResult } from './results.ts';
import { settle, worthASecondTry } from './second-try.ts';

const ROOT = '/srv/checkout';
const result = (status: TestResult['status'], file: string | null, name = 'case'): TestResult => ({
  name: ['suite', name],
  file: file === null ? null : `${ROOT}/${file}`,
  status,
  durationMs: 1,
  detail: status === 'failed' ? 'why' : null,
});
const report = (...results: TestResult[]): StageReport[] => [{ stage: 'unit', results, files: [], durationMs: 1 }];

test('a file is tried once more, however many of its tests failed', () => {
  const reports = report(
    result('failed', 'a.test.ts:10'),
    result('failed', 'a.test.ts:20', 'other'),
    result('passed', 'b.test.ts:1'),
    result('failed', 'c.spec.ts:3:7'),
  );
  assert.deepEqual(worthASecondTry(reports, ROOT), ['a.test.ts', 'c.spec.ts']);
});

test('nothing is tried once more when a stage as a whole failed, or when it was more than chance', () => {
  assert.deepEqual(worthASecondTry(report(result('failed', 'a.test.ts'), result('failed', null)), ROOT), []);
  const many = [1, 2, 3, 4].map((n) => result('failed', `${n}.test.ts`));
  assert.deepEqual(worthASecondTry(report(...many), ROOT), []);
  assert.deepEqual(worthASecondTry(report(result('passed', 'a.test.ts')), ROOT), []);
});

test('what passes then is named as unsteady and keeps its failure; what fails again stays failed', () => {
  const first = report(
    result('failed', 'a.test.ts:10'),
    result('failed', 'b.test.ts:10'),
    result('passed', 'c.test.ts'),
  );
  const again = report(result('passed', 'a.test.ts:11'), result('failed', 'b.test.ts:10'));
  const [settled] = settle(first, again);
  assert.deepEqual(
    settled!.results.map(({ status, detail }) => [status, detail]),
    [
      ['unsteady', 'why'],
      ['failed', 'why'],
      ['passed', null],
    ],
  );
  assert.equal(closingLine(settle(first, again)), '1 passed, 1 failed, 0 skipped, 1 unsteady');
});

test('a test that did not run again, was skipped then, or whose file failed elsewhere stays failed', () => {
  const first = report(result('failed', 'a.test.ts:10'));
  for (const again of [
    report(),
    report(result('skipped', 'a.test.ts:10')),
    report(result('passed', 'b.test.ts:10')),
    report(result('passed', 'a.test.ts:10', 'other')),
    report(result('passed', 'a.test.ts:10'), result('failed', 'a.test.ts:30', 'other')),
    report(result('passed', 'a.test.ts:10'), result('failed', null)),
  ])
    assert.equal(settle(first, again)[0]!.results[0]!.status, 'failed');
});
