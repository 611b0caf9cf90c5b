import { sha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { SessionsTable } from '../db/schema.ts';
import type { EventLog } from '../events/log.ts';
import type { SessionKind, Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import { dropDesktopGrants } from './desktop-store.ts';
import { openIdToken, sealIdToken } from './id-token-seal.ts';
import { insertSession, listSessions, revokeSessions, sealedIdTokenOf } from './session-store.ts';

/** A session ends this long after the sign-in, whatever happens, milliseconds. */
export const ABSOLUTE_LIFE_MS = 12 * 60 * 60_000;
/** A session ends this long after its last use, milliseconds. */
export const IDLE_LIFE_MS = 30 * 60_000;

/** Is a stored session good now? The person's epoch grows when everything issued before must stop counting. */
export function isLive(
  session: Pick<SessionsTable, 'revoked_at' | 'expires_at' | 'last_seen_at' | 'person_epoch'>,
  personEpoch: number,
  now: number,
): boolean {
  return (
    session.revoked_at === null &&
    now < session.expires_at &&
    now < session.last_seen_at + IDLE_LIFE_MS &&
    session.person_epoch === personEpoch
  );
}

/** A session as its owner sees it in the list. */
export interface SessionView {
  handle: string;
  kind: SessionKind;
  createdAt: number;
  lastSeenAt: number;
  expiresAt: number;
  userAgent: string;
  remoteAddr: string;
  current: boolean;
}

export interface Sessions {
  /** Makes a session within the transaction of the sign-in. `value` goes into the cookie and is stored nowhere. */
  create(
    work: UnitOfWork,
    input: {
      kind: SessionKind;
      person: { id: string; epoch: number };
      authTime: number;
      userAgent: string;
      remoteAddr: string;
      /** The session at the identity provider; null when it named none. */
      providerSid: string | null;
      /** Kept for signing out there, readable with the session's value only. */
      idToken: string | null;
    },
  ): Promise<{ value: string; handle: string; expiresAt: number }>;
  list(viewer: Viewer): Promise<SessionView[]>;
  /** Ends one of the viewer's own sessions. @throws Refusal `not_found`, `session_kind` */
  revoke(viewer: Viewer, handle: string): Promise<void>;
  /** Ends all of the viewer's sessions but the current one. Returns how many. */
  revokeOthers(viewer: Viewer): Promise<number>;
  /**
   * Ends the viewer's session.
   *
   * @param value its cookie, where the ID token is wanted.
   * @returns the ID token that the session began with; null when none was kept
   */
  signOut(viewer: Viewer, value?: string | null): Promise<string | null>;
}

export function createSessions(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
}): Sessions {
  const { db, events, clock, random } = deps;

  const report = (work: UnitOfWork, event: 'session_revoked' | 'user_logged_out', viewer: Viewer, handles: string[]) =>
    events.append(work, {
      event,
      username: viewer.person.username,
      remoteAddr: viewer.remoteAddr,
      data: { sessions: handles, issuer: viewer.person.issuer, subject: viewer.person.subject },
    });

  return {
    async create(work, { kind, person, authTime, userAgent, remoteAddr, providerSid, idToken }) {
      const value = randomText(random);
      const now = clock.now();
      const session: SessionsTable = {
        id_hash: sha256(value),
        handle: randomText(random, 12),
        person_id: person.id,
        person_epoch: person.epoch,
        kind,
        csrf_token: randomText(random),
        auth_time: authTime,
        created_at: now,
        last_seen_at: now,
        expires_at: now + ABSOLUTE_LIFE_MS,
        revoked_at: null,
        user_agent: userAgent.slice(0, 400),
        remote_addr: remoteAddr,
        provider_sid: providerSid,
        id_token: idToken === null ? null : sealIdToken(value, idToken, random),
      };
      await insertSession(work, session);
      return { value, handle: session.handle, expiresAt: session.expires_at };
    },

    async list(viewer) {
      const now = clock.now();
      const rows = await listSessions(db.query, viewer.person.id, now);
      return rows
        .filter((row) => isLive(row, viewer.person.epoch, now))
        .map((row) => ({
          handle: row.handle,
          kind: row.kind,
          createdAt: row.created_at,
          lastSeenAt: row.last_seen_at,
          expiresAt: row.expires_at,
          userAgent: row.user_agent,
          remoteAddr: row.remote_addr,
          current: row.id_hash === viewer.session.idHash,
        }));
    },

    async revoke(viewer, handle) {
      // A stolen desktop credential must not be able to throw its owner out of the browser.
      if (viewer.session.kind !== 'browser' && handle !== viewer.session.handle) throw new Refusal('session_kind');
      await db.transaction(async (work) => {
        const ended = await revokeSessions(work, { personId: viewer.person.id, handle }, clock.now());
        if (ended.length === 0) throw new Refusal('not_found');
        await report(work, 'session_revoked', viewer, ended);
      });
    },

    revokeOthers: (viewer) =>
      db.transaction(async (work) => {
        const which = { personId: viewer.person.id, exceptHandle: viewer.session.handle };
        const ended = await revokeSessions(work, which, clock.now());
        // A desktop sign-in that is half done would become another session in a minute.
        await dropDesktopGrants(work, viewer.person.id);
        if (ended.length > 0) await report(work, 'session_revoked', viewer, ended);
        return ended.length;
      }),

    signOut: (viewer, value = null) =>
      db.transaction(async (work) => {
        const sealed = value === null ? null : await sealedIdTokenOf(work.query, viewer.session.idHash);
        const which = { personId: viewer.person.id, idHash: viewer.session.idHash };
        const ended = await revokeSessions(work, which, clock.now());
        if (ended.length > 0) await report(work, 'user_logged_out', viewer, ended);
        return value === null || sealed === null ? null : openIdToken(value, sealed);
      }),
  };
}
