import { eventKind } from '#shared/events.ts';
import { tokenType } from '#shared/token.ts';
import { signForRoot } from '#shared/trust-root.ts';
import type { Accounts } from '../auth/accounts.ts';
import { type Leaver, unknownStanding } from '../auth/standing.ts';
import { certificatesOf, readPem } from '../certificates/pem.ts';
import { keepServerCertificate, type ServerCertificate } from '../certificates/server-certificate.ts';
import type { LdapConfig } from '../config/config.ts';
import { createBindProofs } from '../directory/bind-proofs.ts';
import { certificateNamesOf } from '../directory/configured.ts';
import { directoryRoutes } from '../directory/host-routes.ts';
import { createHostSettings } from '../directory/host-settings.ts';
import { linkLint } from '../directory/link-lint.ts';
import { createDirectoryGauges, createDirectoryMetrics } from '../directory/metrics.ts';
import { userOfName } from '../directory/numbers/number-store.ts';
import { createParts } from '../directory/parts.ts';
import { createDirectory } from '../directory/publish/directory.ts';
import { createDirectoryThread } from '../directory/publish/thread.ts';
import { createDirectoryRouters } from '../directory/router.ts';
import { importEarlierRules } from '../directory/rules/import.ts';
import { scimRoutes } from '../directory/scim/routes.ts';
import { createScim } from '../directory/scim/service.ts';
import { createStanding } from '../directory/standing.ts';
import { createWebhook } from '../directory/webhook.ts';
import { webhookRoutes } from '../directory/webhook-routes.ts';
import { createLdapHosts } from '../hosts/ldap-hosts.ts';
import type { HostApi } from '../http/host-operation.ts';
import { createCredentialChecker, hostBindPassword, hostDn } from '../ldap/credential-checker.ts';
import { SEARCH_SECONDS } from '../ldap/session/stats.ts';
import { createLdapService } from '../ldap/start.ts';
import { healthCheck } from '../platform/health-check.ts';
import type { HealthCheck, Module } from '../platform/module.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';
import { VERSION } from '../version.ts';
import type { Core } from './core.ts';
import { createSource } from './directory-source.ts';

/** People were disabled or removed where they come from. */
type OnLeft = (leavers: readonly Leaver[]) => Promise<void>;

/**
 * Whom hosts know: people, groups and sudo rules for sssd. Without a base DN nothing is served, and no person is known
 * to be disabled.
 */
export async function directoryModule(core: Core, others: { onLeft: OnLeft; accounts: Accounts; hostApi: HostApi }) {
  const { config, clock, log } = core;
  const service = config.ldap && (await createDirectoryService(core, { ...others, ldap: config.ldap }));
  const perMinute = (limit: number) => createRateLimiter({ clock, limit, windowMs: 60_000 });
  const forHosts = others.hostApi(directoryRoutes(service?.hostSettings ?? null, core.hosts));
  const served = service && {
    routes: [
      forHosts,
      webhookRoutes({ webhook: service.webhook, failures: perMinute(10) }),
      scimRoutes({ scim: service.scim, externalUrl: config.externalUrl, failures: perMinute(30), log }),
    ],
    health: service.health,
    metrics: service.metrics,
    start: service.start,
    stop: service.stop,
  };
  return {
    name: 'directory',
    routes: [forHosts],
    ...served,
    procedures: createDirectoryRouters(service),
    service,
    standing: service?.standing ?? unknownStanding,
  } satisfies Module & Record<string, unknown>;
}

/**
 * The directory, from where people come from to what sssd sees: the second chapter of app.ts. Nothing listens and
 * nothing is fetched before `start`.
 */
async function createDirectoryService(
  core: Core,
  { ldap, onLeft, accounts }: { ldap: LdapConfig; onLeft: OnLeft; accounts: Accounts },
) {
  const { config, clock, random, log, keys, ca, db, events, hosts } = core;
  const onError = (err: unknown, what: string): void => log.error({ err }, `${what} failed`);

  // What is known: where people come from, numbers, rules.
  const { source, client } = await createSource({ config, clock, db });
  const scim = createScim({ db, events, clock, random, groupRename: config.scimGroupRename });
  const activeHosts = async () => (await hosts.list()).filter(({ state }) => state === 'active');
  const hostNames = async () => (await activeHosts()).map(({ hostname }) => hostname);
  const { settings, numbers, rules } = createParts({ config, ldap, db, events, clock, random, hostNames });

  // What hosts see, and as whom they ask.
  const checker = createCredentialChecker({
    baseDn: settings.baseDn,
    hostSecrets: ldap.provisionEnabled ? [ldap.secret, ldap.secretPrevious].filter((secret) => secret !== null) : [],
    hosts: createLdapHosts(hosts),
  });
  const proofs = createBindProofs({ db, clock, key: keys.storage, onError });
  const server = createLdapService({ options: ldap, checker, proofs, version: VERSION, log });
  const hostSettings = createHostSettings({
    ldap,
    serverId: keys.serverId,
    baseDn: settings.baseDn,
    mode: source === null ? 'bridge' : 'full',
    caBundle: async () =>
      certificatesOf([ca.bundle, ...(await readPem(ldap.tlsCaCert, ldap.tlsServerCaCert))].join('\n')),
    bindAs: (secret, hostname) => ({
      dn: hostDn(hostname, settings.baseDn),
      password: hostBindPassword(secret, hostname),
    }),
    sign: (content) => signForRoot(tokenType.directory, content, keys.trustRoot.signer),
  });

  // From the one to the other.
  const thread = createDirectoryThread({
    config,
    storage: keys.storage,
    clock,
    program: new URL('./directory-thread.ts', import.meta.url),
    snapshotPort: server.snapshotPort,
    onLeft,
    onWrote: events.wake,
    onError,
  });
  const counters = createDirectoryMetrics();
  const directory = createDirectory({
    db,
    events,
    clock,
    random,
    source,
    rounds: thread,
    withdraw: () => server.withdraw(thread.generation()),
    metrics: counters,
    onError,
    refreshMs: ldap.refreshIntervalMs,
    cacheMaxAgeMs: ldap.cacheMaxAgeMs,
  });
  const unfollow = events.follow(({ event }) => {
    if (event === 'scim_resource_changed' && source?.name === 'scim') directory.refresh('scim');
    const old = eventKind(event)?.directory;
    if (old?.includes('tree')) directory.rebuild();
    if (old?.includes('connections')) server.recheck();
  });

  const health: HealthCheck[] = [
    healthCheck({
      name: 'ldap_sync',
      about: 'Whether the directory that hosts see is as its source has it. [More](directory.md).',
      severity: 'critical',
      values: {
        stale:
          'The source was not read for one and a half times `IDENTREE_LDAP_REFRESH_INTERVAL`, or never. What was read last is served.',
        broken:
          'What is stored of the directory cannot be used, and nothing is served. The log says what there is to do.',
      },
      run: async () => directory.health(),
    }),
    healthCheck({
      name: 'ldap_server',
      about: 'Whether the LDAP server listens.',
      severity: 'critical',
      values: {
        not_started: 'It has not begun yet. Wait: a server that cannot listen there does not start, and says so.',
      },
      run: async () => (server.isListening() ? null : 'not_started'),
    }),
  ];
  if (source?.name === 'pocketid') {
    const run = async () => (directory.status().problem === null ? null : ('unreachable' as const));
    health.push(
      healthCheck({
        name: 'pocketid',
        about: 'The API of PocketID, from which people and groups come.',
        severity: 'degraded',
        values: { unreachable: 'It does not answer, or not as PocketID does. The console says more at Directory.' },
        run,
      }),
    );
  }
  let certificate: { stop(): void } | null = null;

  return {
    directory,
    standing: createStanding({
      ownerOf: (account) => userOfName(db.query, account),
      knownAs: accounts.knownAs,
      directory,
      client,
      issuer: settings.issuer,
      log,
    }),
    ldapUrl: ldap.externalUrl,
    unreadable: core.unreadable,
    linkLints: async () => (await accounts.unlinked(db.query)).map(linkLint),
    webhook: createWebhook({
      secret: config.webhookSecret,
      now: clock.now,
      onSignal: () => directory.refresh('webhook'),
    }),
    numbers,
    rules,
    scim,
    settings,
    hostSettings,
    health,
    metrics: [
      ...counters.metrics,
      ...createDirectoryGauges({
        searchSeconds: SEARCH_SECONDS,
        readStats: server.stats,
        status: directory.status,
        now: clock.now,
      }),
    ],
    ports: server.ports,
    /** Takes over what an earlier installation left, serves what was published last, opens the listeners. */
    async start(): Promise<void> {
      await importEarlierRules({ path: config.sudoRules.rulesFile, rules, log });
      await directory.start();
      await proofs.load();
      const further = await readPem(ldap.tlsCaCert);
      const { clientCertificates } = ldap;
      const tlsOf = (own: ServerCertificate) => ({
        ...own,
        clientCa: [...ca.certificates().map(({ pem }) => pem), ...further],
        clientCertificates,
      });
      const kept = await keepServerCertificate({
        source: ldap.tls
          ? { from: 'files', ...ldap.tls }
          : { from: 'authority', authority: ca, names: certificateNamesOf(config, ldap) },
        now: clock.now,
        onChange: (fresh) => server.setTls(tlsOf(fresh)),
        onError: (err) => log.error({ err }, 'the certificate of the directory could not be renewed'),
      });
      certificate = kept;
      ca.onChange(() => void kept.refresh());
      await server.listen(tlsOf(kept.current), () => {
        thread.reconnect();
        directory.republish();
      });
    },
    async stop(): Promise<void> {
      unfollow();
      certificate?.stop();
      const stopped = directory.stop();
      // A round that is under way ends by this.
      await thread.stop();
      await stopped;
      await server.close();
    },
  };
}
