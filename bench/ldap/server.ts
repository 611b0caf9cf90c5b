import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { createLdapServer } from '../../server/src/ldap/server.ts';
import { DEFAULT_LIMITS } from '../../server/src/ldap/session/limits.ts';
import { search } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import { wireClient } from '../../server/src/ldap/testing/wire-client.ts';

/**
 * The server under test in a process of its own: the thread as the product runs it, with the directory of
 * `sampleEntries`, anonymous searches and no limits of rate. Prints where it listens once it is ready.
 */

const { users, tls } = JSON.parse(process.argv[2]!) as {
  users: number;
  tls: { certificate: string; key: string; ca: string } | null;
};

const off = { searchRate: 0, searchRatePerAddress: 0, searchResults: 0, connectionsPerAddress: 0x7fffffff };
/** Resolves when the snapshot has arrived: before it there is no `lastUSN`. */
async function isServed(port: number): Promise<void> {
  for (let id = 1; ; id++) {
    const client = await wireClient(port);
    client.write(search(id, { base: '', scope: 0, attributes: ['lastUSN'] }));
    const [root] = await client.until(id);
    client.close();
    if (root?.attributes?.has('lastUSN')) return;
  }
}

const { port1: into, port2: from } = new MessageChannel();
const server = await createLdapServer({
  snapshots: from,
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

const builder = new Worker(new URL('./builder.ts', import.meta.url), {
  workerData: { users, snapshots: into },
  transferList: [into],
});
const [built] = (await once(builder, 'message')) as [{ buildMs: number; buildCpuMs: number; entries: number }];
await once(builder, 'exit');
await isServed(server.ports[0]!);
const ready = { port: server.ports[0], tlsPort: server.ports[1] ?? null, pid: process.pid, ...built };
process.stdout.write(`${JSON.stringify(ready)}\n`);
process.stdin.on('end', () => process.exit(0)).resume();
