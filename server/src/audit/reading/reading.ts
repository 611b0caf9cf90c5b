import { Refusal } from '#shared/errors.ts';
import type { SentenceLocale } from '#shared/event-sentences/sentence.ts';
import type { LoggedEvent } from '#shared/events.ts';
import type { Database } from '../../db/database.ts';
import { maySeeEvent } from '../../events/feed.ts';
import type { Download } from '../../http/download.ts';
import type { Viewer } from '../../http/viewer.ts';
import type { Clock } from '../../platform/clock.ts';
import type { LogRead, LogReads } from '../log-reads.ts';
import {
  type EventPlace,
  eventsOfRequest,
  eventsWithoutTime,
  findEvent,
  findEvents,
  newestPlace,
  type PageOfEvents,
} from './event-page-store.ts';
import { type EventView, eventView, type SignedRecord, signedRecord } from './event-view.ts';
import { exportEvents } from './export-events.ts';
import { type EventFilter, wantedBy } from './filter.ts';
import { EXPORT_FORMATS, type ExportFormatName } from './formats.ts';

/** An event, what belongs to it, and how it stands in the chain. */
export interface WholeEvent {
  readonly event: EventView;
  /** The events of the same request in the order in which they happened, this one among them; empty: it is of none. */
  readonly together: EventView[];
  /** Null for people who are no administrators. */
  readonly record: SignedRecord | null;
}

/** More belongs to no request: it is asked, seen, decided, released and ended, and refused a few times. */
const MOST_TOGETHER = 200;

export type Reading = ReturnType<typeof createReading>;

/** The log as people read it. Who may not see an event learns nothing of it. */
export function createReading({
  db,
  clock,
  reads,
}: {
  db: Pick<Database, 'query'>;
  clock: Clock;
  reads: Pick<LogReads, 'record'>;
}) {
  /** Who is shown nothing but what is their own has read nothing of others. */
  async function note(viewer: Viewer, what: LogRead['what'], filter: object, rows: number): Promise<void> {
    if (viewer.role !== 'admin') return;
    const asked = Object.fromEntries(
      Object.entries(filter).filter(([, value]) => value !== null && value !== undefined),
    );
    await reads.record(viewer, { what, filter: asked, rows });
  }

  const visible = (viewer: Viewer, events: readonly LoggedEvent[]) =>
    events.filter((event) => maySeeEvent(viewer, event));

  return {
    /**
     * A page of events by time. Those without one come where the newest do: on the first page, or on the last. `next`: where
     * it goes on; null: there are no more.
     */
    async list(
      viewer: Viewer,
      filter: EventFilter,
      { locale, ...page }: PageOfEvents & { locale: SentenceLocale },
    ): Promise<{ events: EventView[]; next: EventPlace | null }> {
      const wanted = wantedBy(viewer, filter);
      const found = await findEvents(db.query, wanted, page);
      const isNewest = page.order === 'newest' ? page.beyond === null : found.next === null;
      const withoutTime = isNewest ? await eventsWithoutTime(db.query, wanted) : [];
      const all = page.order === 'newest' ? [...withoutTime, ...found.events] : [...found.events, ...withoutTime];
      const events = visible(viewer, all).map((event) => eventView(event, viewer, locale));
      await note(viewer, 'events', filter, events.length);
      return { events, next: found.next };
    },

    /** @throws Refusal `not_found` */
    async get(viewer: Viewer, seq: number, locale: SentenceLocale): Promise<WholeEvent> {
      const event = await findEvent(db.query, seq);
      if (event === null || !maySeeEvent(viewer, event)) throw new Refusal('not_found');
      const { challengeId } = event;
      const together = challengeId === null ? [] : await eventsOfRequest(db.query, challengeId, MOST_TOGETHER);
      const shown = visible(viewer, together);
      await note(viewer, 'event', { seq }, Math.max(1, shown.length));
      return {
        event: eventView(event, viewer, locale),
        together: shown.map((one) => eventView(one, viewer, locale)),
        record: viewer.role === 'admin' ? signedRecord(event) : null,
      };
    },

    /** All events that are asked for, as a file. */
    async export(
      viewer: Viewer,
      filter: EventFilter,
      { format, locale }: { format: ExportFormatName; locale: SentenceLocale },
    ): Promise<Download> {
      const wanted = wantedBy(viewer, filter);
      const last = await newestPlace(db.query);
      const { contentType, extension } = EXPORT_FORMATS[format];
      // That it began is in the log before the first octet is sent; how much was taken, once that is known.
      const noteRows = (rows: number) => note(viewer, 'export', { ...filter, format }, rows);
      await noteRows(0);
      return {
        contentType,
        fileName: `identree-history-${new Date(clock.now()).toISOString().slice(0, 10)}.${extension}`,
        async *read() {
          let rows = 0;
          try {
            yield* exportEvents({
              format: EXPORT_FORMATS[format],
              reader: { viewer, locale },
              last,
              find: (page) => findEvents(db.query, wanted, page),
              withoutTime: () => eventsWithoutTime(db.query, wanted),
              maySee(event) {
                const may = maySeeEvent(viewer, event);
                if (may) rows += 1;
                return may;
              },
            });
          } finally {
            await noteRows(rows);
          }
        },
      };
    },
  };
}
