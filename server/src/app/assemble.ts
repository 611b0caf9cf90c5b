import { hostname } from 'node:os';
import { Registry } from 'prom-client';
import { createLeases, createTurn } from '../db/leases.ts';
import { DatabaseTrouble } from '../db/trouble.ts';
import { createEventReaders, type RunningReader } from '../events/readers.ts';
import { checkHealth } from '../http/health.ts';
import { createHttpMetrics } from '../http/measured.ts';
import { createMayMeasure } from '../http/metrics-token.ts';
import { createHttpServer, type HttpDeps } from '../http/server.ts';
import { createUnderWay } from '../http/under-way.ts';
import { type RunningJobs, startJobs } from '../platform/jobs.ts';
import type { Ground, Module } from '../platform/module.ts';
import { serverMetrics } from './server-metrics.ts';
import type { Stopping } from './stopping.ts';

/**
 * After this another server does the jobs of one that died, milliseconds: requests have to end when their time is over. On
 * SQLite each renewal waits for the disk, and there is no other server.
 */
const JOBS_LIFE_MS = { sqlite: 60_000, postgres: 2000 };

/** How long who has begun a request may take to send the rest of it once the server stops, milliseconds. */
const UNSENT_MS = 1000;

/** @throws when procedures of a module are not what is served under their name: nobody would miss them before they are asked */
function checkProcedures(modules: readonly Module[], { _def: { procedures: served } }: HttpDeps['router']): void {
  for (const { name, procedures = {} } of modules) {
    for (const [first, { _def }] of Object.entries(procedures)) {
      for (const [rest, procedure] of Object.entries(_def.procedures)) {
        if ((served as Record<string, unknown>)[`${first}.${rest}`] === procedure) continue;
        throw new Error(
          `${first}.${rest} of the module ${name} is not served: its procedures are not in the record of app.ts, or others have their name`,
        );
      }
    }
  }
}

/** Joins modules to a server: they start in the order in which they were added and stop in the reverse one. */
export function assemble(ground: Ground) {
  const { config, log, db, events, clock, random } = ground;
  const modules: Module[] = [];
  const registry = new Registry();
  const measured = createHttpMetrics();
  const holder = `${hostname()} ${random.uuid()}`;
  const readers = createEventReaders({ db, events, clock, log, leases: createLeases({ db, clock, holder }) });
  const turn = createTurn(createLeases({ db, clock, holder, lifeMs: JOBS_LIFE_MS[db.driver] }), 'jobs');
  let jobs: RunningJobs | null = null;
  let consumers: RunningReader[] = [];

  return {
    /** Everything that is measured. */
    registry,
    /** How far the readers of the event log have come. */
    readers,

    /** Adds a module. */
    use<M extends Module>(module: M): M {
      modules.push(module);
      for (const metric of module.metrics ?? []) registry.registerMetric(metric);
      return module;
    },

    /** The server of all modules. Nothing listens and nothing runs yet. */
    async serve(deps: Pick<HttpDeps, 'clientAddress' | 'access' | 'router' | 'distDir'>) {
      checkProcedures(modules, deps.router);
      let leaving = false;
      const underWay = createUnderWay();
      const stopping: Stopping = { waitsFor: () => [], unsent: 0 };
      const health = modules.flatMap(({ health = [] }) => health);
      for (const metric of [
        ...measured.metrics,
        ...serverMetrics({ health, driver: db.driver, isLeader: turn.isSure }),
      ])
        registry.registerMetric(metric);
      const http = await createHttpServer({
        ...deps,
        externalUrl: config.externalUrl,
        tls: config.tls,
        log,
        health,
        mayMeasure: createMayMeasure(config.metricsToken),
        measure: measured.measure,
        now: clock.now,
        isLeaving: () => leaving,
        underWay,
        plugins: modules.flatMap(({ routes = [] }) => routes),
      });

      /** Begins everything that is not asked for over HTTP. */
      async function start(): Promise<void> {
        for (const module of modules) await module.start?.();
        consumers = modules.flatMap((module) =>
          Object.entries(module.readers ?? {}).map(([name, reader]) => readers.consume(name, reader)),
        );
        jobs = startJobs(
          modules.flatMap((module) => module.jobs ?? []),
          { mayRun: async () => (await turn.has()) !== null, log },
        );
        await db.transaction(async (work) => {
          await events.append(work, { event: 'server_started', username: '' });
        });
      }

      return {
        http,
        start,
        /** What /healthz is made of. */
        checks: health,
        /** What /healthz says. */
        health: () => checkHealth(health),
        /** Starts to listen; the server is ready when this resolves. */
        async listen(): Promise<void> {
          await start();
          await http.listen({ host: config.listen.host, port: config.listen.port });
        },
        /** Says that it stops, and sends those who wait elsewhere. It goes on answering until it is stopped. */
        leave(): void {
          leaving = true;
          for (const module of modules) module.handOver?.();
        },
        /** Lets go of those who wait and finishes what is under way. The database is still open then. */
        async stop(): Promise<void> {
          const reading = new Set(consumers);
          const ended = Promise.all([
            jobs?.stop(),
            ...consumers.map((consumer) => consumer.stop().then(() => reading.delete(consumer))),
          ]);
          const cutting = setInterval(() => {
            http.server.closeIdleConnections();
            stopping.unsent += underWay.endUnsent();
          }, UNSENT_MS);
          try {
            for (const module of modules.toReversed()) {
              stopping.waitsFor = () => [module.name];
              await module.stop?.();
            }
            stopping.waitsFor = underWay.answering;
            await http.close();
          } finally {
            clearInterval(cutting);
          }
          stopping.waitsFor = () => [...(jobs?.atWork() ?? []), ...[...reading].map(({ name }) => name)];
          await ended;
          stopping.waitsFor = () => ['the database'];
          // A database that is away takes nothing back: the turn runs out by itself.
          await turn.release().catch((error: unknown) => {
            if (!(error instanceof DatabaseTrouble)) throw error;
          });
        },
        /** For whom it waits once it stops. */
        stopping,
      };
    },
  };
}
