import type { Access } from '../http/server.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createEventFeed } from './feed.ts';
import { createEventsRouter } from './router.ts';
import { streamRoutes } from './stream-routes.ts';

/** People who follow what happens. */
export function eventsModule({ events, log }: Pick<Ground, 'events' | 'log'>, access: Pick<Access, 'recheckViewers'>) {
  const feed = createEventFeed({ events, viewersOf: access.recheckViewers, log });
  return {
    name: 'events',
    routes: [streamRoutes({ feed })],
    // A connection that follows events never ends by itself, and closing waits for connections.
    stop: async () => feed.close(),
    procedures: { events: createEventsRouter({ feed }) },
  } satisfies Module & Record<string, unknown>;
}
