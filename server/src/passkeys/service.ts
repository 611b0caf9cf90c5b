import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  type RegistrationResponseJSON,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { z } from 'zod';
import { canonicalSha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import { base64url } from '#shared/names.ts';
import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import { stepUpPath } from '../auth/step-up.ts';
import type { Viewer } from '../auth/viewer.ts';
import type { Config } from '../config/config.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { CeremoniesTable, PasskeysTable } from '../db/schema.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import type { ApproverKeys } from './approver-keys.ts';
import { checkAssertion, claimedChallenge } from './assertion.ts';
import type { AssertionResponse } from './assertion-response.ts';
import { ALGORITHMS, coseToJwk } from './cose.ts';
import { type PasskeyView, passkeyView, readTransports, transportsOf } from './passkey.ts';
import { createRecoveryCodes, type RecoveryCodes, recoveryCodeHash } from './recovery-codes.ts';
import type { RelyingParty } from './relying-party.ts';
import {
  countPasskeys,
  countPasskeysByPerson,
  deletePasskeys,
  findRecoveryCode,
  insertCeremony,
  insertPasskey,
  lockOwner,
  passkeysOf,
  renamePasskey,
  spendRecoveryCode,
  takeCeremony,
} from './store.ts';

/** How old a sign-in may be that a first passkey rests on, milliseconds (architecture, trust rule 8). */
export const FRESH_SIGN_IN_MS = 5 * 60_000;
/** A ceremony must be finished within this, milliseconds. */
const CEREMONY_LIFE_MS = 5 * 60_000;
const MAX_PASSKEYS = 32;

/** `RegistrationResponseJSON` of WebAuthn Level 3 as browsers give it; what is not needed is dropped. */
export const registrationResponse = z.object({
  id: base64url.min(1).max(1400),
  rawId: base64url.min(1).max(1400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url.max(4096),
    attestationObject: base64url.max(24_000),
    transports: z.unknown().optional(),
  }),
});
export type RegistrationResponse = z.infer<typeof registrationResponse>;

export interface PasskeyList {
  passkeys: PasskeyView[];
  /** A first passkey needs a code from an administrator. */
  firstNeedsCode: boolean;
  /** The sign-in is recent enough for a first passkey or a recovery. */
  signInIsFresh: boolean;
  /** Where to sign in again for that, coming back to the page of one's passkeys. */
  stepUpPath: string;
}

/** A person's own passkeys, guarded like root (architecture, trust rule 8). Every method throws {@link Refusal}. */
export interface Passkeys {
  list(viewer: Viewer): Promise<PasskeyList>;
  /** Asks for an existing passkey, before another one may be added. */
  additionOptions(viewer: Viewer): Promise<PublicKeyCredentialRequestOptionsJSON>;
  /**
   * Options for `navigator.credentials.create` (JSON form). With a passkey: `assertion` over {@link additionOptions}. For
   * the first one: a fresh sign-in. After losing the last one: a fresh sign-in and `recoveryCode`.
   */
  registrationOptions(
    viewer: Viewer,
    input: { assertion?: AssertionResponse | undefined; recoveryCode?: string | undefined },
  ): Promise<PublicKeyCredentialCreationOptionsJSON>;
  register(
    viewer: Viewer,
    input: { name: string; response: RegistrationResponse; recoveryCode?: string | undefined },
  ): Promise<PasskeyView>;
  rename(viewer: Viewer, input: { credentialId: string; name: string }): Promise<void>;
  removalOptions(viewer: Viewer, input: { credentialId: string }): Promise<PublicKeyCredentialRequestOptionsJSON>;
  remove(viewer: Viewer, input: { credentialId: string; assertion: AssertionResponse }): Promise<void>;
  count(personId: string): Promise<number>;
  /** By person id; people without a passkey are left out. */
  countByPerson(): Promise<Map<string, number>>;
  createRecoveryCode: RecoveryCodes['create'];
}

// What a ceremony was begun for. Part of the challenge, so that an answer can serve nothing else.
const ADD = 'add';
const FIRST = 'first';
const RECOVERY = 'recovery';
const furtherBy = (credentialId: string) => `further:${credentialId}`;
const removalOf = (credentialId: string) => `remove:${credentialId}`;

export function createPasskeys(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  rp: RelyingParty;
  config: Pick<Config, 'firstPasskeyNeedsCode'>;
  resolver: Pick<ViewerResolver, 'recheck'>;
  approverKeys: Pick<ApproverKeys, 'publish'>;
}): Passkeys {
  const { db, events, clock, random, rp, config } = deps;

  // A time that the provider did not tell is stored as 0, which is long ago.
  const isFresh = ({ session }: Viewer) => clock.now() - session.authTime <= FRESH_SIGN_IN_MS;

  function requireBrowser(viewer: Viewer): void {
    if (viewer.session.kind !== 'browser') throw new Refusal('session_kind');
  }
  function requireFresh(viewer: Viewer): void {
    if (!isFresh(viewer)) throw new Refusal('fresh_sign_in_required');
  }

  /** Begins a ceremony; the challenge commits to what it is for. */
  async function begin(
    viewer: Viewer,
    purpose: CeremoniesTable['purpose'],
    target: string,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const challenge = canonicalSha256({ v: 1, purpose, target, person: viewer.person.id, nonce: randomText(random) });
    await db.transaction((work) =>
      insertCeremony(work, {
        challenge,
        purpose,
        person_id: viewer.person.id,
        session_hash: viewer.session.idHash,
        target,
        expires_at: clock.now() + CEREMONY_LIFE_MS,
      }),
    );
    return Uint8Array.from(Buffer.from(challenge, 'base64url'));
  }

  /** Takes the ceremony that a response answers; it is gone whatever comes of it. */
  async function take(
    viewer: Viewer,
    purpose: CeremoniesTable['purpose'],
    clientDataJSON: string,
  ): Promise<CeremoniesTable> {
    const challenge = claimedChallenge(clientDataJSON);
    const ceremony =
      challenge === null
        ? null
        : await db.transaction((work) =>
            takeCeremony(work, {
              challenge,
              purpose,
              person_id: viewer.person.id,
              session_hash: viewer.session.idHash,
            }),
          );
    if (!ceremony) throw new Refusal('passkey_rejected', 'no such ceremony in this session');
    if (clock.now() >= ceremony.expires_at) throw new Refusal('passkey_rejected', 'ceremony expired');
    return ceremony;
  }

  /** The person locked first, then the session: two changes by one person queue instead of dead-locking. */
  async function lock(work: UnitOfWork, viewer: Viewer): Promise<Viewer> {
    await lockOwner(work, viewer.person.id);
    const now = await deps.resolver.recheck(work, viewer);
    requireBrowser(now);
    return now;
  }

  async function requestOptions(keys: readonly PasskeysTable[], challenge: Uint8Array<ArrayBuffer>) {
    return generateAuthenticationOptions({
      rpID: rp.id,
      challenge,
      allowCredentials: keys.map((key) => ({ id: key.credential_id, transports: transportsOf(key) })),
      userVerification: 'required',
      timeout: CEREMONY_LIFE_MS,
    });
  }

  /** Verifies an assertion of a `manage` ceremony and hands on the passkey that made it. */
  async function assertManaging(
    work: UnitOfWork,
    viewer: Viewer,
    ceremony: CeremoniesTable,
    assertion: AssertionResponse,
  ) {
    const checked = await checkAssertion(work, {
      personId: viewer.person.id,
      challenge: ceremony.challenge,
      assertion,
      rp,
      now: clock.now(),
    });
    if (!checked.ok) throw new Refusal('passkey_rejected', checked.detail);
    return checked.passkey;
  }

  const report = (
    work: UnitOfWork,
    event: 'passkey_added' | 'passkey_renamed' | 'passkey_removed',
    viewer: Viewer,
    data: Record<string, unknown>,
  ) =>
    events.append(work, {
      event,
      username: viewer.person.username,
      remoteAddr: viewer.remoteAddr,
      data: { issuer: viewer.person.issuer, subject: viewer.person.subject, ...data },
    });

  const publish = (work: UnitOfWork, viewer: Viewer) =>
    deps.approverKeys.publish(work, { username: viewer.person.username, remoteAddr: viewer.remoteAddr });

  /** What adding a passkey rests on, checked with everything locked. Returns the passkeys that it replaces. */
  async function authoriseAddition(
    work: UnitOfWork,
    viewer: Viewer,
    target: string | null,
    recoveryCode: string | undefined,
  ) {
    const existing = await passkeysOf(work.query, viewer.person.id);
    const spend = async () => {
      if (recoveryCode === undefined) throw new Refusal('recovery_code_required');
      const which = { codeHash: recoveryCodeHash(recoveryCode), personId: viewer.person.id };
      if (!(await spendRecoveryCode(work, which, clock.now()))) throw new Refusal('recovery_code_wrong');
    };
    if (target === FIRST) {
      // Somebody was faster: the next one needs that passkey.
      if (existing.length > 0) throw new Refusal('passkey_required');
      requireFresh(viewer);
      if (config.firstPasskeyNeedsCode) await spend();
      return [];
    }
    if (target === RECOVERY) {
      requireFresh(viewer);
      await spend();
      return deletePasskeys(work, { personId: viewer.person.id });
    }
    // The passkey that vouched may have been removed since, perhaps because it was stolen.
    if (!existing.some((key) => target === furtherBy(key.credential_id))) throw new Refusal('passkey_required');
    if (existing.length >= MAX_PASSKEYS) throw new Refusal('forbidden', 'too many passkeys');
    return [];
  }

  return {
    count: (personId) => countPasskeys(db.query, personId),
    countByPerson: () => countPasskeysByPerson(db.query),
    createRecoveryCode: createRecoveryCodes(deps).create,

    async list(viewer) {
      const rows = await passkeysOf(db.query, viewer.person.id);
      return {
        passkeys: rows.map(passkeyView),
        firstNeedsCode: config.firstPasskeyNeedsCode,
        signInIsFresh: isFresh(viewer),
        stepUpPath: stepUpPath('/passkeys'),
      };
    },

    async additionOptions(viewer) {
      requireBrowser(viewer);
      const keys = await passkeysOf(db.query, viewer.person.id);
      if (keys.length === 0) throw new Refusal('passkey_required');
      return requestOptions(keys, await begin(viewer, 'manage', ADD));
    },

    async registrationOptions(viewer, { assertion, recoveryCode }) {
      requireBrowser(viewer);
      const keys = await passkeysOf(db.query, viewer.person.id);
      let target: string;
      if (keys.length === 0) {
        requireFresh(viewer);
        target = FIRST;
      } else if (assertion !== undefined) {
        const ceremony = await take(viewer, 'manage', assertion.response.clientDataJSON);
        if (ceremony.target !== ADD) throw new Refusal('passkey_rejected', 'ceremony for something else');
        const by = await db.transaction(async (work) =>
          assertManaging(work, await lock(work, viewer), ceremony, assertion),
        );
        target = furtherBy(by.credential_id);
      } else if (recoveryCode !== undefined) {
        requireFresh(viewer);
        const which = { codeHash: recoveryCodeHash(recoveryCode), personId: viewer.person.id };
        if (!(await findRecoveryCode(db.query, which, clock.now()))) throw new Refusal('recovery_code_wrong');
        target = RECOVERY;
      } else {
        throw new Refusal('passkey_required');
      }
      return generateRegistrationOptions({
        rpID: rp.id,
        rpName: rp.name,
        userID: Uint8Array.from(Buffer.from(viewer.person.id)),
        userName: viewer.person.username,
        userDisplayName: viewer.person.displayName,
        challenge: await begin(viewer, 'register', target),
        attestationType: 'none',
        supportedAlgorithmIDs: ALGORITHMS,
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
        // A recovery removes the old ones, so the same authenticator may register again.
        excludeCredentials:
          target === RECOVERY ? [] : keys.map((key) => ({ id: key.credential_id, transports: transportsOf(key) })),
        timeout: CEREMONY_LIFE_MS,
      });
    },

    async register(viewer, { name, response, recoveryCode }) {
      requireBrowser(viewer);
      const ceremony = await take(viewer, 'register', response.response.clientDataJSON);
      const passkey = await verifyNew(response, ceremony.challenge);
      return db.transaction(async (work) => {
        const now = await lock(work, viewer);
        const replaced = await authoriseAddition(work, now, ceremony.target, recoveryCode);
        const row: PasskeysTable = {
          ...passkey,
          person_id: now.person.id,
          name,
          created_at: clock.now(),
          last_used_at: null,
        };
        if (!(await insertPasskey(work, row))) throw new Refusal('passkey_exists');
        for (const old of replaced) {
          await report(work, 'passkey_removed', now, {
            credentialId: old.credential_id,
            name: old.name,
            recovery: true,
          });
        }
        await report(work, 'passkey_added', now, {
          credentialId: row.credential_id,
          name,
          backupEligible: row.backup_eligible === 1,
          backedUp: row.backed_up === 1,
          by: ceremony.target?.split(':')[0] ?? '',
        });
        await publish(work, now);
        return passkeyView(row);
      });
    },

    async rename(viewer, { credentialId, name }) {
      requireBrowser(viewer);
      await db.transaction(async (work) => {
        const now = await lock(work, viewer);
        if (!(await renamePasskey(work, { personId: now.person.id, credentialId }, name)))
          throw new Refusal('not_found');
        await report(work, 'passkey_renamed', now, { credentialId, name });
      });
    },

    async removalOptions(viewer, { credentialId }) {
      requireBrowser(viewer);
      const keys = await passkeysOf(db.query, viewer.person.id);
      if (!keys.some((key) => key.credential_id === credentialId)) throw new Refusal('not_found');
      if (keys.length === 1) throw new Refusal('passkey_last');
      return requestOptions(keys, await begin(viewer, 'manage', removalOf(credentialId)));
    },

    async remove(viewer, { credentialId, assertion }) {
      requireBrowser(viewer);
      const ceremony = await take(viewer, 'manage', assertion.response.clientDataJSON);
      if (ceremony.target !== removalOf(credentialId))
        throw new Refusal('passkey_rejected', 'ceremony for something else');
      await db.transaction(async (work) => {
        const now = await lock(work, viewer);
        const by = await assertManaging(work, now, ceremony, assertion);
        if ((await countPasskeys(work.query, now.person.id)) <= 1) throw new Refusal('passkey_last');
        const [removed] = await deletePasskeys(work, { personId: now.person.id, credentialId });
        if (!removed) throw new Refusal('not_found');
        await report(work, 'passkey_removed', now, { credentialId, name: removed.name, by: by.credential_id });
        await publish(work, now);
      });
    },
  };

  /** Verifies a new credential. Columns that depend on the owner are added by the caller. */
  async function verifyNew(response: RegistrationResponse, challenge: string) {
    let verified: Awaited<ReturnType<typeof verifyRegistrationResponse>>;
    try {
      verified = await verifyRegistrationResponse({
        response: {
          ...response,
          response: { ...response.response, transports: readTransports(response.response.transports) },
          clientExtensionResults: {},
        } as unknown as RegistrationResponseJSON,
        expectedChallenge: challenge,
        expectedOrigin: rp.origin,
        expectedRPID: rp.id,
        expectedType: 'webauthn.create',
        requireUserVerification: true,
        supportedAlgorithmIDs: ALGORITHMS,
      });
    } catch (error) {
      throw new Refusal('passkey_rejected', error instanceof Error ? error.message : 'verification failed');
    }
    if (!verified.verified) throw new Refusal('passkey_rejected', 'attestation does not verify');
    const { credential, credentialDeviceType, credentialBackedUp } = verified.registrationInfo;
    const jwk = coseToJwk(credential.publicKey);
    if (jwk === null) throw new Refusal('passkey_rejected', 'unsupported public key');
    return {
      credential_id: credential.id,
      jwk: JSON.stringify(jwk),
      cose_key: Buffer.from(credential.publicKey).toString('base64url'),
      sign_count: credential.counter,
      transports: JSON.stringify(readTransports(response.response.transports)),
      backup_eligible: credentialDeviceType === 'multiDevice' ? 1 : 0,
      backed_up: credentialBackedUp ? 1 : 0,
    } satisfies Partial<PasskeysTable>;
  }
}
