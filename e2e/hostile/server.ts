import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { createLdapServer } from '../../server/src/ldap/server.ts';
import { DEFAULT_LIMITS } from '../../server/src/ldap/session/limits.ts';
import { createTestCa } from '../../server/src/ldap/testing/certificates.ts';
import { isLong } from '../../server/src/ldap/testing/long.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import type { FromServer, ToServer } from './messages.ts';

/**
 * The server under attack, in a process of its own, with the limits of production; only its patience with messages that
 * never end is shorter where there is no time to wait for its end. Anonymous clients may search, which is more than
 * production gives them.
 */

const USERS = 3000;
const send = (message: FromServer): void => void process.send!(message);

const ca = await createTestCa('hostile CA');
const own = await ca.issue('ldap.test', 'server');
const { port1: into, port2: snapshots } = new MessageChannel();
const server = await createLdapServer({
  snapshots,
  settings: {
    limits: isLong ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, incompleteMessage: 4000 },
    allowAnonymous: true,
    requireTls: false,
    scopeSudoToHost: false,
    vendorName: 'identree',
    vendorVersion: 'test',
  },
  listen: [
    { host: '127.0.0.1', port: 0, tls: false },
    { host: '127.0.0.1', port: 0, tls: true },
  ],
  tls: { ...own, clientCa: [ca.certificate], clientCertificates: 'optional' },
  service: { dn: `cn=sssd,${BASE}`, password: 'secret' },
  checker: { checkBind: async () => null, identify: async () => null, isCurrent: async () => true },
  report: (event) => {
    if (event.kind === 'bug' || event.kind === 'worker-failed') send({ kind: 'bug', message: event.message });
  },
});
const builder = new Worker(new URL('./builder.ts', import.meta.url), {
  workerData: { users: USERS, snapshots: into },
  transferList: [into],
});
await once(builder, 'exit');
process.on('message', async (message: ToServer) => {
  if (message.kind === 'stats') send({ kind: 'stats', stats: await server.stats() });
});
process.on('disconnect', () => process.exit(0));
send({ kind: 'ready', port: server.ports[0]!, tlsPort: server.ports[1]!, ca: ca.certificate });
