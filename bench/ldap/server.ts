import { createLdapServer } from '../../server/src/ldap/server.ts';
import { DEFAULT_LIMITS } from '../../server/src/ldap/session/limits.ts';
import { buildSnapshotInThread } from '../../server/src/ldap/snapshot/build-in-thread.ts';
import { BASE, sampleEntries, sampleUsn } from '../../server/src/ldap/testing/sample-entries.ts';

/**
 * The server under test in a process of its own: the thread as the product runs it, with the directory of
 * `sampleEntries`, anonymous searches and no limits of rate. Prints where it listens once it is ready.
 */

const { users, tls } = JSON.parse(process.argv[2]!) as {
  users: number;
  tls: { certificate: string; key: string; ca: string } | null;
};

const off = { searchRate: 0, searchRatePerAddress: 0, searchResults: 0, connectionsPerAddress: 0x7fffffff };
const server = await createLdapServer({
  settings: {
    limits: { ...DEFAULT_LIMITS, ...off },
    allowAnonymous: true,
    requireTls: false,
    scopeSudoToHost: false,
    vendorName: 'identree',
    vendorVersion: 'bench',
  },
  listen: [
    { host: '127.0.0.1', port: 0, tls: false },
    ...(tls === null ? [] : [{ host: '127.0.0.1', port: 0, tls: true }]),
  ],
  tls: tls === null ? null : { ...tls, clientCa: [tls.ca], clientCertificates: 'required' },
  service: { dn: `cn=sssd,${BASE}`, password: 'secret' },
  checker: {
    checkBind: async () => null,
    identify: async ({ names, serial }) => ({
      kind: 'host',
      dn: `cn=${names[0]}`,
      hostNames: names,
      reference: serial,
    }),
    isCurrent: async () => true,
  },
  report: (event) => process.stderr.write(`${JSON.stringify(event)}\n`),
});

const started = performance.now();
const snapshot = await buildSnapshotInThread(sampleEntries(users), {
  baseDn: BASE,
  generation: 1,
  lastUsn: sampleUsn(users),
});
const buildMs = performance.now() - started;
server.publish(snapshot);
const ready = {
  port: server.ports[0],
  tlsPort: server.ports[1] ?? null,
  pid: process.pid,
  buildMs,
  entries: snapshot.size,
};
process.stdout.write(`${JSON.stringify(ready)}\n`);
process.stdin.on('end', () => process.exit(0)).resume();
