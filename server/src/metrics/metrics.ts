import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { EventRecord } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';

/** Prometheus metrics under the names of the operations guide. Counters follow the event log; gauges ask the database. */
export interface Metrics {
  /** Where modules register metrics of their own. */
  registry: Registry;
  /** Text exposition format and its content type. */
  render(): Promise<{ contentType: string; body: string }>;
  hostAuthenticationFailed(): void;
  rateLimited(): void;
  /** Seconds that a token exchange with the identity provider took. */
  oidcExchange(seconds: number): void;
  close(): void;
}

export function createMetrics(deps: { db: Pick<Database, 'query'>; events: Pick<EventLog, 'follow'> }): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
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
  const exchange = new Histogram({
    name: 'identree_oidc_exchange_duration_seconds',
    help: 'Token exchange with the identity provider.',
    buckets: [0.1, 0.25, 0.5, 1, 2, 5, 15],
    registers,
  });
  const authFailures = counter('auth_failures_total', 'Host requests that could not be authenticated.');
  const rejections = counter('rate_limit_rejections_total', 'Requests refused by a limit.');
  new Gauge({
    name: 'identree_active_challenges',
    help: 'Requests that wait now.',
    registers,
    async collect() {
      const row = await deps.db.query
        .selectFrom('challenges')
        .select((e) => e.fn.countAll<number>().as('n'))
        .where('status', '=', 'pending')
        .executeTakeFirstOrThrow();
      this.set(Number(row.n));
    },
  });
  new Gauge({
    name: 'identree_registered_hosts',
    help: 'Enrolled hosts that are not revoked.',
    registers,
    async collect() {
      const row = await deps.db.query
        .selectFrom('hosts')
        .select((e) => e.fn.countAll<number>().as('n'))
        .where('state', '<>', 'revoked')
        .executeTakeFirstOrThrow();
      this.set(Number(row.n));
    },
  });

  /** Creation times of requests that wait, to measure how long a person took. */
  const waitingSince = new Map<string, number>();
  const decided = (event: EventRecord) => {
    const since = waitingSince.get(event.challengeId ?? '');
    if (since !== undefined) duration.observe((event.at - since) / 1000);
  };
  const stop = deps.events.follow((event) => {
    switch (event.event) {
      case 'challenge_created':
        created.inc();
        waitingSince.set(event.challengeId!, event.at);
        return;
      case 'auto_approved':
        auto.inc();
        duration.observe(0);
        return;
      case 'challenge_approved':
        approved.inc();
        decided(event);
        break;
      case 'challenge_rejected':
        denied.inc({ reason: 'user_rejected' });
        decided(event);
        break;
      case 'challenge_expired':
        expired.inc();
        break;
      case 'challenge_cancelled':
        cancelled.inc();
        break;
      case 'login_failed': {
        const reason = String(event.data.reason ?? '');
        denied.inc({ reason: reason === 'nonce_mismatch' || reason === 'identity_mismatch' ? reason : 'oidc_error' });
        return;
      }
      default:
        return;
    }
    waitingSince.delete(event.challengeId ?? '');
  });

  return {
    registry,
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    hostAuthenticationFailed: () => authFailures.inc(),
    rateLimited: () => rejections.inc(),
    oidcExchange: (seconds) => exchange.observe(seconds),
    close: stop,
  };
}
