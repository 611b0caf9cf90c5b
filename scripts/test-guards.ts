import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { collectGuards, type Guard, whyStale } from './testing/guards.ts';
import { closingLine, count, type TestResult } from './testing/results.ts';
import { endAll, runReporting } from './testing/run-stage.ts';
import { setUp } from './testing/setup.ts';
import { listStages, pickStages } from './testing/stages.ts';

/**
 * `npm run test:guards`: takes each guard of the `guards.json` files away in turn, in a copy of the project, and expects its tests to
 * go red. A guard whose absence nobody notices protects nothing for long. Arguments pick guards whose name holds them.
 */

const root = join(import.meta.dirname, '..');
const words = process.argv.slice(2);
const guards = collectGuards(root).filter(
  ({ name, file }) => words.length === 0 || words.some((word) => name.includes(word) || file.includes(word)),
);

/** Some guards are missed by hosts that boot, and the whole list names most tests there are. */
const GUARD_LIMIT_MS = 15 * 60_000;
const BASELINE_LIMIT_MS = 2 * 3600_000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/**
 * Tracked files and new ones, without what is ignored. Dependencies are shared; what is built is not, because a test may
 * build it anew from sources that a guard was taken out of.
 */
function copyProject(): string {
  const copy = mkdtempSync(join(tmpdir(), 'identree-guards-'));
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of listed.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    copyFileSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  if (existsSync(join(root, 'dist')))
    cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true, preserveTimestamps: true });
  return copy;
}

/** Runs test files in the copy. `failed` lists the leaf tests that failed; `problem` is a run that did not work at all. */
async function runTests(
  copy: string,
  tests: readonly string[],
  { untilRed, limitMs }: { untilRed: boolean; limitMs: number },
): Promise<{ failed: string[]; passed: number; problem: string | null }> {
  const results: TestResult[] = [];
  const enough = new AbortController();
  const reporter = join(root, 'scripts/testing/node-reporter.ts');
  const flags = [
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-timeout=600000',
    `--test-reporter=${reporter}`,
  ];
  const outcome = await runReporting({
    command: process.execPath,
    args: [...flags, ...tests],
    cwd: copy,
    env: { ...process.env, NO_COLOR: '1' },
    logFile: join(copy, 'guards.log'),
    limitMs,
    enough: enough.signal,
    onResult: (result) => {
      results.push(result);
      const has = (wanted: TestResult['status']) => results.some(({ status }) => status === wanted);
      if (untilRed && has('failed') && has('passed')) enough.abort();
    },
  });
  const failed = results.filter(({ status }) => status === 'failed').map(({ name }) => name.join(' > '));
  const passed = results.filter(({ status }) => status === 'passed').length;
  return {
    failed,
    passed,
    problem: results.length === 0 ? (outcome.problem ?? `nothing ran\n${outcome.tail}`) : outcome.problem,
  };
}

/** Null when the tests notice that the guard is gone; else what is wrong. */
async function check(copy: string, guard: Guard): Promise<string | null> {
  const stale = whyStale(copy, guard);
  if (stale !== null) return stale;
  const { file, find, replace, tests } = guard;
  const path = join(copy, file);
  const source = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    source.replace(find, () => replace),
  );
  try {
    const { failed, passed, problem } = await runTests(copy, tests, { untilRed: true, limitMs: GUARD_LIMIT_MS });
    if (problem !== null) return problem;
    if (failed.length === 0)
      return passed > 0
        ? 'every test passes without it'
        : 'its tests were skipped here: `npm test` says what is missing';
    // A file that no longer loads says nothing about the guard.
    return passed > 0 ? null : `nothing passes without it, so it is not the guard that is missed: ${failed[0]}`;
  } finally {
    writeFileSync(path, source);
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    endAll('SIGKILL');
    process.exit(130);
  });
}

if (guards.length === 0) {
  process.stderr.write(`No name or file of a guard holds ${words.map((word) => `"${word}"`).join(' or ')}.\n`);
  process.exit(64);
}

/** What the tests of the guards need: a test that is skipped misses nothing. */
const picked = pickStages(
  listStages(root, { long: false }),
  guards.flatMap(({ tests }) => tests),
  { root, folder: root },
);
if (picked.ok)
  setUp(
    picked.stages.map(({ name }) => name),
    false,
  );

/** Most of a red run is waiting, so several guards are missing at a time, each in a copy of its own. */
const WORKERS = 3;
const copies = Array.from({ length: Math.min(WORKERS, guards.length) }, copyProject);
process.on('exit', () => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true });
});

const results: TestResult[] = [];
function note(name: string, problem: string | null, started: number): void {
  const durationMs = Date.now() - started;
  const status = problem === null ? 'passed' : 'failed';
  results.push({ name: [name], file: null, status, durationMs, detail: problem });
  print(`${problem === null ? 'ok' : 'FAILED'}: ${name} (${(durationMs / 1000).toFixed(1)} s)`);
  if (problem !== null) print(`  ${problem.replaceAll('\n', '\n  ')}`);
}

const started = Date.now();
const [first = ''] = copies;
const everyTest = [...new Set(guards.flatMap(({ tests }) => tests))].filter((path) => existsSync(join(first, path)));
const whole = await runTests(first, everyTest, { untilRed: false, limitMs: BASELINE_LIMIT_MS });
const red = whole.problem ?? (whole.failed.length > 0 ? `red: ${whole.failed.join('; ')}` : null);
note('with all guards in place the tests are green', red, started);

const queue = [...guards];
await Promise.all(
  copies.map(async (copy) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const begun = Date.now();
      note(next.name, await check(copy, next), begun);
    }
  }),
);
const reports = [{ stage: 'guards', results, durationMs: Date.now() - started }];
print(closingLine(reports));
process.exitCode = count(reports).failed > 0 ? 1 : 0;
