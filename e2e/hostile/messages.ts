import type { Stats } from '../../server/src/ldap/session/stats.ts';

/** What the processes of the hostile test tell each other. */

export type ToServer = { kind: 'stats' };
export type FromServer =
  | { kind: 'ready'; port: number; tlsPort: number; ca: string }
  | { kind: 'bug'; message: string }
  | { kind: 'stats'; stats: Stats | null };

/** Latencies in milliseconds. */
export interface Latency {
  count: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** What a normal client saw since the last time it was asked. */
export interface Observation {
  ldap: Latency;
  /** The same over a process that does nothing but send back what it gets: what the machine alone takes. */
  control: Latency;
  /** Answers that were not the right one. */
  wrong: number;
  /** Why there are no more answers; null while all is well. */
  failure: string | null;
}

export type ToProbe = { kind: 'observe' };
export type FromProbe = { kind: 'ready' } | { kind: 'observation'; observation: Observation };

export interface Attack {
  name: string;
  seconds: number;
  seed: number;
  port: number;
  tlsPort: number;
  ca: string;
}
export type ToAttacker = { kind: 'attack'; attack: Attack };
/** Counters of an attack, by what they count. */
export type FromAttacker = { kind: 'done'; counts: Record<string, number> } | { kind: 'failed'; message: string };
