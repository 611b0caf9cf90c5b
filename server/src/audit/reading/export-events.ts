import type { LoggedEvent } from '#shared/events.ts';
import type { EventPlace, FoundEvents, PageOfEvents } from './event-page-store.ts';
import type { ExportFormat, Reader } from './formats.ts';

/** Events that are read and written at a time: what of an export is in memory, however long it is. */
export const EXPORT_BATCH = 500;

/**
 * Events as a file, oldest first, up to one that is the newest now. It reads on when what it gave has been taken, and
 * between two batches nothing is open in the database: who stops reading holds nothing.
 *
 * @param deps.find one batch of them
 * @param deps.withoutTime those that have no place in the order of time: they come last
 * @param deps.maySee asked of each event
 */
export async function* exportEvents(deps: {
  format: ExportFormat;
  reader: Reader;
  last: EventPlace | null;
  find: (page: PageOfEvents) => Promise<FoundEvents>;
  withoutTime: () => Promise<LoggedEvent[]>;
  maySee: (event: LoggedEvent) => boolean;
}): AsyncGenerator<string> {
  const { format, reader, last, find, maySee } = deps;
  let beyond: EventPlace | null = null;
  let between = '';
  let text = format.head;
  const write = (events: readonly LoggedEvent[]): void => {
    for (const event of events) {
      if (!maySee(event)) continue;
      text += between + format.write(event, reader);
      between = format.between;
    }
  };
  while (last !== null) {
    const { events, next }: FoundEvents = await find({ order: 'oldest', beyond, last, limit: EXPORT_BATCH });
    write(events);
    if (next === null) break;
    beyond = next;
    // Also where nothing was found this far: who went away, or may read no more, has it end here and not behind a long log.
    yield text;
    text = '';
    // SQLite answers at once: without this turn of the event loop a quick reader would keep everybody else waiting.
    await new Promise((resolve) => setImmediate(resolve));
  }
  write(await deps.withoutTime());
  yield text + format.tail;
}
