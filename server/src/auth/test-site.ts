import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify';
import Fastify, { type FastifyError, type FastifyRequest, type LightMyRequestResponse } from 'fastify';
import { Refusal } from '#shared/errors.ts';
import { type PublicJwk, publicJwk, type SigningKey, signToken, tokenType } from '#shared/token.ts';
import type { Database } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { createEventLog } from '../events/log.ts';
import { type Context, router } from '../http/trpc.ts';
import { credentialsOf } from '../http/viewer.ts';
import { createApproverKeys } from '../passkeys/approver-keys.ts';
import { relyingPartyOf } from '../passkeys/relying-party.ts';
import { createPasskeysRouter } from '../passkeys/router.ts';
import { createPasskeys } from '../passkeys/service.ts';
import { createTestAuthenticator, type TestAuthenticator } from '../passkeys/test-authenticator.ts';
import { createApprovals } from '../passkeys/verify-approval.ts';
import { createClientAddress } from '../platform/client-address.ts';
import { manualClock } from '../platform/clock.ts';
import { createLogger } from '../platform/logger.ts';
import { systemRandom } from '../platform/random.ts';
import { createUnreadableRows } from '../platform/unreadable.ts';
import { createBindings } from './bindings.ts';
import { createCookies } from './cookies.ts';
import { createCsrfGuard } from './csrf.ts';
import { desktopRoutes } from './desktop-routes.ts';
import type { ExchangeResult, Identity, IdentityProvider } from './identity-provider.ts';
import { createRateLimits } from './rate-limit.ts';
import { createViewerOf, createViewerResolver } from './resolve-viewer.ts';
import { createAuthRouters } from './router.ts';
import { authRoutes } from './routes.ts';
import { createSessions } from './sessions.ts';
import { createSignIn } from './sign-in.ts';
import { unknownStanding } from './standing.ts';

/** An identity provider that says what the test tells it to. */
export interface FakeProvider extends IdentityProvider {
  /** What the next exchange answers. */
  next: ExchangeResult;
  /** False: cannot be reached. */
  up: boolean;
  /** Secrets of every sign-in that was begun, newest last. */
  begun: { state: string; fresh: boolean }[];
}

export type SiteOptions = Partial<{
  externalUrl: string;
  adminGroups: string[];
  firstPasskeyNeedsCode: boolean;
  trustedProxies: string[];
  provider: IdentityProvider;
}>;

export type TestSite = Awaited<ReturnType<typeof createTestSite>>;
export type TestBrowser = ReturnType<TestSite['browser']>;

export const ORIGIN = 'https://identree.test';

/** An identity with sensible defaults. */
export function identity(username: string, more: Partial<Identity> = {}): Identity {
  return {
    issuer: 'https://idp.test',
    subject: `subject of ${username}`,
    username,
    displayName: username[0]!.toUpperCase() + username.slice(1),
    email: null,
    groups: [],
    authTime: 0,
    ...more,
  };
}

/** Everything about signing in and passkeys on a Fastify instance that is only injected into. */
export async function createTestSite(t: Pick<TestContext, 'after'>, db: Database, options: SiteOptions = {}) {
  const clock = manualClock();
  const random = systemRandom;
  const config = {
    externalUrl: options.externalUrl ?? ORIGIN,
    adminGroups: options.adminGroups ?? ['admins'],
    firstPasskeyNeedsCode: options.firstPasskeyNeedsCode ?? false,
  };
  const problems: unknown[] = [];
  const events = await createEventLog({ db, clock, onError: (error) => problems.push(error) });
  const trustRoot = generateKeyPairSync('ed25519');
  const jwk: PublicJwk = await publicJwk(trustRoot.publicKey);
  const key: SigningKey = { kid: jwk.kid, privateKey: trustRoot.privateKey };
  const serverId = randomUUID();
  const rp = relyingPartyOf(config);
  const approverKeys = createApproverKeys({
    db,
    events,
    clock,
    serverId,
    rp,
    signApproverKeys: (set) => signToken(tokenType.approverKeys, set, key),
  });
  await approverKeys.ensure();

  const fake: FakeProvider = {
    next: { ok: false, problem: 'invalid_answer', detail: 'the test set no identity' },
    up: true,
    begun: [],
    async authorizationUrl({ state }, { fresh }) {
      fake.begun.push({ state, fresh });
      return fake.up ? new URL(`https://idp.test/authorize?state=${encodeURIComponent(state)}`) : null;
    },
    exchange: async () => fake.next,
    healthy: async () => fake.up,
  };
  const provider = options.provider ?? fake;

  const clientAddress = createClientAddress(options.trustedProxies ?? []);
  const addressOf = (request: FastifyRequest) =>
    clientAddress(request.socket.remoteAddress, request.headers['x-forwarded-for']);
  const accountRules = { directoryNames: false };
  const cookies = createCookies(config);
  const resolver = createViewerResolver({ db, clock, config, cookies, accountRules });
  const viewerOf = createViewerOf({ resolver });
  const csrfGuard = createCsrfGuard({ config, viewerOf });
  const limits = createRateLimits({ clock });
  const sessions = createSessions({ db, events, clock, random });
  const bindings = createBindings({ db, events, clock, accountRules });
  const signIn = createSignIn({
    db,
    events,
    clock,
    random,
    provider,
    sessions,
    bindings,
    standing: unknownStanding,
    onRenamed: async (work, person) => void (await approverKeys.publish(work, { username: person.username })),
  });
  const passkeys = createPasskeys({ db, events, clock, random, config, rp, approverKeys, resolver });
  const approvals = createApprovals({ rp, clock });

  const logged: object[] = [];
  const app = Fastify();
  app.decorateRequest('clientAddress', '');
  app.addHook('onRequest', async (request) => {
    request.clientAddress = addressOf(request);
  });
  app.setErrorHandler((error: FastifyError | Refusal, _request, reply) => {
    if (!(error instanceof Refusal) && (error.statusCode ?? 500) >= 500) problems.push(error);
    const refusal =
      error instanceof Refusal ? error : new Refusal((error.statusCode ?? 500) < 500 ? 'bad_request' : 'internal');
    return reply.code(refusal.status).send(refusal.toJSON());
  });
  await app.register(async (scope) => {
    scope.addHook('preHandler', csrfGuard);
    const appRouter = router({
      ...createAuthRouters({
        db,
        clock,
        config,
        sessions,
        bindings,
        passkeys,
        unreadable: createUnreadableRows(createLogger('error')),
      }),
      passkeys: createPasskeysRouter({ passkeys }),
    });
    await scope.register(fastifyTRPCPlugin, {
      prefix: '/trpc',
      trpcOptions: {
        router: appRouter,
        createContext: async ({ req }: { req: FastifyRequest }): Promise<Context> => ({
          viewer: await viewerOf(req),
          remoteAddr: addressOf(req),
          userAgent: '',
          credentials: credentialsOf(req),
        }),
        onError: ({ error }: { error: Error & { code: string } }) => {
          if (error.code === 'INTERNAL_SERVER_ERROR') problems.push(error.cause ?? error);
        },
      } as never,
    });
  });
  const shared = { csrfGuard, viewerOf, limits, sessions };
  const log = { info: (detail: object) => void logged.push(detail) };
  await app.register(authRoutes({ ...shared, signIn, cookies, config, log }));
  await app.register(desktopRoutes({ ...shared, db, events, clock, random, resolver }));
  t.after(async () => {
    events.close();
    await app.close();
  });

  const secure = config.externalUrl.startsWith('https:');
  const sessionCookie = `${secure ? '__Host-' : ''}identree_session`;
  const loginCookie = `${secure ? '__Host-' : ''}identree_login`;

  /** A browser with its own cookies that behaves as browsers do on our own pages. */
  function browser(remoteAddress = '192.0.2.7') {
    const jar = new Map<string, string>();

    async function send(
      method: 'GET' | 'POST',
      url: string,
      request: { headers?: Record<string, string>; payload?: string; contentType?: string } = {},
    ): Promise<LightMyRequestResponse> {
      const headers: Record<string, string> = { 'user-agent': 'test', ...request.headers };
      if (jar.size > 0 && headers.cookie === undefined) {
        headers.cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      }
      if (request.contentType) headers['content-type'] = request.contentType;
      const response = await app.inject({ method, url, headers, payload: request.payload ?? '', remoteAddress });
      for (const { name, value, maxAge } of response.cookies) {
        if (maxAge === 0) jar.delete(name);
        else jar.set(name, value);
      }
      return response;
    }

    const own = { origin: config.externalUrl, 'sec-fetch-site': 'same-origin' };
    const self = {
      jar,
      send,
      sessionCookie,
      loginCookie,
      get: (url: string, headers: Record<string, string> = {}) => send('GET', url, { headers }),
      /** Submits a form of our own page. */
      async submit(url: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
        return send('POST', url, {
          headers: { ...own, ...headers },
          contentType: 'application/x-www-form-urlencoded',
          payload: new URLSearchParams(fields).toString(),
        });
      },
      async me() {
        return (await self.query('me.get')).data as null | {
          person: { username: string; displayName: string };
          role: string;
          sessionKind: string;
          csrfToken: string;
          accounts: string[];
          passkeys: number;
          authTime: number;
        };
      },
      async csrf(): Promise<string> {
        return (await self.me())?.csrfToken ?? '';
      },
      async query(path: string, input?: unknown) {
        const suffix = input === undefined ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`;
        return answerOf(await send('GET', `/trpc/${path}${suffix}`));
      },
      /** Calls a mutation as our own page does. */
      async mutate(path: string, input?: unknown, headers?: Record<string, string>) {
        const sent = headers ?? { ...own, 'x-csrf-token': await self.csrf() };
        return answerOf(
          await send('POST', `/trpc/${path}`, {
            headers: sent,
            contentType: 'application/json',
            payload: input === undefined ? '' : JSON.stringify(input),
          }),
        );
      },
      /** Begins a sign-in and returns the state that the provider gives back. */
      async beginSignIn(query = ''): Promise<string> {
        const response = await send('GET', `/sessions/login${query}`);
        return new URL(String(response.headers.location)).searchParams.get('state') ?? '';
      },
      /** A whole sign-in with the fake provider. */
      async signIn(who: Identity, query = ''): Promise<LightMyRequestResponse> {
        const state = await self.beginSignIn(query);
        fake.next = { ok: true, identity: who };
        return send('GET', `/callback?code=c&state=${encodeURIComponent(state)}`);
      },
      /** Signs in just now, as somebody who typed their password. */
      async signInFresh(username: string, more: Partial<Identity> = {}) {
        const response = await self.signIn(identity(username, { authTime: clock.now(), ...more }), '?step_up=1');
        if (response.statusCode !== 303) throw new Error(`sign-in failed: ${response.statusCode} ${response.body}`);
        return response;
      },
      /** Registers the first passkey of whoever is signed in. */
      async firstPasskey(passkey: TestAuthenticator = createTestAuthenticator({ origin: config.externalUrl })) {
        const creation = await self.mutate('passkeys.registrationOptions', {});
        const made = await self.mutate('passkeys.register', {
          name: 'first',
          response: passkey.register(creation.data as never),
        });
        if (made.reason !== null) throw new Error(`first passkey refused: ${made.reason}`);
        return passkey;
      },
      /** Adds a passkey, vouched for by another one. */
      async addPasskey(by: TestAuthenticator, passkey = createTestAuthenticator({ origin: config.externalUrl })) {
        const request = await self.mutate('passkeys.additionOptions');
        const creation = await self.mutate('passkeys.registrationOptions', {
          assertion: by.assert(request.data as never),
        });
        const made = await self.mutate('passkeys.register', {
          name: 'another',
          response: passkey.register(creation.data as never),
        });
        if (made.reason !== null) throw new Error(`passkey refused: ${made.reason}`);
        return passkey;
      },
    };
    return self;
  }

  return {
    app,
    db,
    clock,
    config,
    events,
    provider: fake,
    resolver,
    sessions,
    bindings,
    signIn,
    passkeys,
    approvals,
    approverKeys,
    rp,
    trust: { serverId, trustRoot: jwk },
    /** Unexpected errors of the server; a test may check that there were none. */
    problems,
    logged,
    browser,
    authenticator: (more: Partial<Parameters<typeof createTestAuthenticator>[0]> = {}) =>
      createTestAuthenticator({ origin: config.externalUrl, ...more }),
    async personId(username: string): Promise<string> {
      const row = await kysely(db.query)
        .selectFrom('people')
        .select('id')
        .where('username', '=', username)
        .executeTakeFirstOrThrow();
      return row.id;
    },
    /** Names of all events so far, oldest first, without the ones that only start-up writes. */
    async eventNames(): Promise<string[]> {
      return (await events.read(1, 1000)).map(({ event }) => event);
    },
    eventsNamed: async (name: string) => (await events.read(0, 1000)).filter(({ event }) => event === name),
  };
}

/** What a tRPC answer says: data, or the code of the refusal. */
function answerOf(response: LightMyRequestResponse): { status: number; data: unknown; reason: string | null } {
  const body = response.json() as {
    result?: { data?: unknown };
    error?: { code?: string; data?: { reason?: string } };
  };
  const reason = body.error ? (body.error.data?.reason ?? String(body.error.code)) : null;
  return { status: response.statusCode, data: body.result?.data ?? null, reason };
}
