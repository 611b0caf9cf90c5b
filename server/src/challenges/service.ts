import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import {
  type AssertionEvidence,
  type DecisionDocument,
  type HostRecord,
  requestHash,
  type Verdict,
} from '#shared/decision.ts';
import { ERRORS, type ErrorCode, Refusal } from '#shared/errors.ts';
import type { ChallengeAnswer, OutcomeRequest } from '#shared/host-api.ts';
import { LEASE_SECONDS } from '#shared/host-api.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Standing } from '../auth/standing.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Host } from '../hosts/store.ts';
import type { Viewer } from '../http/viewer.ts';
import type { AssertionResponse } from '../passkeys/assertion-response.ts';
import type { Approvals } from '../passkeys/verify-approval.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { evaluatePolicy, type Policy, type PolicyOutcome, stricterOutcome } from '../policies/policy.ts';
import type { PolicySource } from '../policies/source.ts';
import { type Actor, decide, type Method, maySee } from './decide.ts';
import { createPendingTotal } from './pending-total.ts';
import * as store from './store.ts';
import { actorOf, commandLine, decidable, toView } from './to-view.ts';
import { newUserCode } from './user-code.ts';
import type { ChallengeView } from './view.ts';

/** The most requests that one user on one host may have waiting; W-32: never counted across hosts. */
export const PENDING_PER_USER_AND_HOST = 10;
/** The most requests that may wait in all. */
export const PENDING_IN_TOTAL = 10_000;
/** How old a record may be when it arrives, milliseconds; the request itself is at most 60 s off already. */
const RECORD_AGE_MS = 120_000;
/** How long after its expiry a verdict may still be read by the host, seconds. */
const VERDICT_SLACK_SECONDS = 60;

/** A request that a viewer may decide: the page that shows it and what the passkey has to sign. */
export interface Approval {
  view: ChallengeView;
  /** Present when the viewer may approve now and the policy asks for a passkey. */
  passkey: { document: DecisionDocument; options: PublicKeyCredentialRequestOptionsJSON } | null;
}

export interface ChallengeDeps {
  db: Database;
  events: EventLog;
  clock: Clock;
  random: Random;
  policies: PolicySource;
  ttlMs: number;
  externalUrl: string;
  serverId: string;
  signVerdict: (verdict: Verdict) => Promise<string>;
  hosts: { facts(hostId: string): Promise<{ group: string | null; lastSeenAt: number | null }> };
  /** Reads the viewer anew inside the transaction; throws when the session no longer counts. */
  recheckViewer: (work: UnitOfWork, viewer: Viewer) => Promise<Viewer>;
  passkeys: Approvals;
  standing: Standing;
  /** The person behind an account; null when it is nobody's. */
  accountOwner: (
    query: Database['query'],
    account: string,
  ) => Promise<{ displayName: string; groups: string[] } | null>;
  /** Version of the approver-key set in force and, when it is newer than what the host holds, the set. */
  keysSince: (query: Database['query'], held: number) => Promise<{ version: number; token: string | null }>;
}

/** Who is named in the event of a decision that no person took. */
function silentActor(actor: Actor, status: store.Challenge['status']): string | null {
  if (actor.kind === 'directory') return 'directory';
  return actor.kind === 'clock' && status === 'cancelled' ? 'lease' : null;
}

export type ChallengeService = ReturnType<typeof createChallengeService>;

export function createChallengeService(deps: ChallengeDeps) {
  const pendingTotal = createPendingTotal(PENDING_IN_TOTAL);
  const { db, events, clock, random } = deps;

  async function policyNow(): Promise<Policy> {
    const state = await deps.policies.current();
    if (!state.ok) throw new Refusal('policy_broken', state.problem);
    return state.policy;
  }

  async function outcomeFor(
    query: Database['query'],
    policy: Policy,
    user: string,
    host: { name: string; group: string | null },
  ): Promise<PolicyOutcome> {
    const owner = await deps.accountOwner(query, user);
    return evaluatePolicy(policy, { user, groups: owner?.groups ?? [], host: host.name, hostGroup: host.group });
  }

  async function hostGroup(query: Database['query'], hostId: string): Promise<string | null> {
    const row = await query.selectFrom('hosts').select('host_group').where('id', '=', hostId).executeTakeFirst();
    return row?.host_group ?? null;
  }

  /** Applies `decide()` to a locked row and writes decision, verdict and event together. */
  async function settle(
    work: UnitOfWork,
    challenge: store.Challenge,
    actor: Actor,
    method: Method,
    policy: PolicyOutcome,
    person: Viewer['person'] | null,
    remoteAddr: string | null,
  ): Promise<store.Challenge> {
    const now = clock.now();
    const result = decide(decidable(challenge), actor, method, policy, now);
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
    const keys = await deps.keysSince(work.query, Number.MAX_SAFE_INTEGER);
    const written = {
      status: decision.status,
      decided_at: now,
      decided_by: person?.id ?? null,
      decided_by_name: person?.username ?? null,
      class: decision.class,
      reason: decision.reason,
      verdict,
      approver_keys_version: keys.version,
    };
    if (!(await store.settleChallenge(work, challenge.id, written))) throw new Refusal('already_decided');
    const name = {
      approved: actor.kind === 'policy' ? ('auto_approved' as const) : ('challenge_approved' as const),
      denied: 'challenge_rejected' as const,
      expired: 'challenge_expired' as const,
      cancelled: 'challenge_cancelled' as const,
    }[decision.status];
    await events.append(work, {
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
        command: commandLine(challenge.record),
        policyVersion: policy.version,
        rule: policy.rule,
        class: decision.class,
        approver: person ? { issuer: person.issuer, subject: person.subject } : null,
        credentialIds: decision.evidence.map((evidence) => evidence.credentialId),
        approverKeysVersion: keys.version,
      },
    });
    return { ...challenge, ...written };
  }

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
    return challenge;
  }

  async function personDecides(
    viewer: Viewer,
    challengeId: string,
    method: (
      work: UnitOfWork,
      locked: {
        viewer: Viewer;
        challenge: store.Challenge;
        policy: PolicyOutcome;
      },
    ) => Promise<Method>,
  ): Promise<store.Challenge> {
    const policy = await policyNow();
    return db.transaction(async (work) => {
      const current = await deps.recheckViewer(work, viewer);
      const challenge = await store.lockChallenge(work, challengeId);
      if (!challenge || !maySee(actorOf(current), challenge.username)) throw new Refusal('not_found');
      const outcome = stricterOutcome(
        challenge.policy,
        await outcomeFor(work.query, policy, challenge.username, {
          name: challenge.hostname,
          group: await hostGroup(work.query, challenge.host_id),
        }),
      );
      const what = await method(work, { viewer: current, challenge, policy: outcome });
      return settle(work, challenge, actorOf(current), what, outcome, current.person, viewer.remoteAddr);
    });
  }

  /** Nobody approves, or is approved, who was disabled a minute ago. */
  async function refuseDisabled(viewer: Viewer, challengeId: string): Promise<void> {
    const challenge = await store.findChallenge(db.query, challengeId);
    if (challenge?.status !== 'pending') return;
    const may = await deps.standing.confirm({ person: viewer.person, account: challenge.username });
    if (!may.account) await denyOf([challenge.username]);
    if (!may.account || !may.person) throw new Refusal('account_disabled');
  }

  /** Denies everything that waits for these Linux accounts. */
  async function denyOf(accounts: readonly string[]): Promise<void> {
    const concerned = new Set(accounts);
    const few = accounts.length <= 100 ? accounts : null;
    const waiting = await store.pendingChallenges(db.query, few, PENDING_IN_TOTAL);
    for (const { id } of waiting.filter(({ username }) => concerned.has(username))) {
      await db.transaction(async (work) => {
        const challenge = await store.lockChallenge(work, id);
        if (challenge?.status !== 'pending' || clock.now() >= challenge.expires_at) return;
        const method = { kind: 'deny', reason: ERRORS.account_disabled[1] } as const;
        await settle(work, challenge, { kind: 'directory' }, method, challenge.policy, null, null);
      });
    }
  }

  function documentFor(challenge: store.Challenge, viewer: Viewer, policy: PolicyOutcome): DecisionDocument {
    return {
      v: 1,
      purpose: 'approve',
      decision: 'approved',
      requestHash: challenge.request_hash,
      challengeId: challenge.id,
      approver: { issuer: viewer.person.issuer, subject: viewer.person.subject },
      policyVersion: policy.version,
      grace: 0,
      expiresAt: challenge.expires_at,
    };
  }

  async function viewOf(
    challenge: store.Challenge,
    viewer: Viewer,
  ): Promise<{ view: ChallengeView; policy: PolicyOutcome }> {
    const host = await deps.hosts.facts(challenge.host_id);
    const owner = await deps.accountOwner(db.query, challenge.username);
    const state = await deps.policies.current();
    const outcome = state.ok
      ? evaluatePolicy(state.policy, {
          user: challenge.username,
          groups: owner?.groups ?? [],
          host: challenge.hostname,
          hostGroup: host.group,
        })
      : challenge.policy;
    const view = toView(challenge, viewer, {
      ownerName: owner?.displayName ?? null,
      host,
      policyNow: outcome,
      now: clock.now(),
    });
    if (!state.ok && view.status === 'pending') {
      return {
        view: { ...view, can: { approve: false, deny: false }, approveRefusal: 'policy_broken' },
        policy: stricterOutcome(challenge.policy, outcome),
      };
    }
    return { view, policy: stricterOutcome(challenge.policy, outcome) };
  }

  return {
    /** A host asks. Runs in the transaction that admitted its request. */
    async create(
      work: UnitOfWork,
      host: Host,
      body: { record: HostRecord; approverKeysVersion: number },
      remoteAddr: string,
    ): Promise<ChallengeAnswer> {
      const now = clock.now();
      const { record } = body;
      if (record.hostId !== host.id) throw new Refusal('wrong_host_record');
      if (Math.abs(now - record.createdAt) > RECORD_AGE_MS) throw new Refusal('stale_record');
      // Before any policy: `approval: none` would let a disabled person run things.
      if (!deps.standing.accountMayAct(record.user)) throw new Refusal('account_disabled');
      const ofUser = await store.countPendingOfUser(work.query, host.id, record.user);
      if (ofUser >= PENDING_PER_USER_AND_HOST) throw new Refusal('too_many_pending_user');
      const room = await pendingTotal.admits(() => store.countPending(work.query, PENDING_IN_TOTAL), now);
      if (!room) throw new Refusal('too_many_pending');
      const policy = await outcomeFor(work.query, await policyNow(), record.user, {
        name: host.hostname,
        group: host.host_group,
      });
      const challenge = await store.insertChallenge(work, {
        id: random.bytes(16).toString('hex'),
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
        const settled = await settle(work, challenge, { kind: 'policy' }, { kind: 'auto' }, policy, null, remoteAddr);
        return answer(settled, work.query, body.approverKeysVersion);
      }
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
      return answer(challenge, work.query, body.approverKeysVersion);
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
      return answer(challenge, db.query, keysHeld);
    },

    /** The host withdraws its request. One that is decided already stays decided. */
    async cancel(work: UnitOfWork, host: Host, challengeId: string, remoteAddr: string): Promise<ChallengeAnswer> {
      const challenge = await own(work, host, challengeId);
      const ended =
        challenge.status === 'pending'
          ? await settle(
              work,
              challenge,
              { kind: 'host', hostId: host.id },
              { kind: 'cancel' },
              challenge.policy,
              null,
              remoteAddr,
            )
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

    /** Approves as a signed-in person. Throws a Refusal; nothing is written then but, by the caller, its event. */
    async approve(
      viewer: Viewer,
      input: { challengeId: string; assertion: AssertionResponse | null; confirmTruncated: boolean },
    ): Promise<void> {
      await refuseDisabled(viewer, input.challengeId);
      await personDecides(viewer, input.challengeId, async (work, locked) => {
        let evidence: AssertionEvidence | null = null;
        if (input.assertion !== null) {
          const document = documentFor(locked.challenge, locked.viewer, locked.policy);
          const { person } = locked.viewer;
          const verified = await deps.passkeys.verifyApproval(work, { person, document, assertion: input.assertion });
          if (!verified.ok) throw new Refusal(verified.refusal, verified.detail);
          evidence = verified.evidence;
        }
        return { kind: 'approve', evidence, confirmTruncated: input.confirmTruncated };
      });
    },

    /** Denies as a signed-in person. */
    async deny(viewer: Viewer, input: { challengeId: string; reason: string | null }): Promise<void> {
      await personDecides(viewer, input.challengeId, async () => ({ kind: 'deny', reason: input.reason }));
    },

    /** Denies what waits for accounts whose owners were disabled or removed. */
    denyOf,

    /** A refused attempt to decide leaves its event; the attempt itself changed nothing. */
    async noteRefusal(viewer: Viewer, challengeId: string, refusal: ErrorCode): Promise<void> {
      await db.transaction(async (work) => {
        const challenge = await store.findChallenge(work.query, challengeId);
        await events.append(work, {
          event: 'decision_refused',
          username: challenge?.username ?? '',
          hostId: challenge?.host_id ?? null,
          hostname: challenge?.hostname ?? null,
          challengeId: challenge?.id ?? null,
          code: challenge?.user_code ?? null,
          actor: viewer.person.username,
          remoteAddr: viewer.remoteAddr,
          data: { refusal, sessionKind: viewer.session.kind },
        });
      });
    },

    /** The request behind a user code, for the approval page; null when there is none that this viewer may see. */
    async approval(viewer: Viewer, userCode: string): Promise<Approval | null> {
      const challenge = await store.findChallengeByCode(db.query, userCode);
      if (!challenge || !maySee(actorOf(viewer), challenge.username)) return null;
      const { view, policy } = await viewOf(challenge, viewer);
      if (!view.can.approve || policy.approval !== 'passkey') return { view, passkey: null };
      const document = documentFor(challenge, viewer, policy);
      return {
        view,
        passkey: { document, options: await deps.passkeys.approvalOptions(db.query, viewer.person.id, document) },
      };
    },

    /** Pending requests that this viewer may see, oldest first. */
    async inbox(viewer: Viewer): Promise<ChallengeView[]> {
      const rows = await store.pendingChallenges(db.query, viewer.role === 'admin' ? null : viewer.accounts, 500);
      const views = await Promise.all(rows.map((row) => viewOf(row, viewer)));
      return views.map(({ view }) => view).filter((view) => view.status === 'pending');
    },

    /** Requests of any status that this viewer may see, newest first. */
    async history(
      viewer: Viewer,
      filter: { before: number | null; limit: number; status: store.Challenge['status'] | null; search: string | null },
    ): Promise<ChallengeView[]> {
      const rows = await store.recentChallenges(db.query, viewer.role === 'admin' ? null : viewer.accounts, filter);
      return Promise.all(rows.map(async (row) => (await viewOf(row, viewer)).view));
    },

    /** Ends what is overdue. Several processes may do this at once; compare-and-set lets one win each. */
    async reap(): Promise<number> {
      const ids = await store.overdueChallenges(db.query, clock.now(), 200);
      for (const id of ids) {
        try {
          await db.transaction(async (work) => {
            const challenge = await store.lockChallenge(work, id);
            if (challenge?.status !== 'pending') return;
            const method = { kind: clock.now() >= challenge.expires_at ? 'expire' : 'cancel' } as const;
            await settle(work, challenge, { kind: 'clock' }, method, challenge.policy, null, null);
          });
        } catch (error) {
          // The host polled again, or another process was faster.
          if (!(error instanceof Refusal)) throw error;
        }
      }
      return ids.length;
    },
  };
}
