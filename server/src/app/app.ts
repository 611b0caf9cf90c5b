import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { signToken, tokenType } from '#shared/token.ts';
import { approvalPageRoutes } from '../approval-page/routes.ts';
import { createBindings } from '../auth/bindings.ts';
import { createCookies } from '../auth/cookies.ts';
import { createCsrfGuard } from '../auth/csrf.ts';
import { desktopRoutes } from '../auth/desktop.ts';
import type { IdentityProvider } from '../auth/identity-provider.ts';
import { createLeavers } from '../auth/leavers.ts';
import { createOidc } from '../auth/oidc.ts';
import { showRefusals } from '../auth/pages.ts';
import { createRateLimits } from '../auth/rate-limit.ts';
import { createViewerOf, createViewerResolver } from '../auth/resolve-viewer.ts';
import { createAuthRouters } from '../auth/router.ts';
import { authRoutes } from '../auth/routes.ts';
import { createSessions } from '../auth/sessions.ts';
import { createSignIn } from '../auth/sign-in.ts';
import { unknownStanding } from '../auth/standing.ts';
import { startSweeper } from '../auth/sweeper.ts';
import { createCertificateAuthority, makeCaCertificate } from '../certificates/authority.ts';
import { startReaper } from '../challenges/reaper.ts';
import { createChallengesRouter } from '../challenges/router.ts';
import { createChallengeService } from '../challenges/service.ts';
import { createWaiters } from '../challenges/waiters.ts';
import type { Config } from '../config/config.ts';
import { openDatabase } from '../db/database.ts';
import { claimInstallation } from '../db/installation.ts';
import { createDirectoryRouters } from '../directory/router.ts';
import { webhookRoutes } from '../directory/routes.ts';
import { scimRoutes } from '../directory/scim/routes.ts';
import { createEventFeed } from '../events/feed.ts';
import { createEventLog } from '../events/log.ts';
import { createEventsRouter } from '../events/router.ts';
import { createHostsRouter } from '../hosts/router.ts';
import { createHostService } from '../hosts/service.ts';
import { diskCheck } from '../http/health.ts';
import { hostRoutes } from '../http/host-routes.ts';
import { createHttpServer } from '../http/server.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { approverKeysSince, createApproverKeys, currentApproverKeys } from '../passkeys/approver-keys.ts';
import { relyingPartyOf } from '../passkeys/relying-party.ts';
import { createPasskeysRouter } from '../passkeys/router.ts';
import { createPasskeys } from '../passkeys/service.ts';
import { createApprovals } from '../passkeys/verify-approval.ts';
import { createClientAddress } from '../platform/client-address.ts';
import { systemClock } from '../platform/clock.ts';
import { loadServerKeys } from '../platform/keys.ts';
import { createLogger } from '../platform/logger.ts';
import { systemRandom } from '../platform/random.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';
import { builtInPolicySource, createPolicyFile } from '../policies/source.ts';
import { createDirectoryService } from './directory.ts';
import { createAppRouter } from './router.ts';

const MINUTE = 60_000;

/** What tests and the evaluation entry replace. */
export interface AppOptions {
  clock?: typeof systemClock;
  random?: typeof systemRandom;
  /** Replaces the configured OpenID Connect provider. */
  provider?: IdentityProvider;
  /** Further routes, for example the built-in identity provider of evaluation mode. */
  plugins?: readonly FastifyPluginAsync[];
  /** Folder of the built browser assets. */
  distDir?: string;
}

export type Core = Awaited<ReturnType<typeof createCore>>;
export type App = Awaited<ReturnType<typeof createApp>>;

/** Everything that works without a listener: also what the command line uses beside a running server. */
export async function createCore(config: Config, options: AppOptions = {}) {
  const { clock = systemClock, random = systemRandom } = options;
  const log = createLogger(config.logLevel);
  const keys = await loadServerKeys(config.keysDir, {
    evaluation: config.evaluation,
    makeCa: (pem) => makeCaCertificate(pem, clock.now()),
  });
  const db = await openDatabase(config.database);
  const events = await createEventLog({ db, clock, onError: (err) => log.error({ err }, 'event reader failed') });
  await claimInstallation(
    db,
    { serverId: keys.serverId, trustRoot: keys.trustRoot.kid, evaluation: keys.evaluation },
    async (work) => {
      await events.append(work, {
        event: 'server_initialized',
        username: '',
        data: { serverId: keys.serverId, trustRoot: keys.trustRoot.kid },
      });
    },
  );

  const rp = relyingPartyOf(config);
  const approverKeys = createApproverKeys({
    db,
    events,
    clock,
    serverId: keys.serverId,
    rp,
    signApproverKeys: (set) => signToken(tokenType.approverKeys, set, keys.trustRoot),
  });
  await approverKeys.ensure();

  const ca = createCertificateAuthority({ ca: keys.ca, now: clock.now, hostTtlMs: config.certificateTtlMs });
  const hosts = createHostService({
    db,
    events,
    clock,
    random,
    serverId: keys.serverId,
    externalUrl: config.externalUrl,
    trustRoot: keys.trustRoot.public,
    verificationKeys: [keys.verdict.public],
    ca,
    signGrant: (grant) => signToken(tokenType.enrolment, grant, keys.trustRoot),
    signCertificateGrant: (grant) => signToken(tokenType.certificate, grant, keys.trustRoot),
    currentKeys: currentApproverKeys,
    sharedSecret: config.sharedSecret,
    autoConfirm: config.enrolmentAutoConfirm,
  });

  return {
    config,
    clock,
    random,
    log,
    keys,
    db,
    events,
    rp,
    approverKeys,
    ca,
    hosts,
    /** What hosts and auditors pin. */
    trust: { serverId: keys.serverId, trustRoot: keys.trustRoot.public, verificationKeys: [keys.verdict.public] },
    async close() {
      events.close();
      await db.close();
    },
  };
}

/** The server. Read from top to bottom, it is the table of contents of the product. */
export async function createApp(config: Config, options: AppOptions = {}) {
  const core = await createCore(config, options);
  const { clock, random, log, keys, db, events, rp, approverKeys, hosts } = core;
  const clientAddress = createClientAddress(config.trustedProxies);
  const addressOf = (request: FastifyRequest) => request.clientAddress;

  // Who is asking.
  const cookies = createCookies(config);
  const resolver = createViewerResolver({ db, clock, config, cookies });
  const viewerOf = createViewerOf({ resolver, clientAddress: addressOf });
  const csrfGuard = createCsrfGuard({ config, viewerOf });
  const limits = createRateLimits({ clock });
  const sessions = createSessions({ db, events, clock, random });
  const bindings = createBindings({ db, events, clock });
  const metrics = createMetrics({ db, events });

  // Whom hosts know: people, groups and sudo rules for sssd.
  const leavers = createLeavers({ db, events, clock });
  const directory =
    config.ldap &&
    (await createDirectoryService(core, {
      ldap: config.ldap,
      metrics,
      onLeft: async (left) => {
        await leavers.endSessions(left);
        await challenges.denyOf(left.flatMap(({ account }) => account ?? []));
      },
    }));
  const standing = directory?.standing ?? unknownStanding;

  const provider = options.provider ?? createOidc({ config, clock, log, onExchange: metrics.oidcExchange });
  const signIn = createSignIn({
    db,
    events,
    clock,
    random,
    provider,
    sessions,
    bindings,
    standing,
    onRenamed: async (work, person) => void (await approverKeys.publish(work, { username: person.username })),
  });
  const passkeys = createPasskeys({ db, events, clock, random, config, rp, approverKeys, resolver });

  // What is decided.
  const policies = config.policiesFile === null ? builtInPolicySource : createPolicyFile(config.policiesFile);
  const waiters = createWaiters({ events });
  const challenges = createChallengeService({
    db,
    events,
    clock,
    random,
    policies,
    ttlMs: config.challengeTtlMs,
    externalUrl: config.externalUrl,
    serverId: keys.serverId,
    signVerdict: (verdict) => signToken(tokenType.verdict, verdict, keys.verdict),
    hosts,
    recheckViewer: resolver.recheck,
    passkeys: createApprovals({ rp, clock }),
    standing,
    keysSince: approverKeysSince,
  });
  const sweeper = startSweeper({ db, clock, onError: (err) => log.error({ err }, 'sweeper failed') });
  const reaper = startReaper({ challenges, hosts, onError: (err) => log.error({ err }, 'reaper failed') });

  // Who is told.
  const feed = createEventFeed({ events });

  const perMinute = (limit: number) => createRateLimiter({ clock, limit, windowMs: MINUTE });
  const http = await createHttpServer({
    externalUrl: config.externalUrl,
    clientAddress,
    tls: config.tls,
    metricsToken: config.metricsToken,
    distDir: options.distDir ?? fileURLToPath(new URL('../../../dist', import.meta.url)),
    log,
    viewerOf,
    recheckViewer: (request) => {
      const { cookie, authorization } = request.headers;
      // A desktop app that follows events is in use; a forgotten browser tab is not.
      const touch = authorization !== undefined;
      return resolver.resolve({ cookie, authorization, remoteAddr: request.clientAddress }, { touch });
    },
    csrfGuard,
    limitMutation: async (request) => limits.mutation((await viewerOf(request))?.person.id ?? request.clientAddress),
    router: createAppRouter({
      auth: createAuthRouters({ db, clock, config, sessions, bindings, passkeys }),
      challenges: createChallengesRouter({ challenges }),
      events: createEventsRouter({ feed }),
      hosts: createHostsRouter({ hosts, now: clock.now }),
      passkeys: createPasskeysRouter({ passkeys }),
      directory: createDirectoryRouters(directory),
    }),
    feed,
    metrics,
    health: [
      diskCheck(config.database.driver === 'sqlite' ? dirname(config.database.dsn) : config.keysDir),
      {
        name: 'database',
        severity: 'critical',
        run: async () => {
          await events.head();
          return null;
        },
      },
      {
        name: 'policy',
        severity: 'critical',
        run: async () => {
          const state = await policies.current();
          if (!state.ok)
            log.error({ problem: state.problem }, 'the approval policy cannot be used: nothing is decided');
          return state.ok ? null : 'broken';
        },
      },
      { name: 'oidc', severity: 'degraded', run: async () => ((await provider.healthy()) ? null : 'unreachable') },
      ...(directory?.health ?? []),
    ],
    plugins: [
      hostRoutes({
        db,
        externalUrl: config.externalUrl,
        hosts,
        challenges,
        waiters,
        directorySettings:
          directory &&
          (async (host, nonce) => {
            const settings = { ...(await directory.settingsFor(host)), nonce, serverId: keys.serverId };
            return signToken(tokenType.directory, settings, keys.trustRoot);
          }),
        checkpoint: events.head,
        keysSince: approverKeysSince,
        now: clock.now,
        refusalEvents: perMinute(20),
        failures: perMinute(30),
        onRefusal: (refusal) => {
          if (refusal.status === 401) metrics.hostAuthenticationFailed();
          if (refusal.status === 429) metrics.rateLimited();
        },
      }),
      authRoutes({ signIn, sessions, cookies, limits, csrfGuard, viewerOf, clientAddress: addressOf, config, log }),
      desktopRoutes({
        db,
        events,
        clock,
        random,
        resolver,
        sessions,
        limits,
        csrfGuard,
        viewerOf,
        clientAddress: addressOf,
      }),
      async (scope) => {
        showRefusals(scope);
        await approvalPageRoutes(scope, { challenges, viewerOf, limits });
      },
      ...(directory
        ? [
            webhookRoutes({ webhook: directory.webhook, failures: perMinute(10) }),
            scimRoutes({ scim: directory.scim, externalUrl: config.externalUrl, failures: perMinute(30), log }),
          ]
        : []),
      ...(options.plugins ?? []),
    ],
  });

  /** Begins everything that is not asked for over HTTP. */
  async function start(): Promise<void> {
    await directory?.start();
    await db.transaction(async (work) => {
      await events.append(work, { event: 'server_started', username: '' });
    });
  }

  return {
    ...core,
    http,
    challenges,
    directory,
    start,
    /** Starts to listen; the server is ready when this resolves. */
    async listen(): Promise<void> {
      await start();
      await http.listen({ host: config.listen.host, port: config.listen.port });
    },
    /** Lets go of whoever waits, finishes what is under way, closes the database last. */
    async close(): Promise<void> {
      reaper.stop();
      sweeper.stop();
      waiters.close();
      await directory?.stop();
      metrics.close();
      await http.close();
      await reaper.done();
      await core.close();
    },
  };
}
