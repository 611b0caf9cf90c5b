import { parseArgs } from 'node:util';
import { expectedFacts, writeExpected } from './expected.ts';
import { disagreements, late, type Outcome } from './fault.ts';
import { listFaults } from './list-faults.ts';
import { runFault } from './run-fault.ts';
import { printTable, type Result } from './table.ts';

/**
 * `npm run chaos`: brings about what goes wrong around servers under load, one thing after the other, and holds what
 * everybody was told against the database and against docs/outage-matrix.md.
 */

const USAGE = `npm run chaos -- [--only NAME]… [--short] [--json] [--accept]
  --only NAME  one fault, by its name; may be said again
  --short      fewer rounds of shorter faults
  --json       the result for programs on standard output; progress is on standard error
  --accept     what was seen is what is expected from now on, if nothing was lost
`;

const note = (line: string): void => void process.stderr.write(`${line}\n`);

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true },
        short: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        accept: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    note(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(64);
  }
}

const { only, short, json, accept, help } = readArguments();
if (help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const all = await listFaults();
const unknown = (only ?? []).filter((name) => !all.some((fault) => fault.name === name));
if (unknown.length > 0) {
  note(`There is no fault ${unknown.join(', ')}. Faults: ${all.map(({ name }) => name).join(', ')}`);
  process.exit(64);
}
const chosen = all.filter(({ name }) => only === undefined || only.includes(name));
const expected = expectedFacts();

const results: Result[] = [];
for (const [i, fault] of chosen.entries()) {
  const { name, title } = fault;
  const missing = fault.missing();
  if (missing !== null) {
    note(`${i + 1}/${chosen.length} ${name}: not here: ${missing}`);
    results.push({ name, title, skipped: missing, problems: [], outcome: null, seconds: 0 });
    continue;
  }
  note(`${i + 1}/${chosen.length} ${name}: ${title} …`);
  const began = performance.now();
  let outcome: Outcome | null = null;
  const problems: string[] = [];
  try {
    outcome = await runFault(fault, { short });
    problems.push(...outcome.findings.map(({ kind, text }) => `${kind}: ${text}`), ...late(outcome.times));
    const known = expected[name]?.facts;
    if (!accept && known === undefined) problems.push('nothing is expected of it yet: npm run chaos -- --accept');
    if (!accept && known) problems.push(...disagreements(known, outcome.facts));
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  results.push({ name, title, skipped: null, problems, outcome, seconds });
  note(`  ${problems.length === 0 ? 'as expected' : `${problems.length} problems`} after ${seconds} s`);
  for (const problem of problems.slice(0, 20)) note(`  ${problem}`);
}

if (accept) writeExpected(results);
if (json) process.stdout.write(`${JSON.stringify({ short, results }, null, 2)}\n`);
else printTable(results);
process.exitCode = results.some(({ problems }) => problems.length > 0) ? 1 : 0;
