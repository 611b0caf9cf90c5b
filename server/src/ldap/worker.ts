import { createHmac, randomBytes } from 'node:crypto';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { createPortAnswers, createPortCaller } from '../platform/port-calls.ts';
import { withServiceAccount } from './credential-checker.ts';
import { createDirectoryServer } from './directory-server.ts';
import { limitGarbage } from './garbage.ts';
import type { EarlierProofs } from './session/bind-throttle.ts';
import type { CredentialChecker } from './session/credentials.ts';
import type { Snapshot } from './snapshot/snapshot.ts';
import type { FromWorker, ToWorker, WorkerCalls, WorkerStart } from './worker-messages.ts';

/** The LDAP thread: a directory server whose snapshots and credential checks come by message. */

/** A main thread that does not answer within this time does not know who it is. */
const ANSWER_WITHIN = 10_000;

const port = parentPort!;
const { settings, tls, service, listen, snapshots, proofs } = workerData as WorkerStart;
const send = (message: FromWorker): void => port.postMessage(message);

const main = createPortCaller<CredentialChecker>({ send, withinMs: ANSWER_WITHIN });
const checker: CredentialChecker = {
  checkBind: (attempt) => main.call('checkBind', attempt),
  identify: (certificate) => main.call('identify', certificate),
  isCurrent: (identity) => main.call('isCurrent', identity),
};

function earlierProofs({ key, known }: NonNullable<WorkerStart['proofs']>): EarlierProofs {
  const digests = new Set(known);
  const digestOf = (pair: string): string => createHmac('sha256', key).update(pair).digest('base64url');
  return {
    has: (pair) => digests.size > 0 && digests.has(digestOf(pair)),
    note: (pair) => send({ kind: 'proved', digest: digestOf(pair) }),
  };
}

const server = createDirectoryServer({
  settings,
  tls,
  checker: withServiceAccount(service, checker),
  report: (event) => send({ kind: 'event', event }),
  ...(proofs === null ? {} : { proofs: earlierProofs(proofs) }),
  randomBytes,
  now: () => performance.now(),
});

const { collectLater } = limitGarbage();
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

const answer = createPortAnswers<WorkerCalls>({ send, ours: { stats: server.stats } });

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
    case 'call':
      answer(message);
      break;
    case 'answer':
      main.receive(message);
      break;
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
