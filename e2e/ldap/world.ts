import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLdapServer } from '../../server/src/ldap/server.ts';
import { DEFAULT_LIMITS } from '../../server/src/ldap/session/limits.ts';
import { buildSnapshot } from '../../server/src/ldap/snapshot/build-snapshot.ts';
import { createTestCa, type TestCertificate } from '../../server/src/ldap/testing/certificates.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import { connectSnapshots } from '../../server/src/ldap/testing/snapshot-port.ts';
import { must } from '../harness/run.ts';
import { startSlapd } from '../harness/slapd.ts';
import { everything } from './directory.ts';

export const SERVICE_DN = `cn=sssd,${BASE}`;
export const SERVICE_PASSWORD = 'secret';

export interface Side {
  port: number;
  tlsPort: number;
}

/** Our server and slapd with the same directory, side by side. */
export interface World {
  ours: Side;
  slapd: Side;
  slapdVersion: string;
  /** What a client of either needs for TLS: slapd asks for a certificate. */
  tls: { ca: string; cert: string; key: string };
  entries: Awaited<ReturnType<typeof everything>>['entries'];
  stop(): Promise<void>;
}

/** What slapd keeps of an entry beside its own attributes; everything else it works out itself. */
const KEPT = [
  '*',
  'entryUUID',
  'createTimestamp',
  'modifyTimestamp',
  'creatorsName',
  'modifiersName',
  'memberOf',
  'structuralObjectClass',
];

/** Everything that our server has, as Debian's own client writes it down. */
async function enumerate(port: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-ldif-'));
  const password = join(folder, 'password');
  await writeFile(password, SERVICE_PASSWORD);
  const account = ['-x', '-D', SERVICE_DN, '-y', password];
  const args = [...account, '-LLL', '-o', 'ldif-wrap=no', '-H', `ldap://127.0.0.1:${port}`, '-b', BASE];
  const env = { PATH: '/usr/bin:/bin', LDAPCONF: '/dev/null' };
  const ldif = await must('ldapsearch', [...args, '(objectClass=*)', ...KEPT, 'entryUSN'], { env });
  await rm(folder, { recursive: true });
  return ldif;
}

export async function startWorld(): Promise<World> {
  const { entries, lastUsn } = await everything();
  const ca = await createTestCa('host CA');
  const own: TestCertificate = await ca.issue('ldap.test', 'server');
  const client = await ca.issue('web1.example.com', 'client');
  const unlimited = {
    searchRate: 0,
    searchRatePerAddress: 0,
    searchResults: 0,
    bindFailureDelay: 0,
    bindProvenWait: 0,
  };
  const events: string[] = [];
  const server = await createLdapServer({
    settings: {
      limits: { ...DEFAULT_LIMITS, ...unlimited },
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
    tls: { ...own, clientCa: [ca.certificate], clientCertificates: 'required' },
    service: { dn: SERVICE_DN, password: SERVICE_PASSWORD },
    checker: {
      checkBind: async () => null,
      identify: async ({ names }) => ({
        kind: 'host',
        dn: `uid=${names[0]},ou=identree-hosts,${BASE}`,
        hostNames: names,
        reference: 'host',
      }),
      isCurrent: async () => true,
    },
    report: (event) => {
      if (event.kind === 'bug' || event.kind === 'worker-failed') events.push(event.message);
    },
  });
  connectSnapshots(server)(buildSnapshot(entries, { baseDn: BASE, generation: 1, lastUsn }));
  const slapd = await startSlapd({
    ldif: await enumerate(server.ports[0]!),
    baseDn: BASE,
    rootDn: SERVICE_DN,
    rootPassword: SERVICE_PASSWORD,
    modules: ['memberof', 'deref'],
    database: 'overlay deref',
    tls: { ca: ca.certificate, ...own },
  }).catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  return {
    ours: { port: server.ports[0]!, tlsPort: server.ports[1]! },
    slapd: { port: slapd.port, tlsPort: slapd.tlsPort! },
    slapdVersion: slapd.version,
    tls: { ca: ca.certificate, cert: client.certificate, key: client.key },
    entries,
    async stop() {
      await slapd.stop();
      await server.close();
      if (events.length > 0) throw new Error(`our server noticed bugs of its own:\n${events.join('\n')}`);
    },
  };
}
