import { createHmac } from 'node:crypto';
import type { Database } from '../db/database.ts';
import type { KeptProofs } from '../ldap/server.ts';
import type { Clock } from '../platform/clock.ts';
import { forgetProofs, keepProof, listProofs } from './bind-proof-store.ts';

const DAY_MS = 86_400_000;
/** A name that has not bound from an address for so long has to prove itself there again. */
const KEPT_DAYS = 30;
const MOST = 10_000;

/**
 * Remembers across restarts which names have proved at which addresses to know their password: else a stranger who guesses
 * while the server starts would keep the hosts out. The database has only digests under a key from outside of it: whoever
 * reads or writes there learns no address, and opens no door for a name that they do not know the key of. Written once
 * for each name, address and day.
 *
 * @param deps.key 32 bytes from outside the database
 */
export function createBindProofs(deps: {
  db: Database;
  clock: Clock;
  key: Uint8Array;
  onError: (error: unknown, what: string) => void;
}): KeptProofs & { load(): Promise<void> } {
  const { db, clock } = deps;
  /** Digest → day of its proof. */
  let days = new Map<string, number>();
  const today = (): number => Math.floor(clock.now() / DAY_MS);
  return {
    key: createHmac('sha256', deps.key).update('ldap-bind-proofs').digest(),
    known: () => [...days.keys()],
    /** Reads what earlier processes kept. */
    async load() {
      const since = today() - KEPT_DAYS;
      await db.transaction((work) => forgetProofs(work, since));
      days = new Map((await listProofs(db.query, since, MOST)).map(({ digest, day }) => [digest, day]));
    },
    keep(digest) {
      const day = today();
      if (days.get(digest) === day) return;
      days.set(digest, day);
      db.transaction((work) => keepProof(work, digest, day)).catch((error: unknown) => {
        days.delete(digest);
        deps.onError(error, 'keeping the proof of a bind name');
      });
    },
  };
}
