import { canonicalSha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import type { CeremoniesTable } from '../db/schema.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import { claimedChallenge } from './assertion.ts';
import { insertCeremony, takeCeremony } from './store.ts';

/** A ceremony must be finished within this, milliseconds. */
export const CEREMONY_LIFE_MS = 5 * 60_000;

/** What a ceremony was begun for. Part of the challenge, so that an answer can serve nothing else. */
export const target = {
  /** A passkey is asked to vouch for a further one. */
  add: 'add',
  /** A passkey is asked to let one go, perhaps itself. */
  remove: (credentialId: string) => `remove:${credentialId}`,
  /** A first passkey is made. */
  first: 'first',
  /** A passkey is made that the one named vouched for. */
  further: (credentialId: string) => `further:${credentialId}`,
  /** A passkey is made that replaces all lost ones. */
  recovery: 'recovery',
};

/** WebAuthn ceremonies other than approvals: the challenge is remembered for one session and used once. */
export interface Ceremonies {
  /** Returns the bytes of the challenge. */
  begin(viewer: Viewer, purpose: CeremoniesTable['purpose'], what: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Takes the ceremony that a response answers; it is gone whatever comes of it. @throws Refusal `passkey_rejected` */
  take(viewer: Viewer, purpose: CeremoniesTable['purpose'], clientDataJSON: string): Promise<CeremoniesTable>;
}

export function createCeremonies(deps: { db: Database; clock: Clock; random: Random }): Ceremonies {
  const { db, clock, random } = deps;
  return {
    async begin(viewer, purpose, what) {
      const nonce = randomText(random);
      const challenge = canonicalSha256({ v: 1, purpose, target: what, person: viewer.person.id, nonce });
      await db.transaction((work) =>
        insertCeremony(work, {
          challenge,
          purpose,
          person_id: viewer.person.id,
          session_hash: viewer.session.idHash,
          target: what,
          expires_at: clock.now() + CEREMONY_LIFE_MS,
        }),
      );
      return Uint8Array.from(Buffer.from(challenge, 'base64url'));
    },

    async take(viewer, purpose, clientDataJSON) {
      const challenge = claimedChallenge(clientDataJSON);
      if (challenge === null) throw new Refusal('passkey_rejected', 'unreadable client data');
      const which = { challenge, purpose, person_id: viewer.person.id, session_hash: viewer.session.idHash };
      // Committed by itself: a later refusal must not bring the ceremony back.
      const ceremony = await db.transaction((work) => takeCeremony(work, which));
      if (!ceremony) throw new Refusal('passkey_rejected', 'no such ceremony in this session');
      if (clock.now() >= ceremony.expires_at) throw new Refusal('passkey_rejected', 'ceremony expired');
      return ceremony;
    },
  };
}
