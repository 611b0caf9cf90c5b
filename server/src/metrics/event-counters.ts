import { Counter, Histogram, type Metric } from 'prom-client';
import type { EventRecord } from '#shared/events.ts';

/** Counters of what happened, under the names of the operations guide. */
export function createEventCounters(): { metrics: Metric[]; count(event: EventRecord): void } {
  const registers: [] = [];
  const counter = (name: string, help: string) => new Counter({ name: `identree_${name}`, help, registers });
  const created = counter('challenges_created_total', 'Requests that wait for a person.');
  const approved = counter('challenges_approved_total', 'Requests approved by a person.');
  const auto = counter('challenges_auto_approved_total', 'Requests approved by policy or grace.');
  const expired = counter('challenges_expired_total', 'Requests that nobody answered in time.');
  const cancelled = counter('challenges_cancelled_total', 'Requests withdrawn by their host.');
  const denied = new Counter({
    name: 'identree_challenges_denied_total',
    help: 'Denied requests and failed sign-ins, by reason.',
    labelNames: ['reason'],
    registers,
  });
  const duration = new Histogram({
    name: 'identree_challenge_duration_seconds',
    help: 'From request to decision of a person.',
    buckets: [5, 10, 15, 30, 45, 60, 90, 120],
    registers,
  });

  const decided = (event: EventRecord) => {
    const { createdAt } = event.data;
    if (typeof createdAt === 'number') duration.observe((event.at - createdAt) / 1000);
  };

  return {
    metrics: [created, approved, auto, expired, cancelled, denied, duration],
    count(event) {
      switch (event.event) {
        case 'challenge_created':
          created.inc();
          return;
        case 'auto_approved':
          auto.inc();
          duration.observe(0);
          return;
        case 'challenge_approved':
          approved.inc();
          decided(event);
          return;
        case 'challenge_rejected':
          denied.inc({ reason: 'user_rejected' });
          decided(event);
          return;
        case 'challenge_expired':
          expired.inc();
          return;
        case 'challenge_cancelled':
          cancelled.inc();
          return;
        case 'login_failed': {
          const reason = String(event.data.reason ?? '');
          denied.inc({ reason: reason === 'nonce_mismatch' || reason === 'identity_mismatch' ? reason : 'oidc_error' });
          return;
        }
      }
    },
  };
}
