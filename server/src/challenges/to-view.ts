import { commandLine } from '#shared/command-words.ts';
import type { HostRecord, ResolvedBySudo } from '#shared/decision.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Viewer } from '../http/viewer.ts';
import { type PolicyOutcome, stricterOutcome } from '../policies/policy.ts';
import { type Actor, approveRefusal, type DecidableChallenge, decide } from './decide.ts';
import { offlineView } from './problem-of-use.ts';
import type { Challenge, Endable } from './store.ts';
import type { ChallengeView, RunView } from './view.ts';

/** The facts of a challenge that a decision depends on. */
export function decidable(challenge: Endable): DecidableChallenge {
  return {
    id: challenge.id,
    status: challenge.status,
    hostId: challenge.host_id,
    user: challenge.username,
    requestHash: challenge.request_hash,
    argvTruncated: challenge.record?.argvTruncated ?? true,
    expiresAt: challenge.expires_at,
    leaseUntil: challenge.lease_until,
  };
}

/** A person as an actor, in a session of some kind. */
export function actorOf(
  viewer: Pick<Viewer, 'person' | 'role' | 'accounts'> & { session: Pick<Viewer['session'], 'kind'> },
): Extract<Actor, { kind: 'person' }> {
  return {
    kind: 'person',
    issuer: viewer.person.issuer,
    subject: viewer.person.subject,
    username: viewer.person.username,
    role: viewer.role,
    sessionKind: viewer.session.kind,
    accounts: viewer.accounts,
  };
}

function visibleResolved(resolved: ResolvedBySudo): ResolvedBySudo {
  const { environment } = resolved;
  return {
    ...resolved,
    sudo: visibleText(resolved.sudo),
    command: visibleText(resolved.command),
    chroot: resolved.chroot === null ? null : visibleText(resolved.chroot),
    environment: {
      ...environment,
      names: environment.names.map(visibleText),
      notable: environment.notable.map(({ name, value, kind }) => ({
        name: visibleText(name),
        value: visibleText(value),
        kind,
      })),
    },
  };
}

function visibleRecord(record: HostRecord): HostRecord {
  const text = (value: string | null) => (value === null ? null : visibleText(value));
  return {
    ...record,
    runAs: { ...record.runAs, user: visibleText(record.runAs.user), group: text(record.runAs.group) },
    argv: record.argv.map(visibleText),
    target: record.target && { ...record.target, path: visibleText(record.target.path) },
    cwd: text(record.cwd),
    tty: text(record.tty),
    origin: text(record.origin),
    reason: text(record.reason),
    ...(record.resolved && { resolved: visibleResolved(record.resolved) }),
  };
}

function runOf(challenge: Challenge): RunView | null {
  const { run_state: state } = challenge;
  switch (state) {
    case null:
      return null;
    case 'started':
      return { state, startedAt: challenge.run_started_at! };
    case 'ended':
      return {
        state,
        endedAt: challenge.run_ended_at!,
        exitStatus: challenge.run_exit_status,
        signal: challenge.run_signal === null ? null : visibleText(challenge.run_signal),
        durationMs: challenge.run_duration_ms!,
      };
    case 'refused':
      return { state, endedAt: challenge.run_ended_at!, reason: visibleText(challenge.run_reason!) };
  }
}

/** Renders a challenge for one viewer. */
export function toView(
  challenge: Challenge,
  viewer: Viewer,
  facts: {
    ownerName: string | null;
    host: { group: string | null; lastSeenAt: number | null };
    policyNow: PolicyOutcome;
    now: number;
  },
): ChallengeView {
  const actor = actorOf(viewer);
  const policy = stricterOutcome(challenge.policy, facts.policyNow);
  const pending = challenge.status === 'pending' && facts.now < challenge.expires_at;
  const refusal = pending ? approveRefusal(decidable(challenge), actor, policy, facts.now) : null;
  const deny = decide(decidable(challenge), actor, { kind: 'deny', reason: null }, policy, facts.now);
  return {
    id: challenge.id,
    userCode: challenge.user_code,
    status: challenge.status === 'pending' && !pending ? 'expired' : challenge.status,
    user: challenge.username,
    userDisplayName: facts.ownerName,
    host: {
      id: challenge.host_id,
      name: challenge.hostname,
      group: facts.host.group,
      lastSeenAt: facts.host.lastSeenAt,
    },
    command: commandLine(challenge.record),
    record: visibleRecord(challenge.record),
    createdAt: challenge.created_at,
    expiresAt: challenge.expires_at,
    policy: {
      rule: policy.rule,
      version: policy.version,
      approval: policy.approval,
      approvers: policy.approvers,
    },
    decidedAt: challenge.decided_at,
    decidedBy: challenge.decided_by_name,
    decidedByViewer: challenge.decided_by !== null && challenge.decided_by === viewer.person.id,
    class: challenge.class,
    reason: challenge.reason === null ? null : visibleText(challenge.reason),
    outcome: challenge.outcome,
    outcomeDetail: challenge.outcome_detail === null ? null : visibleText(challenge.outcome_detail),
    outcomeAt: challenge.outcome_at,
    run: runOf(challenge),
    offline: offlineView(challenge),
    can: { approve: pending && refusal === null, deny: pending && deny.ok },
    approveRefusal: refusal,
    now: facts.now,
  };
}
