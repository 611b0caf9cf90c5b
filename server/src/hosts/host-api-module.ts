import { Counter } from 'prom-client';
import type { Asking } from '../challenges/asking.ts';
import type { Waiters } from '../challenges/waiters.ts';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';
import { hostRoutes } from './host-routes.ts';
import type { HostService } from './service.ts';
import type { Host } from './store.ts';

const MINUTE = 60_000;

/** What hosts may ask. */
export function hostApiModule(
  ground: Ground & { hosts: HostService; approverKeys: Pick<ApproverKeys, 'since'> },
  others: {
    challenges: Asking;
    waiters: Waiters;
    /** Null: this server serves no directory. */
    directorySettings: ((host: Host, nonce: string) => Promise<string>) | null;
  },
): Module {
  const { clock, config, events } = ground;
  const counter = (name: string, help: string) => new Counter({ name: `identree_${name}`, help, registers: [] });
  const failures = counter('auth_failures_total', 'Host requests that could not be authenticated.');
  const rejections = counter('rate_limit_rejections_total', 'Requests refused by a limit.');
  const perMinute = (limit: number) => createRateLimiter({ clock, limit, windowMs: MINUTE });
  return {
    name: 'host api',
    routes: [
      hostRoutes({
        ...ground,
        ...others,
        externalUrl: config.externalUrl,
        checkpoint: events.head,
        keysSince: ground.approverKeys.since,
        now: clock.now,
        refusalEvents: perMinute(20),
        failures: perMinute(30),
        onRefusal: ({ status }) => {
          if (status === 401) failures.inc();
          if (status === 429) rejections.inc();
        },
      }),
    ],
    metrics: [failures, rejections],
  };
}
