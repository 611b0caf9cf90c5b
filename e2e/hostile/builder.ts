import { type MessagePort, workerData } from 'node:worker_threads';
import { buildSnapshot } from '../../server/src/ldap/snapshot/build-snapshot.ts';
import { BASE, sampleEntries, sampleUsn } from '../../server/src/ldap/testing/sample-entries.ts';

/** Builds the directory in a thread of its own, so that what building it takes is gone when the attacks begin. */

const { users, snapshots } = workerData as { users: number; snapshots: MessagePort };
snapshots.postMessage(buildSnapshot(sampleEntries(users), { baseDn: BASE, generation: 1, lastUsn: sampleUsn(users) }));
