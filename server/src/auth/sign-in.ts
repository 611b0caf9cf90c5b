import { constantTimeEqual, sha256 } from '#shared/digest.ts';
import type { Config } from '../config/config.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import type { Bindings } from './bindings.ts';
import { type GroupReport, MOST_GROUPS_TOLD, reportGroups } from './group-report.ts';
import type { GroupsUnknown, Identity, IdentityProvider, ProviderTrouble, SignInProblem } from './identity-provider.ts';
import { hasLoginAttempt, insertLoginAttempt, takeLoginAttempt } from './login-store.ts';
import { type Person, upsertPerson } from './people-store.ts';
import { roleOf } from './resolve-viewer.ts';
import { localPath } from './return-to.ts';
import { revokeSessions } from './session-store.ts';
import type { Sessions } from './sessions.ts';
import type { Standing } from './standing.ts';

/** A sign-in must be finished within this, milliseconds. */
const ATTEMPT_LIFE_MS = 15 * 60_000;

/** Where the request came from. */
export interface Visitor {
  remoteAddr: string;
  userAgent: string;
}

export type SignInFailure =
  /** The callback belongs to no sign-in that is under way in this browser. */
  'unknown_attempt' | SignInProblem;

export interface SignIn {
  /**
   * Begins a sign-in.
   *
   * @param browser value of the login cookie, or null for a browser without one.
   * @returns where to send the browser and the value that its login cookie must have; or why it cannot begin.
   */
  start(input: {
    returnTo: unknown;
    fresh: boolean;
    browser: string | null;
  }): Promise<{ ok: true; url: URL; browser: string; maxAgeSeconds: number } | ({ ok: false } & ProviderTrouble)>;
  /** Ends it: an identity becomes a session with a new id, whatever session the browser had before. */
  finish(input: {
    callback: URL;
    browser: string | null;
    /** Session that the browser had, which the new one replaces. */
    replaces: { idHash: string; personId: string } | null;
    visitor: Visitor;
  }): Promise<
    | {
        ok: true;
        sessionValue: string;
        maxAgeSeconds: number;
        returnTo: string;
        /** Why a person who was an administrator is no longer one, when it is because their groups did not come. */
        lostRole: GroupsUnknown | null;
      }
    | { ok: false; failure: SignInFailure; detail: string; returnTo: string; fresh: boolean }
  >;
}

export function createSignIn(deps: {
  config: Pick<Config, 'adminGroups'>;
  log: Record<GroupReport['level'], (detail: object, message: string) => void>;
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  provider: Pick<IdentityProvider, 'authorizationUrl' | 'exchange'>;
  sessions: Pick<Sessions, 'create'>;
  bindings: Pick<Bindings, 'claim'>;
  standing: Pick<Standing, 'personMayAct'>;
  /** Called within the sign-in when the provider has renamed a person: signed lists hold their name. */
  onRenamed: (work: UnitOfWork, person: Person) => Promise<void>;
}): SignIn {
  const { db, events, clock, random, provider } = deps;
  const isAdmin = (groups: readonly string[]) => roleOf(groups, deps.config.adminGroups) === 'admin';

  async function reportFailure(problem: SignInProblem, visitor: Visitor): Promise<void> {
    await db.transaction(async (work) => {
      await events.append(work, {
        event: 'login_failed',
        username: '',
        reason: problem,
        remoteAddr: visitor.remoteAddr,
      });
    });
  }

  async function signIn(identity: Identity, visitor: Visitor, replaces: { idHash: string; personId: string } | null) {
    return db.transaction(async (work) => {
      const now = clock.now();
      const { person, previous } = await upsertPerson(work, identity, { id: random.uuid(), now });
      const lost = isAdmin(previous?.groups ?? []) && !isAdmin(person.groups);
      const { groupsUnknown } = identity;
      const replaced = replaces
        ? await revokeSessions(work, { personId: replaces.personId, idHash: replaces.idHash }, now)
        : [];
      await deps.bindings.claim(work, person, visitor.remoteAddr);
      const session = await deps.sessions.create(work, {
        kind: 'browser',
        person,
        authTime: identity.authTime,
        providerSid: identity.sid,
        idToken: identity.idToken,
        ...visitor,
      });
      await events.append(work, {
        event: 'user_logged_in',
        username: person.username,
        remoteAddr: visitor.remoteAddr,
        data: {
          issuer: person.issuer,
          subject: person.subject,
          session: session.handle,
          kind: 'browser',
          ...(replaced.length > 0 ? { replaced } : {}),
          ...(groupsUnknown === null ? {} : { groupsUnknown, ...(lost ? { lostRole: 'admin' } : {}) }),
        },
      });
      if (previous !== null && previous.username !== person.username) await deps.onRenamed(work, person);
      return { session, lost };
    });
  }

  const takeAttempt = async (stateHash: string) =>
    (await hasLoginAttempt(db.query, stateHash)) ? db.transaction((work) => takeLoginAttempt(work, stateHash)) : null;

  /** An operator who is none has nowhere else to see what the provider sent. */
  function tellGroups(identity: Identity, lost: boolean): void {
    const { groups, issuer, subject, username } = identity;
    const report = reportGroups(identity, deps.config.adminGroups, lost);
    if (report === null) return;
    const came = groups.slice(0, MOST_GROUPS_TOLD);
    const detail = { username, issuer, subject, came, of: groups.length, lookedFor: deps.config.adminGroups };
    deps.log[report.level](detail, report.message);
  }

  return {
    async start({ returnTo, fresh, browser }) {
      const secrets = {
        // The provider gives the state back unchanged and the attempt is found by its hash: the prefix can be trusted.
        state: `${fresh ? 'fresh' : 'plain'}.${randomText(random)}`,
        nonce: randomText(random),
        codeVerifier: randomText(random),
      };
      const begun = await provider.authorizationUrl(secrets, { fresh });
      if (!begun.ok) return begun;
      // One value for all tabs of a browser, so that two sign-ins side by side do not break each other.
      const bound = browser ?? randomText(random);
      await db.transaction((work) =>
        insertLoginAttempt(work, {
          state_hash: sha256(secrets.state),
          browser_hash: sha256(bound),
          nonce: secrets.nonce,
          code_verifier: secrets.codeVerifier,
          return_to: localPath(returnTo),
          expires_at: clock.now() + ATTEMPT_LIFE_MS,
        }),
      );
      return { ok: true, url: begun.url, browser: bound, maxAgeSeconds: ATTEMPT_LIFE_MS / 1000 };
    },

    async finish({ callback, browser, replaces, visitor }) {
      const states = callback.searchParams.getAll('state');
      const state = states.length === 1 ? states[0]! : '';
      const fresh = state.startsWith('fresh.');
      const attempt = state === '' || state.length > 200 ? null : await takeAttempt(sha256(state));
      const unknown = (detail: string) =>
        ({ ok: false, failure: 'unknown_attempt', detail, returnTo: '/', fresh: false }) as const;
      if (!attempt) return unknown('no such attempt');
      if (clock.now() >= attempt.expires_at) return unknown('attempt expired');
      // Login CSRF: a sign-in that began in the attacker's browser must not end in the victim's.
      if (browser === null || !constantTimeEqual(sha256(browser), attempt.browser_hash)) {
        return unknown('attempt of another browser');
      }
      const result = await provider.exchange(
        callback,
        { state, nonce: attempt.nonce, codeVerifier: attempt.code_verifier },
        { fresh, startedAt: attempt.expires_at - ATTEMPT_LIFE_MS },
      );
      const returnTo = localPath(attempt.return_to);
      if (!result.ok) {
        await reportFailure(result.problem, visitor);
        return { ok: false, failure: result.problem, detail: result.detail, returnTo, fresh };
      }
      if (!deps.standing.personMayAct(result.identity)) {
        await reportFailure('account_disabled', visitor);
        const detail = `${result.identity.subject} is disabled in the directory`;
        return { ok: false, failure: 'account_disabled', detail, returnTo, fresh };
      }
      const { session, lost } = await signIn(result.identity, visitor, replaces);
      tellGroups(result.identity, lost);
      return {
        ok: true,
        sessionValue: session.value,
        maxAgeSeconds: Math.floor((session.expiresAt - clock.now()) / 1000),
        returnTo,
        lostRole: lost ? result.identity.groupsUnknown : null,
      };
    },
  };
}
