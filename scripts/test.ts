import { randomInt } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { inOwnNetwork } from './testing/own-network.ts';
import {
  type AllowedSkip,
  closingLine,
  count,
  type FileTime,
  formatResult,
  refuseUnexpectedSkips,
  type StageReport,
  slowest,
  type TestResult,
} from './testing/results.ts';
import { endAll, type Run, runReporting } from './testing/run-stage.ts';
import { settle, worthASecondTry } from './testing/second-try.ts';
import { isThere, setUp } from './testing/setup.ts';
import { sideBySide } from './testing/side-by-side.ts';
import { listStages, pickStages, type Stage, type Step } from './testing/stages.ts';

/**
 * `npm test`: everything, or the stages or test files that are named. The last line is `N passed, N failed, N skipped`;
 * whole outputs are in test-results/.
 */

const root = join(import.meta.dirname, '..');
const outputFolder = join(root, 'test-results');
/** Filled as results come: who interrupts a run of half an hour wants to know what failed until then. */
const resultsFile = join(outputFolder, 'results.jsonl');
const asLine = (result: TestResult): string => formatResult(result).replaceAll('\u001e', '');
/** Hundreds of processes load the same modules: the first one compiles them. */
const compiledFolder = join(root, '.cache/compiled');
const args = process.argv.slice(2);
const long = args.includes('--long');
/** A test that fails by chance is a fault as any other, but none of what it happened to run beside. */
const secondTry = args.includes('--second-try');
/** What is no option is a stage or a file, and refused when it is neither: a slip is not a run of everything. */
const words = args.filter((arg) => !['--long', '--second-try'].includes(arg));
/** Many tests mostly wait, for hosts that boot and for people who do nothing: two stages keep two processors busy. */
const STAGES_AT_A_TIME = 2;
/** The whole run ends by then, whatever hangs. */
const deadline = Date.now() + (long ? 9 * 3600 : 60 * 60) * 1000;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

function chosenStages(): Stage[] {
  const all = listStages(root, { long });
  // npm goes to the root first, and leaves a word of where it was called.
  const picked = pickStages(all, words, { root, folder: process.env.INIT_CWD ?? process.cwd() });
  if (picked.ok) return picked.stages;
  const names = all.map(({ name }) => name).join(', ');
  process.stderr.write(`"${picked.unknown}" is no stage and no test file. Stages: ${names}\n`);
  process.exit(64);
}

async function runStep(
  stage: Stage,
  step: Step,
  { onResult, onFile }: Pick<Required<Run>, 'onResult' | 'onFile'>,
): Promise<void> {
  const started = Date.now();
  let reported = 0;
  let failed = 0;
  const line = [step.command, ...step.args, ...step.files];
  const [command = '', ...args] = step.ownNetwork ? inOwnNetwork(line) : line;
  const outcome = await runReporting({
    command,
    args,
    cwd: root,
    env: {
      NODE_COMPILE_CACHE: compiledFolder,
      ...process.env,
      ...step.env,
      ...(long ? { IDENTREE_LONG: '1' } : {}),
      FORCE_COLOR: '0',
      NO_COLOR: '1',
    },
    logFile: join(outputFolder, `${stage.name}.log`),
    limitMs: Math.max(1000, Math.min(stage.limitSeconds * 1000, deadline - Date.now())),
    onResult: (result) => {
      reported += 1;
      if (result.status === 'failed') failed += 1;
      onResult(result);
    },
    onFile,
  });
  const durationMs = Date.now() - started;
  const name = [step.check ?? stage.name];
  const base = { name, file: null, durationMs };
  if (outcome.problem !== null) onResult({ ...base, status: 'failed', detail: `${outcome.problem}\n${outcome.tail}` });
  else if (step.check !== null) {
    onResult({
      ...base,
      status: outcome.code === 0 ? 'passed' : 'failed',
      detail: outcome.code === 0 ? null : outcome.tail,
    });
  } else if (reported === 0)
    onResult({ ...base, status: 'failed', detail: `no test reported anything\n${outcome.tail}` });
  else if (outcome.code !== 0 && failed === 0) {
    onResult({
      ...base,
      status: 'failed',
      detail: `exit code ${outcome.code} although no test failed\n${outcome.tail}`,
    });
  }
}

let building: Promise<unknown> = Promise.resolve();
/** Two stages that need the same thing do not build it into each other: the second one finds it there. */
function runBuild(...step: Parameters<typeof runStep>): Promise<void> {
  const built = building.then(() => runStep(...step));
  building = built;
  return built;
}

async function runStage(stage: Stage): Promise<StageReport> {
  const started = Date.now();
  const results: TestResult[] = [];
  const files: FileTime[] = [];
  const report = (): StageReport => ({ stage: stage.name, results, files, durationMs: Date.now() - started });
  const missing = stage.needs.filter((program) => !isThere(program));
  const single = (status: TestResult['status'], detail: string): StageReport => {
    results.push({ name: [stage.name], file: null, status, durationMs: 0, detail });
    return report();
  };
  if (missing.length > 0) return single('skipped', `this machine has no ${missing.join(', ')}`);
  if (stage.steps.length === 0) return single('failed', 'there are no tests');
  if (Date.now() >= deadline) return single('failed', 'no time was left to run it');
  const ticker = setInterval(
    () => print(`  ${stage.name}: ${closingLine([report()])} so far, ${seconds(Date.now() - started)}`),
    30_000,
  );
  for (const step of stage.steps) {
    await (step.check === null ? runStep : runBuild)(stage, step, {
      onResult: (result) => {
        results.push(result);
        appendFileSync(resultsFile, asLine(result));
        if (result.status === 'failed') print(`  failed: ${result.name.join(' > ')}`);
      },
      onFile: (time) => files.push(time),
    });
  }
  clearInterval(ticker);
  return report();
}

function printDetails(reports: readonly StageReport[]): void {
  const ended = (status: TestResult['status']) =>
    reports.flatMap(({ stage, results }) =>
      results.filter((result) => result.status === status).map((result) => ({ stage, ...result })),
    );
  for (const [index, { stage, status, name, file, detail }] of [...ended('failed'), ...ended('unsteady')].entries()) {
    const word = status === 'unsteady' ? ' UNSTEADY, passed when it ran once more:' : '';
    print(`\n${index + 1})${word} [${stage}] ${name.join(' > ')}${file ? `\n   ${file.replace(`${root}/`, '')}` : ''}`);
    const lines = (detail ?? '').trimEnd().split('\n');
    for (const line of lines.slice(0, 80)) print(`   ${line}`);
    if (lines.length > 80) print(`   … ${lines.length - 80} more lines; see test-results/results.jsonl`);
  }
  const skips = new Map<string, number>();
  for (const { stage, name, detail } of ended('skipped')) {
    const line = `[${stage}] ${detail ?? name.join(' > ')}`;
    skips.set(line, (skips.get(line) ?? 0) + 1);
  }
  if (skips.size > 0) print('\nSkipped:');
  for (const [line, times] of skips) print(`  ${times > 1 ? `${times} × ` : ''}${line}`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    endAll('SIGKILL');
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

// Which half of what is brought about by halves: the second try of a file takes the same.
process.env.IDENTREE_SAMPLE ??= String(randomInt(1000));
const stages = chosenStages();
rmSync(outputFolder, { recursive: true, force: true });
mkdirSync(outputFolder, { recursive: true });
// Node never removes what it compiled of files that have changed since.
if (words.length === 0) rmSync(compiledFolder, { recursive: true, force: true });
const started = Date.now();
setUp(
  stages.map(({ name }) => name),
  long,
);
const runAll = (chosen: Stage[], most: number): Promise<StageReport[]> =>
  sideBySide(chosen, most, async (stage) => {
    print(`${stage.name} …`);
    const report = await runStage(stage);
    print(`${stage.name}: ${closingLine([report])} (${seconds(report.durationMs)})`);
    return report;
  });
let reports = await runAll(stages, long ? 1 : STAGES_AT_A_TIME);
if (process.env.CI === 'true') {
  const allowed = JSON.parse(readFileSync(join(root, 'scripts/allowed-skips.json'), 'utf8')) as AllowedSkip[];
  reports = refuseUnexpectedSkips(reports, allowed);
}
const again = secondTry ? worthASecondTry(reports, root) : [];
if (again.length > 0) {
  print(`once more: ${again.join(', ')}`);
  const picked = pickStages(listStages(root, { long }), again, { root, folder: root });
  if (picked.ok) reports = settle(reports, await runAll(picked.stages, 1));
}
writeFileSync(resultsFile, reports.flatMap(({ results }) => results.map(asLine)).join(''));
printDetails(reports);
const slow = slowest(reports, 10);
if (words.length === 0 && !long) print(`\nSampled with IDENTREE_SAMPLE=${process.env.IDENTREE_SAMPLE}`);
if (slow.length > 0) print('\nSlowest files:');
for (const { file, durationMs } of slow) print(`  ${seconds(durationMs).padStart(8)}  ${relative(root, file)}`);
print(`\n${seconds(Date.now() - started)}`);
print(closingLine(reports));
process.exitCode = count(reports).failed > 0 ? 1 : 0;
