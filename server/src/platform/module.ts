import type { FastifyPluginAsync } from 'fastify';
import type { Logger } from 'pino';
import type { Metric } from 'prom-client';
import type { Config } from '../config/config.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from './clock.ts';
import type { ServerKeys } from './keys.ts';
import type { Random } from './random.ts';

/** What every module may build on. */
export interface Ground {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly keys: ServerKeys;
  readonly db: Database;
  readonly events: EventLog;
}

/**
 * What a module gives the app: the app mounts, joins, starts and stops it. Everything but the name is optional. Its tRPC
 * router and what other modules may use of it stand beside these, under names of the module's own.
 */
export interface Module {
  readonly name: string;
  /** Each in a scope of its own. Hooks and parsers that one adds do not reach the others. */
  readonly routes?: readonly FastifyPluginAsync[];
  readonly health?: readonly HealthCheck[];
  /** Made with `registers: []`; the app registers them. */
  readonly metrics?: readonly Metric[];
  readonly jobs?: readonly Job[];
  /** Begins what is not asked for over HTTP, after the modules before it. A failure ends the start of the server. */
  start?(): Promise<void>;
  /**
   * Lets go of those who wait and ends what `start` began, before the modules before it. Called once, also for a module
   * that was not started; requests that are under way end after this.
   */
  stop?(): Promise<void>;
}

/** One component of the health report: what it says when it is well and what a failure means. */
export interface HealthCheck {
  readonly name: string;
  /** Null when well, else the failure value of the operations guide. */
  run(): Promise<string | null>;
  /** `critical` answers 503, `degraded` 200. */
  readonly severity: 'critical' | 'degraded';
}

/** Work that comes again and again. It never overlaps with itself; a failure is logged, and the next turn comes anyway. */
export interface Job {
  readonly name: string;
  readonly everyMs: number;
  run(): Promise<unknown>;
}
