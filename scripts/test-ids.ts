import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { idsIn, type PromisedId, resultsOf } from './testing/ids.ts';
import type { TestResult } from './testing/results.ts';
import { endAll, runReporting } from './testing/run-stage.ts';
import { setUp } from './testing/setup.ts';
import { listStages } from './testing/stages.ts';

/**
 * `npm run test:ids -- A`: runs the tests whose names begin with an id of that letter, and prints each id of
 * scripts/test-ids.json with what came of it. It fails for one that fails and for one that no test has. `--long` runs the
 * long forms.
 */

const root = join(import.meta.dirname, '..');
const outputFolder = join(root, 'test-results');
const args = process.argv.slice(2);
const long = args.includes('--long');
const prefixes = args.filter((arg) => !arg.startsWith('--'));

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const table = JSON.parse(readFileSync(join(root, 'scripts/test-ids.json'), 'utf8')) as PromisedId[];
const isWanted = (id: string): boolean =>
  prefixes.length === 0 || prefixes.some((prefix) => id.startsWith(`${prefix}-`));
const promised = table.filter(({ id }) => isWanted(id));
if (promised.length === 0) {
  process.stderr.write(`no id begins like that. npm run test:ids -- A\n`);
  process.exit(64);
}

const hasWanted = (file: string): boolean => idsIn(readFileSync(join(root, file), 'utf8')).some(isWanted);
const stages = listStages(root, { long })
  .map((stage) => ({
    ...stage,
    steps: stage.steps
      .map((step) => ({ ...step, files: step.files.filter(hasWanted) }))
      .filter(
        ({ files }, at) => files.length > 0 || (stage.steps[at]?.check === null && stage.steps[at].files.length === 0),
      ),
  }))
  .filter(({ steps }) => steps.some(({ files }) => files.length > 0));

mkdirSync(outputFolder, { recursive: true });
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    endAll(signal);
    process.exit(130);
  });
}
setUp(
  stages.map(({ name }) => name),
  long,
);
const results: TestResult[] = [];
let problems = 0;
for (const stage of stages) {
  for (const step of stage.steps) {
    const { problem, tail } = await runReporting({
      command: step.command,
      args: [...step.args, ...step.files],
      cwd: root,
      env: { ...process.env, ...step.env, ...(long ? { IDENTREE_LONG: '1' } : {}), FORCE_COLOR: '0', NO_COLOR: '1' },
      logFile: join(outputFolder, 'ids.log'),
      limitMs: stage.limitSeconds * 1000,
      onResult: (result) => results.push(result),
    });
    if (problem === null) continue;
    problems += 1;
    print(`${stage.name}: ${problem}\n${tail}`);
  }
}

const { ids, unknown } = resultsOf(promised, results);
for (const { id, status, text, detail } of ids)
  print(`${id}  ${status.padEnd(7)}  ${text}${detail ? `  (${detail})` : ''}`);
for (const id of unknown.filter(isWanted)) print(`${id}  stands in a test and not in scripts/test-ids.json`);
const count = (status: string): number => ids.filter((one) => one.status === status).length;
const missing = count('no test');
print(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped, ${missing} without a test`);
process.exitCode = problems + count('failed') + missing + unknown.filter(isWanted).length > 0 ? 1 : 0;
