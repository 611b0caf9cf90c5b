import { Counter, Histogram, type Metric } from 'prom-client';
import type { EventRecord } from '#shared/events.ts';

/** Values of labels that are known beforehand: each exists from the start, so that the first increment is an increase. */
const DENIED_REASONS = ['oidc_error', 'nonce_mismatch', 'identity_mismatch', 'user_rejected'] as const;
/** What failed sign-ins are counted as, by the reason in their event; every other one as `oidc_error`. */
const FAILED_SIGN_INS: ReadonlyMap<string, (typeof DENIED_REASONS)[number]> = new Map([
  ['nonce_mismatch', 'nonce_mismatch'],
  // The provider is sure who it is, and it is nobody who can be somebody here.
  ['username_unusable', 'identity_mismatch'],
  ['claims_unusable', 'identity_mismatch'],
  ['account_disabled', 'identity_mismatch'],
]);
const METHODS = ['passkey', 'session'] as const;
/** `asked`: a person had to decide; `automatic`: the policy was enough. */
const POLICY_OUTCOMES = ['asked', 'automatic'] as const;

const isOneOf = <T extends string>(known: readonly T[], value: unknown): value is T =>
  (known as readonly unknown[]).includes(value);

/** Counters of what happened, under the names of the operations guide. */
export function createEventCounters(): {
  metrics: Metric[];
  count(event: EventRecord): void;
  /** Rules of the policy in force: what they decide is counted from 0. */
  know(rules: readonly string[]): void;
} {
  const registers: [] = [];
  const counter = (name: string, help: string) => new Counter({ name: `identree_${name}`, help, registers });
  const created = counter('challenges_created_total', 'Requests that wait for a person.');
  const approved = counter('challenges_approved_total', 'Requests approved by a person.');
  const auto = counter('challenges_auto_approved_total', 'Requests approved by policy or grace.');
  const expired = counter('challenges_expired_total', 'Requests that nobody answered in time.');
  const cancelled = counter('challenges_cancelled_total', 'Requests withdrawn by their host.');
  const passkeyFailures = counter(
    'webauthn_failures_total',
    'Decisions that were refused for what their passkey said.',
  );
  const denied = new Counter({
    name: 'identree_challenges_denied_total',
    help: 'Denied requests and failed sign-ins, by reason.',
    labelNames: ['reason'],
    registers,
  });
  const approvals = new Counter({
    name: 'identree_approvals_total',
    help: 'Requests approved by a person, by what the person proved it with.',
    labelNames: ['method'],
    registers,
  });
  const evaluations = new Counter({
    name: 'identree_policy_evaluations_total',
    help: 'Requests that a rule of the policy let through or had somebody asked about.',
    labelNames: ['policy', 'outcome'],
    registers,
  });
  const duration = new Histogram({
    name: 'identree_challenge_duration_seconds',
    help: 'From request to decision of a person.',
    buckets: [5, 10, 15, 30, 45, 60, 90, 120],
    registers,
  });
  for (const reason of DENIED_REASONS) denied.inc({ reason }, 0);
  for (const method of METHODS) approvals.inc({ method }, 0);

  const decided = (event: EventRecord) => {
    const { createdAt } = event.data;
    if (typeof createdAt === 'number') duration.observe((event.at - createdAt) / 1000);
  };
  const evaluated = (event: EventRecord, outcome: (typeof POLICY_OUTCOMES)[number]) => {
    const { rule } = event.data;
    if (typeof rule === 'string') evaluations.inc({ policy: rule, outcome });
  };

  return {
    metrics: [created, approved, auto, expired, cancelled, denied, approvals, evaluations, passkeyFailures, duration],
    know(rules) {
      for (const policy of rules) for (const outcome of POLICY_OUTCOMES) evaluations.inc({ policy, outcome }, 0);
    },
    count(event) {
      switch (event.event) {
        case 'challenge_created':
          created.inc();
          evaluated(event, 'asked');
          return;
        case 'auto_approved':
          auto.inc();
          evaluated(event, 'automatic');
          duration.observe(0);
          return;
        case 'challenge_approved':
          approved.inc();
          if (isOneOf(METHODS, event.data.class)) approvals.inc({ method: event.data.class });
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
        case 'decision_refused':
          if (event.data.refusal === 'passkey_rejected') passkeyFailures.inc();
          return;
        case 'login_failed':
          denied.inc({ reason: FAILED_SIGN_INS.get(event.reason ?? '') ?? 'oidc_error' });
          return;
      }
    },
  };
}
