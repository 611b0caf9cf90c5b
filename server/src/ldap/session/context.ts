import type { Output } from '../ber/writer.ts';
import type { Engine } from '../engine/engine.ts';
import type { BindThrottle } from './bind-throttle.ts';
import type { CredentialChecker, Identity } from './credentials.ts';
import type { Scheduler } from './scheduler.ts';
import type { Settings } from './settings.ts';
import type { SpecialEntries } from './special-entries.ts';
import type { Stats } from './stats.ts';

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
  /** A certificate is configured. */
  tlsAvailable: boolean;
  /** Milliseconds that only ever grow, with fractions. */
  now(): number;
  randomBytes(length: number): Uint8Array;
  report(event: SessionEvent): void;
}

/** What is worth a line in the log. */
export type SessionEvent =
  | { kind: 'bind'; address: string; dn: string; outcome: 'accepted' | 'refused' | 'withheld'; secure: boolean }
  | { kind: 'size-limit'; address: string; identity: string | null }
  | { kind: 'disconnected'; address: string; reason: string }
  | { kind: 'identity-withdrawn'; address: string; identity: Identity }
  | { kind: 'bug'; message: string };
