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
  /** The longest that it took until all went on, milliseconds. */
  recoveryMs: number;
}

/** Where a fault is brought about. */
export interface Scope {
  /** Registers what ends or removes something, whatever comes of it. */
  after(end: () => unknown): void;
  /** Fewer rounds of shorter faults, as `npm test` has them. The facts are the same. */
  short: boolean;
}

/** Something that goes wrong around a server under load. A file of its own in `faults/`, with the name of the fault. */
export interface Fault {
  /** For people: what goes wrong. */
  title: string;
  /** Why it cannot be brought about on this machine; null when it can. */
  missing(): string | null;
  /** @throws when something did not do what it promises, beyond what facts say */
  run(scope: Scope): Promise<Outcome>;
}

/** A time as what is promised of it, where the promise was kept. */
export const within = (ms: number, promisedSeconds: number): string =>
  ms <= promisedSeconds * 1000
    ? `≤ ${promisedSeconds} s`
    : `${(ms / 1000).toFixed(1)} s instead of ≤ ${promisedSeconds} s`;

/** How facts differ from those that are expected, a sentence each. */
export const disagreements = (expected: Facts, seen: Facts): string[] =>
  (Object.keys(expected) as (keyof Facts)[])
    .filter((key) => seen[key] !== expected[key])
    .map((key) => `${key}: expected “${expected[key]}”, was “${seen[key]}”`);
