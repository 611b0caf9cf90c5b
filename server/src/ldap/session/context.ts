import { createOutput } from '../ber/writer.ts';
import { createBindThrottle, type EarlierProofs } from './bind-throttle.ts';
import type { CredentialChecker } from './credentials.ts';
import { ratesOf } from './pace.ts';
import { createScheduler } from './scheduler.ts';
import type { Context, SessionEvent } from './session.ts';
import type { Settings } from './settings.ts';
import { createSpecialEntries } from './special-entries.ts';
import { createStats } from './stats.ts';

export interface ContextDeps {
  settings: Settings;
  checker: CredentialChecker;
  report(event: SessionEvent): void;
  /** Which names have proved something before. */
  proofs?: EarlierProofs;
  randomBytes(length: number): Uint8Array;
  /** Milliseconds that only ever grow, with fractions. */
  now(): number;
  /** Runs work after what is going on now. */
  defer?: (work: () => void) => void;
  /** Does work in so many milliseconds. */
  after?: (milliseconds: number, work: () => void) => void;
}

export function createContext(deps: ContextDeps): Context {
  return {
    settings: deps.settings,
    rates: ratesOf(deps.settings.limits),
    checker: deps.checker,
    throttle: createBindThrottle(deps.settings.limits, deps.proofs),
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
    after: deps.after ?? ((milliseconds, work) => void setTimeout(work, milliseconds).unref()),
    randomBytes: deps.randomBytes,
    report: deps.report,
  };
}
