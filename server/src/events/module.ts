import type { Access } from '../http/server.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createEventFeed } from './feed.ts';
import { logHealth, readerHealth, readerMetrics } from './reader-health.ts';
import type { EventReaders } from './readers.ts';
import { streamRoutes } from './stream-routes.ts';

/** Who follows what happens: people as it happens, and readers that miss nothing. */
export function eventsModule(
  { events, log }: Pick<Ground, 'events' | 'log'>,
  access: Pick<Access, 'recheckViewers'>,
  readers: Pick<EventReaders, 'status'>,
) {
  const feed = createEventFeed({ events, viewersOf: access.recheckViewers, log });
  return {
    name: 'events',
    routes: [streamRoutes({ feed })],
    health: [logHealth(events), readerHealth(readers)],
    metrics: readerMetrics(readers),
    // A connection that follows events never ends by itself, and closing waits for connections.
    stop: async () => feed.close(),
  } satisfies Module;
}
