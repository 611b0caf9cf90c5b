import type { Facts, Outcome } from './fault.ts';

/** What came of one fault. */
export interface Result {
  name: string;
  title: string;
  /** Why it was not brought about; null when it was. */
  skipped: string | null;
  /** What is wrong, a sentence each. */
  problems: readonly string[];
  /** Null when it came to no end. */
  outcome: Outcome | null;
  seconds: number;
}

const LINES: Record<keyof Facts, string> = {
  decisions: 'decisions',
  ldap: 'LDAP',
  console: 'console',
  hosts: 'hosts',
  health: 'health',
  recovery: 'recovery',
};

/** For people at a terminal: a paragraph for each fault, as sentences fit into no column. */
export function printTable(
  results: readonly Result[],
  print = (line: string) => void process.stdout.write(`${line}\n`),
) {
  for (const { name, title, skipped, problems, outcome, seconds } of results) {
    print(`\n${name}: ${title}`);
    if (skipped !== null) {
      print(`  not brought about: ${skipped}`);
      continue;
    }
    if (outcome !== null) {
      for (const [key, label] of Object.entries(LINES))
        print(`  ${label.padEnd(10)} ${outcome.facts[key as keyof Facts]}`);
      const count = (kind: string): number => outcome.findings.filter((finding) => finding.kind === kind).length;
      print(
        `  ${'checked'.padEnd(10)} ${outcome.told} answers: ${count('lost')} lost, ${count('doubled')} doubled, ${count('contradiction')} contradictions`,
      );
      print(
        `  ${'measured'.padEnd(10)} ${outcome.times.map(({ what, ms }) => `${what} after ${(ms / 1000).toFixed(1)} s; `).join('')}${seconds} s in all`,
      );
    }
    for (const problem of problems) print(`  WRONG      ${problem}`);
  }
  const wrong = results.filter(({ problems }) => problems.length > 0).length;
  const skips = results.filter(({ skipped }) => skipped !== null).length;
  print(`\n${results.length - wrong - skips} as expected, ${wrong} not, ${skips} not brought about`);
}
