import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { ServiceAccount } from './credential-checker.ts';
import type { TlsSettings } from './directory-server.ts';
import { createLdapServer, type KeptProofs, type LdapServer, type LdapServerDeps } from './server.ts';
import type { CredentialChecker } from './session/credentials.ts';
import { DEFAULT_LIMITS } from './session/limits.ts';
import type { Settings } from './session/settings.ts';
import type { Stats } from './session/stats.ts';

/** What an operator may decide. */
export interface LdapOptions {
  /** Null: no listener of this kind. Port 0: any free one. */
  listen: { host: string; port: number } | null;
  tlsListen: { host: string; port: number } | null;
  /** Octets. */
  maxMessageSize: number;
  maxConnections: number;
  maxConnectionsPerAddress: number;
  /** Entries. */
  maxSearchResults: number;
  /** Searches a second, of one connection and of one address. */
  searchRate: number;
  searchRatePerAddress: number;
  allowAnonymous: boolean;
  requireTls: boolean;
  /** `bound`: a host sees only the sudo rules that may apply to it. */
  sudoHostScope: 'bound' | 'all';
  service: ServiceAccount | null;
}

/** The LDAP server before, while and after it listens. What is asked of it before it listens holds when it does. */
export interface LdapService {
  /** A way for finished snapshots to it, in place of an earlier one. */
  snapshotPort(): MessagePort;
  /** No snapshot up to this generation is served. */
  withdraw(generation: number): void;
  /** See {@link LdapServer}; before it listens there are no connections to look at. */
  recheck(): void;
  setTls(tls: TlsSettings): void;
  /** Null when there is nothing that answers. */
  stats(): Promise<Stats | null>;
  isListening(): boolean;
  /** Ports of the listeners in the order plain, TLS, without those that are off. */
  ports(): readonly number[];
  /**
   * Opens the listeners.
   *
   * @param onEmpty the thread was started again and has nothing to serve.
   * @throws when an address cannot be had; the message names it and what may help.
   */
  listen(tls: TlsSettings, onEmpty: () => void): Promise<void>;
  close(): Promise<void>;
}

/** What a log can do that this module needs. */
type Log = Record<'error' | 'warn' | 'info' | 'debug', (detail: object, message: string) => void>;

/** Seconds' worth of searches that may come at once: sssd asks in bursts. */
const BURST = 5;
/**
 * Of a connection that has authenticated. With `ldap_group_nesting_level = 0` sssd asks for ten thousand members of a group
 * at once and gives each search 6 s; whoever is not looked up by then is missing in the group.
 */
const AUTHENTICATED_BURST = 15;

/** Prepares the LDAP server. Nothing listens yet. */
export function createLdapService(deps: {
  options: LdapOptions;
  checker: CredentialChecker;
  proofs: KeptProofs;
  version: string;
  log: Log;
}): LdapService {
  const { options, checker, proofs, log } = deps;
  let server: LdapServer | null = null;
  /** The far end of the newest way for snapshots, until the server takes it. */
  let untaken: MessagePort | null = null;
  let withdrawn = 0;

  function takePort(): MessagePort | null {
    const port = untaken;
    untaken = null;
    return port;
  }

  return {
    snapshotPort() {
      const { port1, port2 } = new MessageChannel();
      if (server) server.receive(port2);
      else untaken = port2;
      return port1;
    },
    withdraw(generation) {
      withdrawn = generation;
      server?.withdraw(generation);
    },
    recheck: () => server?.recheck(),
    setTls: (tls) => server?.setTls(tls),
    stats: async () => (await server?.stats()) ?? null,
    isListening: () => server !== null,
    ports: () => server?.ports ?? [],
    async listen(tls, onEmpty) {
      const snapshots = takePort();
      server = await open({
        settings: settingsOf(options, deps.version),
        listen: [
          ...(options.listen ? [{ ...options.listen, tls: false }] : []),
          ...(options.tlsListen ? [{ ...options.tlsListen, tls: true }] : []),
        ],
        tls,
        service: options.service,
        checker,
        proofs,
        ...(snapshots ? { snapshots } : {}),
        onEmpty,
        report: reportTo(log),
      });
      // What happened while it opened its listeners.
      const newer = takePort();
      if (newer) server.receive(newer);
      if (withdrawn > 0) server.withdraw(withdrawn);
    },
    close: async () => server?.close(),
  };
}

function settingsOf(options: LdapOptions, version: string): Settings {
  return {
    limits: {
      ...DEFAULT_LIMITS,
      messageSize: options.maxMessageSize,
      messageSizeUnauthenticated: Math.min(options.maxMessageSize, DEFAULT_LIMITS.messageSizeUnauthenticated),
      connections: options.maxConnections,
      connectionsPerAddress: options.maxConnectionsPerAddress,
      searchResults: options.maxSearchResults,
      searchRate: options.searchRate,
      searchBurst: BURST * options.searchRate,
      searchBurstAuthenticated: AUTHENTICATED_BURST * options.searchRate,
      searchRatePerAddress: options.searchRatePerAddress,
      searchBurstPerAddress: BURST * options.searchRatePerAddress,
    },
    allowAnonymous: options.allowAnonymous,
    requireTls: options.requireTls,
    scopeSudoToHost: options.sudoHostScope === 'bound',
    vendorName: 'identree',
    vendorVersion: version,
  };
}

async function open(deps: LdapServerDeps): Promise<LdapServer> {
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
function reportTo(log: Log): LdapServerDeps['report'] {
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
