/** How one leaf test ended. Every runner's reporter writes these, one JSON text per line. */
export interface TestResult {
  /** Suite names and test name, outermost first. */
  name: string[];
  file: string | null;
  status: 'passed' | 'failed' | 'skipped';
  durationMs: number;
  /** Failure: the error with its stack. Skip: the reason. */
  detail: string | null;
}

export interface StageReport {
  stage: string;
  results: TestResult[];
  durationMs: number;
}

/** ASCII record separator: begins a result line, so that whatever tests print cannot be taken for one. */
const MARK = '\u001e';

export const formatResult = (result: TestResult): string => `${MARK}${JSON.stringify(result)}\n`;

/** Null for a line that is ordinary output. */
export function parseResult(line: string): TestResult | null {
  const at = line.indexOf(MARK);
  if (at < 0) return null;
  try {
    return JSON.parse(line.slice(at + 1)) as TestResult;
  } catch {
    // A test that prints the mark itself.
    return null;
  }
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

export function count(reports: readonly StageReport[]): Record<TestResult['status'], number> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { results } of reports) for (const { status } of results) counts[status] += 1;
  return counts;
}

/** The closing line, which other programs read. */
export function closingLine(reports: readonly StageReport[]): string {
  const { passed, failed, skipped } = count(reports);
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
