import { expectedFacts } from './expected.ts';
import type { Facts } from './fault.ts';

const COLUMNS: Record<keyof Facts, string> = {
  decisions: 'Decisions',
  ldap: 'LDAP',
  console: 'Console',
  hosts: 'Hosts that wait',
  health: '`/healthz`',
  recovery: 'All goes on',
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** The lines of docs/outage-matrix.md after its title and notice. */
export function outageMatrix(): string[] {
  const keys = Object.keys(COLUMNS) as (keyof Facts)[];
  return [
    'What everybody is told while something around a server under load is amiss, and how long it takes afterwards until all',
    'goes on. `npm run chaos` brings these faults about, one after the other, and fails when anything else comes of one or',
    'takes longer; `npm test` does the same in a short form, and only says what took longer. While a fault lasts, hosts ask,',
    'are approved by policy, cancel and wait. What they were told stands in a journal of its own, which is held against the',
    'database afterwards: nothing that was told is lost, nothing is there twice, and nothing contradicts it or the event log.',
    '',
    '`npm run chaos -- --only NAME` brings one about, `-- --short` a shorter form, `-- --json` is for programs. It takes root,',
    'as small disks are mounted, and touches nothing but what it starts itself.',
    '',
    `| Fault | ${keys.map((key) => COLUMNS[key]).join(' | ')} |`,
    `|---|${keys.map(() => '---|').join('')}`,
    ...Object.entries(expectedFacts()).map(
      ([name, { title, facts }]) =>
        `| \`${name}\`: ${cell(title)} | ${keys.map((key) => cell(facts[key])).join(' | ')} |`,
    ),
  ];
}
