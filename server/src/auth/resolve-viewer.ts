import type { FastifyRequest } from 'fastify';
import { sha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Config } from '../config/config.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { Role, SessionKind, Viewer, ViewerOf } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import { type AccountRules, accountsOf, lockAccountsOf } from './binding-store.ts';
import type { Cookies } from './cookies.ts';
import { findSession, lockSession, type SessionWithPerson, touchSession } from './session-store.ts';
import { isLive } from './sessions.ts';

/** What a request brings to say who is behind it. */
export interface Credentials {
  cookie: string | undefined;
  authorization: string | undefined;
  remoteAddr: string;
}

export interface ViewerResolver {
  /**
   * Who is behind a request; null when nobody is. A browser session counts only from its cookie and a desktop session
   * only from `Authorization: Bearer`; a request that has that header is never looked at for a cookie.
   *
   * @param options.touch whether this counts as use for the idle limit; false for live streams that re-check themselves.
   */
  resolve(credentials: Credentials, options?: { touch?: boolean }): Promise<Viewer | null>;
  /**
   * The viewer anew, locked within the transaction of a decision: session, epoch, groups and accounts as they are now.
   *
   * @throws Refusal `session_expired` when the session has ended since.
   */
  recheck(work: UnitOfWork, viewer: Viewer): Promise<Viewer>;
}

/** Activity is written at most this often per session, milliseconds. */
const TOUCH_MS = 60_000;
const CREDENTIAL = /^[A-Za-z0-9_-]{43}$/;

/** Administrators are members of one of the configured groups, exactly as the identity provider names them. */
export function roleOf(groups: readonly string[], adminGroups: readonly string[]): Role {
  return groups.some((group) => adminGroups.includes(group)) ? 'admin' : 'user';
}

export function createViewerResolver(deps: {
  db: Database;
  clock: Clock;
  config: Pick<Config, 'adminGroups'>;
  cookies: Pick<Cookies, 'readSession'>;
  accountRules: AccountRules;
}): ViewerResolver {
  const { db, clock, config, cookies, accountRules } = deps;

  function credentialOf({ authorization, cookie }: Credentials): { value: string; kind: SessionKind } | null {
    if (authorization !== undefined) {
      const value = /^Bearer (.+)$/i.exec(authorization)?.[1] ?? '';
      return CREDENTIAL.test(value) ? { value, kind: 'desktop' } : null;
    }
    const value = cookies.readSession(cookie);
    return value === null ? null : { value, kind: 'browser' };
  }

  function viewerOf({ session, person }: SessionWithPerson, accounts: readonly string[], remoteAddr: string): Viewer {
    return {
      person,
      role: roleOf(person.groups, config.adminGroups),
      accounts,
      session: {
        idHash: session.id_hash,
        handle: session.handle,
        kind: session.kind,
        authTime: session.auth_time,
        csrfToken: session.csrf_token,
      },
      remoteAddr,
    };
  }

  return {
    async resolve(credentials, { touch = true } = {}) {
      const credential = credentialOf(credentials);
      if (credential === null) return null;
      const found = await findSession(db.query, sha256(credential.value));
      const now = clock.now();
      if (!found || found.session.kind !== credential.kind || !isLive(found.session, found.person.epoch, now))
        return null;
      if (touch && now - found.session.last_seen_at >= TOUCH_MS) {
        await db.transaction((work) => touchSession(work.query, found.session.id_hash, now));
      }
      return viewerOf(found, await accountsOf(db.query, found.person.id, accountRules), credentials.remoteAddr);
    },

    async recheck(work, viewer) {
      const found = await lockSession(work, viewer.session.idHash);
      if (!found || found.person.id !== viewer.person.id || !isLive(found.session, found.person.epoch, clock.now())) {
        throw new Refusal('session_expired');
      }
      return viewerOf(found, await lockAccountsOf(work, found.person.id, accountRules), viewer.remoteAddr);
    },
  };
}

export function createViewerOf(deps: { resolver: Pick<ViewerResolver, 'resolve'> }): ViewerOf {
  const known = new WeakMap<FastifyRequest, Promise<Viewer | null>>();
  return (request) => {
    let viewer = known.get(request);
    if (!viewer) {
      const { cookie, authorization } = request.headers;
      viewer = deps.resolver.resolve({ cookie, authorization, remoteAddr: request.clientAddress });
      known.set(request, viewer);
    }
    return viewer;
  };
}
