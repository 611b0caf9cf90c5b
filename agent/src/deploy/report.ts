import type { Outcome } from './outcome.ts';
import type { Target } from './targets.ts';

/** Tells how it goes: sentences for a person, or a line of JSON for each thing that happens. */
export interface Report {
  began(target: Target): void;
  output(target: Target, line: string): void;
  ended(target: Target, outcome: Outcome): void;
  /** @param left hosts that were not begun */
  finished(outcomes: ReadonlyMap<Target, Outcome>, left: number): void;
}

const WORDS = {
  done: 'done',
  skipped: 'skipped: an earlier run did it',
  install: 'would be installed and enrolled',
  finish: 'is enrolled; the installer would run again and do what is missing',
} as const;

function wordsOf(outcome: Outcome): string {
  if (outcome.kind === 'failed') return `failed: ${outcome.message} [${outcome.reason}]`;
  return WORDS[outcome.kind === 'planned' ? outcome.would : outcome.kind];
}

const countOf = (outcomes: ReadonlyMap<Target, Outcome>) => {
  const count = { done: 0, skipped: 0, planned: 0, failed: 0 };
  for (const { kind } of outcomes.values()) count[kind] += 1;
  return count;
};

/** @param out standard output */
export function createReport(out: { write(text: string): unknown }, json: boolean): Report {
  if (json) {
    const say = (event: string, facts: object): void => void out.write(`${JSON.stringify({ event, ...facts })}\n`);
    return {
      began: ({ name, destination }) => say('began', { host: name, destination }),
      output: ({ name }, line) => say('output', { host: name, line }),
      ended: ({ name }, { kind, ...rest }) => say('ended', { host: name, outcome: kind, ...rest }),
      finished: (outcomes, left) => say('finished', { ...countOf(outcomes), left }),
    };
  }
  const say = (line: string): void => void out.write(`${line}\n`);
  return {
    began: ({ name, destination }) => say(`${name}: connecting${destination === name ? '' : ` to ${destination}`}`),
    output: ({ name }, line) => say(`${name} | ${line}`),
    ended: ({ name }, outcome) => say(`${name}: ${wordsOf(outcome)}`),
    finished(outcomes, left) {
      const counts = Object.entries({ ...countOf(outcomes), 'not begun': left }).filter(([, count]) => count > 0);
      say(`\n${counts.map(([kind, count]) => `${count} ${kind}`).join(', ')}.`);
      for (const [{ name }, outcome] of outcomes) if (outcome.kind === 'failed') say(`  ${name}: ${wordsOf(outcome)}`);
    },
  };
}
