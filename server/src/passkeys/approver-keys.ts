import { z } from 'zod';
import { type ApproverKeySet, approverKeySet } from '#shared/decision.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import { readHead } from '../events/store.ts';
import type { Clock } from '../platform/clock.ts';
import type { RelyingParty } from './relying-party.ts';
import { allPasskeys, insertApproverKeySet, newestApproverKeySet, newestApproverKeysVersion } from './store.ts';

/** Keeps the signed list of passkeys that hosts check approvals against. */
export interface ApproverKeys {
  /**
   * Signs and stores the next version, within the transaction of the change. Call it after the event of the change:
   * appending an event serialises writers, so that of two changes the later one sees the earlier one's keys.
   */
  publish(work: UnitOfWork, why: { username: string; actor?: string; remoteAddr?: string }): Promise<number>;
  /** The set in force: its version and the signed token. @throws when none was published yet */
  current(query: Database['query']): Promise<{ version: number; token: string }>;
  /** Version in force and, for a host that holds an older one, the signed token. */
  since(query: Database['query'], held: number): Promise<{ version: number; token: string | null }>;
  /** At start: makes version 1, or a new version when this server has got another name since. */
  ensure(): Promise<void>;
}

const jwkText = z.record(z.string(), z.string());

async function current(query: Database['query']): Promise<{ version: number; token: string }> {
  const newest = await newestApproverKeySet(query);
  if (!newest) throw new Error('no approver-key set was published yet');
  return { version: newest.version, token: newest.token };
}

async function since(query: Database['query'], held: number): Promise<{ version: number; token: string | null }> {
  const version = await newestApproverKeysVersion(query);
  return { version, token: version > held ? (await current(query)).token : null };
}

/** The payload of a token that this server signed itself. */
function payloadOf(token: string): ApproverKeySet {
  const [, payload = ''] = token.split('.');
  return approverKeySet.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
}

export function createApproverKeys(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  serverId: string;
  rp: RelyingParty;
  /** Signs with the trust root. */
  signApproverKeys: (set: ApproverKeySet) => Promise<string>;
}): ApproverKeys {
  const { db, events, clock, rp } = deps;

  async function publish(work: UnitOfWork, why: { username: string; actor?: string; remoteAddr?: string }) {
    const previous = await newestApproverKeySet(work.query);
    const rows = await allPasskeys(work.query);
    const set: ApproverKeySet = {
      v: 1,
      iss: deps.serverId,
      version: (previous?.version ?? 0) + 1,
      issuedAt: clock.now(),
      rpId: rp.id,
      origins: [rp.origin],
      keys: rows.map((row) => ({
        credentialId: row.credential_id,
        issuer: row.issuer,
        subject: row.subject,
        username: row.username,
        jwk: jwkText.parse(JSON.parse(row.jwk)),
      })),
    };
    const token = await deps.signApproverKeys(set);
    await insertApproverKeySet(work, { version: set.version, token, issued_at: set.issuedAt });
    await events.append(work, {
      event: 'approver_keys_published',
      username: why.username,
      actor: why.actor ?? null,
      remoteAddr: why.remoteAddr ?? null,
      data: { version: set.version, keys: set.keys.length },
    });
    return set.version;
  }

  return {
    current,
    since,
    publish,
    async ensure() {
      const isCurrent = (token: string) => {
        const { iss, rpId, origins } = payloadOf(token);
        return iss === deps.serverId && rpId === rp.id && origins.length === 1 && origins[0] === rp.origin;
      };
      const newest = await newestApproverKeySet(db.query);
      if (newest && isCurrent(newest.token)) return;
      await db.transaction(async (work) => {
        // Two replicas that start at once: the second one finds the first one's set.
        await readHead(work.query, work.driver);
        const again = await newestApproverKeySet(work.query);
        if (again && isCurrent(again.token)) return;
        await publish(work, { username: '' });
      });
    },
  };
}
