import { Counter } from 'prom-client';
import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Standing } from '../auth/standing.ts';
import { createWaiters } from '../events/waiters.ts';
import type { HostDefaults } from '../hosts/client-defaults.ts';
import type { HostService } from '../hosts/service.ts';
import type { HostApi } from '../http/host-operation.ts';
import type { Confirmations } from '../passkeys/confirmations.ts';
import { readGauge } from '../platform/gauges.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createRunCommand } from '../platform/run-command.ts';
import { createEscrowBackend } from './create-backend.ts';
import { breakGlassHostRoutes, hostTold } from './host-routes.ts';
import { type Http, systemHttp } from './http.ts';
import { createKeeping } from './keeping.ts';
import { createBreakGlassRouter } from './router.ts';
import { createSecondPerson } from './second-person.ts';
import { createBreakGlass } from './service.ts';
import { passwordTimes } from './store.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Bounds of the age of passwords, days. */
const AGES = [1, 7, 30, 90];

/** The passwords that open hosts whose server cannot be reached: who keeps them, who is shown one, and what was done. */
export function breakGlassModule(
  ground: Ground & { hosts: Pick<HostService, 'find' | 'lock' | 'journalTold' | 'stillSpeaking'> },
  others: {
    hostApi: HostApi;
    hostDefaults: HostDefaults;
    confirmations: Confirmations;
    people: Pick<ViewerResolver, 'absent'>;
    standing: Pick<Standing, 'personMayAct'>;
    escrowHttp?: Http | undefined;
  },
) {
  const { config } = ground;
  const kept = new Counter({
    name: 'identree_breakglass_escrow_total',
    help: 'Break-glass passwords that hosts handed over to be kept.',
    labelNames: ['status'] as const,
    registers: [],
  });
  // So that an alert on any increase has something to compare with.
  for (const status of ['success', 'failure'] as const) kept.inc({ status }, 0);
  const backend = createEscrowBackend(config.escrow, {
    ...ground,
    http: others.escrowHttp ?? systemHttp,
    run: createRunCommand(),
  });
  const keeping = createKeeping({ ...ground, backend, counted: (status) => kept.inc({ status }) });
  const { rotateBefore, secondPerson: required, webUrl } = config.escrow;
  const secondPerson = createSecondPerson({ ...ground, ...others, required });
  const breakGlass = createBreakGlass({ ...ground, ...others, keeping, secondPerson, rotateBefore, webUrl });
  const waiters = createWaiters({ ...ground, keyOf: hostTold });
  const tidy = () => keeping.tidy(async (query, id) => (await ground.hosts.find(query, id))?.hostname ?? null);
  return {
    name: 'break-glass',
    routes: [others.hostApi(breakGlassHostRoutes({ ...ground, ...others, breakGlass, keeping, waiters }))],
    metrics: [kept, passwordAges(ground)],
    jobs: [
      { name: 'break-glass passwords of before', everyMs: MINUTE_MS, run: tidy },
      { name: 'reveals that nobody confirmed', everyMs: MINUTE_MS, run: secondPerson.forgetOver },
    ],
    handOver: () => waiters.close(),
    stop: async () => waiters.close(),
    tidy,
    forgetOver: secondPerson.forgetOver,
    procedures: { breakGlass: createBreakGlassRouter({ breakGlass, secondPerson }) },
  } satisfies Module & Record<string, unknown>;
}

/** Hosts by how old their break-glass password is. */
function passwordAges({ db, clock }: Pick<Ground, 'db' | 'clock'>) {
  return readGauge({
    name: 'breakglass_password_age_hosts',
    help: 'Hosts whose break-glass password is at most as old as this.',
    labelNames: ['within'],
    async read() {
      const made = await passwordTimes(db.query);
      const now = clock.now();
      return [...AGES, Number.POSITIVE_INFINITY].map((days) => ({
        labels: { within: days === Number.POSITIVE_INFINITY ? 'any' : `${days}d` },
        value: made.filter((at) => now - at <= days * DAY_MS).length,
      }));
    },
  });
}
