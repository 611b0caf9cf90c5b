import type {
  FullResult,
  TestResult as PlaywrightResult,
  Reporter,
  Suite,
  TestCase,
  TestError,
} from '@playwright/test/reporter';
import { formatFileTime, formatResult, type TestResult } from './results.ts';

/** A reporter for `playwright test`: one result per line, and the time of each file. */
export default class LineReporter implements Reporter {
  private suite: Suite | null = null;

  printsToStdio(): boolean {
    return true;
  }

  onBegin(_: unknown, suite: Suite): void {
    this.suite = suite;
  }

  onTestEnd(test: TestCase, result: PlaywrightResult): void {
    // A test that only passes when it is repeated hides a fault, so retries do not count.
    if (result.retry > 0) return;
    write(test, result);
  }

  onError(error: TestError): void {
    process.stdout.write(
      formatResult({ name: ['set-up'], file: null, status: 'failed', durationMs: 0, detail: errorText(error) }),
    );
  }

  onEnd(_: FullResult): void {
    const times = new Map<string, number>();
    for (const test of this.suite?.allTests() ?? []) {
      if (test.results.length === 0) write(test, null);
      const took = test.results.reduce((sum, { duration }) => sum + duration, 0);
      times.set(test.location.file, (times.get(test.location.file) ?? 0) + took);
    }
    for (const [file, durationMs] of times) process.stdout.write(formatFileTime({ file, durationMs }));
  }
}

function write(test: TestCase, result: PlaywrightResult | null): void {
  const name = test.titlePath().filter((title) => title !== '');
  const { file, line } = test.location;
  const base = { name, file: `${file}:${line}`, durationMs: result?.duration ?? 0 };
  process.stdout.write(formatResult({ ...base, ...ending(test, result) }));
}

function ending(test: TestCase, result: PlaywrightResult | null): Pick<TestResult, 'status' | 'detail'> {
  if (test.expectedStatus === 'skipped' || result?.status === 'skipped') {
    const note = test.annotations.find(({ type }) => type === 'skip' || type === 'fixme');
    // A test that is skipped because an earlier one failed is no skip that anybody asked for.
    if (!note) return { status: 'failed', detail: 'did not run because an earlier test failed' };
    return { status: 'skipped', detail: note.description ?? note.type };
  }
  if (result === null) return { status: 'failed', detail: 'did not run' };
  if (result.status === test.expectedStatus) return { status: 'passed', detail: null };
  return { status: 'failed', detail: result.errors.map(errorText).join('\n\n') || result.status };
}

function errorText(error: TestError): string {
  const text = error.stack ?? error.message ?? error.value ?? 'unknown error';
  const plain = error.snippet && !text.includes(error.snippet) ? `${text}\n${error.snippet}` : text;
  return plain.replace(/\u001b\[[0-9;]*m/g, '');
}
