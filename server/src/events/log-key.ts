import type { Database, UnitOfWork } from '../db/database.ts';
import { readFact, writeFact } from '../db/installation.ts';
import type { EventLog } from './log.ts';

const FACT = 'log_key';

/** Whether hosts may have seen heads that a log key of this installation has signed. */
export const isLogKeyNamed = async (db: Pick<Database, 'query'>): Promise<boolean> =>
  (await readFact(db.query, FACT)) !== null;

/** Names the key that signs heads of this log from now on, and says so in the log. */
export async function nameLogKey(work: UnitOfWork, events: Pick<EventLog, 'append'>, kid: string): Promise<void> {
  const previous = await readFact(work.query, FACT);
  if (previous === kid) return;
  await writeFact(work, FACT, kid);
  await events.append(work, { event: 'log_key_created', username: '', data: { logKey: kid, previous } });
}

/**
 * An installation that has no log key yet takes the one of the first server that brings one.
 *
 * @returns why this server may not sign; null when it may
 */
export async function claimLogKey(db: Database, events: Pick<EventLog, 'append'>, kid: string): Promise<string | null> {
  if ((await readFact(db.query, FACT)) === null) {
    await db.transaction(async (work) => {
      if ((await readFact(work.query, FACT)) === null) await nameLogKey(work, events, kid);
    });
  }
  const named = await readFact(db.query, FACT);
  if (named === kid) return null;
  return `the keys folder has another log key (${kid}) than this installation (${named}): copy log.pem from the keys folder of another server or from a backup. If it is lost, name the new one: identree-server restore accept --operator NAME --reason TEXT`;
}
