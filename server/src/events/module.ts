import type { HostApi } from '../http/host-operation.ts';
import type { Access } from '../http/server.ts';
import { readGauge } from '../platform/gauges.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createEventFeed } from './feed.ts';
import { headRoutes } from './head-routes.ts';
import type { LogHeads } from './heads.ts';
import { logHealth, logMetrics, readerHealth, readerMetrics } from './reader-health.ts';
import type { EventReaders } from './readers.ts';
import { streamRoutes } from './stream-routes.ts';

/** Who follows what happens: people as it happens, and readers that miss nothing. */
export function eventsModule(
  ground: Pick<Ground, 'db' | 'clock' | 'events' | 'log'> & {
    heads: LogHeads;
    logKeyProblem: string | null;
    hostApi: HostApi;
  },
  access: Pick<Access, 'recheckViewers'>,
  readers: Pick<EventReaders, 'status'>,
) {
  const { db, events, log, heads } = ground;
  const feed = createEventFeed({ events, viewersOf: access.recheckViewers, log });
  return {
    name: 'events',
    routes: [streamRoutes({ feed }), ground.hostApi(headRoutes(heads))],
    health: [logHealth({ db, events, heads }), readerHealth(readers)],
    metrics: [
      ...readerMetrics(readers),
      ...logMetrics(ground),
      readGauge({ name: 'sse_clients', help: 'Live feeds of events that are open.', read: () => feed.count() }),
    ],
    /** Two servers whose heads are signed by different keys would have hosts refuse one of them. */
    async start() {
      if (ground.logKeyProblem !== null) throw new Error(ground.logKeyProblem);
    },
    handOver: () => feed.close(),
    // A connection that follows events never ends by itself, and closing waits for connections.
    stop: async () => feed.close(),
  } satisfies Module;
}
