import { Histogram } from 'prom-client';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import { healthCheck } from '../platform/health-check.ts';
import type { Ground, Module } from '../platform/module.ts';
import { backchannelRoutes } from './backchannel-routes.ts';
import { createBindings } from './bindings.ts';
import type { Callers } from './callers.ts';
import { desktopRoutes } from './desktop-routes.ts';
import type { IdentityProvider } from './identity-provider.ts';
import { createOidc } from './oidc.ts';
import type { PasskeysOfPeople } from './people-router.ts';
import { createProviderLogout } from './provider-logout.ts';
import { createAuthRouters } from './router.ts';
import { authRoutes } from './routes.ts';
import { countLiveSessions } from './session-store.ts';
import { createSessions } from './sessions.ts';
import { createSignIn } from './sign-in.ts';
import type { Standing } from './standing.ts';
import { SWEEP_EVERY_MS, sweepSessions } from './sweeper.ts';

/** Signing in, sessions, and who owns which Linux account. */
export function authModule(
  ground: Ground,
  others: {
    callers: Callers;
    standing: Standing;
    approverKeys: Pick<ApproverKeys, 'publish'>;
    passkeys: PasskeysOfPeople;
    /** Replaces the configured OpenID Connect provider. */
    provider: IdentityProvider | undefined;
  },
) {
  const { callers, standing, approverKeys, passkeys } = others;
  const exchange = new Histogram({
    name: 'identree_oidc_exchange_duration_seconds',
    help: 'Token exchange with the identity provider.',
    buckets: [0.1, 0.25, 0.5, 1, 2, 5, 15],
    registers: [],
  });
  const provider = others.provider ?? createOidc({ ...ground, onExchange: (seconds) => exchange.observe(seconds) });
  const sessions = createSessions(ground);
  const bindings = createBindings({ ...ground, ...callers });
  const signIn = createSignIn({
    ...ground,
    provider,
    sessions,
    bindings,
    standing,
    onRenamed: async (work, person) => void (await approverKeys.publish(work, { username: person.username })),
  });
  return {
    name: 'auth',
    routes: [
      authRoutes({ ...ground, ...callers, signIn, sessions, provider }),
      backchannelRoutes({ ...ground, ...callers, provider, providerLogout: createProviderLogout(ground) }),
      desktopRoutes({ ...ground, ...callers, sessions }),
    ],
    health: [
      healthCheck({
        name: 'oidc',
        about: 'The identity provider, with which people sign in. Who is signed in goes on, and approves.',
        severity: 'degraded',
        values: {
          unreachable: 'It does not answer. The log has the error. [Identity providers](providers.md) lists causes.',
          misconfigured: 'It answers, and does not fit `IDENTREE_OIDC_…`; `details.oidc` says how.',
        },
        details: 'what does not fit',
        run: async () => {
          const trouble = await provider.trouble();
          if (trouble === null) return null;
          return trouble.problem === 'provider_unreachable'
            ? 'unreachable'
            : { value: 'misconfigured', detail: trouble.detail };
        },
      }),
    ],
    metrics: [
      exchange,
      readGauge({
        name: 'sessions',
        help: 'Sessions of people that have not ended.',
        read: shortly(() => countLiveSessions(ground.db.query, ground.clock.now())),
      }),
    ],
    jobs: [{ name: 'session sweep', everyMs: SWEEP_EVERY_MS, run: () => sweepSessions(ground) }],
    procedures: createAuthRouters({ ...ground, ...callers, sessions, bindings, passkeys }),
  } satisfies Module & Record<string, unknown>;
}
