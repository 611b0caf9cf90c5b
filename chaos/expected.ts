import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Facts } from './fault.ts';
import type { Result } from './table.ts';

const FILE = join(import.meta.dirname, 'expected.json');

/** What is expected of a fault. */
export interface Expected {
  title: string;
  facts: Facts;
}

/** What was seen when it was last accepted, by the name of the fault. */
export function expectedFacts(): Record<string, Expected> {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Expected>) : {};
}

/** Accepts what was seen of faults by which nothing was lost. */
export function writeExpected(results: readonly Result[]): void {
  const all = expectedFacts();
  for (const { name, title, outcome } of results)
    if (outcome !== null && outcome.findings.length === 0) all[name] = { title, facts: outcome.facts };
  const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(FILE, `${JSON.stringify(sorted, null, 2)}\n`);
}
