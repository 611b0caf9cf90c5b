import { type LogEpoch, logEpoch } from '#shared/log-head.ts';
import { tokenType } from '#shared/token.ts';
import { signForRoot } from '#shared/trust-root.ts';
import type { Database } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import type { ServerKeys } from '../platform/keys.ts';
import { readDisputes, storeEpoch } from './head-store.ts';
import type { LogHeads } from './heads.ts';
import type { EventLog } from './log.ts';
import { nameLogKey } from './log-key.ts';

/** A running server may write events meanwhile. */
const ATTEMPTS = 20;

/**
 * Lets the log go on from where it stands: what hosts have seen beyond it is given up, in the name of an operator. Hosts take
 * the word of the trust root for it, once.
 *
 * @throws BrokenLog: a log with a hole in it is nothing to go on from
 */
export async function startEpoch(
  deps: {
    db: Database;
    events: Pick<EventLog, 'append' | 'lockHead'>;
    heads: Pick<LogHeads, 'position' | 'read' | 'epoch'>;
    keys: Pick<ServerKeys, 'serverId' | 'trustRoot' | 'log'>;
    clock: Clock;
  },
  by: { operator: string; reason: string },
): Promise<{ epoch: LogEpoch; hosts: number }> {
  const { db, events, heads, keys } = deps;
  const disputes = await readDisputes(db.query);
  const seen = await Promise.all(disputes.map(async ({ head }) => (head === null ? null : heads.read(head))));
  // Hosts take nothing that was signed before what they keep; the clock may have been ahead then.
  const signed = [(await heads.epoch(Number.MAX_SAFE_INTEGER))?.epoch, ...seen].map((one) => (one?.at ?? 0) + 1);
  const at = Math.max(deps.clock.now(), ...signed);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const position = await heads.position();
    const epoch: LogEpoch = logEpoch.parse({ v: 1, iss: keys.serverId, at, ...position, ...by });
    const token = await signForRoot(tokenType.logEpoch, epoch, keys.trustRoot.signer);
    const done = await db.transaction(async (work) => {
      const head = await events.lockHead(work);
      if (head.seq !== position.seq || head.hash !== position.hash) return false;
      await storeEpoch(work, { at, seq: position.seq, token });
      await events.append(work, {
        event: 'log_epoch_started',
        username: '',
        actor: by.operator,
        reason: by.reason,
        data: { token, seq: position.seq, hash: position.hash, contradictedBy: disputes.length },
      });
      await nameLogKey(work, events, keys.log.kid);
      return true;
    });
    if (done) return { epoch, hosts: disputes.length };
  }
  throw new Error('the log is written too often to be signed; stop the server and try again');
}
