import { type MessagePort, Worker } from 'node:worker_threads';
import type { Leaver } from '../../auth/standing.ts';
import type { Clock } from '../../platform/clock.ts';
import { createPortAnswers, createPortCaller, type PortCaller } from '../../platform/port-calls.ts';
import type { Rounds } from './rounds.ts';
import type { FromThread, ServerCalls, ThreadCalls, ThreadStart, ToThread } from './thread-messages.ts';

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

/**
 * Works on the directory beside everything else: a hundred thousand people take seconds, in which no approval may
 * wait, and memory that is given back when the thread ends. It begins with a round and ends with it when nothing has
 * changed for a while; what it knew is in the database.
 */
export function createDirectoryThread(deps: DirectoryThreadDeps): DirectoryThread {
  let current: { worker: Worker; calls: PortCaller<ThreadCalls> } | null = null;
  let ended: Promise<void> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;
  let warmUntil = 0;
  let stopped = false;
  let generation = 0;

  function stayWarm(): void {
    warmUntil = performance.now() + (deps.idleMs ?? IDLE_MS);
  }

  function retire(): void {
    current?.worker.postMessage({ kind: 'close' } satisfies ToThread);
    current = null;
  }

  function start(): NonNullable<typeof current> {
    const { config, storage } = deps;
    const snapshots = deps.snapshotPort();
    const worker = new Worker(deps.program, {
      workerData: { config, storage, snapshots } satisfies ThreadStart,
      transferList: [snapshots],
      // A round makes millions of small things that live until its end: a small nursery would copy them again and again.
      resourceLimits: { maxYoungGenerationSizeMb: 256 },
    });
    // A server that is stopped does not wait for a fetch.
    worker.unref();
    const calls = createPortCaller<ThreadCalls>({ send: (call) => worker.postMessage(call satisfies ToThread) });
    const answer = createPortAnswers<ServerCalls>({
      send: (message) => worker.postMessage(message satisfies ToThread),
      ours: { endSessions: deps.onLeft },
      messageOf(error) {
        deps.onError(error, 'ending the sessions of who left');
        return 'the sessions of who left could not be ended';
      },
    });
    worker.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'answer':
          calls.receive(message);
          break;
        case 'call':
          answer(message);
          break;
        default:
          deps.onWrote();
      }
    });
    let cause: unknown = null;
    worker.on('error', (error) => {
      cause = error;
    });
    ended = new Promise((resolve) => {
      worker.on('exit', () => {
        resolve();
        if (current?.worker !== worker) return;
        current = null;
        if (cause !== null) deps.onError(cause, 'the directory thread');
        calls.close(new Error('the directory thread ended'));
      });
    });
    return { worker, calls };
  }

  /** Asks the thread, which is there for as long as it is asked, and stays a little longer. */
  async function ask<T>(question: (calls: PortCaller<ThreadCalls>) => Promise<T>): Promise<T> {
    if (stopped) throw new Error('the directory is stopping');
    clearTimeout(idle);
    current ??= start();
    try {
      return await question(current.calls);
    } finally {
      if (!stopped && (current?.calls.open ?? 0) === 0) {
        clearTimeout(idle);
        idle = setTimeout(retire, Math.max(0, warmUntil - performance.now())).unref();
      }
    }
  }

  return {
    run: (request) =>
      ask(async (calls) => {
        generation += 1;
        const report = await calls.call('run', request, generation, deps.clock.now() - Date.now());
        // Most rounds find that nothing has changed.
        if (!report.ok || report.served) stayWarm();
        return report;
      }),
    generation: () => generation,
    reconnect() {
      if (current === null) return;
      const port = deps.snapshotPort();
      current.worker.postMessage({ kind: 'snapshots', port } satisfies ToThread, [port]);
    },
    groupsOf: (account) =>
      ask(async (calls) => {
        const groups = await calls.call('groupsOf', account);
        stayWarm();
        return groups;
      }),
    async stop() {
      stopped = true;
      clearTimeout(idle);
      const last = current;
      current = null;
      last?.calls.close(new Error('the directory is stopping'));
      last?.worker.postMessage({ kind: 'close' } satisfies ToThread);
      // A transaction is never left half done by this: what is not committed is undone.
      const patience = setTimeout(() => void last?.worker.terminate(), 2000);
      await ended;
      clearTimeout(patience);
    },
  };
}
