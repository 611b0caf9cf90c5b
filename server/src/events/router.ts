import { tracked } from '@trpc/server';
import { z } from 'zod';
import { router, signedInProcedure } from '../http/trpc.ts';
import type { EventFeed, FeedEvent } from './feed.ts';

async function* track(events: AsyncIterable<FeedEvent>) {
  for await (const event of events) yield tracked(String(event.seq), event);
}

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
      .subscription(async ({ ctx, input, signal }) => {
        // Before the client is told that it is connected: what it asks for after that is newer than where this begins.
        const after = input?.lastEventId ? Number(input.lastEventId) : await deps.feed.head();
        return track(deps.feed.open(ctx.credentials, after, signal ?? new AbortController().signal));
      }),
  });
}
