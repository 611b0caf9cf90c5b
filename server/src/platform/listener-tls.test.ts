import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createDirectoryServer } from '../ldap/directory-server.ts';
import { DEFAULT_LIMITS } from '../ldap/session/limits.ts';
import { createTestCa, type TestCertificate } from '../ldap/testing/certificates.ts';
import { createTestApp } from '../testing/test-app.ts';
import { agreeable, agreedSuites } from '../testing/tls-suites.ts';

describe('suites of TLS 1.2, each tried alone', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-tls-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const LISTENERS: [string, (own: TestCertificate) => Promise<{ port: number; close(): Promise<void> }>][] = [
    [
      'LDAPS',
      async ({ certificate, key }) => {
        const server = createDirectoryServer({
          settings: {
            limits: DEFAULT_LIMITS,
            allowAnonymous: false,
            requireTls: true,
            scopeSudoToHost: false,
            vendorName: '',
            vendorVersion: '',
          },
          checker: { checkBind: () => null, identify: async () => null, isCurrent: async () => true },
          tls: { certificate, key, clientCa: [], clientCertificates: 'off' },
          report: () => {},
          randomBytes,
          now: () => performance.now(),
        });
        return { port: await server.listen({ host: '127.0.0.1', port: 0, tls: true }), close: server.close };
      },
    ],
    [
      'HTTPS',
      async ({ certificate, key }) => {
        const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
        await writeFile(certFile, certificate);
        await writeFile(keyFile, key, { mode: 0o600 });
        const t = await createTestApp({ config: { tls: { certFile, keyFile } } });
        await t.app.http.listen({ host: '127.0.0.1', port: 0 });
        return { port: (t.app.http.server.address() as { port: number }).port, close: t.close };
      },
    ],
  ];
  for (const [name, open] of LISTENERS) {
    for (const kind of ['ECDSA', 'RSA'] as const) {
      test(`${name} with an ${kind} key agrees to those that authenticate what they encrypt, and to no CBC`, async (t) => {
        const ca = await createTestCa();
        const listener = await open(await ca.issue('identree.test', 'server', { kind }));
        t.after(() => listener.close());
        assert.deepEqual(await agreedSuites(listener.port), agreeable(kind));
      });
    }
  }
});
