import { z } from 'zod';
import { SENTENCE_LOCALES } from '#shared/event-sentences/sentence.ts';
import { endOfPage, TIME_ORDERS } from '#shared/time-order.ts';
import { isSinkName } from '../config/sections/audit-sinks.ts';
import { adminProcedure, adminViewProcedure, router, signedInProcedure } from '../http/trpc.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { EventPlace } from './reading/event-page-store.ts';
import { eventFilter } from './reading/filter.ts';
import { EXPORT_FORMATS, type ExportFormatName } from './reading/formats.ts';
import type { Reading } from './reading/reading.ts';
import type { SinkStatuses } from './status.ts';

const lang = z.enum(SENTENCE_LOCALES).default('en');

/** A place in the list, as an address names it: `<milliseconds>-<number>`. */
const place = z
  .string()
  .regex(/^[0-9]{1,15}-[1-9][0-9]{0,14}$/)
  .nullish();
function placeOf(text: string | null | undefined): EventPlace | null {
  if (!text) return null;
  const [at, seq] = text.split('-').map(Number);
  return { at: at!, seq: seq! };
}

const formats = Object.keys(EXPORT_FORMATS) as [ExportFormatName, ...ExportFormatName[]];

/** `audit.*`: what happened, where events go, and how they fare there. */
export function createAuditRouter(deps: { sinks: SinkStatuses; deadLetters: DeadLetters; reading: Reading }) {
  const { reading } = deps;
  return router({
    events: router({
      list: signedInProcedure
        .meta({
          rest: {
            method: 'GET',
            path: '/audit/events',
            summary:
              'Events, newest or oldest first: of everybody for administrators, else of the person and their accounts',
          },
        })
        .input(
          eventFilter.extend({
            lang,
            order: z.enum(TIME_ORDERS).default('newest'),
            /** Where the page before this one ended: `before` of the newest first, `after` of the oldest first. */
            before: place,
            after: place,
            limit: z.int().min(1).max(200).default(50),
          }),
        )
        .query(async ({ ctx, input: { lang, order, before, after, limit, ...filter } }) => {
          const page = { order, beyond: placeOf(order === 'newest' ? before : after), limit, locale: lang };
          const { events, next } = await reading.list(ctx.viewer, filter, page);
          return { events, ...endOfPage(order, next && `${next.at}-${next.seq}`) };
        }),
      get: signedInProcedure
        .meta({
          rest: {
            method: 'GET',
            path: '/audit/events/{seq}',
            summary: 'An event, what belongs to it, and for administrators the record as it was hashed',
          },
        })
        .input(z.object({ seq: z.coerce.number().pipe(z.int().min(1)), lang }))
        .query(({ ctx, input }) => reading.get(ctx.viewer, input.seq, input.lang)),
    }),
    export: signedInProcedure
      .meta({
        rest: {
          method: 'GET',
          path: '/audit/export',
          summary: 'All events that a filter lets through, oldest first, as a file without a limit to its length',
          download: [...new Set(formats.map((format) => EXPORT_FORMATS[format].contentType))],
        },
      })
      .input(eventFilter.extend({ lang, format: z.enum(formats) }))
      .query(({ ctx, input: { lang, format, ...filter } }) =>
        reading.export(ctx.viewer, filter, { format, locale: lang }),
      ),
    sinks: router({
      list: adminViewProcedure
        .meta({ rest: { method: 'GET', path: '/audit/sinks', summary: 'Audit sinks and how they fare' } })
        .query(() => deps.sinks()),
    }),
    deadLetters: router({
      list: adminViewProcedure
        .meta({
          rest: {
            method: 'GET',
            path: '/audit/dead-letters',
            summary: 'Events that the receivers of audit sinks refused for good',
          },
        })
        .query(() => deps.deadLetters.list()),
      retry: adminProcedure
        .meta({
          rest: {
            method: 'POST',
            path: '/audit/dead-letters/retry',
            summary: 'Has refused events delivered again: of all sinks, of one, or one event',
          },
        })
        .input(z.strictObject({ sink: z.string().refine(isSinkName).optional(), seq: z.int().min(1).optional() }))
        .mutation(async ({ ctx, input: { sink, seq } }) => {
          const which = { ...(sink ? { sink } : {}), ...(seq ? { seq } : {}) };
          const { person, remoteAddr } = ctx.viewer;
          return { count: await deps.deadLetters.retry(which, person.username, remoteAddr) };
        }),
    }),
  });
}
