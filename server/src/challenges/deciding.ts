import type { AssertionEvidence } from '#shared/decision.ts';
import { type ErrorCode, Refusal } from '#shared/errors.ts';
import type { Standing } from '../auth/standing.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { HostService } from '../hosts/service.ts';
import type { Viewer } from '../http/viewer.ts';
import type { AssertionResponse } from '../passkeys/assertion-response.ts';
import type { Approvals } from '../passkeys/verify-approval.ts';
import { type PolicyOutcome, stricterOutcome } from '../policies/policy.ts';
import { type Method, maySee } from './decide.ts';
import { documentFor } from './document.ts';
import type { Requirements } from './requirement.ts';
import type { Settling } from './settling.ts';
import * as store from './store.ts';
import { actorOf } from './to-view.ts';

export interface DecidingDeps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  hosts: Pick<HostService, 'facts'>;
  /** Reads the viewer anew inside the transaction; throws when the session no longer counts. */
  recheckViewer: (work: UnitOfWork, viewer: Viewer) => Promise<Viewer>;
  approvals: Pick<Approvals, 'verifyApproval'>;
  standing: Pick<Standing, 'confirm'>;
  requirements: Requirements;
  settling: Pick<Settling, 'settle' | 'denyOf'>;
}

export type Deciding = ReturnType<typeof createDeciding>;

/** What people decide. Every method throws a Refusal when it does not count. */
export function createDeciding(deps: DecidingDeps) {
  const { db, events } = deps;

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
    const policy = await deps.requirements.policy();
    return db.transaction(async (work) => {
      const current = await deps.recheckViewer(work, viewer);
      const stored = await store.lockChallenge(work, challengeId);
      if (!stored || !maySee(actorOf(current), stored.username)) throw new Refusal('not_found');
      const challenge = store.readable(stored);
      const outcome = stricterOutcome(
        challenge.policy,
        await deps.requirements.outcome(work.query, policy, {
          user: challenge.username,
          host: challenge.hostname,
          hostGroup: (await deps.hosts.facts(work.query, challenge.host_id)).group,
        }),
      );
      return deps.settling.settle(work, challenge, {
        actor: actorOf(current),
        method: await method(work, { viewer: current, challenge, policy: outcome }),
        policy: outcome,
        person: current.person,
        remoteAddr: viewer.remoteAddr,
      });
    });
  }

  /** A person who was disabled a minute ago neither approves nor is approved. */
  async function refuseDisabled(viewer: Viewer, challengeId: string): Promise<void> {
    const challenge = await store.findChallenge(db.query, challengeId);
    if (challenge?.status !== 'pending') return;
    const may = await deps.standing.confirm({ person: viewer.person, account: challenge.username });
    if (!may.account) await deps.settling.denyOf([challenge.username]);
    if (!may.account || !may.person) throw new Refusal('account_disabled');
  }

  return {
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
          const verified = await deps.approvals.verifyApproval(work, { person, document, assertion: input.assertion });
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
  };
}
