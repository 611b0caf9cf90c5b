import { requestHash } from '#shared/decision.ts';
import { Refusal } from '#shared/errors.ts';
import {
  type ChallengeAnswer,
  type CreateChallengeRequest,
  LEASE_SECONDS,
  type OutcomeRequest,
  type RunRequest,
} from '#shared/host-api.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Standing } from '../auth/standing.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Host } from '../hosts/store.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { newChallengeId } from './challenge-id.ts';
import { PENDING_IN_TOTAL, PENDING_PER_USER_AND_HOST } from './limits.ts';
import { createPendingTotal } from './pending-total.ts';
import type { Requirements } from './requirement.ts';
import type { Settling, SettlingDeps } from './settling.ts';
import * as store from './store.ts';
import { commandLine } from './to-view.ts';
import { newUserCode } from './user-code.ts';

/** How old a record may be when it arrives, milliseconds; the request itself is at most 60 s off already. */
const RECORD_AGE_MS = 120_000;

export interface AskingDeps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  ttlMs: number;
  externalUrl: string;
  standing: Pick<Standing, 'accountMayAct'>;
  requirements: Requirements;
  settling: Pick<Settling, 'settle'>;
  keysSince: SettlingDeps['keysSince'];
}

export type Asking = ReturnType<typeof createAsking>;

/** What hosts do with requests: ask, wait, withdraw, and tell what became of the answer. */
export function createAsking(deps: AskingDeps) {
  const { db, events, clock, random, requirements } = deps;
  const { settle } = deps.settling;
  const pendingTotal = createPendingTotal(PENDING_IN_TOTAL);

  async function answer(challenge: store.Challenge, query: Database['query'], held: number): Promise<ChallengeAnswer> {
    return {
      challengeId: challenge.id,
      userCode: challenge.user_code,
      status: challenge.status,
      approvalUrl: `${deps.externalUrl}/approve/${challenge.user_code}`,
      expiresAt: challenge.expires_at,
      now: clock.now(),
      approvers: challenge.policy.approvers,
      verdict: challenge.verdict,
      approverKeys: (await deps.keysSince(query, held)).token,
    };
  }

  /** A host's own challenge; another host's looks like one that never was. */
  async function own(work: UnitOfWork, host: Host, challengeId: string): Promise<store.Challenge> {
    const challenge = await store.lockChallenge(work, challengeId);
    if (!challenge || challenge.host_id !== host.id) throw new Refusal('challenge_not_found');
    return store.readable(challenge);
  }

  return {
    /** A host asks. Runs in the transaction that admitted its request. */
    async create(
      work: UnitOfWork,
      host: Host,
      body: Pick<CreateChallengeRequest, 'record' | 'approverKeysVersion' | 'mayWait'>,
      remoteAddr: string,
    ): Promise<ChallengeAnswer> {
      const now = clock.now();
      const { record } = body;
      if (record.hostId !== host.id) throw new Refusal('wrong_host_record');
      if (Math.abs(now - record.createdAt) > RECORD_AGE_MS) throw new Refusal('stale_record');
      // Before any policy: `approval: none` would let a disabled person run things.
      if (!deps.standing.accountMayAct(record.user)) throw new Refusal('account_disabled');
      const ofUser = await store.countPendingOfUser(work.query, host.id, record.user, now);
      if (ofUser >= PENDING_PER_USER_AND_HOST) throw new Refusal('too_many_pending_user');
      const room = await pendingTotal.admits(() => store.countPending(work.query, PENDING_IN_TOTAL), now);
      if (!room) throw new Refusal('too_many_pending');
      const policy = await requirements.outcome(work.query, await requirements.policy(), {
        user: record.user,
        host: host.hostname,
        hostGroup: host.host_group,
      });
      // Scripts probe with `sudo -n` many times an hour: nobody may be asked for what nobody waits for.
      if (body.mayWait === false && policy.approval !== 'none') throw new Refusal('approval_required');
      const challenge = await store.insertChallenge(work, {
        id: newChallengeId(random, now),
        user_code: newUserCode(random),
        host_id: host.id,
        hostname: host.hostname,
        username: record.user,
        nonce: record.nonce,
        record,
        request_hash: requestHash(record),
        created_at: now,
        expires_at: now + deps.ttlMs,
        lease_until: now + LEASE_SECONDS * 1000,
        policy,
      });
      if (!challenge) throw new Refusal('nonce_reused');
      if (policy.approval === 'none') {
        const method = { kind: 'auto' } as const;
        const settled = await settle(work, challenge, { actor: { kind: 'policy' }, method, policy, remoteAddr });
        return answer(settled, work.query, body.approverKeysVersion);
      }
      // Before the event: from there on every other writer waits for this one.
      const answered = await answer(challenge, work.query, body.approverKeysVersion);
      await events.append(work, {
        event: 'challenge_created',
        username: record.user,
        hostId: host.id,
        hostname: host.hostname,
        challengeId: challenge.id,
        code: challenge.user_code,
        reason: record.reason,
        remoteAddr,
        data: {
          requestHash: challenge.request_hash,
          gate: record.gate,
          runAs: record.runAs.user,
          command: commandLine(record),
          policyVersion: policy.version,
          rule: policy.rule,
          expiresAt: challenge.expires_at,
        },
      });
      return answered;
    },

    /** Where a host's challenge stands. Extends the lease: the host will be heard of again within `waitMs` or is gone. */
    async poll(
      work: UnitOfWork,
      host: Host,
      challengeId: string,
      waitMs: number,
      keysHeld: number,
    ): Promise<ChallengeAnswer> {
      const challenge = await own(work, host, challengeId);
      if (challenge.status === 'pending') {
        await store.extendLease(work, challengeId, clock.now() + waitMs + LEASE_SECONDS * 1000);
      }
      return answer(challenge, work.query, keysHeld);
    },

    /** The same, outside a transaction and without touching the lease: the end of a long poll. */
    async peek(host: Host, challengeId: string, keysHeld: number): Promise<ChallengeAnswer> {
      const challenge = await store.findChallenge(db.query, challengeId);
      if (!challenge || challenge.host_id !== host.id) throw new Refusal('challenge_not_found');
      return answer(store.readable(challenge), db.query, keysHeld);
    },

    /** The host withdraws its request. One that is decided already stays decided. */
    async cancel(work: UnitOfWork, host: Host, challengeId: string, remoteAddr: string): Promise<ChallengeAnswer> {
      const challenge = await own(work, host, challengeId);
      const ended =
        challenge.status === 'pending'
          ? await settle(work, challenge, {
              actor: { kind: 'host', hostId: host.id },
              method: { kind: 'cancel' },
              remoteAddr,
            })
          : challenge;
      return answer(ended, work.query, Number.MAX_SAFE_INTEGER);
    },

    /** The host tells what it did with an approval. Told once; a repetition changes nothing. */
    async outcome(
      work: UnitOfWork,
      host: Host,
      challengeId: string,
      body: OutcomeRequest,
      remoteAddr: string,
    ): Promise<void> {
      const challenge = await own(work, host, challengeId);
      if (challenge.status === 'pending') throw new Refusal('superseded');
      if (!(await store.recordOutcome(work, challengeId, body.outcome, body.detail, clock.now()))) return;
      await events.append(work, {
        event: 'challenge_outcome',
        username: challenge.username,
        hostId: host.id,
        hostname: host.hostname,
        challengeId,
        code: challenge.user_code,
        remoteAddr,
        data: { outcome: body.outcome, detail: body.detail === null ? null : visibleText(body.detail) },
      });
    },

    /**
     * The host tells what sudo did with a released command. Calls may arrive late, twice or out of order: a start counts
     * only while nothing else is known, and the first end stays. That sudo did not start it after all may follow a start,
     * because sudo says that it starts a command before it tries to execute it.
     */
    async run(work: UnitOfWork, host: Host, challengeId: string, body: RunRequest, remoteAddr: string): Promise<void> {
      const challenge = await own(work, host, challengeId);
      if (challenge.status !== 'approved') throw new Refusal('superseded');
      // Visible already in the table: Postgres takes no text with a NUL.
      const run = body.state === 'refused' ? { ...body, reason: visibleText(body.reason) } : body;
      if (!(await store.recordRun(work, challengeId, run, clock.now()))) return;
      const ended = run.state === 'ended' ? run : null;
      await events.append(work, {
        event: 'challenge_run',
        username: challenge.username,
        hostId: host.id,
        hostname: host.hostname,
        challengeId,
        code: challenge.user_code,
        remoteAddr,
        data: {
          state: run.state,
          exitStatus: ended?.exitStatus ?? null,
          signal: ended?.signal ?? null,
          durationMs: ended?.durationMs ?? null,
          reason: run.state === 'refused' ? run.reason : null,
        },
      });
    },
  };
}
