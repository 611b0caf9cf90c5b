import { once } from 'node:events';
import { type Database, openDatabase } from '../../db/database.ts';
import { createLeases } from '../../db/leases.ts';
import { createEventLog } from '../../events/log.ts';
import { createEventReaders } from '../../events/readers.ts';
import { systemClock } from '../../platform/clock.ts';
import { createDelivery } from '../delivery.ts';
import type { AuditSink } from '../sink.ts';
import { createJsonLines } from '../sinks/json-lines.ts';
import { readerOf } from '../status.ts';

/** What a process is told to be, as JSON in its first argument. */
export interface SinkChild {
  name: string;
  driver: Database['driver'];
  dsn: string;
  /** Where events go. */
  path: string;
  lifeMs: number;
  /** Before it delivers this event it says that it holds it, and waits to be told to go on; then it says what came of it. */
  holdAt?: number;
}

/** A server of which only a file for events is left, that waits to be killed. */
const { name, driver, dsn, path, lifeMs, holdAt = 0 } = JSON.parse(process.argv[2]!) as SinkChild;
const db = await openDatabase({ driver, dsn, maxConnections: 4 });
const clock = systemClock;
const events = await createEventLog({ db, clock, onError: () => {} });
const leases = createLeases({ db, clock, holder: `${name} ${process.pid}`, lifeMs });
const file = createJsonLines({ path, maxSize: 200_000, maxFiles: 1000, now: () => performance.now() });
const sink: AuditSink = {
  ...file,
  async deliver(records, turn) {
    if (!records.some(({ event }) => event.seq === holdAt)) return file.deliver(records, turn);
    process.stdout.write('holds it\n');
    await once(process.stdin, 'data');
    try {
      const refused = await file.deliver(records, turn);
      process.stdout.write('delivered it\n');
      return refused;
    } catch (error) {
      process.stdout.write(`gave it up: ${String(error)}\n`);
      throw error;
    }
  },
};
createEventReaders({ db, events, leases, clock, log: { error: () => {} } }).consume(
  readerOf(sink.name),
  createDelivery({ sink, db, events, clock, bufferSize: 4096, counted: () => {} }),
);
// Its timers and its reader do not keep it alive.
setInterval(() => {}, 60_000);
