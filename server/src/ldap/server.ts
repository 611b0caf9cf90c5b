import { type MessagePort, Worker } from 'node:worker_threads';
import { createPortAnswers, createPortCaller, type PortCaller } from '../platform/port-calls.ts';
import type { ServiceAccount } from './credential-checker.ts';
import type { ListenAddress, TlsSettings } from './directory-server.ts';
import type { CredentialChecker } from './session/credentials.ts';
import type { SessionEvent } from './session/session.ts';
import type { Settings } from './session/settings.ts';
import type { Stats } from './session/stats.ts';
import type { FromWorker, ToWorker, WorkerCalls, WorkerStart } from './worker-messages.ts';

/** Proofs of bind names that outlive the process. */
export interface KeptProofs {
  /** Of the digests. */
  readonly key: Uint8Array;
  /** Digests of addresses and names. */
  known(): readonly string[];
  /** This one was proved just now. */
  keep(digest: string): void;
}

export interface LdapServerDeps {
  settings: Settings;
  /** At least one; plain and TLS listeners may run side by side. */
  listen: readonly ListenAddress[];
  tls: TlsSettings | null;
  /** The account that sssd.conf may name; null: none. */
  service: ServiceAccount | null;
  /** Hosts: their passwords and certificates. */
  checker: CredentialChecker;
  /** Where snapshots come from, straight from the thread that builds them; see `receive`. */
  snapshots?: MessagePort;
  /** Without them whoever is proved has to prove it again after a restart. */
  proofs?: KeptProofs;
  /** The thread is started again and has nothing to serve. */
  onEmpty?: () => void;
  /** For log and events. `worker-failed`: the thread died and is started again. */
  report(event: SessionEvent | { kind: 'worker-failed'; message: string }): void;
}

/** The LDAP server as the rest of the product sees it; it works in a thread of its own. */
export interface LdapServer {
  /** Ports of the listeners, in order. */
  readonly ports: readonly number[];
  /**
   * Takes snapshots from this port, in place of an earlier one, and answers from the newest; before the first one every
   * search is told that the server is busy. A snapshot is hundreds of megabytes that the collector of a thread knows
   * nothing of: what never passes through a thread cannot stay behind in it.
   */
  receive(port: MessagePort): void;
  /** Busy for all clients, until a snapshot of a later generation comes. */
  withdraw(generation: number): void;
  /** Call when a host or certificate was revoked: asks the checker about every identity that is connected. */
  recheck(): void;
  /** A renewed certificate, for new connections. */
  setTls(tls: TlsSettings): void;
  /** Counters since the thread started; null when it does not answer. */
  stats(): Promise<Stats | null>;
  close(): Promise<void>;
}

/** Milliseconds after which identities are asked about even without `recheck`. */
const RECHECK_EVERY = 30_000;
const STATS_WITHIN = 2000;
const RESTART_AFTER = 1000;
/**
 * The directory lies outside the heap, and what is kept for clients is bounded. With little to grow into, the collector
 * takes garbage that strangers make it produce away instead of letting the heap grow first.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 384 };

/**
 * Starts the LDAP thread and waits until it listens.
 *
 * @throws when an address cannot be had; the message names the reason.
 */
export async function createLdapServer(deps: LdapServerDeps): Promise<LdapServer> {
  let { tls, listen } = deps;
  let closing = false;
  let restart: NodeJS.Timeout | null = null;
  let worker: Worker;
  let calls: PortCaller<WorkerCalls>;
  let closed: (() => void) | null = null;

  const send = (message: ToWorker, ports: readonly MessagePort[] = []): void => worker.postMessage(message, ports);

  function start(first?: MessagePort): Promise<number[]> {
    const snapshots = first ?? null;
    const { settings, service } = deps;
    const proofs = deps.proofs ? { key: deps.proofs.key, known: deps.proofs.known() } : null;
    const workerData: WorkerStart = { settings, tls, service, listen, snapshots, proofs };
    const transferList = snapshots ? [snapshots] : [];
    const started = new Worker(new URL('./worker.ts', import.meta.url), { workerData, transferList, resourceLimits });
    worker = started;
    const toStarted = (message: ToWorker): void => started.postMessage(message);
    const asked = createPortCaller<WorkerCalls>({ send: toStarted, withinMs: STATS_WITHIN });
    calls = asked;
    const answer = createPortAnswers<CredentialChecker>({
      send: toStarted,
      ours: deps.checker,
      messageOf(error) {
        deps.report({ kind: 'bug', message: String(error) });
        return 'credentials cannot be checked';
      },
    });
    return new Promise((resolve, reject) => {
      started.on('message', (message: FromWorker) => {
        switch (message.kind) {
          case 'listening':
            resolve(message.ports);
            break;
          case 'failed':
            reject(Object.assign(new Error(message.message), { code: message.code }));
            break;
          case 'call':
            answer(message);
            break;
          case 'answer':
            asked.receive(message);
            break;
          case 'proved':
            deps.proofs?.keep(message.digest);
            break;
          case 'event':
            deps.report(message.event);
            break;
          default:
            closed?.();
        }
      });
      started.on('error', (error) => {
        reject(error);
        deps.report({ kind: 'worker-failed', message: error instanceof Error ? (error.stack ?? '') : String(error) });
      });
      started.on('exit', () => {
        const ended = new Error('the LDAP thread ended');
        asked.close(ended);
        reject(ended);
        closed?.();
        if (!closing && worker === started) startAgain();
      });
    });
  }

  /** Hosts must not lose their users because of a bug: the next thread takes over the same ports. */
  function startAgain(): void {
    restart = setTimeout(async () => {
      try {
        await start();
        deps.onEmpty?.();
      } catch (error) {
        // `exit` of the thread that could not listen arms the next attempt.
        deps.report({ kind: 'worker-failed', message: String(error) });
      }
    }, RESTART_AFTER);
    restart.unref();
  }

  let ports: number[];
  try {
    ports = await start(deps.snapshots);
  } catch (error) {
    closing = true;
    throw error;
  }
  listen = listen.map((address, index) => ({ ...address, port: ports[index]! }));
  const recheck = setInterval(() => send({ kind: 'recheck' }), RECHECK_EVERY);
  recheck.unref();

  return {
    ports,
    receive: (port) => send({ kind: 'snapshots', port }, [port]),
    withdraw: (generation) => send({ kind: 'withdraw', generation }),
    recheck: () => send({ kind: 'recheck' }),
    setTls(next) {
      tls = next;
      send({ kind: 'tls', tls: next });
    },
    stats: () => calls.call('stats').catch(() => null),
    async close() {
      if (closing) return;
      closing = true;
      clearInterval(recheck);
      if (restart !== null) clearTimeout(restart);
      await new Promise<void>((resolve) => {
        closed = resolve;
        setTimeout(resolve, 2000).unref();
        send({ kind: 'close' });
      });
      await worker.terminate();
    },
  };
}
