import type { Finding } from '../server/src/testing/journal.ts';

/** What is the same each time a fault is brought about: a sentence each, in the words that were told. */
export interface Facts {
  /** Whether requests were decided. */
  decisions: string;
  /** What the directory answered to hosts. */
  ldap: string;
  /** What people saw who opened a page. */
  console: string;
  /** What hosts were told whose people waited for an answer. */
  hosts: string;
  /** What `/healthz` said. */
  health: string;
  /** How long it took at most, after the fault was over, until all went on. */
  recovery: string;
}

/** What came of it. */
export interface Outcome {
  facts: Facts;
  /** How the database differs from what clients were told. */
  findings: readonly Finding[];
  /** How many times clients were told something. */
  told: number;
  times: readonly Timed[];
}

/** How long something took at most, and what is promised of it; milliseconds and seconds. */
export interface Timed {
  what: string;
  ms: number;
  promisedSeconds: number;
}

/** Where a fault is brought about. */
export interface Scope {
  /** Registers what ends or removes something, whatever comes of it. */
  after(end: () => unknown): void;
  /** Fewer rounds of shorter faults. The facts are the same. */
  short: boolean;
}

/**
 * Something that goes wrong around a server under load. A file of its own with the name of the fault, in a folder of
 * `faults/`. `npm test` brings it about in its short form, `npm run test:long` in its long one.
 */
export interface Fault {
  /** For people: what goes wrong. */
  title: string;
  /** Why it cannot be brought about on this machine; null when it can. */
  missing(): string | null;
  /** @throws when something did not do what it promises, beyond what facts say */
  run(scope: Scope): Promise<Outcome>;
}

/** A promise of a time, as facts have it. Whether it was kept is seen in the times: those of a busy machine are no fact. */
export const within = (promisedSeconds: number): string => `≤ ${promisedSeconds} s`;

/** Keeps the longest that each thing took. */
export function keepTimes() {
  const times = new Map<string, Timed>();
  return {
    note(what: string, promisedSeconds: number, ms: number): void {
      times.set(what, { what, promisedSeconds, ms: Math.max(ms, times.get(what)?.ms ?? 0) });
    },
    all: (): readonly Timed[] => [...times.values()],
  };
}

/** What took longer than is promised of it, a sentence each. */
export const late = (times: readonly Timed[]): string[] =>
  times
    .filter(({ ms, promisedSeconds }) => ms > promisedSeconds * 1000)
    .map(
      ({ what, ms, promisedSeconds }) => `${what}: ${(ms / 1000).toFixed(1)} s instead of ${within(promisedSeconds)}`,
    );

/** How facts differ from those that are expected, a sentence each. */
export const disagreements = (expected: Facts, seen: Facts): string[] =>
  (Object.keys(expected) as (keyof Facts)[])
    .filter((key) => seen[key] !== expected[key])
    .map((key) => `${key}: expected “${expected[key]}”, was “${seen[key]}”`);
