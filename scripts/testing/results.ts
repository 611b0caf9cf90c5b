/** How one leaf test ended. Every runner's reporter writes these, one JSON text per line. */
export interface TestResult {
  /** Suite names and test name, outermost first. */
  name: string[];
  file: string | null;
  /** `unsteady`: failed, and passed when it ran once more. */
  status: 'passed' | 'failed' | 'skipped' | 'unsteady';
  durationMs: number;
  /** Failure: the error with its stack. Skip: the reason. */
  detail: string | null;
}

/** How long a file of tests took, with what it prepared. */
export interface FileTime {
  file: string;
  durationMs: number;
}

export interface StageReport {
  stage: string;
  results: TestResult[];
  files: FileTime[];
  durationMs: number;
}

/** ASCII record separator: begins a result line, so that whatever tests print cannot be taken for one. */
const MARK = '\u001e';
/** ASCII group separator: begins the time of a file. */
const FILE_MARK = '\u001d';

export const formatResult = (result: TestResult): string => `${MARK}${JSON.stringify(result)}\n`;
export const formatFileTime = (time: FileTime): string => `${FILE_MARK}${JSON.stringify(time)}\n`;

/** Null for a line that is ordinary output. */
export const parseResult = (line: string): TestResult | null => parse<TestResult>(MARK, line);
export const parseFileTime = (line: string): FileTime | null => parse<FileTime>(FILE_MARK, line);

function parse<T>(mark: string, line: string): T | null {
  const at = line.indexOf(mark);
  if (at < 0) return null;
  try {
    return JSON.parse(line.slice(at + 1)) as T;
  } catch {
    // A test that prints the mark itself.
    return null;
  }
}

/** The files that took longest, the slowest first. */
export function slowest(reports: readonly StageReport[], howMany: number): FileTime[] {
  return reports
    .flatMap(({ files }) => files)
    .sort((a, b) => b.durationMs - a.durationMs)
    .slice(0, howMany);
}

/** A skip that the committed list expects: in a stage, with a test name or reason that contains a text. */
export interface AllowedSkip {
  stage: string;
  contains: string;
  reason: string;
}

/**
 * On a CI machine nothing may go missing unnoticed: a skip that is not on the list becomes a failure.
 */
export function refuseUnexpectedSkips(reports: readonly StageReport[], allowed: readonly AllowedSkip[]): StageReport[] {
  return reports.map((report) => ({
    ...report,
    results: report.results.map((result) => {
      const text = `${result.name.join(' > ')} ${result.detail ?? ''}`;
      const expected = allowed.some(({ stage, contains }) => stage === report.stage && text.includes(contains));
      if (result.status !== 'skipped' || expected) return result;
      return {
        ...result,
        status: 'failed',
        detail: `skipped, and not on scripts/allowed-skips.json: ${result.detail ?? 'no reason given'}`,
      };
    }),
  }));
}

export function count(reports: readonly Pick<StageReport, 'results'>[]): Record<TestResult['status'], number> {
  const counts = { passed: 0, failed: 0, skipped: 0, unsteady: 0 };
  for (const { results } of reports) for (const { status } of results) counts[status] += 1;
  return counts;
}

/** The closing line, which other programs read. */
export function closingLine(reports: readonly Pick<StageReport, 'results'>[]): string {
  const { passed, failed, skipped, unsteady } = count(reports);
  return `${passed} passed, ${failed} failed, ${skipped} skipped${unsteady > 0 ? `, ${unsteady} unsteady` : ''}`;
}
