import type { HostRecord } from '#shared/decision.ts';
import { type GrantsInForce, grantShape, OFFLINE_GRANT_USES, type OfflineGrant } from '#shared/offline-grant.ts';
import type { Standing } from '../auth/standing.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { OfflineGrantsTable } from '../db/schema.ts';
import type { Host } from '../hosts/store.ts';
import type { Clock } from '../platform/clock.ts';
import type { PolicyOutcome } from '../policies/policy.ts';
import * as store from './offline-store.ts';
import type { Requirements } from './requirement.ts';

export interface OfflineGrantsDeps {
  db: Database;
  clock: Clock;
  /** How long one counts, milliseconds; 0: none is made. */
  longestMs: number;
  serverId: string;
  sign: (grant: OfflineGrant) => Promise<string>;
  standing: Pick<Standing, 'accountMayAct'>;
  /** Which policy grants have to be of; null: none counts. */
  policyForGrants: () => Promise<string | null>;
  requirements: Pick<Requirements, 'outcomes'>;
}

/** A grant that is to go out with an answer. */
export interface Issued {
  token: string;
  until: number;
  /** What it rests on; to be noted in the transaction of the answer, so that it can be taken back. */
  note: OfflineGrantsTable;
}

export type OfflineGrants = ReturnType<typeof createOfflineGrants>;

/** What hosts may run again without asking: who is given a grant, and when it is taken back. */
export function createOfflineGrants(deps: OfflineGrantsDeps) {
  const { db, clock, longestMs } = deps;

  return {
    /** The grant that goes with an approval. Null: this one is for once. */
    async issue(
      host: Pick<Host, 'id' | 'grants_revoked_to'>,
      record: HostRecord,
      challengeId: string,
      policy: PolicyOutcome,
    ): Promise<Issued | null> {
      // A person who was asked has said yes to this one, and to no other.
      if (longestMs === 0 || policy.approval !== 'none') return null;
      const shape = grantShape(record);
      if (shape === null) return null;
      const now = clock.now();
      const iat = Math.floor(now / 1000);
      const exp = iat + Math.floor(longestMs / 1000);
      const sequence = Math.max(now, host.grants_revoked_to + 1);
      const token = await deps.sign({
        v: 1,
        iss: deps.serverId,
        aud: host.id,
        iat,
        exp,
        challengeId,
        nonce: record.nonce,
        user: record.user,
        shape,
        policyVersion: policy.version,
        rule: policy.rule,
        sequence,
        uses: OFFLINE_GRANT_USES,
      });
      const until = exp * 1000;
      const note = {
        host_id: host.id,
        username: record.user,
        policy_version: policy.version,
        sequence,
        live_until: until,
      };
      return { token, until, note };
    },

    note: (work: UnitOfWork, issued: Issued): Promise<void> => store.noteGrant(work, issued.note),

    /** Which grants of a host count still. */
    async inForce(host: Pick<Host, 'grants_revoked_to'>): Promise<GrantsInForce> {
      return { revokedTo: host.grants_revoked_to, policyVersion: await deps.policyForGrants(), runs: true };
    },

    /**
     * Takes back whatever would not be given now. Every cause counts, because none of them is named: what a grant rests on
     * is looked at again, as if its account asked.
     */
    async endUnfounded(): Promise<void> {
      const live = await store.liveGrants(db.query, clock.now());
      if (live.length === 0) return;
      const outcomes = await deps.requirements.outcomes(
        db.query,
        live.map(({ username, hostname, host_group }) => ({ user: username, host: hostname, hostGroup: host_group })),
      );
      const revoked = new Map<string, number>();
      for (const [index, grant] of live.entries()) {
        const outcome = outcomes[index]!;
        const founded =
          longestMs > 0 &&
          grant.state === 'active' &&
          deps.standing.accountMayAct(grant.username) &&
          'value' in outcome &&
          outcome.value.approval === 'none' &&
          outcome.value.version === grant.policy_version;
        if (!founded) revoked.set(grant.host_id, Math.max(revoked.get(grant.host_id) ?? 0, grant.sequence));
      }
      for (const [hostId, to] of revoked) await db.transaction((work) => store.revokeGrants(work, hostId, to));
    },

    forgetOver: (): Promise<void> => db.transaction((work) => store.forgetGrants(work, clock.now())),
  };
}
