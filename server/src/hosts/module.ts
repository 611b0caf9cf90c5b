import { Gauge } from 'prom-client';
import type { Ground, Module } from '../platform/module.ts';
import { createHostsRouter } from './router.ts';
import type { HostService } from './service.ts';
import { countLiveHosts } from './store.ts';

/** How often request nonces that can no longer be replayed are forgotten, milliseconds. */
const FORGET_EVERY_MS = 60_000;

/** Managed hosts: who may speak as which. */
export function hostsModule({ db, clock, hosts }: Pick<Ground, 'db' | 'clock'> & { hosts: HostService }) {
  return {
    name: 'hosts',
    metrics: [
      new Gauge({
        name: 'identree_registered_hosts',
        help: 'Enrolled hosts that are not revoked.',
        registers: [],
        async collect() {
          this.set(await countLiveHosts(db.query));
        },
      }),
    ],
    jobs: [{ name: 'spent nonces', everyMs: FORGET_EVERY_MS, run: hosts.forgetNonces }],
    procedures: createHostsRouter({ hosts, now: clock.now }),
  } satisfies Module & Record<string, unknown>;
}
