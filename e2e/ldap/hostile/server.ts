import { createLdapServer } from '../../../server/src/ldap/server.ts';
import { DEFAULT_LIMITS } from '../../../server/src/ldap/session/limits.ts';
import { buildSnapshotInThread } from '../../../server/src/ldap/snapshot/build-in-thread.ts';
import { createTestCa } from '../../../server/src/ldap/testing/certificates.ts';
import { BASE, sampleEntries, sampleUsn } from '../../../server/src/ldap/testing/sample-entries.ts';
import type { FromServer, ToServer } from './messages.ts';

/**
 * The server under attack, in a process of its own, with the limits of production. Anonymous clients may search, which
 * is more than production gives them.
 */

const USERS = 3000;
const send = (message: FromServer): void => void process.send!(message);

const ca = await createTestCa('hostile CA');
const own = await ca.issue('ldap.test', 'server');
const server = await createLdapServer({
  settings: {
    limits: DEFAULT_LIMITS,
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
const options = { baseDn: BASE, generation: 1, lastUsn: sampleUsn(USERS) };
server.publish(await buildSnapshotInThread(sampleEntries(USERS), options));
process.on('message', async (message: ToServer) => {
  if (message.kind === 'stats') send({ kind: 'stats', stats: await server.stats() });
});
process.on('disconnect', () => process.exit(0));
send({ kind: 'ready', port: server.ports[0]!, tlsPort: server.ports[1]!, ca: ca.certificate });
