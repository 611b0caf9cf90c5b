import { randomBytes } from 'node:crypto';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { withServiceAccount } from './credential-checker.ts';
import { createDirectoryServer } from './directory-server.ts';
import type { CredentialChecker, Identity } from './session/credentials.ts';
import type { Snapshot } from './snapshot/snapshot.ts';
import type { FromWorker, Question, ToWorker, WorkerStart } from './worker-messages.ts';

/** The LDAP thread: a directory server whose snapshots and credential checks come by message. */

/** A main thread that does not answer within this time does not know who it is. */
const ANSWER_WITHIN = 10_000;

const port = parentPort!;
const { settings, tls, service, listen, snapshots } = workerData as WorkerStart;
const send = (message: FromWorker): void => port.postMessage(message);

const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
let questions = 0;

function ask<T>(question: Question): Promise<T> {
  const id = ++questions;
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => settle(id)?.reject(new Error('no answer about credentials')), ANSWER_WITHIN);
    const finish = (): void => clearTimeout(timer);
    waiting.set(id, {
      resolve: (value) => {
        finish();
        resolve(value as T);
      },
      reject: (error) => {
        finish();
        reject(error);
      },
    });
    send({ kind: 'question', id, question });
  });
}

function settle(id: number): { resolve(value: unknown): void; reject(error: Error): void } | undefined {
  const entry = waiting.get(id);
  waiting.delete(id);
  return entry;
}

const checker: CredentialChecker = {
  checkBind: (argument) => ask<Identity | null>({ method: 'checkBind', argument }),
  identify: (argument) => ask<Identity | null>({ method: 'identify', argument }),
  isCurrent: (argument) => ask<boolean>({ method: 'isCurrent', argument }),
};

const server = createDirectoryServer({
  settings,
  tls,
  checker: withServiceAccount(service, checker),
  report: (event) => send({ kind: 'event', event }),
  randomBytes,
  now: () => performance.now(),
});

// Left to itself the collector waits until a multiple of this thread's few megabytes is garbage, and what lies outside
// the heap hardly counts: an old directory would stay for hours, and strangers could fill the memory for a while.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
/** By then the searches that began on the old directory have ended, or whoever pressed on the memory has. */
const COLLECT_AFTER = 2000;
/** How often is looked while memory is taken, and while it is not. */
const LOOK_AGAIN = 10;
const LOOK_EVERY = 50;
/**
 * How much more than after the last collection may be in use before what is young is looked through, which takes less
 * than a millisecond, and before everything is, which others notice.
 */
const YOUNG_GARBAGE = 8 * 1024 * 1024;
const GARBAGE = 32 * 1024 * 1024;

function inUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

let afterCollection = inUse();
let lastSeen = afterCollection;
let collecting: NodeJS.Timeout | undefined;

function collectAll(): void {
  collect();
  afterCollection = inUse();
}

function collectLater(): void {
  clearTimeout(collecting);
  collecting = setTimeout(collectAll, COLLECT_AFTER).unref();
}

function tidy(): void {
  const before = inUse();
  if (before - afterCollection > YOUNG_GARBAGE) {
    collect({ type: 'minor' });
    if (inUse() - afterCollection > GARBAGE) {
      collectAll();
      collectLater();
    }
  }
  setTimeout(tidy, before - lastSeen > 2 ** 18 ? LOOK_AGAIN : LOOK_EVERY).unref();
  lastSeen = inUse();
}
tidy();

let withdrawn = 0;

function serve(snapshot: Snapshot): void {
  if (snapshot.generation <= withdrawn) return;
  try {
    server.publish(snapshot);
  } catch (error) {
    // The last one is still good; a thread that dies of this one would die of it again and again.
    send({ kind: 'event', event: { kind: 'bug', message: String(error) } });
  }
  collectLater();
}

let source: MessagePort | null = null;
function receive(from: MessagePort): void {
  source?.close();
  source = from;
  from.on('message', serve);
  from.unref();
}

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'snapshots':
      receive(message.port);
      break;
    case 'withdraw':
      withdrawn = message.generation;
      server.publish(null);
      break;
    case 'recheck':
      server
        .recheck()
        .catch((error: unknown) => send({ kind: 'event', event: { kind: 'bug', message: String(error) } }));
      break;
    case 'tls':
      server.setTls(message.tls);
      break;
    case 'stats':
      send({ kind: 'stats', id: message.id, stats: server.stats() });
      break;
    case 'answer': {
      const entry = settle(message.id);
      if (message.ok) entry?.resolve(message.value);
      else entry?.reject(new Error('credentials cannot be checked'));
      break;
    }
    default:
      void server.close().then(() => {
        send({ kind: 'closed' });
        port.close();
      });
  }
});

if (snapshots !== null) {
  for (let waits = receiveMessageOnPort(snapshots); waits; waits = receiveMessageOnPort(snapshots)) {
    serve(waits.message as Snapshot);
  }
  receive(snapshots);
}
try {
  const ports: number[] = [];
  for (const address of listen) ports.push(await server.listen(address));
  send({ kind: 'listening', ports });
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException;
  await server.close();
  send({ kind: 'failed', message, code: code ?? null });
  port.close();
}
