import { parentPort, workerData } from 'node:worker_threads';
import { createSnapshotBuilder } from '../../server/src/ldap/snapshot/build-snapshot.ts';
import { BASE, sampleEntries, sampleUsn } from '../../server/src/ldap/testing/sample-entries.ts';

/** Builds a directory in a thread of its own, as the product does, and says what that took in milliseconds. */

const { users } = workerData as { users: number };
const started = performance.now();
const before = process.threadCpuUsage();
const builder = createSnapshotBuilder({ baseDn: BASE, generation: 1, lastUsn: sampleUsn(users) });
for (const entry of sampleEntries(users)) builder.add(entry);
builder.finish();
const { user, system } = process.threadCpuUsage(before);
parentPort!.postMessage({ ms: performance.now() - started, cpuMs: (user + system) / 1000 });
