import { z } from 'zod';
import { type ApproverKeyRequest, changesBetween, type SetChanges } from '#shared/approver-key-request.ts';
import { type ApproverKeySet, approverKeySet } from '#shared/decision.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { readApproverKeySet } from '#shared/verify-verdict.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { TrustRoot } from '../platform/trust-root.ts';
import type { RelyingParty } from './relying-party.ts';
import { allPasskeys, insertApproverKeySet, newestApproverKeySet, newestApproverKeysVersion } from './store.ts';

interface Why {
  username: string;
  actor?: string;
  remoteAddr?: string;
}

/** A passkey and whose it is. */
interface Credential {
  credentialId: string;
  issuer: string;
  subject: string;
}

/** Keeps the signed list of passkeys that hosts check approvals against. */
export interface ApproverKeys {
  /**
   * Signs and stores the next version, within the transaction of the change; notes that it waits while the trust root is off
   * line. Call it after the event of the change: appending an event serialises writers, so that of two changes the later one
   * sees the earlier one's keys.
   *
   * @returns the version in force
   */
  publish(work: UnitOfWork, why: Why): Promise<number>;
  /** The set in force: its version and the signed token. @throws when none was published yet */
  current(query: Database['query']): Promise<{ version: number; token: string }>;
  /** Version in force and, for a host that holds an older one, the signed token. */
  since(query: Database['query'], held: number): Promise<{ version: number; token: string | null }>;
  /** At start: makes version 1, or a new version when this server has got another name since. */
  ensure(): Promise<void>;
  /** Credential ids of those that hosts do not know yet, because the trust root is off line and has not signed for them. */
  unsigned(query: Database['query'], credentials: readonly Credential[]): Promise<ReadonlySet<string>>;
  /** What waits for the signature of the trust root; null: nothing does. */
  waiting(query: Database['query']): Promise<{ request: ApproverKeyRequest; changes: SetChanges } | null>;
  /** Publishes a set that was signed elsewhere. @throws with a sentence when it is none that may follow the one in force */
  attach(token: string, actor: string): Promise<ApproverKeySet>;
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

/** The payload of a token that was verified before it was stored. */
function payloadOf(token: string): ApproverKeySet {
  const [, payload = ''] = token.split('.');
  return approverKeySet.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
}

const credentialKey = ({ credentialId, issuer, subject }: Credential): string =>
  JSON.stringify([credentialId, issuer, subject]);

export function createApproverKeys(deps: {
  db: Database;
  events: Pick<EventLog, 'append' | 'lockHead'>;
  clock: Clock;
  serverId: string;
  rp: RelyingParty;
  trustRoot: Pick<TrustRoot, 'key' | 'public'>;
}): ApproverKeys {
  const { db, events, clock, rp, serverId, trustRoot } = deps;
  let known: { version: number; credentials: ReadonlySet<string> } = { version: 0, credentials: new Set() };

  /** What the set would be now, whoever signs it. */
  async function nextSet(query: Database['query'], after: number): Promise<ApproverKeySet> {
    const rows = await allPasskeys(query);
    return {
      v: 1,
      iss: serverId,
      version: after + 1,
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
  }

  async function store(work: UnitOfWork, set: ApproverKeySet, token: string, why: Why): Promise<void> {
    await insertApproverKeySet(work, { version: set.version, token, issued_at: set.issuedAt });
    await events.append(work, {
      event: 'approver_keys_published',
      username: why.username,
      actor: why.actor ?? null,
      remoteAddr: why.remoteAddr ?? null,
      data: { version: set.version, keys: set.keys.length },
    });
  }

  async function publish(work: UnitOfWork, why: Why): Promise<number> {
    const previous = await newestApproverKeySet(work.query);
    const set = await nextSet(work.query, previous?.version ?? 0);
    if (trustRoot.key === null) {
      await events.append(work, {
        event: 'approver_keys_waiting',
        username: why.username,
        actor: why.actor ?? null,
        remoteAddr: why.remoteAddr ?? null,
        data: { version: set.version, keys: set.keys.length },
      });
      return previous?.version ?? 0;
    }
    await store(work, set, await signToken(tokenType.approverKeys, set, trustRoot.key), why);
    return set.version;
  }

  const isOurs = ({ iss, rpId, origins }: ApproverKeySet): boolean =>
    iss === serverId && rpId === rp.id && origins.length === 1 && origins[0] === rp.origin;

  return {
    current,
    since,
    publish,
    async ensure() {
      const newest = await newestApproverKeySet(db.query);
      if (newest && isOurs(payloadOf(newest.token))) return;
      // It can only wait for its signature, see `waiting`; an event at each start would say nothing more.
      if (trustRoot.key === null) return;
      await db.transaction(async (work) => {
        // Two replicas that start at once: the second one finds the first one's set.
        await events.lockHead(work);
        const again = await newestApproverKeySet(work.query);
        if (again && isOurs(payloadOf(again.token))) return;
        await publish(work, { username: '' });
      });
    },

    async unsigned(query, credentials) {
      if (trustRoot.key !== null) return new Set();
      const version = await newestApproverKeysVersion(query);
      if (version !== known.version) {
        const newest = await current(query);
        known = {
          version: newest.version,
          credentials: new Set(payloadOf(newest.token).keys.map(credentialKey)),
        };
      }
      const { credentials: signed } = known;
      return new Set(credentials.filter((one) => !signed.has(credentialKey(one))).map((one) => one.credentialId));
    },

    async waiting(query) {
      if (trustRoot.key !== null) return null;
      const { version, token } = await current(query);
      const inForce = payloadOf(token);
      const set = await nextSet(query, version);
      const changes = changesBetween(inForce.keys, set.keys);
      const isNothing = Object.values(changes).every((list) => list.length === 0) && isOurs(inForce);
      return isNothing ? null : { request: { v: 1, serverId, inForce: token, set }, changes };
    },

    async attach(token, actor) {
      return db.transaction(async (work) => {
        await events.lockHead(work);
        const held = await newestApproverKeysVersion(work.query);
        const read = await readApproverKeySet(token, { serverId, trustRoot: trustRoot.public }, held + 1);
        if (!read.ok) {
          throw new Error(
            read.problem === 'rolled_back'
              ? `It is not newer than version ${held}, which is in force.`
              : `The trust root of this server has not signed it (${read.problem}).`,
          );
        }
        if (!isOurs(read.set)) throw new Error('It is for another address of this server.');
        await store(work, read.set, token, { username: '', actor });
        return read.set;
      });
    },
  };
}
