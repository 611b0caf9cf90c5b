import { sha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { dropRecoveryCodes, findOwner, insertRecoveryCode } from './store.ts';

/** A code must be used within this, milliseconds. */
const LIFE_MS = 24 * 60 * 60_000;
/** Crockford's base32: nothing that is read as something else. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const GROUPS = 4;
const GROUP_LENGTH = 5;

/** A new code, 100 bits: `XXXXX-XXXXX-XXXXX-XXXXX`. */
export function newRecoveryCode(random: Random): string {
  const group = () => Array.from({ length: GROUP_LENGTH }, () => ALPHABET[random.int(ALPHABET.length)]).join('');
  return Array.from({ length: GROUPS }, group).join('-');
}

/** What is stored of a code, however the person typed it: its hash. The code has too many bits to be guessed from it. */
export function recoveryCodeHash(typed: string): string {
  const compact = typed.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  return sha256(`identree recovery code ${compact}`);
}

export interface RecoveryCodes {
  /**
   * Makes a code for a person; earlier unused ones end. Shown once, stored as a hash.
   *
   * @param by the administrator; `personId` null when it is an operator on the server's own command line.
   * @throws Refusal `forbidden` for oneself: a stolen session of an administrator must not replace their passkey.
   */
  create(
    personId: string,
    by: { personId: string | null; username: string; remoteAddr: string | null },
  ): Promise<{ code: string; expiresAt: number }>;
}

export function createRecoveryCodes(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
}): RecoveryCodes {
  const { db, events, clock, random } = deps;
  return {
    async create(personId, by) {
      if (by.personId === personId) throw new Refusal('forbidden', 'recovery code for oneself');
      return db.transaction(async (work) => {
        const person = await findOwner(work.query, personId);
        if (!person) throw new Refusal('not_found');
        const code = newRecoveryCode(random);
        const now = clock.now();
        await dropRecoveryCodes(work, person.id);
        await insertRecoveryCode(work, {
          code_hash: recoveryCodeHash(code),
          person_id: person.id,
          created_by: by.username,
          created_at: now,
          expires_at: now + LIFE_MS,
          used_at: null,
        });
        await events.append(work, {
          event: 'recovery_code_created',
          username: person.username,
          actor: by.username,
          remoteAddr: by.remoteAddr,
          data: { issuer: person.issuer, subject: person.subject, expiresAt: now + LIFE_MS },
        });
        return { code, expiresAt: now + LIFE_MS };
      });
    },
  };
}
