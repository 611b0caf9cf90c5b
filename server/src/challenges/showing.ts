import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import type { DecisionDocument } from '#shared/decision.ts';
import type { Database } from '../db/database.ts';
import type { HostService } from '../hosts/service.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Approvals } from '../passkeys/verify-approval.ts';
import type { Clock } from '../platform/clock.ts';
import { evaluatePolicy, type PolicyOutcome, stricterOutcome } from '../policies/policy.ts';
import type { PolicySource } from '../policies/source.ts';
import { maySee } from './decide.ts';
import { documentFor } from './document.ts';
import type { AccountOwner } from './requirement.ts';
import * as store from './store.ts';
import { actorOf, toView } from './to-view.ts';
import type { ChallengeView } from './view.ts';

/** A request that a viewer may decide: the page that shows it and what the passkey has to sign. */
export interface Approval {
  view: ChallengeView;
  /** Present when the viewer may approve now and the policy asks for a passkey. */
  passkey: { document: DecisionDocument; options: PublicKeyCredentialRequestOptionsJSON } | null;
}

export interface ShowingDeps {
  db: Database;
  clock: Clock;
  policies: PolicySource;
  hosts: Pick<HostService, 'facts'>;
  accountOwner: AccountOwner;
  approvals: Pick<Approvals, 'approvalOptions'>;
}

export type Showing = ReturnType<typeof createShowing>;

/** Requests as people see them. Who may not see one learns nothing of it. */
export function createShowing(deps: ShowingDeps) {
  const { db, clock } = deps;

  async function viewOf(
    challenge: store.Challenge,
    viewer: Viewer,
  ): Promise<{ view: ChallengeView; policy: PolicyOutcome }> {
    const host = await deps.hosts.facts(db.query, challenge.host_id);
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
    /** The request behind a user code, for the approval page; null when there is none that this viewer may see. */
    async approval(viewer: Viewer, userCode: string): Promise<Approval | null> {
      const challenge = await store.findChallengeByCode(db.query, userCode);
      if (!challenge || !maySee(actorOf(viewer), challenge.username)) return null;
      const { view, policy } = await viewOf(challenge, viewer);
      if (!view.can.approve || policy.approval !== 'passkey') return { view, passkey: null };
      const document = documentFor(challenge, viewer, policy);
      return {
        view,
        passkey: { document, options: await deps.approvals.approvalOptions(db.query, viewer.person.id, document) },
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
  };
}
