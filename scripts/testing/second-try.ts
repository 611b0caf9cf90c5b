import { relative } from 'node:path';
import type { StageReport, TestResult } from './results.ts';

/** More files than this do not fail by chance. */
const MOST_FILES = 3;

/** Where a result comes from, without the line. */
const fileOf = ({ file }: TestResult): string | null => file?.replace(/(:\d+)+$/, '') ?? null;
const isSame = (a: TestResult, b: TestResult): boolean =>
  fileOf(a) === fileOf(b) && a.name.join('\0') === b.name.join('\0');

/**
 * Files of tests to run once more, from the root. None when a failure belongs to no file, or when there are more of them
 * than chance explains.
 */
export function worthASecondTry(reports: readonly StageReport[], root: string): string[] {
  const failed = reports.flatMap(({ results }) => results.filter(({ status }) => status === 'failed'));
  const files = new Set(failed.map(fileOf));
  if (files.has(null) || files.size > MOST_FILES) return [];
  return [...files].map((file) => relative(root, file as string));
}

/** A test that failed, and passed when its file ran again as a whole and without a failure, is unsteady. */
export function settle(reports: readonly StageReport[], again: readonly StageReport[]): StageReport[] {
  const seen = again.flatMap(({ results }) => results);
  const isSettled = (result: TestResult): boolean =>
    result.status === 'failed' &&
    seen.some((other) => other.status === 'passed' && isSame(other, result)) &&
    !seen.some((other) => other.status === 'failed' && (fileOf(other) === null || fileOf(other) === fileOf(result)));
  return reports.map((report) => ({
    ...report,
    results: report.results.map((result) => (isSettled(result) ? { ...result, status: 'unsteady' } : result)),
  }));
}
