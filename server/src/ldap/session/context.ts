import { createOutput, type Output } from '../ber/writer.ts';
import type { Engine } from '../engine/engine.ts';
import { type BindThrottle, createBindThrottle } from './bind-throttle.ts';
import type { CredentialChecker, Identity } from './credentials.ts';
import { createScheduler, type Scheduler } from './scheduler.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import { createSpecialEntries, type SpecialEntries } from './special-entries.ts';
import { createStats, type Stats } from './stats.ts';

/** What all sessions of a server share. */
export interface Context {
  settings: Settings;
  checker: CredentialChecker;
  throttle: BindThrottle;
  special: SpecialEntries;
  scheduler: Scheduler;
  stats: Stats;
  /** Where answers are collected during one event of one session; empty in between. */
  output: Output;
  /** Null until the first snapshot has arrived. */
  engine: Engine | null;
  /** Of the snapshots before the engine's that somebody may still be reading, oldest first. */
  generations: number[];
  /** Everybody who is connected. */
  sessions: Set<Session>;
  /** Octets kept for all of them. */
  held: number;
  clearText: Set<string>;
  /** A certificate is configured. */
  tlsAvailable: boolean;
  /** Milliseconds that only ever grow, with fractions. */
  now(): number;
  randomBytes(length: number): Uint8Array;
  report(event: SessionEvent): void;
}

/** What is worth a line in the log. */
export type SessionEvent =
  /** `withheld`: there were too many wrong passwords to look at this one. */
  | { kind: 'bind'; address: string; dn: string; outcome: 'refused' | 'withheld' }
  /** A good password that anybody on the way could read. */
  | { kind: 'clear-text-password'; address: string; dn: string }
  | { kind: 'size-limit'; address: string; identity: string | null }
  | { kind: 'disconnected'; address: string; reason: string }
  | { kind: 'identity-withdrawn'; address: string; identity: Identity }
  | { kind: 'bug'; message: string };

export interface ContextDeps {
  settings: Settings;
  checker: CredentialChecker;
  report(event: SessionEvent): void;
  randomBytes(length: number): Uint8Array;
  /** Milliseconds that only ever grow, with fractions. */
  now(): number;
  /** Runs work after what is going on now. */
  defer?: (work: () => void) => void;
}

export function createContext(deps: ContextDeps): Context {
  return {
    settings: deps.settings,
    checker: deps.checker,
    throttle: createBindThrottle(deps.settings.limits),
    special: createSpecialEntries(),
    scheduler: createScheduler(deps.now, deps.defer),
    stats: createStats(),
    output: createOutput(),
    engine: null,
    generations: [],
    sessions: new Set(),
    held: 0,
    clearText: new Set(),
    tlsAvailable: false,
    now: deps.now,
    randomBytes: deps.randomBytes,
    report: deps.report,
  };
}
