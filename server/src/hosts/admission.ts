import { type ErrorCode, Refusal } from '#shared/errors.ts';
import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import { type Outcome, outcomeOf } from '../db/together.ts';
import type { EventLog } from '../events/log.ts';
import type { Proof, SignedRequest } from '../http/host-operation.ts';
import type { Clock } from '../platform/clock.ts';
import { checkSignature, readSignature } from './request-signature.ts';
import * as store from './store.ts';

/** What is known of a host before its row is looked at in the transaction of what it asks. None of it ever changes. */
export type KnownHost = Pick<store.Host, 'id' | 'hostname' | 'api_key'>;

/** How many hosts are remembered. */
const MAX_KNOWN = 20_000;

/** A request whose signature, digest and date are good; the nonce is not spent yet. */
export interface Authenticated {
  host: KnownHost;
  nonce: string;
  /** When it was signed, seconds by the clock of the host. */
  signedAt: number;
  remoteAddr: string;
}

export type Admission = ReturnType<typeof createAdmission>;

/** Why a host in this state may not speak; null when it may. */
export function stateRefusal(state: store.Host['state']): ErrorCode | null {
  switch (state) {
    case 'active':
      return null;
    case 'waiting':
      return 'host_waiting';
    case 'quarantined':
      return 'host_quarantined';
    case 'revoked':
      return 'host_revoked';
  }
}

const isClone = (refusal: Refusal): boolean => refusal.detail?.startsWith('clone:') === true;

/** Its number is none that comes next. */
const isOfBefore = (refusal: Refusal): boolean => isClone(refusal) || refusal.code === 'superseded';

/**
 * Two machines with one identity cannot both be the host. What was signed before the newest request that was taken was held
 * up on its way: a host gives its connections up, and whoever is between could stop it by letting go of such a one later. A
 * copy goes on after its original was heard.
 */
function refuseClone(host: store.Host, request: Authenticated, proof: Proof): void {
  if (host.rebind !== 0) return;
  if (proof.machineId !== host.machine_id) throw new Refusal('host_quarantined', 'clone: machine id differs');
  if (proof.counter > host.counter) return;
  if (host.counter_signed_at !== null && request.signedAt <= host.counter_signed_at) throw new Refusal('superseded');
  throw new Refusal('host_quarantined', 'clone: counter repeated');
}

const nonceUntil = (now: number): number => now + 2 * CLOCK_SKEW_SECONDS * 1000;

/** What is noted of a host that has proved who it is. */
const provenBy = (host: store.Host, request: Authenticated, proof: Proof, now: number): store.ProvenHost => ({
  id: host.id,
  counter: proof.counter,
  // A copy that signs in advance would have its original pass for one that was held up.
  counter_signed_at: Math.min(request.signedAt, Math.floor(now / 1000)),
  machine_id: proof.machineId,
  last_seen_at: now,
  remote_addr: request.remoteAddr,
  agent_version: proof.agentVersion ?? host.agent_version,
});

/** Who may speak as which host. */
export function createAdmission(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  serverId: string;
}) {
  const { db, events, clock } = deps;

  /** Two machines with one identity: both stop until an operator has looked. */
  async function quarantine(hostId: string, cause: string, remoteAddr: string): Promise<void> {
    await db.transaction(async (work) => {
      const host = await store.lockHost(work, hostId);
      if (host?.state !== 'active') return;
      await store.updateHost(work, hostId, { state: 'quarantined', rebind: 0 });
      await events.append(work, {
        event: 'host_quarantined',
        username: '',
        hostId,
        hostname: host.hostname,
        remoteAddr,
        data: { cause },
      });
    });
  }

  const known = new Map<string, KnownHost>();

  /** The key of a host, to check a signature with. Whether the host may still speak is looked up when it is admitted. */
  async function keyOf(id: string): Promise<KnownHost> {
    const remembered = known.get(id);
    if (remembered) return remembered;
    const host = await store.findHost(db.query, id);
    if (!host) throw new Refusal('host_unknown');
    const { hostname, api_key } = host;
    if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value!);
    known.set(id, { id, hostname, api_key });
    return { id, hostname, api_key };
  }

  /** May this host speak now? Its row is locked: it stays so until the transaction ends. */
  function speaking(host: store.Host | undefined, request: Authenticated): store.Host {
    if (!host) throw new Refusal('host_unknown');
    const refusal = stateRefusal(host.state);
    if (refusal) throw new Refusal(refusal);
    if (host.api_key !== request.host.api_key) {
      // In another database, that of a backup perhaps, the host has another key.
      known.delete(host.id);
      throw new Refusal('signature_invalid');
    }
    return host;
  }

  return {
    /** Who sent this? Throws a Refusal; writes nothing. */
    async authenticate(request: SignedRequest, remoteAddr: string): Promise<Authenticated> {
      const read = readSignature(request);
      if (!read.ok) throw new Refusal(read.refusal);
      const host = await keyOf(read.parameters.keyid);
      const problem = await checkSignature(request, read, { key: host.api_key, tag: deps.serverId }, clock.now());
      if (problem) throw new Refusal(problem);
      const { nonce, created } = read.parameters;
      return { host, nonce, signedAt: created, remoteAddr };
    },

    /**
     * Admits an authenticated request inside the transaction of what it does: host state, nonce and, where the body
     * carries them, counter and machine id.
     */
    async admit(work: UnitOfWork, request: Authenticated, proof: Proof | null): Promise<store.Host> {
      const now = clock.now();
      const host = speaking((await store.lockHost(work, request.host.id)) ?? undefined, request);
      if (!(await store.spendNonce(work, host.id, request.nonce, nonceUntil(now)))) {
        throw new Refusal('nonce_replayed');
      }
      if (!proof) return host;
      refuseClone(host, request, proof);
      await store.noteProof(work, provenBy(host, request, proof, now));
      return host;
    },

    /**
     * The first half of admitting several requests, each of another host: who may not speak is refused, and nothing is
     * written. Those that are not refused for anything else are then noted.
     */
    async examine(
      work: UnitOfWork,
      calls: readonly { who: Authenticated; body: Proof }[],
    ): Promise<Outcome<store.Host>[]> {
      const hosts = await store.lockHosts(
        work,
        calls.map(({ who }) => who.host.id),
      );
      const outcomes: Outcome<store.Host>[] = [];
      for (const { who, body } of calls) {
        const outcome = outcomeOf(() => {
          const host = speaking(hosts.get(who.host.id), who);
          refuseClone(host, who, body);
          return host;
        });
        // What is sent again by somebody who recorded it carries an old counter as well, and must not stop the host.
        const replayed = 'refusal' in outcome && isOfBefore(outcome.refusal) && (await store.isSpent(work, who));
        outcomes.push(replayed ? { refusal: new Refusal('nonce_replayed') } : outcome);
      }
      return outcomes;
    },

    /** The second half: nonces are spent, counters noted. One whose nonce was spent before is refused. */
    async note<T extends { call: { who: Authenticated; body: Proof }; host: store.Host }>(
      work: UnitOfWork,
      admitted: readonly T[],
    ): Promise<Outcome<T>[]> {
      const now = clock.now();
      const spent = await store.noteAdmitted(
        work,
        admitted.map(({ call, host }) => ({
          ...provenBy(host, call.who, call.body, now),
          nonce: call.who.nonce,
          expires_at: nonceUntil(now),
        })),
      );
      return admitted.map((one) =>
        spent.has(one.host.id) ? { value: one } : { refusal: new Refusal('nonce_replayed') },
      );
    },

    /** After `admit` refused and its transaction is gone: writes what must be remembered about it. */
    async noteRefusal(request: Authenticated | null, refusal: Refusal, remoteAddr: string): Promise<void> {
      if (request && isClone(refusal)) {
        await quarantine(request.host.id, refusal.detail!.slice('clone: '.length), remoteAddr);
      }
      await db.transaction(async (work) => {
        await events.append(work, {
          event: 'host_request_refused',
          username: '',
          hostId: request?.host.id ?? null,
          hostname: request?.host.hostname ?? null,
          remoteAddr,
          data: { refusal: refusal.code },
        });
      });
    },

    /** Drops request nonces that can no longer be replayed. */
    async forgetNonces(): Promise<void> {
      await db.transaction((work) => store.forgetNonces(work, clock.now()));
    },
  };
}
