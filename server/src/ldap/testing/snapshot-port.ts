import { MessageChannel } from 'node:worker_threads';
import type { LdapServer } from '../server.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** Hands snapshots to the server as the directory's thread does. */
export function connectSnapshots(server: LdapServer): (snapshot: Snapshot) => void {
  const { port1, port2 } = new MessageChannel();
  port1.unref();
  server.receive(port2);
  return (snapshot) => port1.postMessage(snapshot);
}
