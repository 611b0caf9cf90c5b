import { commandLine } from '#shared/command-words.ts';
import { Refusal } from '#shared/errors.ts';
import {
  type ChallengeAnswer,
  type CreateChallengeRequest,
  LEASE_SECONDS,
  type OutcomeRequest,
} from '#shared/host-api.ts';
import type { RunRequest } from '#shared/host-run.ts';
import type { GrantsInForce } from '#shared/offline-grant.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Standing } from '../auth/standing.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import { type Outcome, outcomeOf, proceed, refusedWith } from '../db/together.ts';
import type { EventLog, NewEvent } from '../events/log.ts';
import type { Host } from '../hosts/store.ts';
import type { SharedCall, Together } from '../http/host-operation.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import type { PolicyOutcome } from '../policies/policy.ts';
import { newChallengeId } from './challenge-id.ts';
import { PENDING_IN_TOTAL, PENDING_PER_USER_AND_HOST } from './limits.ts';
import type { Issued, OfflineGrants } from './offline-grants.ts';
import { createPendingTotal } from './pending-total.ts';
import type { Requirements } from './requirement.ts';
import type { Settling, SettlingDeps } from './settling.ts';
import * as store from './store.ts';
import { newUserCode } from './user-code.ts';

/** How old a record may be when it arrives, milliseconds; the request itself is at most 60 s off already. */
const RECORD_AGE_MS = 120_000;

export interface AskingDeps {
  db: Database;
  events: Pick<EventLog, 'append' | 'appendAll'>;
  clock: Clock;
  random: Random;
  ttlMs: number;
  externalUrl: string;
  standing: Pick<Standing, 'accountMayAct'>;
  requirements: Requirements;
  settling: Pick<Settling, 'settle' | 'decided'>;
  keysSince: SettlingDeps['keysSince'];
  grants: Pick<OfflineGrants, 'issue' | 'note' | 'inForce'>;
}

type Call = SharedCall<CreateChallengeRequest>;

/** How a host told what became of a request. */
interface Told {
  remoteAddr: string;
  /** The entry of the host's journal that says so, and when it was written by the clock of the host; absent: told at once. */
  journal?: { at: number; hash: string };
}

/** What an event says of that: when it is told can be long after it happened. */
const journalFacts = ({ journal }: Told) => (journal ? { happenedAt: journal.at, journalHash: journal.hash } : {});

/** A request that nothing speaks against: what is to be written of it, and what its host is told beside. */
interface Prepared {
  readonly challenge: store.Challenge;
  readonly event: NewEvent;
  readonly approverKeys: string | null;
  /** By which its host may run it again without asking. */
  readonly granted: Issued | null;
  readonly inForce: GrantsInForce;
}

export type Asking = ReturnType<typeof createAsking>;

/** What hosts do with requests: ask, wait, withdraw, and tell what became of the answer. */
export function createAsking(deps: AskingDeps) {
  const { db, events, clock, random, requirements } = deps;
  const { settle } = deps.settling;
  const pendingTotal = createPendingTotal(PENDING_IN_TOTAL);

  const toldAt = ({ journal }: Told): number => journal?.at ?? clock.now();

  async function answer(
    challenge: store.Challenge,
    query: Database['query'],
    host: Host,
    held: number,
  ): Promise<ChallengeAnswer> {
    const approverKeys = (await deps.keysSince(query, held)).token;
    return answerWith({ challenge, approverKeys, granted: null, inForce: await deps.grants.inForce(host) });
  }

  function answerWith({ challenge, approverKeys, granted, inForce }: Omit<Prepared, 'event'>): ChallengeAnswer {
    return {
      challengeId: challenge.id,
      userCode: challenge.user_code,
      status: challenge.status,
      approvalUrl: `${deps.externalUrl}/approve/${challenge.user_code}`,
      expiresAt: challenge.expires_at,
      now: clock.now(),
      approvers: challenge.policy.approvers,
      verdict: challenge.verdict,
      approverKeys,
      offlineGrant: granted?.token ?? null,
      grants: inForce,
    };
  }

  /** A host's own challenge; another host's looks like one that never was. */
  async function own(work: UnitOfWork, host: Host, challengeId: string): Promise<store.Challenge> {
    const challenge = await store.lockChallenge(work, challengeId);
    if (!challenge || challenge.host_id !== host.id) throw new Refusal('challenge_not_found');
    return store.readable(challenge);
  }

  /** What can be said of a request by itself. */
  function refuseAlone({ host, body: { record } }: Call, now: number): void {
    if (record.hostId !== host.id) throw new Refusal('wrong_host_record');
    if (Math.abs(now - record.createdAt) > RECORD_AGE_MS) throw new Refusal('stale_record');
    // Before any policy: `approval: none` would let a disabled person run things.
    if (!deps.standing.accountMayAct(record.user)) throw new Refusal('account_disabled');
  }

  /** Whether there is room for one more. */
  async function roomFor(work: UnitOfWork, calls: readonly Call[], now: number) {
    const asked = calls.map(({ host, body: { record } }) => ({
      hostId: host.id,
      username: record.user,
      nonce: record.nonce,
    }));
    const rooms = await store.roomFor(work, asked, now);
    const outcomes: Outcome<{ call: Call; used: boolean }>[] = [];
    for (const [index, call] of calls.entries()) {
      const { waiting: ofUser, used } = rooms[index]!;
      try {
        if (ofUser >= PENDING_PER_USER_AND_HOST) throw new Refusal('too_many_pending_user');
        const room = await pendingTotal.admits(() => store.countPending(work.query, PENDING_IN_TOTAL), now);
        if (!room) throw new Refusal('too_many_pending');
        outcomes.push({ value: { call, used } });
      } catch (error) {
        outcomes.push(refusedWith(error));
      }
    }
    return outcomes;
  }

  /** What a request becomes: one that waits, or one that the policy has answered. */
  async function prepare(
    { host, body: { record }, remoteAddr }: Call,
    policy: PolicyOutcome,
    now: number,
    keysVersion: number,
  ): Promise<Pick<Prepared, 'challenge' | 'event' | 'granted'>> {
    const challenge = store.newChallenge({
      id: newChallengeId(random, now),
      user_code: newUserCode(random),
      host,
      record,
      created_at: now,
      expires_at: now + deps.ttlMs,
      lease_until: now + LEASE_SECONDS * 1000,
      policy,
    });
    if (policy.approval === 'none') {
      const method = { kind: 'auto' } as const;
      const settlement = { actor: { kind: 'policy' }, method, policy, remoteAddr } as const;
      const { written, event } = await deps.settling.decided(challenge, settlement, keysVersion);
      const granted = await deps.grants.issue(host, record, challenge.id, policy);
      const data = granted === null ? event.data : { ...event.data, offlineGrantUntil: granted.until };
      return { challenge: { ...challenge, ...written }, event: { ...event, data }, granted };
    }
    const event = {
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
    } satisfies NewEvent;
    return { challenge, event, granted: null };
  }

  /** Looks at what hosts ask. */
  async function check(work: UnitOfWork, calls: readonly Call[]): Promise<Outcome<Prepared>[]> {
    const now = clock.now();
    const alone = calls.map((call) =>
      outcomeOf(() => {
        refuseAlone(call, now);
        return call;
      }),
    );
    const withRoom = await proceed(alone, (some) => roomFor(work, some, now));
    return proceed(withRoom, async (some) => {
      const outcomes = await requirements.outcomes(
        work.query,
        some.map(({ call: { host, body } }) => ({
          user: body.record.user,
          host: host.hostname,
          hostGroup: host.host_group,
        })),
      );
      const held = Math.min(...some.map(({ call }) => call.body.approverKeysVersion));
      const keys = await deps.keysSince(work.query, held);
      const prepared = outcomes.map(async (outcome, index): Promise<Outcome<Prepared>> => {
        if ('refusal' in outcome) return outcome;
        const { call, used } = some[index]!;
        const { body } = call;
        const policy = outcome.value;
        try {
          // Scripts probe with `sudo -n` many times an hour: nobody may be asked for what nobody waits for.
          if (body.mayWait === false && policy.approval !== 'none') throw new Refusal('approval_required');
          if (used) throw new Refusal('nonce_reused');
          const approverKeys = keys.version > body.approverKeysVersion ? keys.token : null;
          const inForce = await deps.grants.inForce(call.host);
          return { value: { ...(await prepare(call, policy, now, keys.version)), approverKeys, inForce } };
        } catch (error) {
          return refusedWith(error);
        }
      });
      return Promise.all(prepared);
    });
  }

  /** Writes what was prepared. */
  async function write(work: UnitOfWork, prepared: readonly Prepared[]): Promise<ChallengeAnswer[]> {
    const challenges = prepared.map(({ challenge }) => challenge);
    if (!(await store.insertChallenges(work, challenges))) throw new Refusal('nonce_reused');
    for (const { granted } of prepared) if (granted !== null) await deps.grants.note(work, granted);
    // At last: from there on every other writer waits for this one.
    await events.appendAll(
      work,
      prepared.map(({ event }) => event),
    );
    return prepared.map(answerWith);
  }

  return {
    /** Hosts ask, several at once. Runs in the transaction that admits their requests. */
    create: { check, write } satisfies Together<CreateChallengeRequest, Prepared>,

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
      return answer(challenge, work.query, host, keysHeld);
    },

    /** The same, outside a transaction and without touching the lease: the end of a long poll. */
    async peek(host: Host, challengeId: string, keysHeld: number): Promise<ChallengeAnswer> {
      const challenge = await store.findChallenge(db.query, challengeId);
      if (!challenge || challenge.host_id !== host.id) throw new Refusal('challenge_not_found');
      return answer(store.readable(challenge), db.query, host, keysHeld);
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
      return answer(ended, work.query, host, Number.MAX_SAFE_INTEGER);
    },

    /** The host tells what it did with an approval. Told once; a repetition changes nothing. */
    async outcome(work: UnitOfWork, host: Host, challengeId: string, body: OutcomeRequest, told: Told): Promise<void> {
      const challenge = await own(work, host, challengeId);
      if (challenge.status === 'pending') throw new Refusal('superseded');
      if (!(await store.recordOutcome(work, challengeId, body.outcome, body.detail, toldAt(told)))) return;
      await events.append(work, {
        event: 'challenge_outcome',
        username: challenge.username,
        hostId: host.id,
        hostname: host.hostname,
        challengeId,
        code: challenge.user_code,
        remoteAddr: told.remoteAddr,
        data: {
          outcome: body.outcome,
          detail: body.detail === null ? null : visibleText(body.detail),
          ...journalFacts(told),
        },
      });
    },

    /**
     * The host tells what sudo did with a released command. Calls may arrive late, twice or out of order: a start counts
     * only while nothing else is known, and the first end stays. That sudo did not start it after all may follow a start,
     * because sudo says that it starts a command before it tries to execute it.
     */
    async run(work: UnitOfWork, host: Host, challengeId: string, body: RunRequest, told: Told): Promise<void> {
      const challenge = await own(work, host, challengeId);
      if (challenge.status !== 'approved') throw new Refusal('superseded');
      // Visible already in the table: Postgres takes no text with a NUL.
      const run = body.state === 'refused' ? { ...body, reason: visibleText(body.reason) } : body;
      if (!(await store.recordRun(work, challengeId, run, toldAt(told)))) return;
      const ended = run.state === 'ended' ? run : null;
      await events.append(work, {
        event: 'challenge_run',
        username: challenge.username,
        hostId: host.id,
        hostname: host.hostname,
        challengeId,
        code: challenge.user_code,
        remoteAddr: told.remoteAddr,
        data: {
          state: run.state,
          exitStatus: ended?.exitStatus ?? null,
          signal: ended?.signal ?? null,
          durationMs: ended?.durationMs ?? null,
          reason: run.state === 'refused' ? run.reason : null,
          ...journalFacts(told),
        },
      });
    },
  };
}
