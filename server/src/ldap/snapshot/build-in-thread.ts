import { Worker } from 'node:worker_threads';
import type { Entry } from '../entry.ts';
import type { FromBuilder, ToBuilder } from './builder-messages.ts';
import { SnapshotError, type SnapshotOptions } from './collected.ts';
import type { Snapshot } from './snapshot.ts';

/** Entries per message: handing them over takes a few milliseconds of the calling thread. */
const PORTION = 500;

/**
 * Like `buildSnapshot`, in a thread of its own: a hundred thousand users take seconds, in which somebody may wait for an
 * approval. Entries are handed over in portions with the event loop in between.
 *
 * @throws SnapshotError as `buildSnapshot` does.
 */
export async function buildSnapshotInThread(entries: Iterable<Entry>, options: SnapshotOptions): Promise<Snapshot> {
  const worker = new Worker(new URL('./builder-worker.ts', import.meta.url));
  const send = (message: ToBuilder): void => worker.postMessage(message);
  let taken: () => void = () => {};
  const built = new Promise<Snapshot>((resolve, reject) => {
    worker.on('message', (message: FromBuilder) => {
      if (message.kind === 'built') resolve(message.snapshot);
      else if (message.kind === 'refused') reject(new SnapshotError(message.message));
      else taken();
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('the thread that builds the directory ended')));
  });
  built.catch(() => taken());
  try {
    send({ kind: 'begin', options });
    let portion: Entry[] = [];
    const hand = async (): Promise<void> => {
      const acknowledged = new Promise<void>((resolve) => {
        taken = resolve;
      });
      send({ kind: 'entries', entries: portion });
      portion = [];
      // No more than one portion is on its way, so that a slow builder does not fill the memory.
      await Promise.race([acknowledged, built]);
    };
    for (const entry of entries) {
      portion.push(entry);
      if (portion.length === PORTION) await hand();
    }
    if (portion.length > 0) await hand();
    send({ kind: 'finish' });
    return await built;
  } finally {
    await worker.terminate();
  }
}
