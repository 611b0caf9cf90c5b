import type { Database } from '../db/database.ts';
import { readFact, writeFact } from '../db/installation.ts';
import type { EventLog } from '../events/log.ts';
import type { ServerKeys } from '../platform/keys.ts';

const FACT = 'trust_root_detached';

interface Deps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  keys: Pick<ServerKeys, 'trustRoot'>;
}

/** Notes for every server of the installation that the trust root is off line. Again, it changes nothing. */
export async function noteDetached({ db, events, keys }: Deps, actor: string | null): Promise<void> {
  await db.transaction(async (work) => {
    if ((await readFact(work.query, FACT)) !== null) return;
    await writeFact(work, FACT, keys.trustRoot.kid);
    await events.append(work, {
      event: 'trust_root_detached',
      username: '',
      actor,
      data: { trustRoot: keys.trustRoot.kid },
    });
  });
}

/**
 * At start. One server that kept the key would undo that it was taken off line, and nobody would see it.
 *
 * @throws when the trust root is off line and the folder of this server still has it
 */
export async function checkDetached(deps: Deps & { config: { keysDir: string } }): Promise<void> {
  if (deps.keys.trustRoot.key === null) return noteDetached(deps, null);
  if ((await readFact(deps.db.query, FACT)) === null) return;
  throw new Error(
    `the trust root was taken off line, but ${deps.config.keysDir} still has it: copy the keys folder of another server, and remove trust-root.pem.`,
  );
}
