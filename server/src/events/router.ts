import { tracked } from '@trpc/server';
import { z } from 'zod';
import { router, signedInProcedure } from '../http/trpc.ts';
import type { EventFeed } from './feed.ts';

export function createEventsRouter(deps: { feed: EventFeed }) {
  return router({
    /** Live events, resumed after `lastEventId`. */
    stream: signedInProcedure
      .input(
        z
          .object({
            lastEventId: z
              .string()
              .regex(/^[0-9]{1,15}$/)
              .nullish(),
          })
          .nullish(),
      )
      .subscription(async function* ({ ctx, input, signal }) {
        const after = input?.lastEventId ? Number(input.lastEventId) : null;
        for await (const event of deps.feed.open(ctx.refreshViewer, after, signal ?? new AbortController().signal)) {
          yield tracked(String(event.seq), event);
        }
      }),
  });
}
