import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { Refusal } from '#shared/errors.ts';
import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import { stepUpPath } from '../auth/step-up.ts';
import type { Config } from '../config/config.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { CeremoniesTable, PasskeysTable } from '../db/schema.ts';
import type { EventLog } from '../events/log.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import type { ApproverKeys } from './approver-keys.ts';
import { checkAssertion } from './assertion.ts';
import type { AssertionResponse } from './assertion-response.ts';
import { CEREMONY_LIFE_MS, createCeremonies, target } from './ceremonies.ts';
import { ALGORITHMS } from './cose.ts';
import { type PasskeyView, passkeyView, transportsOf } from './passkey.ts';
import { createRecoveryCodes, type RecoveryCodes, recoveryCodeHash } from './recovery-codes.ts';
import { type RegistrationResponse, verifyRegistration } from './registration.ts';
import type { RelyingParty } from './relying-party.ts';
import {
  countPasskeys,
  countPasskeysByPerson,
  deletePasskeys,
  findRecoveryCode,
  insertPasskey,
  lockOwner,
  passkeysOf,
  renamePasskey,
  spendRecoveryCode,
} from './store.ts';

/** How old a sign-in may be that a first passkey rests on, milliseconds. */
export const FRESH_SIGN_IN_MS = 5 * 60_000;
const MAX_PASSKEYS = 32;

export interface PasskeyList {
  passkeys: PasskeyView[];
  /** A first passkey needs a code from an administrator. */
  firstNeedsCode: boolean;
  /** The sign-in is recent enough for a first passkey or a recovery. */
  signInIsFresh: boolean;
  /** Where to sign in again for that, coming back to the page of one's passkeys. */
  stepUpPath: string;
}

/**
 * A person's own passkeys, guarded like root: a session that may add one may approve anything that its owner may. Every method
 * throws {@link Refusal}.
 */
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

export function createPasskeys(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  rp: RelyingParty;
  config: Pick<Config, 'firstPasskeyNeedsCode'>;
  resolver: Pick<ViewerResolver, 'recheck'>;
  approverKeys: Pick<ApproverKeys, 'publish' | 'unsigned'>;
}): Passkeys {
  const { db, events, clock, rp, config } = deps;
  const { begin, take } = createCeremonies(deps);

  // A time that the provider did not tell is stored as 0, which is long ago.
  const isFresh = ({ session }: Viewer) => clock.now() - session.authTime <= FRESH_SIGN_IN_MS;

  function requireBrowser(viewer: Viewer): void {
    if (viewer.session.kind !== 'browser') throw new Refusal('session_kind');
  }
  function requireFresh(viewer: Viewer): void {
    if (!isFresh(viewer)) throw new Refusal('fresh_sign_in_required');
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

  async function viewsOf(query: Database['query'], { person }: Viewer, rows: readonly PasskeysTable[]) {
    const mine = rows.map((row) => ({
      credentialId: row.credential_id,
      issuer: person.issuer,
      subject: person.subject,
    }));
    const unsigned = await deps.approverKeys.unsigned(query, mine);
    return rows.map((row) => passkeyView(row, unsigned));
  }

  /** What adding a passkey rests on, checked with everything locked. Returns the passkeys that it replaces. */
  async function authoriseAddition(
    work: UnitOfWork,
    viewer: Viewer,
    what: string | null,
    recoveryCode: string | undefined,
  ) {
    const existing = await passkeysOf(work.query, viewer.person.id);
    const spend = async () => {
      if (recoveryCode === undefined) throw new Refusal('recovery_code_required');
      const which = { codeHash: recoveryCodeHash(recoveryCode), personId: viewer.person.id };
      if (!(await spendRecoveryCode(work, which, clock.now()))) throw new Refusal('recovery_code_wrong');
    };
    if (what === target.first) {
      // Another request was faster: the next one needs that passkey.
      if (existing.length > 0) throw new Refusal('passkey_required');
      requireFresh(viewer);
      if (config.firstPasskeyNeedsCode) await spend();
      return [];
    }
    if (what === target.recovery) {
      requireFresh(viewer);
      await spend();
      return deletePasskeys(work, { personId: viewer.person.id });
    }
    // The passkey that vouched may have been removed since, perhaps because it was stolen.
    if (!existing.some((key) => what === target.further(key.credential_id))) throw new Refusal('passkey_required');
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
        passkeys: await viewsOf(db.query, viewer, rows),
        firstNeedsCode: config.firstPasskeyNeedsCode,
        signInIsFresh: isFresh(viewer),
        stepUpPath: stepUpPath('/passkeys'),
      };
    },

    async additionOptions(viewer) {
      requireBrowser(viewer);
      const keys = await passkeysOf(db.query, viewer.person.id);
      if (keys.length === 0) throw new Refusal('passkey_required');
      return requestOptions(keys, await begin(viewer, 'manage', target.add));
    },

    async registrationOptions(viewer, { assertion, recoveryCode }) {
      requireBrowser(viewer);
      const keys = await passkeysOf(db.query, viewer.person.id);
      let what: string;
      if (keys.length === 0) {
        requireFresh(viewer);
        what = target.first;
      } else if (assertion !== undefined) {
        const ceremony = await take(viewer, 'manage', assertion.response.clientDataJSON);
        if (ceremony.target !== target.add) throw new Refusal('passkey_rejected', 'ceremony for something else');
        const by = await db.transaction(async (work) =>
          assertManaging(work, await lock(work, viewer), ceremony, assertion),
        );
        what = target.further(by.credential_id);
      } else if (recoveryCode !== undefined) {
        requireFresh(viewer);
        const which = { codeHash: recoveryCodeHash(recoveryCode), personId: viewer.person.id };
        if (!(await findRecoveryCode(db.query, which, clock.now()))) throw new Refusal('recovery_code_wrong');
        what = target.recovery;
      } else {
        throw new Refusal('passkey_required');
      }
      return generateRegistrationOptions({
        rpID: rp.id,
        rpName: rp.name,
        userID: Uint8Array.from(Buffer.from(viewer.person.id)),
        userName: viewer.person.username,
        userDisplayName: viewer.person.displayName,
        challenge: await begin(viewer, 'register', what),
        attestationType: 'none',
        supportedAlgorithmIDs: ALGORITHMS,
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
        // A recovery removes the old ones, so the same authenticator may register again.
        excludeCredentials:
          what === target.recovery ? [] : keys.map((key) => ({ id: key.credential_id, transports: transportsOf(key) })),
        timeout: CEREMONY_LIFE_MS,
      });
    },

    async register(viewer, { name, response, recoveryCode }) {
      requireBrowser(viewer);
      const ceremony = await take(viewer, 'register', response.response.clientDataJSON);
      const passkey = await verifyRegistration(response, ceremony.challenge, rp);
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
        const [view] = await viewsOf(work.query, now, [row]);
        return view!;
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
      return requestOptions(keys, await begin(viewer, 'manage', target.remove(credentialId)));
    },

    async remove(viewer, { credentialId, assertion }) {
      requireBrowser(viewer);
      const ceremony = await take(viewer, 'manage', assertion.response.clientDataJSON);
      if (ceremony.target !== target.remove(credentialId))
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
}
