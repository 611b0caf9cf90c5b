import { parentPort } from 'node:worker_threads';
import { createSnapshotBuilder, type SnapshotBuilder } from './build-snapshot.ts';
import type { FromBuilder, ToBuilder } from './builder-messages.ts';
import { SnapshotError } from './collected.ts';

/** The thread that builds one snapshot. */

const port = parentPort!;
const send = (message: FromBuilder): void => port.postMessage(message);
let builder: SnapshotBuilder | null = null;

port.on('message', (message: ToBuilder) => {
  try {
    if (message.kind === 'begin') builder = createSnapshotBuilder(message.options);
    else if (message.kind === 'entries') {
      for (const entry of message.entries) builder!.add(entry);
      send({ kind: 'taken' });
    } else send({ kind: 'built', snapshot: builder!.finish() });
  } catch (error) {
    if (!(error instanceof SnapshotError)) throw error;
    send({ kind: 'refused', message: error.message });
  }
});
