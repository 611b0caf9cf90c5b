import { commandLine } from '#shared/command-words.ts';
import type { Verdict } from '#shared/decision.ts';
import { sha256 } from '#shared/digest.ts';
import { ERRORS, Refusal } from '#shared/errors.ts';
import { LEASE_SECONDS } from '#shared/host-api.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog, NewEvent } from '../events/log.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import type { PolicyOutcome } from '../policies/policy.ts';
import { type Actor, decide, type Method } from './decide.ts';
import { leaseOf } from './lease.ts';
import { PENDING_IN_TOTAL } from './limits.ts';
import * as store from './store.ts';
import { decidable } from './to-view.ts';

/** How many requests are ended at a time. On Postgres each takes a connection, and they wait for each other anyway. */
const AT_ONCE: Record<Database['driver'], number> = { sqlite: 16, postgres: 2 };
/**
 * After so long without a look at what is overdue nobody may have been able to ask, milliseconds. A busy server looks more
 * often than that, and what a shorter gap takes from a host leaves it time enough to ask again.
 */
const GAP_MS = 10_000;
/** How long after its expiry a verdict may still be read by the host, seconds. */
const VERDICT_SLACK_SECONDS = 60;

/** What the person who asked reads when the directory ends it. */
const DENIED_BECAUSE = {
  account_disabled: ERRORS.account_disabled[1],
  account_left: 'This account is not the one any more that asked: its person was renamed.',
} as const;

export interface SettlingDeps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  unreadable: Pick<UnreadableRows, 'report'>;
  serverId: string;
  signVerdict: (verdict: Verdict) => Promise<string>;
  /** Version of the approver-key set in force and, when it is newer than what is held, the set. */
  keysSince: (query: Database['query'], held: number) => Promise<{ version: number; token: string | null }>;
}

/** Who ends a request, and how. */
export interface Settlement {
  actor: Actor;
  method: Method;
  /** What it needs now; the policy under which it was asked unless it is given. */
  policy?: PolicyOutcome;
  /** The person who decides; null for policy, time, directory and the host itself. */
  person?: Viewer['person'] | null;
  remoteAddr?: string | null;
}

/** Who is named in the event of a decision that no person took. */
function silentActor(actor: Actor, status: store.Challenge['status']): string | null {
  if (actor.kind === 'directory') return 'directory';
  return actor.kind === 'clock' && status === 'cancelled' ? 'lease' : null;
}

export type Settling = ReturnType<typeof createSettling>;

/** The one way in which a request ends: decision, verdict and event are written together. */
export function createSettling(deps: SettlingDeps) {
  const { db, events, clock } = deps;
  /** The first and the last of the looks that followed each other without a gap. */
  let looks: { since: number; last: number } | null = null;

  /**
   * Applies `decide()`: what comes to the row, and the event that tells so.
   *
   * @param keysVersion of the approver-key set in force
   * @throws Refusal
   */
  async function decided(
    challenge: store.Endable,
    { actor, method, policy = challenge.policy, person = null, remoteAddr = null }: Settlement,
    keysVersion: number,
  ): Promise<{ written: store.Decision; event: NewEvent }> {
    const now = clock.now();
    const asStored = decidable(challenge);
    // Who ends what hosts have left has a rule of its own for the time in which they could not be heard.
    const leaseUntil =
      method.kind === 'approve' ? leaseOf(asStored.leaseUntil, now, db.troubleAgoMs()) : asStored.leaseUntil;
    const result = decide({ ...asStored, leaseUntil }, actor, method, policy, now);
    if (!result.ok) throw new Refusal(result.refusal);
    const { decision } = result;
    const verdict = await deps.signVerdict({
      v: 1,
      iss: deps.serverId,
      aud: challenge.host_id,
      iat: Math.floor(now / 1000),
      exp: Math.ceil(Math.max(now, challenge.expires_at) / 1000) + VERDICT_SLACK_SECONDS,
      challengeId: challenge.id,
      nonce: challenge.nonce,
      requestHash: challenge.request_hash,
      decision: decision.status,
      class: decision.status === 'approved' ? decision.class : null,
      approvers: person ? [{ issuer: person.issuer, subject: person.subject, username: person.username }] : [],
      reason: decision.reason,
      policyVersion: policy.version,
      grace: 0,
      evidence: decision.evidence,
    });
    const written = {
      status: decision.status,
      decided_at: now,
      decided_by: person?.id ?? null,
      decided_by_name: person?.username ?? null,
      class: decision.class,
      reason: decision.reason,
      verdict,
      approver_keys_version: keysVersion,
    };
    const name = {
      approved: actor.kind === 'policy' ? ('auto_approved' as const) : ('challenge_approved' as const),
      denied: 'challenge_rejected' as const,
      expired: 'challenge_expired' as const,
      cancelled: 'challenge_cancelled' as const,
    }[decision.status];
    const event: NewEvent = {
      event: name,
      username: challenge.username,
      hostId: challenge.host_id,
      hostname: challenge.hostname,
      challengeId: challenge.id,
      code: challenge.user_code,
      actor: person?.username ?? silentActor(actor, decision.status),
      reason: decision.reason,
      remoteAddr,
      data: {
        requestHash: challenge.request_hash,
        createdAt: challenge.created_at,
        command: challenge.record && commandLine(challenge.record),
        policyVersion: policy.version,
        rule: policy.rule,
        class: decision.class,
        approver: person ? { issuer: person.issuer, subject: person.subject } : null,
        credentialIds: decision.evidence.map((evidence) => evidence.credentialId),
        assertionIds: decision.evidence.map((evidence) => sha256(evidence.signature)),
        approverKeysVersion: keysVersion,
      },
    };
    return { written, event };
  }

  /** Decides on a locked row, and writes decision, verdict and event together. */
  async function settle<T extends store.Endable>(work: UnitOfWork, challenge: T, settlement: Settlement): Promise<T> {
    const { version } = await deps.keysSince(work.query, Number.MAX_SAFE_INTEGER);
    const { written, event } = await decided(challenge, settlement, version);
    if (!(await store.settleChallenge(work, challenge.id, written))) throw new Refusal('already_decided');
    await events.append(work, event);
    return { ...challenge, ...written };
  }

  /** Denies everything that waits for these Linux accounts. */
  async function denyOf(
    accounts: readonly string[],
    why: keyof typeof DENIED_BECAUSE = 'account_disabled',
  ): Promise<void> {
    if (accounts.length === 0) return;
    const concerned = new Set(accounts);
    const few = accounts.length <= 100 ? accounts : null;
    const waiting = await store.pendingChallenges(db.query, few, PENDING_IN_TOTAL);
    for (const { id } of waiting.filter(({ username }) => concerned.has(username))) {
      await db.transaction(async (work) => {
        const challenge = await store.lockChallenge(work, id);
        if (challenge?.status !== 'pending' || clock.now() >= challenge.expires_at) return;
        const method = { kind: 'deny', reason: DENIED_BECAUSE[why] } as const;
        await settle(work, store.endable(challenge), { actor: { kind: 'directory' }, method });
      });
    }
  }

  async function end(id: string): Promise<void> {
    try {
      await db.transaction(async (work) => {
        const challenge = await store.lockChallenge(work, id);
        if (challenge?.status !== 'pending') return;
        if (store.isUnreadable(challenge)) deps.unreadable.report('challenges', challenge);
        const method = { kind: clock.now() >= challenge.expires_at ? 'expire' : 'cancel' } as const;
        await settle(work, store.endable(challenge), { actor: { kind: 'clock' }, method });
      });
    } catch (error) {
      // The host polled again, or another process was faster.
      if (!(error instanceof Refusal)) throw error;
    }
  }

  return {
    decided,
    settle,
    denyOf,

    /**
     * At the start: while this server was away no host could be heard of, and those that still wait are not gone. Nothing
     * of theirs would be ended for that, but whoever says yes before the host has asked again would hear that the request
     * has expired.
     */
    extendLeases: () => db.transaction((work) => store.extendAllLeases(work, clock.now() + LEASE_SECONDS * 1000)),

    /**
     * Ends what is overdue, also what cannot be read: nobody can approve it, and it would count as waiting for ever.
     * Several processes may do this at once; compare-and-set lets one win each. What cannot be ended keeps nothing else
     * from it.
     *
     * Whose host fell silent is ended only by a process that could look without a gap for as long as a host has to be
     * heard of: before, or while nobody could look, the host may have asked in vain. Leases are not extended for that:
     * another process may have been there all the time, and ends them rightly.
     *
     * @throws what went wrong first, after all others were looked at.
     */
    async reap(): Promise<void> {
      const failures: unknown[] = [];
      const now = clock.now();
      const since = looks !== null && Math.abs(now - looks.last) <= GAP_MS ? looks.since : now;
      const silent = now - since >= LEASE_SECONDS * 1000;
      const ids = await store.overdueChallenges(db.query, { expired: now, silent: silent ? now : 0 });
      looks = { since, last: now };
      // Some at a time: they share the wait for the disk, and whoever asks meanwhile is in between.
      for (let from = 0; from < ids.length; from += AT_ONCE[db.driver]) {
        const some = ids.slice(from, from + AT_ONCE[db.driver]);
        await Promise.all(some.map((id) => end(id).catch((error) => failures.push(error))));
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
