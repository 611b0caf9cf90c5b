import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createSnapshotBuilder } from '../../server/src/ldap/snapshot/build-snapshot.ts';
import { BASE, sampleEntries, sampleUsn } from '../../server/src/ldap/testing/sample-entries.ts';

/** Builds the directory in a thread of its own and hands it straight to the one that serves it, as the product does. */

const { users, snapshots } = workerData as { users: number; snapshots: MessagePort };
const started = performance.now();
const before = process.threadCpuUsage();
const builder = createSnapshotBuilder({ baseDn: BASE, generation: 1, lastUsn: sampleUsn(users) });
for (const entry of sampleEntries(users)) builder.add(entry);
const snapshot = builder.finish();
const { user, system } = process.threadCpuUsage(before);
snapshots.postMessage(snapshot);
parentPort!.postMessage({
  buildMs: performance.now() - started,
  buildCpuMs: (user + system) / 1000,
  entries: snapshot.size,
});
