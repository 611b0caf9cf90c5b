import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import type { DecisionDocument } from '#shared/decision.ts';
import { Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import type { HostService } from '../hosts/service.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Approvals } from '../passkeys/verify-approval.ts';
import type { Clock } from '../platform/clock.ts';
import type { Unreadable, UnreadableRows } from '../platform/unreadable.ts';
import { evaluatePolicy, type PolicyOutcome, stricterOutcome } from '../policies/policy.ts';
import type { PolicySource } from '../policies/source.ts';
import { maySee } from './decide.ts';
import { documentFor } from './document.ts';
import { type HistoryFilter, historyPage, type Place } from './history-store.ts';
import { leaseOf } from './lease.ts';
import type { NoteShown, ShownIn } from './noting-shown.ts';
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

/** A request in a list, or one that cannot be read in its place. */
export type ChallengeEntry = ChallengeView | (Unreadable & Pick<ChallengeView, 'createdAt'>);

export interface ShowingDeps {
  db: Database;
  clock: Clock;
  policies: PolicySource;
  unreadable: Pick<UnreadableRows, 'report'>;
  hosts: Pick<HostService, 'facts'>;
  accountOwner: AccountOwner;
  approvals: Pick<Approvals, 'approvalOptions'>;
  noteShown: NoteShown;
}

export type Showing = ReturnType<typeof createShowing>;

/** Requests as people see them. Who may not see one learns nothing of it. */
export function createShowing(deps: ShowingDeps) {
  const { db, clock } = deps;

  /** What the requests of one list have in common is looked up once for all of them. */
  function createLookups() {
    const once = <T>(look: (key: string) => Promise<T>) => {
      const known = new Map<string, Promise<T>>();
      return (key: string): Promise<T> => {
        const found = known.get(key) ?? look(key);
        known.set(key, found);
        return found;
      };
    };
    return {
      host: once((id) => deps.hosts.facts(db.query, id)),
      owner: once((account) => deps.accountOwner(db.query, account)),
      policies: once(() => deps.policies.current()),
    };
  }

  /** What is shown of a request, or that it cannot be read: itself, or what its policy depends on. */
  async function viewOf(
    challenge: store.StoredChallenge,
    viewer: Viewer,
    lookups = createLookups(),
  ): Promise<{ view: ChallengeView; policy: PolicyOutcome } | Unreadable> {
    if (store.isUnreadable(challenge)) return deps.unreadable.report('challenges', challenge);
    const host = await lookups.host(challenge.host_id);
    const owner = await lookups.owner(challenge.username);
    if (owner?.groups === null) {
      const cause = new Error('the groups are no list of names');
      return { ...deps.unreadable.report('people', { id: owner.personId, cause }), id: challenge.id };
    }
    const state = await lookups.policies('in force');
    const outcome = state.ok
      ? evaluatePolicy(state.policy, {
          user: challenge.username,
          groups: owner?.groups ?? [],
          host: challenge.hostname,
          hostGroup: host.group,
        })
      : challenge.policy;
    const now = clock.now();
    const lease = { lease_until: leaseOf(challenge.lease_until, now, db.troubleAgoMs()) };
    const view = toView({ ...challenge, ...lease }, viewer, {
      ownerName: owner?.displayName ?? null,
      host,
      policyNow: outcome,
      now,
    });
    if (!state.ok && view.status === 'pending') {
      return {
        view: { ...view, can: { approve: false, deny: false }, approveRefusal: 'policy_broken' },
        policy: stricterOutcome(challenge.policy, outcome),
      };
    }
    return { view, policy: stricterOutcome(challenge.policy, outcome) };
  }

  /** One line of a list. */
  async function entryOf(challenge: store.StoredChallenge, viewer: Viewer, lookups: Lookups): Promise<ChallengeEntry> {
    const shown = await viewOf(challenge, viewer, lookups);
    return 'unreadable' in shown ? { ...shown, createdAt: challenge.created_at } : shown.view;
  }
  type Lookups = ReturnType<typeof createLookups>;

  async function entriesOf(challenges: readonly store.StoredChallenge[], viewer: Viewer): Promise<ChallengeEntry[]> {
    const lookups = createLookups();
    return Promise.all(challenges.map((challenge) => entryOf(challenge, viewer, lookups)));
  }

  return {
    /**
     * The request behind a user code, for the approval page; null when there is none that this viewer may see.
     *
     * @param shownIn where it is shown to a person; null: a program asks how it stands
     * @throws Refusal `unreadable`
     */
    async approval(viewer: Viewer, userCode: string, shownIn: ShownIn | null): Promise<Approval | null> {
      const challenge = await store.findChallengeByCode(db.query, userCode);
      if (!challenge || !maySee(actorOf(viewer), challenge.username)) return null;
      const shown = await viewOf(challenge, viewer);
      if ('unreadable' in shown) throw new Refusal('unreadable', `error ${shown.errorId}`);
      const { view, policy } = shown;
      if (shownIn !== null) await deps.noteShown(viewer, challenge, view, shownIn);
      if (!view.can.approve || policy.approval !== 'passkey') return { view, passkey: null };
      const document = documentFor(store.readable(challenge), viewer, policy);
      return {
        view,
        passkey: { document, options: await deps.approvals.approvalOptions(db.query, viewer.person.id, document) },
      };
    },

    /** Pending requests that this viewer may see, oldest first. */
    async inbox(viewer: Viewer): Promise<ChallengeEntry[]> {
      const rows = await store.pendingChallenges(db.query, viewer.role === 'admin' ? null : viewer.accounts, 500);
      const waiting = rows.filter((row) => clock.now() < row.expires_at);
      return entriesOf(waiting, viewer);
    },

    /** A page of the requests of any status that this viewer may see. `next`: where it goes on; null: there are no more. */
    async history(viewer: Viewer, filter: HistoryFilter): Promise<{ requests: ChallengeEntry[]; next: Place | null }> {
      const { rows, next } = await historyPage(db.query, viewer.role === 'admin' ? null : viewer.accounts, filter);
      return { requests: await entriesOf(rows.map(store.fromRow), viewer), next };
    },
  };
}
