import { constantTimeEqual } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { EventName } from '#shared/events.ts';
import { hostGroup } from '#shared/names.ts';
import type { Database } from '../db/database.ts';
import type { HostsTable } from '../db/schema.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import * as store from './store.ts';

/** Who changes something about a host. */
export interface Operator {
  username: string;
  remoteAddr: string | null;
}

/** What becomes of a host, and how that is told. Null: it is so already. */
type Change = { set: Partial<HostsTable>; event: EventName; data: Record<string, unknown> } | null;

/** What operators do about hosts. Every method throws a Refusal when it does not apply. */
export function createOperators(deps: { db: Database; events: Pick<EventLog, 'append'>; clock: Clock }) {
  const { db, events, clock } = deps;

  /** Looks at the host, locked, and writes what becomes of it with its event. */
  async function change(hostId: string, by: Operator, decide: (host: store.Host) => Change): Promise<void> {
    await db.transaction(async (work) => {
      const host = await store.lockHost(work, hostId);
      if (!host) throw new Refusal('not_found');
      const result = decide(host);
      if (result === null) return;
      await store.updateHost(work, hostId, result.set);
      await events.append(work, {
        event: result.event,
        username: '',
        hostId,
        hostname: host.hostname,
        actor: by.username,
        remoteAddr: by.remoteAddr,
        data: result.data,
      });
    });
  }

  return {
    /** Vouches for a waiting host after comparing its key fingerprint. */
    confirm: (hostId: string, fingerprint: string, by: Operator) =>
      change(hostId, by, (host) => {
        if (host.state !== 'waiting') throw new Refusal('superseded');
        if (!constantTimeEqual(host.api_key_thumbprint, fingerprint.trim())) throw new Refusal('forbidden');
        return {
          set: { state: 'active', confirmed_at: clock.now() },
          event: 'host_confirmed',
          data: { keyFingerprint: host.api_key_thumbprint, from: 'waiting' },
        };
      }),

    /** Releases a quarantined host: whichever machine speaks next with the right key is the host from then on. */
    release: (hostId: string, by: Operator) =>
      change(hostId, by, (host) => {
        if (host.state !== 'quarantined') throw new Refusal('superseded');
        return {
          set: { state: 'active', rebind: 1, confirmed_at: clock.now() },
          event: 'host_confirmed',
          data: { keyFingerprint: host.api_key_thumbprint, from: 'quarantined' },
        };
      }),

    /** Puts a host into a group that policies can name, or takes it out of any (null). */
    async setGroup(hostId: string, group: string | null, by: Operator): Promise<void> {
      const parsed = hostGroup.nullable().safeParse(group);
      if (!parsed.success) throw new Refusal('bad_request');
      const to = parsed.data;
      await change(hostId, by, (host) =>
        host.host_group === to
          ? null
          : { set: { host_group: to }, event: 'host_group_changed', data: { from: host.host_group, to } },
      );
    },

    /** Ends a host's identity for good; its name may enrol again with a new token. */
    revoke: (hostId: string, by: Operator) =>
      change(hostId, by, (host) =>
        host.state === 'revoked'
          ? null
          : {
              set: { state: 'revoked' },
              event: 'host_removed',
              data: { keyFingerprint: host.api_key_thumbprint },
            },
      ),
  };
}
