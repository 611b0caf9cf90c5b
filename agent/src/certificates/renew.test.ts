import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { openHost, renewalOf } from '../app.ts';
import { certificateFolder } from '../paths.ts';
import type { Log } from '../platform/log.ts';
import { directoryUse } from '../sssd/settings.ts';
import { createTestAuthority } from '../testing/certificate.ts';
import { createFakeServer, createServerKey } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { certificateProblem } from './check.ts';
import { generateTlsKey } from './key.ts';
import { type RenewDeps, renewCertificate } from './renew.ts';

async function world() {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server);
  const lines: string[] = [];
  const note = (line: string) => void lines.push(line);
  const log: Log = { info: note, warn: note, error: note };
  const host = await openHost(enrolled.paths, { log });
  const ran: string[] = [];
  const deps: RenewDeps = renewalOf(host, enrolled.paths, log, async (program, args) => {
    ran.push([program, ...args].join(' '));
    return { code: 0, output: '' };
  });
  const folder = certificateFolder(enrolled.paths.state);
  return {
    server,
    host,
    deps,
    lines,
    ran,
    folder,
    /** Everything in the folder of the certificates. */
    files: async () => {
      const hash = createHash('sha256');
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      for (const entry of entries.sort((a, b) =>
        join(a.parentPath, a.name).localeCompare(join(b.parentPath, b.name)),
      )) {
        hash.update(join(entry.parentPath, entry.name));
        if (entry.isFile()) hash.update(await readFile(join(entry.parentPath, entry.name)));
      }
      return hash.digest('hex');
    },
    async [Symbol.asyncDispose]() {
      host.close();
      await server.close();
      await enrolled.remove();
    },
  };
}

describe('renewal of the certificate', () => {
  it('[E-S12] brings a new key and certificate for the same host; the old pair stays beside it', async () => {
    await using w = await world();
    const before = (await w.host.certificates.current())!;
    const renewal = await renewCertificate(w.deps);
    assert.ok(renewal.ok);
    const now = (await w.host.certificates.current())!;
    assert.notEqual(now.key, before.key);
    assert.notEqual(now.certificate, before.certificate);
    const { hostname, hostId } = w.host.enrolment.identity;
    const expected = { key: now.key, hostname, hostId, now: Date.now() };
    assert.equal(certificateProblem({ certificate: now.certificate, caBundle: now.ca }, expected), null);
    assert.equal(renewal.serial, new X509Certificate(now.certificate).serialNumber.toLowerCase());
    assert.equal((await readdir(w.folder)).length, 3);
    const call = w.server.calls.find(({ path }) => path === '/certificate');
    assert.equal(call?.body?.counter, 1);
    assert.ok(!JSON.stringify(call).includes('PRIVATE'), 'no key leaves the host');
    assert.deepEqual(w.ran, [], 'no directory was set up, so sssd is left alone');
    assert.deepEqual(w.lines, []);
  });

  const stranger = createServerKey();
  const theirs = generateTlsKey('web1.example.com');
  const foreign = createTestAuthority();
  type World = Awaited<ReturnType<typeof world>>;
  const names = (w: World) => [`dns:web1.example.com`, `url:urn:uuid:${w.host.enrolment.identity.hostId}`];
  const BAD: Record<string, { do: (w: World) => unknown; says: RegExp }> = {
    'somebody else has signed the answer': {
      do: async (w) => {
        w.server.grantKey = await stranger;
      },
      says: /pinned has not signed it/,
    },
    'the key for verdicts has signed it': {
      do: (w) => {
        w.server.grantKey = w.server.verdictKey;
      },
      says: /pinned has not signed it/,
    },
    'the answer belongs to another request': {
      do: (w) => {
        w.server.tamperCertificate = (grant) => ({ ...grant, nonce: 'A'.repeat(43) });
      },
      says: /another request/,
    },
    'the answer names another host': {
      do: (w) => {
        w.server.tamperCertificate = (grant) => ({ ...grant, hostname: 'web2.example.com' });
      },
      says: /somebody else/,
    },
    'the answer is of another server': {
      do: (w) => {
        w.server.tamperCertificate = (grant) => ({ ...grant, serverId: '00000000-0000-4000-8000-000000000000' });
      },
      says: /somebody else/,
    },
    'the certificate is for another key': {
      do: (w) => {
        w.server.tamperCertificate = async (grant) => ({
          ...grant,
          certificate: await w.server.ca.issue((await theirs).csr, names(w)),
        });
      },
      says: /key of this host/,
    },
    'the certificate names another host': {
      do: (w) => {
        w.server.intercept = async ({ path, body }) => {
          if (path !== '/certificate') return false;
          w.server.tamperCertificate = async (grant) => ({
            ...grant,
            certificate: await w.server.ca.issue(String(body?.csr), ['dns:web2.example.com', names(w)[1]!]),
          });
          return false;
        };
      },
      says: /names somebody else/,
    },
    'the certificate is good for a server': {
      do: (w) => {
        w.server.life = { use: 'both' };
      },
      says: /not for a client/,
    },
    'an authority that is not in the bundle has issued it': {
      do: async (w) => {
        const other = await foreign;
        w.server.tamperCertificate = (grant) => ({ ...grant, caBundle: other.pem });
      },
      says: /has not signed it/,
    },
    'it has ended already': {
      do: (w) => {
        w.server.life = { from: Date.now() - 3e9, until: Date.now() - 1e9 };
      },
      says: /has expired/,
    },
    'the server refuses': {
      do: (w) => {
        w.server.intercept = ({ path, response }) => {
          if (path === '/certificate') w.server.refuse(response, 403, 'host_quarantined', 'This host is quarantined.');
          return path === '/certificate';
        };
      },
      says: /quarantined/,
    },
    'the server is gone': { do: (w) => w.server.close(), says: /ECONNREFUSED/ },
  };
  for (const [name, { do: spoil, says }] of Object.entries(BAD)) {
    it(`[E-S12] nothing is written when ${name}`, async () => {
      await using w = await world();
      await spoil(w);
      const before = await w.files();
      const renewal = await renewCertificate(w.deps);
      assert.equal(renewal.ok, false);
      assert.match(renewal.ok ? '' : renewal.message, says);
      assert.equal(await w.files(), before);
    });
  }

  it('another authority counts when the trust root has signed for it, and is told', async () => {
    await using w = await world();
    const old = w.server.ca;
    w.server.ca = await createTestAuthority();
    assert.ok((await renewCertificate(w.deps)).ok);
    const set = (await w.host.certificates.current())!;
    assert.ok(set.ca.includes(w.server.ca.pem.trim()));
    assert.ok(!set.ca.includes(old.pem.trim()));
    assert.match(w.lines.join('\n'), /another certificate authority than before/);
  });

  it('a host whose files are gone gets new ones', async () => {
    await using w = await world();
    await w.host.certificates.put({ certificate: 'x', key: 'y', ca: 'z' });
    assert.ok((await renewCertificate(w.deps)).ok);
    assert.match((await w.host.certificates.current())!.certificate, /BEGIN CERTIFICATE/);
  });
});

describe('renewal on a host with a directory', () => {
  /** A directory that takes some client certificates, and says hardly more than that. */
  async function directoryOf(w: Awaited<ReturnType<typeof world>>, takes: (certificate: X509Certificate) => boolean) {
    const authority = await createTestAuthority('the directory');
    const own = await authority.server(['dns:localhost']);
    const asked: boolean[] = [];
    const listener = tls.createServer({
      cert: own.certificate,
      key: own.key,
      requestCert: true,
      rejectUnauthorized: false,
    });
    listener.on('tlsClientError', () => undefined);
    listener.on('secureConnection', (socket) => {
      socket.on('error', () => undefined);
      const certificate = socket.getPeerX509Certificate();
      const ok = certificate !== undefined && takes(certificate);
      asked.push(ok);
      if (!ok) return socket.destroy();
      // Success to everything, in the order of the message ids.
      socket.on('data', (chunk: Buffer) => {
        const id = chunk[4]!;
        if (chunk[5] === 0x63) socket.write(Buffer.from([0x30, 12, 2, 1, id, 0x65, 7, 10, 1, 0, 4, 0, 4, 0]));
      });
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as { port: number };
    const use = directoryUse(
      {
        v: 1,
        nonce: '',
        serverId: '',
        hostId: '',
        ldapUrl: `ldaps://localhost:${port}`,
        baseDn: 'dc=example,dc=com',
        mode: 'full',
        caBundle: `${w.server.ca.pem}${authority.pem}`,
        clientCertificates: 'required',
        anonymous: false,
        bind: null,
      },
      { client: 'sssd', startTls: false },
    );
    const set = (await w.host.certificates.current())!;
    await w.host.certificates.put({ ...set, ca: use.settings.caBundle });
    return {
      authority,
      asked,
      deps: { ...w.deps, directory: async () => use } satisfies RenewDeps,
      [Symbol.asyncDispose]: () => new Promise<void>((resolve) => listener.close(() => resolve())),
    };
  }

  it('the new pair is tried first, the authority of the directory stays, and sssd is started anew', async () => {
    await using w = await world();
    await using d = await directoryOf(w, () => true);
    assert.ok((await renewCertificate(d.deps)).ok);
    assert.deepEqual(d.asked, [true]);
    const { ca } = (await w.host.certificates.current())!;
    assert.ok(ca.includes(d.authority.pem.trim()) && ca.includes(w.server.ca.pem.trim()));
    assert.deepEqual(w.ran, ['systemctl reset-failed sssd.service', 'systemctl try-restart sssd.service']);
  });

  it('a directory that takes the old pair and not the new one: the old one stays in use', async () => {
    await using w = await world();
    const old = new X509Certificate((await w.host.certificates.current())!.certificate).serialNumber;
    await using d = await directoryOf(w, ({ serialNumber }) => serialNumber === old);
    const renewal = await renewCertificate(d.deps);
    assert.match(renewal.ok ? '' : renewal.message, /the old one stays: The directory .* does not accept/);
    assert.deepEqual(d.asked, [false, true]);
    assert.equal(new X509Certificate((await w.host.certificates.current())!.certificate).serialNumber, old);
    assert.deepEqual(w.ran, []);
  });

  it('a directory that takes neither is no reason to keep the old pair until it ends', async () => {
    await using w = await world();
    await using d = await directoryOf(w, () => false);
    assert.ok((await renewCertificate(d.deps)).ok);
  });

  it('sssd that does not start again is told', async () => {
    await using w = await world();
    await using d = await directoryOf(w, () => true);
    const failing = renewalOf(w.host, { config: '', state: '', socket: '' }, w.deps.log, async () => ({
      code: 1,
      output: 'Job failed.',
    }));
    assert.ok((await renewCertificate({ ...d.deps, reconnect: failing.reconnect })).ok);
    assert.match(w.lines.join('\n'), /sssd goes on with the old certificate.*Job failed/);
  });
});
