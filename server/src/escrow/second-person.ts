import { canonicalSha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Absent, ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Standing } from '../auth/standing.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { HostService } from '../hosts/service.ts';
import type { Viewer } from '../http/viewer.ts';
import type { AssertionResponse } from '../passkeys/assertion-response.ts';
import type { Confirmations } from '../passkeys/confirmations.ts';
import type { Clock } from '../platform/clock.ts';
import { bareIssuer } from '../platform/issuer.ts';
import type { Random } from '../platform/random.ts';
import type { RevealRequest } from './reveal-request-store.ts';
import * as store from './reveal-request-store.ts';

/** Long enough to reach a colleague by telephone; asking, confirming and showing all fall into it. */
export const REVEAL_REQUEST_MS = 15 * 60_000;

/** A request that waits, as administrators see it. */
export interface WaitingReveal {
  id: string;
  hostId: string;
  reason: string;
  askedBy: string;
  askedAt: number;
  expiresAt: number;
  /** Null: it waits for somebody. */
  confirmedBy: string | null;
  /** Whether the one who looks is the one who asked. */
  own: boolean;
}

/** Pure rule: why this request does not let this person be shown the password; null: it does. */
export function whyNotShown(
  request: RevealRequest | null,
  asked: { hostId: string; reason: string; personId: string; now: number },
): 'second_person_required' | 'reveal_request_over' | null {
  if (request === null || request.asker_id !== asked.personId) return 'second_person_required';
  if (request.host_id !== asked.hostId || request.reason !== asked.reason) return 'second_person_required';
  if (request.shown_at !== null || request.expires_at <= asked.now) return 'reveal_request_over';
  if (request.confirmer_id === null || request.confirmer_id === request.asker_id) return 'second_person_required';
  return null;
}

/** Pure rule: why this person cannot confirm this request; null: they can. */
export function whyNotConfirmed(
  request: RevealRequest | null,
  by: { personId: string; now: number },
): 'reveal_request_over' | 'second_person_is_first' | null {
  if (request === null || request.shown_at !== null || request.expires_at <= by.now) return 'reveal_request_over';
  if (request.confirmer_id !== null) return 'reveal_request_over';
  return request.asker_id === by.personId ? 'second_person_is_first' : null;
}

/**
 * Pure rule: whether two who signed in are one human being, as far as anything says so. A provider whose address is written
 * otherwise, or an account that was made anew, makes another person of somebody.
 */
export function isOnePerson(one: Absent, other: Absent): boolean {
  const [a, b] = [one.person, other.person];
  return (
    a.id === b.id ||
    (a.subject === b.subject && bareIssuer(a.issuer) === bareIssuer(b.issuer)) ||
    (a.sourceId !== null && a.sourceId.claim === b.sourceId?.claim && a.sourceId.value === b.sourceId.value) ||
    a.username.toLowerCase() === b.username.toLowerCase() ||
    one.accounts.some((account) => other.accounts.includes(account))
  );
}

export type SecondPerson = ReturnType<typeof createSecondPerson>;

/** A password is shown only once another administrator has said yes to exactly this reveal. Every method throws a Refusal. */
export function createSecondPerson(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  hosts: Pick<HostService, 'find' | 'lock'>;
  confirmations: Confirmations;
  people: Pick<ViewerResolver, 'absent'>;
  standing: Pick<Standing, 'personMayAct'>;
  required: boolean;
}) {
  const { db, events, clock, random, hosts, confirmations, people, standing } = deps;

  /** For what the second passkey is asked: this request of this person, and what it is about. */
  const purposeOf = ({ id, host_id, reason, asker_id }: RevealRequest) =>
    canonicalSha256({ purpose: 'second-person', id, hostId: host_id, reason, asker: asker_id });

  function refuseUnconfirmable(request: RevealRequest | null, personId: string): asserts request is RevealRequest {
    const why = whyNotConfirmed(request, { personId, now: clock.now() });
    if (why) throw new Refusal(why);
  }

  return {
    required: deps.required,

    /** Asks other administrators. An earlier request of this person for this host is over. */
    async ask(viewer: Viewer, { hostId, reason }: { hostId: string; reason: string }): Promise<{ id: string }> {
      if (!deps.required) throw new Refusal('bad_request', 'no second person is asked for');
      const id = random.uuid();
      const { person, remoteAddr } = viewer;
      await db.transaction(async (work) => {
        const host = await hosts.lock(work, hostId);
        if (!host) throw new Refusal('not_found');
        const now = clock.now();
        await store.forgetRequestsOf(work, { hostId, askerId: person.id });
        await store.insertRequest(work, {
          id,
          host_id: hostId,
          reason,
          asker_id: person.id,
          asker: person.username,
          asked_at: now,
          expires_at: now + REVEAL_REQUEST_MS,
          confirmer_id: null,
          confirmer: null,
          confirmed_at: null,
          shown_at: null,
        });
        const { issuer, subject } = person;
        await events.append(work, {
          event: 'breakglass_reveal_requested',
          username: '',
          hostId,
          hostname: host.hostname,
          actor: person.username,
          reason,
          remoteAddr,
          data: { request: id, issuer, subject },
        });
      });
      return { id };
    },

    /** Asks the second person for a passkey, for this request and for nothing else. */
    async confirmOptions(viewer: Viewer, { id }: { id: string }) {
      const request = await store.findRequest(db.query, id);
      refuseUnconfirmable(request, viewer.person.id);
      return confirmations.options(viewer, purposeOf(request));
    },

    async confirm(viewer: Viewer, { id, assertion }: { id: string; assertion: AssertionResponse }): Promise<void> {
      const request = await store.findRequest(db.query, id);
      refuseUnconfirmable(request, viewer.person.id);
      const confirm = await confirmations.take(viewer, assertion, purposeOf(request));
      await db.transaction(async (work) => {
        const second = await confirm(work);
        const { role, person } = second;
        if (role !== 'admin') throw new Refusal('forbidden');
        const asker = await people.absent(work.query, request.asker_id);
        if (asker === null) throw new Refusal('reveal_request_over');
        if (isOnePerson(asker, second)) throw new Refusal('second_person_is_first');
        const host = await hosts.lock(work, request.host_id);
        if (!host) throw new Refusal('not_found');
        refuseUnconfirmable(await store.findRequest(work.query, id), person.id);
        const by = { id: person.id, username: person.username, at: clock.now() };
        if (!(await store.confirmRequest(work, id, by))) throw new Refusal('reveal_request_over');
        const { issuer, subject } = person;
        await events.append(work, {
          event: 'breakglass_reveal_confirmed',
          username: '',
          hostId: host.id,
          hostname: host.hostname,
          actor: person.username,
          reason: request.reason,
          remoteAddr: viewer.remoteAddr,
          data: { request: id, askedBy: request.asker, issuer, subject },
        });
      });
    },

    /** The confirmed request by which this person may be shown the password; null: none is needed. */
    async confirmed(viewer: Viewer, asked: { hostId: string; reason: string }): Promise<RevealRequest | null> {
      if (!deps.required) return null;
      const personId = viewer.person.id;
      const request = await store.findRequestOf(db.query, { hostId: asked.hostId, askerId: personId });
      const why = whyNotShown(request, { ...asked, personId, now: clock.now() });
      if (why) throw new Refusal(why);
      return request;
    },

    /** Spends it, in the transaction of the reveal: one confirmation, one reveal. */
    async spend(work: UnitOfWork, request: RevealRequest): Promise<void> {
      // A yes is no better than whoever said it: they may have lost their power since, and been taken for an intruder.
      const second = await people.absent(work.query, request.confirmer_id ?? '');
      if (second?.role !== 'admin' || !standing.personMayAct(second.person)) {
        throw new Refusal('second_person_required');
      }
      if (!(await store.spendRequest(work, request.id, clock.now()))) throw new Refusal('reveal_request_over');
    },

    async waiting(viewer: Viewer): Promise<WaitingReveal[]> {
      const rows = await store.openRequests(db.query, clock.now());
      return rows.map((row) => ({
        id: row.id,
        hostId: row.host_id,
        reason: row.reason,
        askedBy: row.asker,
        askedAt: row.asked_at,
        expiresAt: row.expires_at,
        confirmedBy: row.confirmer,
        own: row.asker_id === viewer.person.id,
      }));
    },

    /** Drops what nobody can use any more; the event log has it. */
    forgetOver: () => db.transaction((work) => store.forgetOver(work, clock.now())),
  };
}
