import type { EventReaders } from '../events/readers.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createArchive } from './archive.ts';
import { bufferSizeOf, createSinks } from './create-sinks.ts';
import { createDeadLetters } from './dead-letters.ts';
import { createDelivery } from './delivery.ts';
import type { LogReads } from './log-reads.ts';
import { retentionHealth, sinkHealth, sinkMetrics } from './measured.ts';
import { createReading } from './reading/reading.ts';
import { createRetention } from './retention.ts';
import { createAuditRouter } from './router.ts';
import type { Output } from './sinks/standard-output.ts';
import { createRemovedSinks, createSinkStatuses, readerOf } from './status.ts';

/** How often what was read again within a minute is told, where that is due; milliseconds. */
const SETTLE_EVERY_MS = 10_000;
/** How often is looked for events whose time is over, milliseconds. */
const ERASE_EVERY_MS = 10 * 60_000;

/** Where events go beside the database: nothing is lost on the way, and no sink waits for another. */
export function auditModule(
  ground: Ground,
  others: { readers: Pick<EventReaders, 'status'>; reads: LogReads; output?: Output | undefined },
) {
  const { config, db } = ground;
  const sinks = createSinks(config.audit.sinks, {
    output: others.output ?? process.stdout,
    clock: ground.clock,
    now: () => performance.now(),
  });
  const names = sinks.map(({ name }) => name);
  const statuses = createSinkStatuses({ sinks: names, query: db.query, readers: others.readers });
  const removed = createRemovedSinks({ ...ground, sinks: names, query: db.query });
  const { metrics, counted } = sinkMetrics(names, statuses);
  const bufferSize = bufferSizeOf(config.audit);
  const readers = sinks.map((sink) => [readerOf(sink.name), createDelivery({ ...ground, sink, bufferSize, counted })]);
  const { archiveDir, retention: days } = config.audit;
  const retention =
    archiveDir === null
      ? null
      : createRetention({ ...ground, ...others, sinks: names, archive: createArchive(archiveDir), days });
  return {
    name: 'audit',
    readers: Object.fromEntries(readers),
    metrics,
    health: [
      ...(sinks.length > 0 ? [sinkHealth(statuses)] : []),
      ...(retention === null ? [] : [retentionHealth(retention)]),
    ],
    jobs: [
      { name: 'what was read of the log', everyMs: SETTLE_EVERY_MS, run: others.reads.settle },
      ...(retention === null
        ? []
        : [{ name: 'events whose time is over', everyMs: ERASE_EVERY_MS, run: retention.run }]),
    ],
    retention,
    procedures: {
      audit: createAuditRouter({
        sinks: async () => [...(await statuses()), ...(await removed())],
        deadLetters: createDeadLetters(ground),
        reading: createReading({ ...ground, reads: others.reads }),
      }),
    },
  } satisfies Module & Record<string, unknown>;
}
