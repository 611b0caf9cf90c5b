import { generateAuthenticationOptions, type PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import { Refusal } from '#shared/errors.ts';
import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { checkAssertion } from './assertion.ts';
import type { AssertionResponse } from './assertion-response.ts';
import { CEREMONY_LIFE_MS, createCeremonies } from './ceremonies.ts';
import { transportsOf } from './passkey.ts';
import type { RelyingParty } from './relying-party.ts';
import { FRESH_SIGN_IN_MS } from './service.ts';
import { lockOwner, passkeysOf } from './store.ts';

/** A passkey for one act that is neither an approval nor about passkeys. Every method throws {@link Refusal}. */
export interface Confirmations {
  /** @param what says exactly what is confirmed; part of the challenge, so that the answer serves nothing else. */
  options(viewer: Viewer, what: string): Promise<PublicKeyCredentialRequestOptionsJSON>;
  /**
   * Takes the answer; it is gone whatever comes of it.
   *
   * @returns verifies it in the transaction of what it allows, and says who the person is by then.
   */
  take(viewer: Viewer, assertion: AssertionResponse, what: string): Promise<(work: UnitOfWork) => Promise<Viewer>>;
}

export function createConfirmations(deps: {
  db: Database;
  clock: Clock;
  random: Random;
  rp: RelyingParty;
  resolver: Pick<ViewerResolver, 'recheck'>;
}): Confirmations {
  const { db, clock, rp } = deps;
  const { begin, take } = createCeremonies(deps);

  function requireFresh({ session }: Viewer): void {
    if (session.kind !== 'browser') throw new Refusal('session_kind');
    // A time that the provider did not tell is stored as 0, which is long ago.
    if (clock.now() - session.authTime > FRESH_SIGN_IN_MS) throw new Refusal('fresh_sign_in_required');
  }

  return {
    async options(viewer, what) {
      requireFresh(viewer);
      const keys = await passkeysOf(db.query, viewer.person.id);
      if (keys.length === 0) throw new Refusal('passkey_required');
      return generateAuthenticationOptions({
        rpID: rp.id,
        challenge: await begin(viewer, 'confirm', what),
        allowCredentials: keys.map((key) => ({ id: key.credential_id, transports: transportsOf(key) })),
        userVerification: 'required',
        timeout: CEREMONY_LIFE_MS,
      });
    },

    async take(viewer, assertion, what) {
      requireFresh(viewer);
      const ceremony = await take(viewer, 'confirm', assertion.response.clientDataJSON);
      if (ceremony.target !== what) throw new Refusal('passkey_rejected', 'ceremony for something else');
      return async (work) => {
        await lockOwner(work, viewer.person.id);
        const now = await deps.resolver.recheck(work, viewer);
        requireFresh(now);
        const { challenge } = ceremony;
        const personId = now.person.id;
        const checked = await checkAssertion(work, { personId, challenge, assertion, rp, now: clock.now() });
        if (!checked.ok) throw new Refusal('passkey_rejected', checked.detail);
        return now;
      };
    },
  };
}
