import { type ErrorCode, Refusal } from '#shared/errors.ts';
import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Proof, SignedRequest } from '../http/host-operation.ts';
import type { Clock } from '../platform/clock.ts';
import { checkSignature, readSignature } from './request-signature.ts';
import * as store from './store.ts';

/** A request whose signature, digest and date are good; the nonce is not spent yet. */
export interface Authenticated {
  host: store.Host;
  nonce: string;
  remoteAddr: string;
}

export type Admission = ReturnType<typeof createAdmission>;

/** Why a host in this state may not speak; null when it may. */
function stateRefusal(state: store.Host['state']): ErrorCode | null {
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

  return {
    /** Who sent this? Throws a Refusal; writes nothing. */
    async authenticate(request: SignedRequest, remoteAddr: string): Promise<Authenticated> {
      const read = readSignature(request);
      if (!read.ok) throw new Refusal(read.refusal);
      const host = await store.findHost(db.query, read.parameters.keyid);
      if (!host) throw new Refusal('host_unknown');
      const problem = await checkSignature(request, read, { key: host.api_key, tag: deps.serverId }, clock.now());
      if (problem) throw new Refusal(problem);
      return { host, nonce: read.parameters.nonce, remoteAddr };
    },

    /**
     * Admits an authenticated request inside the transaction of what it does: host state, nonce and, where the body
     * carries them, counter and machine id.
     */
    async admit(work: UnitOfWork, request: Authenticated, proof: Proof | null): Promise<store.Host> {
      const now = clock.now();
      const host = await store.lockHost(work, request.host.id);
      if (!host) throw new Refusal('host_unknown');
      const refusal = stateRefusal(host.state);
      if (refusal) throw new Refusal(refusal);
      if (!(await store.spendNonce(work, host.id, request.nonce, now + 2 * CLOCK_SKEW_SECONDS * 1000))) {
        throw new Refusal('nonce_replayed');
      }
      if (!proof) return host;
      if (host.rebind === 0) {
        if (proof.machineId !== host.machine_id) throw new Refusal('host_quarantined', 'clone: machine id differs');
        if (proof.counter <= host.counter) throw new Refusal('host_quarantined', 'clone: counter repeated');
      }
      await store.noteProof(work, {
        id: host.id,
        counter: proof.counter,
        machine_id: proof.machineId,
        last_seen_at: now,
        remote_addr: request.remoteAddr,
        agent_version: proof.agentVersion ?? host.agent_version,
      });
      return host;
    },

    /** After `admit` refused and its transaction is gone: writes what must be remembered about it. */
    async noteRefusal(request: Authenticated | null, refusal: Refusal, remoteAddr: string): Promise<void> {
      if (request && refusal.detail?.startsWith('clone:')) {
        await quarantine(request.host.id, refusal.detail.slice('clone: '.length), remoteAddr);
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
