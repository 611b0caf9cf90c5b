import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  closingLine,
  formatFileTime,
  formatResult,
  parseFileTime,
  parseResult,
  refuseUnexpectedSkips,
  type StageReport,
  slowest,
  type TestResult,
} from './results.ts';

const result = (status: TestResult['status'], detail: string | null = null): TestResult => ({
  name: ['suite', 'case'],
  file: null,
  status,
  durationMs: 1,
  detail,
});
const report = (...results: TestResult[]): StageReport[] => [{ stage: 'unit', results, files: [], durationMs: 1 }];

test('the closing line has exactly one form', () => {
  const reports = [...report(result('passed'), result('failed')), ...report(result('skipped'), result('passed'))];
  assert.equal(closingLine(reports), '2 passed, 1 failed, 1 skipped');
  assert.equal(closingLine([]), '0 passed, 0 failed, 0 skipped');
});

test('a result survives its way over a pipe, also behind unfinished output', () => {
  const sent = result('failed', 'line one\nline two');
  assert.deepEqual(parseResult(formatResult(sent).trimEnd()), sent);
  assert.deepEqual(parseResult(`no line end${formatResult(sent).trimEnd()}`), sent);
  assert.equal(parseResult('{"status":"passed"}'), null);
});

test('a skip that nobody expected is a failure, and an expected one stays a skip', () => {
  const reports = report(result('skipped', 'needs a moon'), result('skipped', 'needs root'), result('passed'));
  const allowed = [{ stage: 'unit', contains: 'moon', reason: 'there is one moon only' }];
  assert.equal(closingLine(refuseUnexpectedSkips(reports, allowed)), '1 passed, 1 failed, 1 skipped');
  const elsewhere = [{ stage: 'hosts', contains: 'moon', reason: 'another stage' }];
  assert.equal(closingLine(refuseUnexpectedSkips(reports, elsewhere)), '1 passed, 2 failed, 0 skipped');
});

test('the slowest files of all stages come first, and no more than are asked for', () => {
  const took = (stage: string, ...times: number[]): StageReport => ({
    stage,
    results: [],
    files: times.map((durationMs) => ({ file: `${stage}/${durationMs}.test.ts`, durationMs })),
    durationMs: 1,
  });
  const sent = { file: 'unit/1.test.ts', durationMs: 1 };
  assert.deepEqual(parseFileTime(formatFileTime(sent).trimEnd()), sent);
  assert.equal(parseResult(formatFileTime(sent)), null);
  assert.deepEqual(
    slowest([took('unit', 5, 900, 7), took('hosts', 30, 6)], 3).map(({ durationMs }) => durationMs),
    [900, 30, 7],
  );
});
