import type { AnyTRPCRouter } from '@trpc/server';
import type { FastifyPluginAsync } from 'fastify';
import type { Logger } from 'pino';
import type { Metric } from 'prom-client';
import type { LoggedEvent } from '#shared/events.ts';
import type { Config } from '../config/config.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from './clock.ts';
import type { ServerKeys } from './keys.ts';
import type { Random } from './random.ts';
import type { UnreadableRows } from './unreadable.ts';

/** What every module may build on. */
export interface Ground {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly keys: ServerKeys;
  readonly db: Database;
  readonly events: EventLog;
  /** What becomes of rows that cannot be read. */
  readonly unreadable: UnreadableRows;
}

/**
 * What a module gives the app: the app mounts, joins, starts and stops it. Everything but the name is optional. What other
 * modules may use of it stands beside these, under names of the module's own.
 */
export interface Module {
  readonly name: string;
  /**
   * Its tRPC routers, by the first part of their names. They stand once more in the record of procedures in `app.ts`, because
   * the console wants their types: the server does not start while one is missing there.
   */
  readonly procedures?: Readonly<Record<string, AnyTRPCRouter>>;
  /** Each in a scope of its own. Hooks and parsers that one adds do not reach the others. */
  readonly routes?: readonly FastifyPluginAsync[];
  readonly health?: readonly HealthCheck[];
  /** Made with `registers: []`; the app registers them. */
  readonly metrics?: readonly Metric[];
  readonly jobs?: readonly Job[];
  /** Readers of the event log, by a name that stays: their cursors are kept under it. */
  readonly readers?: Readonly<Record<string, EventReader>>;
  /** Begins what is not asked for over HTTP, after the modules before it. A failure ends the start of the server. */
  start?(): Promise<void>;
  /**
   * Lets go of those who wait, so that they go on at another server: this one stops, and answers for a little longer. May
   * be called before `stop` or not at all.
   */
  handOver?(): void;
  /**
   * Lets go of those who wait and ends what `start` began, before the modules before it. Called once, also for a module
   * that was not started; requests that are under way end after this.
   */
  stop?(): Promise<void>;
}

/** One component of the health report. It is made by `healthCheck`, which holds it to what it declares. */
export interface HealthCheck {
  readonly name: string;
  /** What is looked at, a sentence. */
  readonly about: string;
  /** What it may say when it is not well → what that means and what there is to do. `…` stands for what differs. */
  readonly values: Readonly<Record<string, string>>;
  /**
   * Its detail, and its values behind a colon, name what this installation is made of: those alone are told it who may read
   * the metrics. It is `true` where it is there.
   */
  readonly namesParts?: true;
  /** What stands in `details` where something is to be said beside the value. */
  readonly details?: string;
  /**
   * Null when well, else one of the values. `detail` is a sentence beside it, also beside null,
   * that everybody may read: /healthz asks nobody who they are. But see `namesParts`.
   */
  run(): Promise<string | { value: string | null; detail: string } | null>;
  /** `critical` answers 503, `degraded` 200. */
  readonly severity: 'critical' | 'degraded';
}

/**
 * Work that comes again and again, in one process of the cluster. It never overlaps with itself; a failure is logged, and
 * the next turn comes anyway.
 */
export interface Job {
  readonly name: string;
  readonly everyMs: number;
  run(): Promise<unknown>;
}

/** What a reader has to say about the events that it has dealt with. */
export interface Dealt {
  /** Written in the transaction that moves the cursor behind them: both or neither. */
  write?(work: UnitOfWork): Promise<void>;
  /** Happens in this process once that is durable: so that what is only counted here is counted once. */
  done?(): void;
}

/** Whose turn it is, for a reader that is at work. */
export interface ReaderTurn {
  /** Aborts when the server stops, or another process has taken over. */
  readonly signal: AbortSignal;
  /**
   * False once another process may have taken over. Asked before each thing that cannot be taken back: a process that was
   * stopped for a while and goes on has had no time to be told.
   */
  isSure(): boolean;
}

/** What was dealt with and may have been lost where it was taken to. */
export interface ComesAgain {
  /** Everything behind the event of this number. */
  readonly after: number;
  /** Called once the cursor is there; until then the answer stays the same. */
  noted(): void;
}

/** Sees every event at least once and in order, in one process of the cluster at a time, and goes on after a crash. */
export interface EventReader {
  /**
   * Deals with some events. When it resolves they count as dealt with; when it rejects they come again, after a pause.
   * A function is the `done` of {@link Dealt}.
   *
   * @param signal of the turn
   */
  handle(
    events: readonly LoggedEvent[],
    signal: AbortSignal,
    turn: ReaderTurn,
  ): Promise<Dealt | (() => void) | undefined>;
  /** Asked before each batch, and every second while there is none; null: nothing has to come again. */
  comesAgain?(): Promise<ComesAgain | null>;
  /** Called once it is over in this process: lets go of what is open. */
  close?(): Promise<void>;
  /** Where it begins when it is new: with the first event, or with the next one. `start` unless it says otherwise. */
  readonly from?: 'start' | 'now';
  /** While it keeps up, the least time between two batches, milliseconds: a cursor is written for each. 50 unless it says otherwise. */
  readonly everyMs?: number;
  /**
   * Whether it does no harm that it deals with events once more after a power cut, though what it wrote of them is gone: on
   * SQLite its cursor does not wait for the disk. What it has caused elsewhere meanwhile must be known again, by an id that
   * follows from the event.
   */
  readonly mayRepeat?: boolean;
  /** How many events it is given at a time, at most. */
  readonly batch?: number;
  /** How many events are read ahead for it, at most: that many are in memory while it is held up. As many as it is given. */
  readonly ahead?: number;
  /** Its health is told by the module that it belongs to. */
  readonly tellsItself?: boolean;
}
