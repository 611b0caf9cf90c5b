import { type MessagePort, Worker } from 'node:worker_threads';
import type { Leaver } from '../../auth/standing.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Rounds } from './rounds.ts';
import type { FromThread, ThreadStart, ToThread } from './thread-messages.ts';

export interface DirectoryThreadDeps extends Omit<ThreadStart, 'snapshots'> {
  clock: Clock;
  /** Entry of the thread. */
  program: URL;
  /** A fresh way to the LDAP engine, for each thread that is started. */
  snapshotPort: () => MessagePort;
  onLeft: (leavers: readonly Leaver[]) => Promise<void>;
  onWrote: () => void;
  onError: (error: unknown, what: string) => void;
  /** How long the thread stays after its last change, milliseconds. */
  idleMs?: number;
}

/** Rounds in a thread of their own. */
export interface DirectoryThread extends Pick<Rounds, 'run' | 'groupsOf'> {
  /** The generation of the newest snapshot that may have been given to the LDAP engine. */
  generation(): number;
  /** The LDAP engine is another one: the thread, if there is one, gets a new way to it. */
  reconnect(): void;
  stop(): Promise<void>;
}

/** Changes come in bursts, and a thread that knows everything already is faster. */
const IDLE_MS = 60_000;

interface Waiting {
  resolve(value: never): void;
  reject(error: Error): void;
}

/**
 * Works on the directory beside everything else: a hundred thousand people take seconds, in which nobody may wait for an
 * approval, and memory that is given back when the thread ends. It begins with a round and ends with it when nothing has
 * changed for a while; what it knew is in the database.
 */
export function createDirectoryThread(deps: DirectoryThreadDeps): DirectoryThread {
  let worker: Worker | null = null;
  let ended: Promise<void> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;
  let warmUntil = 0;
  let stopped = false;
  let ids = 0;
  let generation = 0;
  const waiting = new Map<number, Waiting>();

  async function answerLeavers(from: Worker, id: number, leavers: readonly Leaver[]): Promise<void> {
    let ok = true;
    try {
      await deps.onLeft(leavers);
    } catch (error) {
      ok = false;
      deps.onError(error, 'ending the sessions of who left');
    }
    from.postMessage({ kind: 'left', id, ok } satisfies ToThread);
  }

  function settle(id: number): Waiting | undefined {
    const one = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0 && !stopped) idle = setTimeout(retire, Math.max(0, warmUntil - performance.now())).unref();
    return one;
  }

  function stayWarm(): void {
    warmUntil = performance.now() + (deps.idleMs ?? IDLE_MS);
  }

  function retire(): void {
    worker?.postMessage({ kind: 'close' } satisfies ToThread);
    worker = null;
  }

  function start(): Worker {
    const { config, storage } = deps;
    const snapshots = deps.snapshotPort();
    const started = new Worker(deps.program, {
      workerData: { config, storage, snapshots } satisfies ThreadStart,
      transferList: [snapshots],
      // A round makes millions of small things that live until its end: a small nursery would copy them again and again.
      resourceLimits: { maxYoungGenerationSizeMb: 256 },
    });
    // Whoever stops the server does not wait for a fetch.
    started.unref();
    started.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'report':
          // Most rounds find that nothing has changed.
          if (!message.report.ok || message.report.served) stayWarm();
          settle(message.id)?.resolve(message.report as never);
          break;
        case 'groups':
          stayWarm();
          settle(message.id)?.resolve(message.groups as never);
          break;
        case 'failed':
          settle(message.id)?.reject(new Error(message.message));
          break;
        case 'leavers':
          void answerLeavers(started, message.id, message.leavers);
          break;
        default:
          deps.onWrote();
      }
    });
    let cause: unknown = null;
    started.on('error', (error) => {
      cause = error;
    });
    ended = new Promise((resolve) => {
      started.on('exit', () => {
        resolve();
        if (worker === started) worker = null;
        else return;
        if (cause !== null) deps.onError(cause, 'the directory thread');
        for (const id of [...waiting.keys()]) settle(id)?.reject(new Error('the directory thread ended'));
      });
    });
    return started;
  }

  function ask<T>(message: (id: number) => ToThread): Promise<T> {
    if (stopped) return Promise.reject(new Error('the directory is stopping'));
    clearTimeout(idle);
    worker ??= start();
    const id = ++ids;
    const answer = new Promise<T>((resolve, reject) => waiting.set(id, { resolve: resolve as never, reject }));
    worker.postMessage(message(id));
    return answer;
  }

  return {
    run: (request) =>
      ask((id) => ({
        kind: 'run',
        id,
        request,
        generation: ++generation,
        clockOffset: deps.clock.now() - Date.now(),
      })),
    generation: () => generation,
    reconnect() {
      if (worker === null) return;
      const port = deps.snapshotPort();
      worker.postMessage({ kind: 'snapshots', port } satisfies ToThread, [port]);
    },
    groupsOf: (account) => ask((id) => ({ kind: 'groupsOf', id, account })),
    async stop() {
      stopped = true;
      clearTimeout(idle);
      const last = worker;
      worker = null;
      for (const one of waiting.values()) one.reject(new Error('the directory is stopping'));
      waiting.clear();
      last?.postMessage({ kind: 'close' } satisfies ToThread);
      // A transaction is never left half done by this: whatever is not committed is undone.
      const patience = setTimeout(() => void last?.terminate(), 2000);
      await ended;
      clearTimeout(patience);
    },
  };
}
