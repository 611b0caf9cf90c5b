import { readFile } from 'node:fs/promises';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { classSatisfies } from '#shared/decision.ts';
import { type GrantEntry, grantEntry } from '#shared/offline-grant.ts';
import { createAttempts } from './break-glass/attempts.ts';
import { type BreakGlass, createBreakGlass } from './break-glass/enter.ts';
import { hasHashFile } from './break-glass/hash-file.ts';
import { openHostJournal } from './break-glass/host-journal.ts';
import type { Journal } from './break-glass/journal.ts';
import { keepBreakGlass, rotateOutside } from './break-glass/keep.ts';
import { createVerify, ownProgram } from './break-glass/verify.ts';
import { authoritiesOf, createHeardAuthorities, readGranted, writeGranted } from './certificates/authorities.ts';
import { type RenewDeps, renewCertificate } from './certificates/renew.ts';
import { type Attempt, keepCertificate } from './certificates/schedule.ts';
import { type CertificateStore, createCertificateStore } from './certificates/store.ts';
import { createServers, type Servers } from './client/failover.ts';
import { createHostClient, type HostClient } from './client/host-client.ts';
import { createTransport, trustedOf } from './client/transport.ts';
import { type ClientConf, ConfigError, loadClientConf, readContact, withDefaults } from './config/client-conf.ts';
import { openServerDefaults, type ServerDefaults } from './config/server-defaults.ts';
import { osInfo } from './enrol/os-info.ts';
import { type Ask, createAsk } from './gate/ask.ts';
import { createSudoPolicies, runSudo } from './gate/ask-sudo.ts';
import { aliveFrame } from './gate/frames.ts';
import { createGate, type Gate, type GateDeps, refuseHook } from './gate/gate.ts';
import { createLogin } from './gate/login.ts';
import { createDirectLogins, createResidentLogins } from './gate/logins.ts';
import { createProcessReader } from './gate/proc.ts';
import { createQuiet, type Quiet } from './gate/quiet.ts';
import { createRegisteredSudos } from './gate/registered-sudos.ts';
import { sessionOrigin } from './gate/session-origin.ts';
import { createSudoPlugin, type SudoPluginDeps } from './gate/sudo-plugin.ts';
import { readHostReport } from './grants/host-report.ts';
import { type Chain, openChain } from './journal/chain.ts';
import { createJournalHeads, type JournalHeadsToTell } from './journal/heads.ts';
import { createHeldGrants, type HeldGrants } from './offline-grants/held-grants.ts';
import { createRunByGrant, noRunByGrant, type RunByGrant } from './offline-grants/run-by-grant.ts';
import { keepTelling } from './offline-grants/tell-uses.ts';
import { certificateFolder, type Paths, stateFiles } from './paths.ts';
import { sinceBoot } from './platform/boot-clock.ts';
import { type Clock, systemClock } from './platform/clock.ts';
import { type Log, silentLog } from './platform/log.ts';
import { programPath } from './platform/program.ts';
import { type Random, systemRandom } from './platform/random.ts';
import { type Run, systemRun } from './platform/run.ts';
import { createWaker, type Waker } from './platform/waker.ts';
import { createDoctor } from './service/doctor.ts';
import { type Health, keepBeating } from './service/heartbeat.ts';
import { type Keeper, keep } from './service/keepers.ts';
import { listen } from './service/socket-server.ts';
import { createGateWatch } from './setup/gate-watch.ts';
import { createKnownPlugins, type KnownPlugins } from './setup/known-plugins.ts';
import { readDirectoryUse, writeDirectoryUse } from './sssd/settings.ts';
import { control } from './sssd/sssd-addition.ts';
import { type ApproverKeys, openApproverKeys } from './state/approver-keys.ts';
import { atomicWrite } from './state/atomic-write.ts';
import { type Checkpoints, openCheckpoints } from './state/checkpoint.ts';
import { createCounter } from './state/counter.ts';
import { type Enrolment, loadEnrolment, NotEnrolled, prepareStateFolder } from './state/identity.ts';
import { machineId } from './state/machine-id.ts';
import type { Line } from './status/line.ts';
import { OWN_PLUGIN } from './version.ts';

/** Background work that should end before the process does. */
export interface Background {
  add(work: Promise<unknown>): void;
  /** Resolves when all is done, or after `ms`. */
  drain(ms: number): Promise<void>;
}

function createBackground(clock: Clock, log: Log): Background {
  const running = new Set<Promise<unknown>>();
  return {
    add(work) {
      const guarded = work.catch((error: unknown) => log.error(`background work failed: ${String(error)}`));
      running.add(guarded);
      void guarded.then(() => running.delete(guarded));
    },
    async drain(ms) {
      const limit = new AbortController();
      await Promise.race([Promise.allSettled([...running]), clock.sleep(ms, limit.signal)]);
      limit.abort();
    },
  };
}

/** Reads the CA file that client.conf names. @throws ConfigError */
async function readCa(conf: ClientConf): Promise<string | null> {
  if (conf.caCert === null) return null;
  const pem = await readFile(conf.caCert, 'utf8').catch(() => {
    throw new ConfigError(`IDENTREE_CA_CERT: ${conf.caCert} cannot be read.`);
  });
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new ConfigError(`IDENTREE_CA_CERT: ${conf.caCert} holds no certificate.`);
  return pem;
}

/** The connections to the server that client.conf names; all that enrolment needs. */
export async function connectServer(
  paths: Paths,
  clock: Clock = systemClock,
): Promise<{ conf: ClientConf; servers: Servers }> {
  const conf = await loadClientConf(paths.config);
  const trusted = trustedOf(await readCa(conf));
  return {
    conf,
    servers: createServers(
      conf.serverUrls.map((serverUrl) => createTransport({ serverUrl, trusted })),
      clock,
    ),
  };
}

/** The certificate of this host, and where its parts are. */
export const openCertificates = (paths: Paths, clock: Clock = systemClock): CertificateStore =>
  createCertificateStore({
    folder: certificateFolder(paths.state),
    lock: stateFiles(paths.state).certificateLock,
    clock,
  });

/** What counts on this host, for who looks once; a host that is not enrolled was told nothing. */
export async function loadSettings(
  paths: Paths,
): Promise<{ conf: ClientConf; file: ClientConf; defaults: ServerDefaults | null }> {
  const file = await loadClientConf(paths.config);
  const enrolment = await loadEnrolment(paths.state).catch((error: unknown) => {
    if (error instanceof NotEnrolled) return null;
    throw error;
  });
  if (enrolment === null) return { conf: file, file, defaults: null };
  const { clientDefaults } = stateFiles(paths.state);
  const defaults = await openServerDefaults({ file: clientDefaults, enrolment, log: silentLog });
  return { conf: withDefaults(file, defaults.current()), file, defaults };
}

/** An enrolled host, ready to ask. */
export interface Host {
  /** What counts now: client.conf, and what the server told where that says nothing. */
  readonly conf: ClientConf;
  defaults: ServerDefaults;
  enrolment: Enrolment;
  keys: ApproverKeys;
  checkpoints: Checkpoints;
  client: HostClient;
  certificates: CertificateStore;
  ask: Ask;
  breakGlass: BreakGlass;
  journal: Journal;
  grants: HeldGrants;
  grantJournal: Chain<GrantEntry>;
  /** Woken when there is something to tell of grants. */
  grantsUsed: Waker;
  runByGrant: RunByGrant;
  /** Moments in which what sudo needs of this host may be away. */
  quiet: Quiet;
  background: Background;
  close(): void;
}

/**
 * Loads everything an enrolled host has. @throws NotEnrolled, ConfigError, UntrustedFile
 *
 * @param deps.program how this program is started once more.
 */
export async function openHost(
  paths: Paths,
  deps: { clock?: Clock; random?: Random; program?: readonly string[]; sinceBoot?: () => number | null; log: Log },
): Promise<Host> {
  const { clock = systemClock, random = systemRandom, program = ownProgram(), log } = deps;
  const files = stateFiles(paths.state);
  await prepareStateFolder(paths.state);
  const enrolment = await loadEnrolment(paths.state);
  const keys = await openApproverKeys(files.approverKeys, enrolment.trust);
  const checkpoints = await openCheckpoints(files.checkpoint);
  const { conf: file, servers } = await connectServer(paths, clock);
  const defaults = await openServerDefaults({ file: files.clientDefaults, enrolment, log });
  const settings = () => withDefaults(file, defaults.current());
  const client = createHostClient({
    servers,
    enrolment,
    counter: createCounter({ file: files.counter, lock: files.lock, clock }),
    machineId: await machineId({ fallback: files.machineId, random }),
    clock,
    random,
  });
  const certificates = openCertificates(paths, clock);
  const background = createBackground(clock, log);
  const journal = openHostJournal(paths, { clock, log });
  const breakGlass = createBreakGlass({
    async ready() {
      const { breakGlass } = settings();
      return breakGlass.enabled && (await hasHashFile(breakGlass.file));
    },
    attempts: createAttempts({ file: files.breakGlassAttempts, lock: files.breakGlassAttemptsLock, clock }),
    journal,
    verify: createVerify(program, ['--config', paths.config, '--state', paths.state]),
    contact: file.contact,
    clock,
    log,
  });
  const { hostId } = enrolment.identity;
  const blocked = () => checkpoints.current().contradiction?.kind ?? null;
  const grants = createHeldGrants({
    trust: enrolment.trust,
    hostId,
    longestMs: classSatisfies('policy', file.minimumClass) ? file.offlineGrantMs : 0,
    clock,
    sinceBoot: deps.sinceBoot ?? sinceBoot,
    log,
  });
  const grantJournal = openChain({
    file: files.grantJournal,
    cursor: files.grantCursor,
    lock: files.grantJournalLock,
    schema: grantEntry,
    clock,
    log,
  });
  const grantsUsed = createWaker();
  const runByGrant = createRunByGrant({
    grants,
    journal: grantJournal,
    hostId,
    blocked,
    written: grantsUsed.wake,
    background: background.add,
    contact: file.contact,
    clock,
    random,
    log,
  });
  const ask = createAsk({
    client,
    keys,
    grants,
    trust: enrolment.trust,
    hostId,
    externalUrl: enrolment.identity.externalUrl,
    minimumClass: file.minimumClass,
    timeoutMs: () => settings().timeoutMs,
    contact: file.contact,
    breakGlassReady: breakGlass.ready,
    allOutSince: servers.allOutSince,
    blocked,
    background: background.add,
    clock,
    random,
    log,
  });
  const close = () => servers.close();
  return {
    get conf() {
      return settings();
    },
    defaults,
    enrolment,
    keys,
    checkpoints,
    client,
    certificates,
    ask,
    breakGlass,
    journal,
    grants,
    grantJournal,
    grantsUsed,
    runByGrant,
    quiet: createQuiet(clock),
    background,
    close,
  };
}

/** What an agent that stays looks at on its machine, and which plugin belongs to it. */
export type ResidentGateDeps = Required<Pick<GateDeps, 'processes' | 'sessionOrigin' | 'log' | 'stopping'>> & {
  plugin: Pick<SudoPluginDeps, 'build' | 'loads'> | null;
};

/** Answers the hooks of a host whose agent stays. */
export function residentGate(host: Host, { processes, sessionOrigin, plugin, log, stopping }: ResidentGateDeps): Gate {
  const clock = systemClock;
  const registered = createRegisteredSudos(processes);
  const { noninteractive, contact } = host.conf;
  const sudo =
    plugin &&
    createSudoPlugin({
      ...plugin,
      ask: host.ask,
      breakGlass: host.breakGlass,
      runByGrant: host.runByGrant,
      quiet: host.quiet,
      processes,
      registered,
      sessionOrigin,
      noninteractive,
      contact,
      log,
    });
  const { ask, breakGlass } = host;
  return createGate({
    ask,
    breakGlass,
    login: createLogin({ ask, breakGlass, processes, clock }),
    logins: createResidentLogins({ ask, breakGlass, processes, contact, clock }),
    plugin: sudo ? { registered, sudo } : null,
    processes,
    sessionOrigin,
    noninteractive,
    contact,
    clock,
    log,
    reportOutcome: 'after',
    stopping,
  });
}

/** What it takes to renew the certificate of this host. */
export function renewalOf(host: Host, paths: Paths, log: Log, run: Run = systemRun): RenewDeps {
  const files = stateFiles(paths.state);
  return {
    client: host.client,
    enrolment: host.enrolment,
    store: host.certificates,
    directory: () => readDirectoryUse(files.directory),
    keepDirectory: (use) => writeDirectoryUse(files.directory, use),
    noteAuthorities: (bundle) => writeGranted(files.authorities, bundle),
    // Its TLS library reads the files once: neither a new connection nor SIGHUP makes it look again.
    async reconnect() {
      const { code, output } = await host.quiet.during(() => control(run, 'try-restart'));
      if (code !== 0) log.error(`sssd goes on with the old certificate, because it could not be restarted: ${output}`);
    },
    clock: systemClock,
    random: systemRandom,
    log,
  };
}

/** The plugins that count as this program's; none when it runs from source. */
export const knownPlugins: KnownPlugins = OWN_PLUGIN
  ? createKnownPlugins('/', programPath(), OWN_PLUGIN)
  : async () => [];

/** What this host says of itself. */
export const hostReport = async () => readHostReport('/', await knownPlugins());

/** Tells the server what this host says of itself, once. @throws NotEnrolled, ConfigError, UntrustedFile */
export async function reportHost(paths: Paths): Promise<void> {
  const host = await openHost(paths, { log: silentLog });
  try {
    await host.client.report(await hostReport());
  } finally {
    host.close();
  }
}

/** Looks at this host, as `identree doctor` does. */
type Look = () => Promise<readonly Line[]>;

/** Heads of the journals of this host, for the server. */
export const journalHeadsOf = ({ journal, grantJournal, enrolment }: Host, log: Log): JournalHeadsToTell =>
  createJournalHeads({
    journals: { breakGlass: journal, offlineGrants: grantJournal },
    enrolment,
    clock: systemClock,
    log,
  });

/** What the resident agent looks after beside the gate. */
function keepersOf(host: Host, paths: Paths, deps: { log: Log; os: string; look: Look }): Keeper[] {
  const { log, os, look } = deps;
  const { client, keys, checkpoints, certificates, journal } = host;
  const { trust } = host.enrolment;
  const { hostname, hostId } = host.enrolment.identity;
  const files = stateFiles(paths.state);
  const every = { clock: systemClock, log, random: Math.random };
  const heard = createHeardAuthorities();
  const ownAuthorities = async () => {
    const set = await certificates.current().catch(() => null);
    try {
      return set && authoritiesOf(set);
    } catch {
      return null;
    }
  };
  const doctor = createDoctor({ ...every, look });
  const journals = journalHeadsOf(host, log);
  const refused = createWaker();
  const words = ['--config', paths.config, '--state', paths.state];
  const save = (file: string) => (state: Health | Attempt) => atomicWrite(file, `${JSON.stringify(state)}\n`);
  return [
    {
      name: 'heartbeat',
      run: (stopping) =>
        keepBeating(
          {
            ...every,
            client,
            keys,
            grants: host.grants,
            authorities: heard,
            ownAuthorities,
            checkpoints,
            trust,
            osInfo: os,
            report: hostReport,
            doctor,
            journals,
            waker: refused,
            save: save(files.health),
          },
          stopping,
        ),
    },
    {
      name: 'certificate renewal',
      run: (stopping) =>
        keepCertificate(
          {
            ...every,
            current: certificates.current,
            identity: { hostname, hostId },
            renew: () => renewCertificate(renewalOf(host, paths, log)),
            heard,
            granted: () => readGranted(files.authorities),
            save: save(files.renewal),
          },
          stopping,
        ),
    },
    {
      name: 'break-glass',
      run: (stopping) =>
        keepBreakGlass(
          {
            ...every,
            client,
            journal,
            conf: () => host.conf.breakGlass,
            defaults: host.defaults,
            nonces: systemRandom,
            async rotate() {
              const failed = await rotateOutside(ownProgram(), words, systemRun)();
              doctor.changed();
              return failed;
            },
            refused: refused.wake,
          },
          stopping,
        ),
    },
    {
      name: 'offline grants',
      run: (stopping) =>
        keepTelling(
          { ...every, client, journal: host.grantJournal, grants: host.grants, hostId, waker: host.grantsUsed },
          stopping,
        ),
    },
  ];
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/**
 * Answers hooks on the socket and runs the keepers. Resolves once `signal` has stopped it.
 *
 * @throws SocketError, and when a keeper broke
 */
export async function serveGate(
  host: Host,
  paths: Paths,
  deps: { keepers: readonly Keeper[]; log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { keepers, log } = deps;
  const failed = new AbortController();
  const stopping = AbortSignal.any([signal, failed.signal]);
  const processes = createProcessReader('/proc', createSudoPolicies({ run: runSudo, clock: systemClock, log }));
  const watch = createGateWatch('/', programPath(), knownPlugins, log);
  const plugin = OWN_PLUGIN && { build: OWN_PLUGIN.build, loads: watch.loads };
  const gate = residentGate(host, { processes, sessionOrigin, plugin, log, stopping });
  const server = await listen(paths.socket, gate.handle);
  const { externalUrl, hostname } = host.enrolment.identity;
  log.info(`ready on ${paths.socket} for ${externalUrl} as ${hostname}`);
  const keeping = keep(keepers, { stopping, broken: (why) => failed.abort(why), log });
  await aborted(stopping);
  log.info('stopping');
  await server.close();
  await host.background.drain(3000);
  host.close();
  await keeping;
  failed.signal.throwIfAborted();
}

/** The resident agent: socket, warm connection, keepers. Resolves once `signal` has stopped it. */
export async function runAgent(
  paths: Paths,
  { log, look }: { log: Log; look: Look },
  signal: AbortSignal,
): Promise<void> {
  const host = await openHost(paths, { log });
  await serveGate(host, paths, { keepers: keepersOf(host, paths, { log, os: await osInfo(), look }), log }, signal);
}

/** One hook conversation on an inherited socket, without the resident agent. */
export async function runDirectGate(paths: Paths, log: Log, stream: Duplex = new net.Socket({ fd: 0 })): Promise<void> {
  const host = await openHost(paths, { log }).catch(async (error: unknown) => {
    log.error(error instanceof Error ? error.message : String(error));
    stream.write(aliveFrame());
    const why = error instanceof NotEnrolled ? 'gate.notEnrolled' : 'gate.stateBroken';
    refuseHook(stream, why, await readContact(paths.config));
    return null;
  });
  if (host === null) return;
  const processes = createProcessReader('/proc', createSudoPolicies({ run: runSudo, clock: systemClock, log }));
  const clock = systemClock;
  const { ask, breakGlass } = host;
  const { noninteractive, contact } = host.conf;
  const sudo =
    OWN_PLUGIN &&
    createSudoPlugin({
      ask,
      breakGlass,
      runByGrant: noRunByGrant(host.runByGrant),
      quiet: host.quiet,
      processes,
      registered: null,
      loads: async () => null,
      sessionOrigin,
      build: OWN_PLUGIN.build,
      noninteractive,
      contact,
      log,
    });
  const gate = createGate({
    ask,
    breakGlass,
    plugin: sudo ? { registered: null, sudo } : null,
    login: createLogin({ ask, breakGlass, processes, clock }),
    logins: createDirectLogins({
      ask,
      breakGlass,
      processes,
      contact,
      clock,
      folder: stateFiles(paths.state).handover,
    }),
    processes,
    sessionOrigin,
    noninteractive,
    contact,
    clock,
    log,
    reportOutcome: 'before',
  });
  await gate.handle(stream);
  await host.background.drain(3000);
  host.close();
}
