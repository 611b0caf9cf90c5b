import type { FastifyRequest } from 'fastify';
import { sha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import type { Config } from '../config/config.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { Query } from '../db/query.ts';
import {
  type Credentials,
  credentialsOf,
  type Role,
  type SessionKind,
  type Viewer,
  type ViewerOf,
} from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Accounts } from './accounts.ts';
import type { Cookies } from './cookies.ts';
import { findPeople, peopleCalled } from './people-store.ts';
import { findSessions, lockSession, type SessionWithPerson, touchSessions } from './session-store.ts';
import { isLive } from './sessions.ts';

export interface ViewerResolver {
  /**
   * Who is behind a request; null when no person is. A browser session counts only from its cookie and a desktop session
   * only from `Authorization: Bearer`; a request that has that header is never looked at for a cookie.
   *
   * @param options.touch whether this counts as use for the idle limit; false for live streams that re-check themselves.
   */
  resolve(credentials: Credentials, options?: { touch?: boolean }): Promise<Viewer | null>;
  /** The same for many requests at once, in their order, with as many questions to the database as for a few. */
  resolveAll(
    credentials: readonly Credentials[],
    options?: { touch?: (credentials: Credentials) => boolean },
  ): Promise<(Viewer | null)[]>;
  /**
   * The viewer anew, locked within the transaction of a decision: session, epoch, groups and accounts as they are now.
   *
   * @throws Refusal `session_expired` when the session has ended since.
   */
  recheck(work: UnitOfWork, viewer: Viewer): Promise<Viewer>;
  /** Somebody who is not there themselves, as they are known now; null: nobody is. */
  absent(query: Query, personId: string): Promise<Absent | null>;
  /** The same of several, by the id of the person; those whom nobody is are left out. */
  allAbsent(query: Query, personIds: readonly string[]): Promise<Map<string, Absent>>;
  /** Everybody who has signed in under a user name. */
  called(query: Query, username: string): Promise<readonly { id: string }[]>;
}

/** Who had a part in something before, without a session. */
export type Absent = Pick<Viewer, 'person' | 'role' | 'accounts'>;

/** Activity is written at most this often per session, milliseconds. */
const TOUCH_MS = 60_000;
/** How many sessions are asked for at once. */
const MOST_AT_ONCE = 1000;
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
  accounts: Pick<Accounts, 'of'>;
}): ViewerResolver {
  const { db, clock, config, cookies } = deps;

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

  const resolveAll: ViewerResolver['resolveAll'] = async (credentials, { touch = () => true } = {}) => {
    const asked = credentials.map((one) => {
      const credential = credentialOf(one);
      return credential && { ...credential, idHash: sha256(credential.value) };
    });
    const now = clock.now();
    const found = new Map<string, SessionWithPerson>();
    const accounts = new Map<string, string[]>();
    for (const idHashes of chunks([...new Set(asked.flatMap((one) => one?.idHash ?? []))])) {
      const sessions = await findSessions(db.query, idHashes);
      for (const one of sessions) found.set(one.session.id_hash, one);
      const people = [...new Set(sessions.map(({ person }) => person.id))];
      if (people.length === 0) continue;
      for (const [id, names] of await deps.accounts.of(db.query, people)) accounts.set(id, names);
    }
    const used = new Set<string>();
    const viewers = credentials.map((one, index) => {
      const credential = asked[index];
      const known = credential && found.get(credential.idHash);
      if (!known || known.session.kind !== credential.kind || !isLive(known.session, known.person.epoch, now))
        return null;
      if (touch(one) && now - known.session.last_seen_at >= TOUCH_MS) used.add(known.session.id_hash);
      return viewerOf(known, accounts.get(known.person.id) ?? [], one.remoteAddr);
    });
    for (const idHashes of chunks([...used])) {
      await db.transaction((work) => touchSessions(work.query, idHashes, now));
    }
    return viewers;
  };

  const allAbsent: ViewerResolver['allAbsent'] = async (query, personIds) => {
    const absent = new Map<string, Absent>();
    for (const ids of chunks(personIds)) {
      const people = await findPeople(query, ids);
      const accounts = await deps.accounts.of(query, ids);
      for (const person of people) {
        const role = roleOf(person.groups, config.adminGroups);
        absent.set(person.id, { person, role, accounts: accounts.get(person.id) ?? [] });
      }
    }
    return absent;
  };

  return {
    resolve: async (credentials, { touch = true } = {}) =>
      (await resolveAll([credentials], { touch: () => touch }))[0] ?? null,
    resolveAll,

    async recheck(work, viewer) {
      const found = await lockSession(work, viewer.session.idHash);
      if (!found || found.person.id !== viewer.person.id || !isLive(found.session, found.person.epoch, clock.now())) {
        throw new Refusal('session_expired');
      }
      const accounts = await deps.accounts.of(work, [found.person.id]);
      return viewerOf(found, accounts.get(found.person.id) ?? [], viewer.remoteAddr);
    },
    absent: async (query, personId) => (await allAbsent(query, [personId])).get(personId) ?? null,
    allAbsent,
    called: peopleCalled,
  };
}

/** Parts of a list that fit into one question. */
function* chunks<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += MOST_AT_ONCE) yield list.slice(at, at + MOST_AT_ONCE);
}

export function createViewerOf(deps: { resolver: Pick<ViewerResolver, 'resolve'> }): ViewerOf {
  const known = new WeakMap<FastifyRequest, Promise<Viewer | null>>();
  return (request) => {
    let viewer = known.get(request);
    if (!viewer) {
      viewer = deps.resolver.resolve(credentialsOf(request));
      known.set(request, viewer);
    }
    return viewer;
  };
}
