import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { Counter } from 'prom-client';

/** A row that a store could not read, in place of what it would have become. What is not stored as JSON stays known. */
export interface UnreadableRow {
  readonly unreadable: true;
  readonly id: string;
  readonly cause: unknown;
}

/** The same in an answer: that something is there, and under which id the log says what is wrong with it. */
export interface Unreadable {
  readonly unreadable: true;
  readonly id: string;
  readonly errorId: string;
}

/** Where rows are found that cannot be read. */
export const READ_TABLES = [
  'challenges',
  'directory_holds',
  'events',
  'notify_preferences',
  'notify_routes',
  'people',
] as const;

/** How many rows are remembered as told. More are broken only when everything is; then the log may repeat itself. */
const REMEMBERED = 10_000;

export type UnreadableRows = ReturnType<typeof createUnreadableRows>;

/** One row that cannot be read takes nothing else with it: it is shown as such, logged and counted, once. */
export function createUnreadableRows(log: Pick<Logger, 'error'>) {
  const told = new Set<string>();
  const metric = new Counter({
    name: 'identree_unreadable_rows_total',
    help: 'Rows of the database that were found and cannot be read; each is counted once until a restart.',
    labelNames: ['table'],
    registers: [],
  });
  // So that the first one is an increase.
  for (const table of READ_TABLES) metric.inc({ table }, 0);
  return {
    metric,

    /** Logs and counts a row, unless that was done before, and says what is shown instead of it. */
    report(table: (typeof READ_TABLES)[number], { id, cause }: Pick<UnreadableRow, 'id' | 'cause'>): Unreadable {
      // The same for every replica and after every restart: what a person reads out is found in any of the logs.
      const errorId = createHash('sha256').update(`${table} ${id}`).digest('hex').slice(0, 12);
      if (!told.has(errorId)) {
        if (told.size >= REMEMBERED) told.clear();
        told.add(errorId);
        metric.inc({ table });
        log.error({ errorId, table, id, err: cause }, 'a row of the database cannot be read');
      }
      return { unreadable: true, id, errorId };
    },
  };
}
