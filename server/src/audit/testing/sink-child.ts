import { once } from 'node:events';
import { type Database, openDatabase } from '../../db/database.ts';
import { createLeases } from '../../db/leases.ts';
import { createEventLog } from '../../events/log.ts';
import { createEventReaders } from '../../events/readers.ts';
import { systemClock } from '../../platform/clock.ts';
import { createDelivery } from '../delivery.ts';
import type { AuditSink } from '../sink.ts';
import { createJsonLines } from '../sinks/json-lines.ts';
import { createLoki } from '../sinks/loki.ts';
import { createSplunk } from '../sinks/splunk.ts';
import { createStandardOutput } from '../sinks/standard-output.ts';
import { createSyslog } from '../sinks/syslog.ts';
import { readerOf } from '../status.ts';

/** What a process is told to be, as JSON in its first argument. */
export interface SinkChild {
  name: string;
  driver: Database['driver'];
  dsn: string;
  /** Where events go. */
  path: string;
  lifeMs: number;
  /** Receivers on loopback, beside the file; its standard output is one more then. */
  receivers?: { syslogPort: number; splunk: string; loki: string };
  /** Before it delivers this event it says that it holds it, and waits to be told to go on; then it says what came of it. */
  holdAt?: number;
}

/** A server of which only a file for events is left, that waits to be killed. */
const { name, driver, dsn, path, lifeMs, receivers, holdAt = 0 } = JSON.parse(process.argv[2]!) as SinkChild;
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
const now = () => performance.now();
const target = { transport: 'tcp', host: '127.0.0.1', framing: 'newline' } as const;
const sinks: readonly AuditSink[] =
  receivers === undefined
    ? [sink]
    : [
        sink,
        { ...createStandardOutput({ output: process.stdout }), name: 'jsonlog_2' },
        createSyslog({
          target: { ...target, port: receivers.syslogPort },
          tls: async () => ({ ca: null, cert: null, key: null }),
          origin: { hostname: 'id1', pid: process.pid, enterprise: 32473 },
          windowMs: 10_000,
          now,
        }),
        // Without the pause in which they gather what happens: the test would wait for it after each kill.
        ...[
          createSplunk({
            url: receivers.splunk,
            token: 'a token',
            index: null,
            gzip: false,
            host: 'id1',
            now: clock.now,
            channel: null,
          }),
          createLoki({ url: receivers.loki, token: null, tenant: null, gzip: false, now: clock.now }),
        ].map((one) => ({ ...one, everyMs: 0 })),
      ];
const readers = createEventReaders({ db, events, leases, clock, log: { error: () => {} } });
for (const one of sinks) {
  const delivery = createDelivery({ sink: one, db, events, clock, bufferSize: 4096, counted: () => {} });
  readers.consume(readerOf(one.name), delivery);
}
// Its timers and its reader do not keep it alive.
setInterval(() => {}, 60_000);
