import { readFile } from 'node:fs/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { eventKind } from '#shared/events.ts';
import type { DirectorySettings } from '#shared/host-api.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { type Leaver, unknownStanding } from '../auth/standing.ts';
import { keepServerCertificate } from '../certificates/server-certificate.ts';
import type { Config, LdapConfig } from '../config/config.ts';
import { directorySettingsOf } from '../directory/configured.ts';
import { directoryRoutes } from '../directory/host-routes.ts';
import { createDirectoryGauges, createDirectoryMetrics } from '../directory/metrics.ts';
import { userOfName } from '../directory/numbers/number-store.ts';
import { createNumbers } from '../directory/numbers/numbers.ts';
import { createDirectory } from '../directory/publish/directory.ts';
import { createDirectoryThread } from '../directory/publish/thread.ts';
import { createDirectoryRouters } from '../directory/router.ts';
import { createSudoRules } from '../directory/rules/service.ts';
import { scimRoutes } from '../directory/scim/routes.ts';
import { createScim } from '../directory/scim/service.ts';
import { createStanding } from '../directory/standing.ts';
import { createWebhook } from '../directory/webhook.ts';
import { webhookRoutes } from '../directory/webhook-routes.ts';
import { createLdapHosts } from '../hosts/ldap-hosts.ts';
import type { HostApi } from '../http/host-operation.ts';
import { createCredentialChecker, hostBindPassword, hostDn } from '../ldap/credential-checker.ts';
import type { TlsSettings } from '../ldap/directory-server.ts';
import { createLdapServer, type LdapServer, type LdapServerDeps } from '../ldap/server.ts';
import { DEFAULT_LIMITS } from '../ldap/session/limits.ts';
import { SEARCH_SECONDS } from '../ldap/session/stats.ts';
import type { HealthCheck, Module } from '../platform/module.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';
import { VERSION } from '../version.ts';
import type { Core } from './core.ts';
import { createSource } from './directory-source.ts';

/** Seconds' worth of searches that may come at once: sssd asks in bursts. */
const BURST = 5;

const ACTOR = { username: 'identree-server', remoteAddr: null };

/** Somebody was disabled or removed where people come from. */
type OnLeft = (leavers: readonly Leaver[]) => Promise<void>;

/**
 * Whom hosts know: people, groups and sudo rules for sssd. Without a base DN nothing is served, and nobody is known to be
 * disabled.
 */
export async function directoryModule(core: Core, others: { onLeft: OnLeft; hostApi: HostApi }) {
  const { config, clock, keys, log } = core;
  const service = config.ldap && (await createDirectoryService(core, { ldap: config.ldap, onLeft: others.onLeft }));
  const perMinute = (limit: number) => createRateLimiter({ clock, limit, windowMs: 60_000 });
  const signedSettings =
    service &&
    (async (host: { id: string; hostname: string }, nonce: string) =>
      signToken(
        tokenType.directory,
        { ...(await service.settingsFor(host)), nonce, serverId: keys.serverId },
        keys.trustRoot,
      ));
  const forHosts = others.hostApi(directoryRoutes(signedSettings));
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

export type DirectoryService = Awaited<ReturnType<typeof createDirectoryService>>;

/**
 * The directory, from where people come from to what sssd sees: the second chapter of app.ts. Nothing listens and
 * nothing is fetched before `start`.
 */
export async function createDirectoryService(
  core: Core,
  deps: {
    ldap: LdapConfig;
    onLeft: OnLeft;
  },
) {
  const { config, clock, random, log, keys, ca, db, events, hosts } = core;
  const { ldap } = deps;
  const settings = directorySettingsOf(config, ldap);

  // What is known: rules, numbers, where people come from.
  const numbers = createNumbers({
    db,
    events,
    clock,
    settings,
    mapFile: ldap.uidMapFile,
    acceptLoss: ldap.uidMapInit === 'force',
  });
  const rules = createSudoRules({
    db,
    events,
    clock,
    random,
    settings: settings.sudo,
    syntax: { groups: config.sudoRules.groupSyntax, reserved: settings.names.reserved },
    hostNames: async () => (await activeHosts()).map(({ hostname }) => hostname),
  });
  const scim = createScim({ db, events, clock, random, groupRename: config.scimGroupRename });
  const { source, client } = await createSource({ config, clock, db });
  const activeHosts = async () => (await hosts.list()).filter(({ state }) => state === 'active');

  // What hosts see.
  let server: LdapServer | null = null;
  /** The LDAP engine's end of the way to it, until there is one. */
  let waiting: MessagePort | null = null;
  /** No snapshot up to this generation is served. */
  let withdrawn = 0;
  const snapshotPort = (): MessagePort => {
    const { port1, port2 } = new MessageChannel();
    if (server) server.receive(port2);
    else waiting = port2;
    return port1;
  };
  const onError = (err: unknown, what: string): void => log.error({ err }, `${what} failed`);
  const thread = createDirectoryThread({
    config,
    storage: keys.storage,
    clock,
    program: new URL('./directory-thread.ts', import.meta.url),
    snapshotPort,
    onLeft: deps.onLeft,
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
    withdraw() {
      withdrawn = thread.generation();
      server?.withdraw(withdrawn);
    },
    metrics: counters,
    onError,
    refreshMs: ldap.refreshIntervalMs,
    cacheMaxAgeMs: ldap.cacheMaxAgeMs,
  });
  const standing = createStanding({
    ownerOf: (account) => userOfName(db.query, account),
    directory,
    client,
    issuer: settings.issuer,
    log,
  });
  const checker = createCredentialChecker({
    baseDn: settings.baseDn,
    hostSecrets: ldap.provisionEnabled ? [ldap.secret, ldap.secretPrevious].filter((secret) => secret !== null) : [],
    hosts: createLdapHosts(hosts),
  });

  const unfollow = events.follow(({ event }) => {
    if (event === 'scim_resource_changed' && source?.name === 'scim') directory.refresh('scim');
    const old = eventKind(event)?.directory;
    if (old?.includes('tree')) directory.rebuild();
    if (old?.includes('connections')) server?.recheck();
  });
  let certificate: Awaited<ReturnType<typeof keepServerCertificate>> | null = null;

  const health: HealthCheck[] = [
    { name: 'ldap_sync', severity: 'critical', run: async () => directory.health() },
    { name: 'ldap_server', severity: 'critical', run: async () => (server === null ? 'not_started' : null) },
  ];
  if (source?.name === 'pocketid') {
    const run = async () => (directory.status().problem === null ? null : 'unreachable');
    health.push({ name: 'pocketid', severity: 'degraded', run });
  }

  /** Who signs client certificates, and, unless it has one from elsewhere, the certificate of the directory. */
  const clientAuthorities = async (): Promise<string[]> => [keys.ca.certificatePem, ...(await readPem(ldap.tlsCaCert))];
  const serverAuthorities = async (): Promise<string[]> => [
    ...(await clientAuthorities()),
    ...(await readPem(ldap.tlsServerCaCert)),
  ];

  return {
    directory,
    standing,
    ldapUrl: ldap.externalUrl,
    webhook: createWebhook({
      secret: config.webhookSecret,
      now: clock.now,
      onSignal: () => directory.refresh('webhook'),
    }),
    numbers,
    rules,
    scim,
    settings,
    health,
    metrics: [
      ...counters.metrics,
      ...createDirectoryGauges({
        searchSeconds: SEARCH_SECONDS,
        readStats: async () => (await server?.stats()) ?? null,
        status: directory.status,
        now: clock.now,
      }),
    ],
    /** What a host needs to reach the directory as itself. With `bind`, a secret. */
    async settingsFor(host: { id: string; hostname: string }): Promise<Omit<DirectorySettings, 'nonce' | 'serverId'>> {
      const { baseDn } = settings;
      return {
        v: 1,
        hostId: host.id,
        ldapUrl: ldap.externalUrl,
        baseDn,
        mode: source === null ? 'bridge' : 'full',
        caBundle: certificatesOf((await serverAuthorities()).join('\n')),
        clientCertificates: ldap.clientCertificates,
        anonymous: ldap.allowAnonymous,
        bind:
          ldap.provisionEnabled && ldap.secret !== null
            ? { dn: hostDn(host.hostname, baseDn), password: hostBindPassword(ldap.secret, host.hostname) }
            : null,
      };
    },
    /** Takes over what an earlier installation left, serves what was published last, opens the listeners. */
    async start(): Promise<void> {
      await importRules(core, rules);
      await directory.start();
      const clientCa = await clientAuthorities();
      const tlsSettings = (own: { certificate: string; key: string }): TlsSettings => ({
        ...own,
        clientCa,
        clientCertificates: ldap.clientCertificates,
      });
      certificate = await keepServerCertificate({
        source: ldap.tls
          ? { from: 'files', ...ldap.tls }
          : { from: 'authority', authority: ca, names: namesOf(config, ldap) },
        now: clock.now,
        onChange: (fresh) => server?.setTls(tlsSettings(fresh)),
        onError: (err) => log.error({ err }, 'the certificate of the directory could not be renewed'),
      });
      const snapshots = waiting;
      waiting = null;
      server = await openLdapServer({
        settings: {
          limits: {
            ...DEFAULT_LIMITS,
            messageSize: ldap.maxMessageSize,
            messageSizeUnauthenticated: Math.min(ldap.maxMessageSize, DEFAULT_LIMITS.messageSizeUnauthenticated),
            connections: ldap.maxConnections,
            connectionsPerAddress: ldap.maxConnectionsPerAddress,
            searchResults: ldap.maxSearchResults,
            searchRate: ldap.searchRate,
            searchBurst: BURST * ldap.searchRate,
            searchRatePerAddress: ldap.searchRatePerAddress,
            searchBurstPerAddress: BURST * ldap.searchRatePerAddress,
          },
          allowAnonymous: ldap.allowAnonymous,
          requireTls: ldap.requireTls,
          scopeSudoToHost: ldap.sudoHostScope === 'bound',
          vendorName: 'identree',
          vendorVersion: VERSION,
        },
        listen: [
          ...(ldap.listen ? [{ ...ldap.listen, tls: false }] : []),
          ...(ldap.tlsListen ? [{ ...ldap.tlsListen, tls: true }] : []),
        ],
        tls: tlsSettings(certificate.current),
        service: ldap.service,
        checker,
        ...(snapshots ? { snapshots } : {}),
        onEmpty: () => {
          thread.reconnect();
          directory.republish();
        },
        report: reportTo(log),
      });
      // What happened while it opened its listeners.
      if (waiting) server.receive(waiting);
      waiting = null;
      if (withdrawn > 0) server.withdraw(withdrawn);
    },
    /** Ports of the listeners in the order plain, TLS, without those that are off. */
    ports: (): readonly number[] => server?.ports ?? [],
    async stop(): Promise<void> {
      unfollow();
      certificate?.stop();
      const stopped = directory.stop();
      // A round that is under way ends by this.
      await thread.stop();
      await stopped;
      await server?.close();
    },
  };
}

/** The rules of an earlier installation, once: what has been changed since is not overwritten. */
async function importRules(core: Core, rules: ReturnType<typeof createSudoRules>): Promise<void> {
  const { rulesFile } = core.config.sudoRules;
  if (rulesFile === null) return;
  let content: string;
  try {
    content = await readFile(rulesFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const result = await rules.importFile(content, ACTOR, { onlyIfEmpty: true, acknowledged: true });
  if (!result.ok) throw new Error(`${rulesFile}: ${result.why === 'invalid' ? result.problem : result.why}`);
  if (result.imported > 0) core.log.info({ rules: result.imported }, `imported sudo rules from ${rulesFile}`);
}

/** Certificates from a setting that is a path or PEM itself. */
async function readPem(value: string | null): Promise<string[]> {
  if (value === null) return [];
  return [value.startsWith('/') ? await readFile(value, 'utf8') : value];
}

/** Only the certificates: an operator's file may hold a private key as well, which must not leave the server. */
function certificatesOf(pem: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`).join('');
}

/** Names under which hosts may reach the directory. */
function namesOf(config: Config, ldap: LdapConfig): string[] {
  const hostnames = [ldap.externalUrl, config.externalUrl].map((url) =>
    new URL(url.replace(/^ldaps?:/, 'https:')).hostname.replace(/^\[|\]$/g, ''),
  );
  return [...new Set([...hostnames, 'localhost'])];
}

async function openLdapServer(deps: LdapServerDeps): Promise<LdapServer> {
  try {
    return await createLdapServer(deps);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const where = deps.listen.map(({ host, port }) => `${host}:${port}`).join(' and ');
    const hint =
      code === 'EACCES'
        ? '. Ports below 1024 need the capability CAP_NET_BIND_SERVICE; or choose others with IDENTREE_LDAP_LISTEN_ADDR and IDENTREE_LDAP_TLS_LISTEN_ADDR'
        : '';
    throw new Error(`the directory cannot listen on ${where}: ${message}${hint}`, { cause: error });
  }
}

/** Log lines of what happens on LDAP connections. */
function reportTo(log: Core['log']): LdapServerDeps['report'] {
  return (event) => {
    switch (event.kind) {
      case 'bug':
        log.error(event, 'LDAP: something went wrong');
        return;
      case 'worker-failed':
        log.error(event, 'LDAP: the thread failed and is started again');
        return;
      case 'size-limit':
        log.error(
          event,
          'LDAP: a search was cut off at IDENTREE_LDAP_MAX_SEARCH_RESULTS; sssd takes that for deletions',
        );
        return;
      case 'clear-text-password':
        log.warn(event, 'LDAP: a password came in clear text. Use LDAPS or StartTLS');
        return;
      case 'bind':
        log.warn(event, 'LDAP: bind refused');
        return;
      case 'identity-withdrawn':
        log.info(event, 'LDAP: a host that may no longer connect was cut off');
        return;
      default:
        log.debug(event, 'LDAP: connection ended');
    }
  };
}
