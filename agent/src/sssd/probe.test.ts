import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  createDirectoryServer,
  type ListenAddress,
  type TlsSettings,
} from '../../../server/src/ldap/directory-server.ts';
import type { Entry } from '../../../server/src/ldap/entry.ts';
import type { CredentialChecker, Identity } from '../../../server/src/ldap/session/credentials.ts';
import { DEFAULT_LIMITS } from '../../../server/src/ldap/session/limits.ts';
import type { Settings } from '../../../server/src/ldap/session/settings.ts';
import { baseEntry, container, person, snapshotOf } from '../../../server/src/ldap/testing/entries.ts';
import { generateTlsKey } from '../certificates/key.ts';
import { createTestAuthority } from '../testing/certificate.ts';
import { bindRequest, MESSAGE_LIMIT, readAnswer, searchRequest, WireError } from './ldap-wire.ts';
import { type DirectoryAccess, probeDirectory } from './probe.ts';

/** The probe against the real directory server, and against what may be there in its place. */

const BASE = 'dc=example,dc=com';
const HOST: Identity = {
  kind: 'host',
  dn: `uid=web1.example.com,ou=identree-hosts,${BASE}`,
  hostNames: ['web1.example.com'],
  reference: 'web1',
};
const PASSWORD = 'x'.repeat(64);
const checker: CredentialChecker = {
  checkBind: async ({ dn, password }) =>
    dn === HOST.dn && Buffer.from(password).toString() === PASSWORD ? HOST : null,
  identify: async ({ names }) => (names.includes('web1.example.com') ? HOST : null),
  isCurrent: async () => true,
};

const WITHOUT_OPENSSL = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';

const authority = await createTestAuthority();
const stranger = await createTestAuthority();
const own = await authority.server(['dns:localhost', 'ip:127.0.0.1']);
const clientKey = await generateTlsKey('web1.example.com');
const client = {
  certificate: await authority.issue(clientKey.csr, ['dns:web1.example.com']),
  key: clientKey.pem,
};
const foreign = { certificate: await stranger.issue(clientKey.csr, ['dns:web1.example.com']), key: clientKey.pem };
const other = { certificate: await authority.issue(clientKey.csr, ['dns:web9.example.com']), key: clientKey.pem };

const opened: { close(): unknown }[] = [];
after(() => Promise.all(opened.map((server) => server.close())));

const TREE: Entry[] = [
  baseEntry(),
  container('people'),
  container('groups'),
  container('sudoers'),
  person('alice', 200000),
  person('bob', 200001),
];

interface Serve {
  tls?: Partial<TlsSettings>;
  settings?: Partial<Settings>;
  entries?: Entry[] | null;
  listen?: Partial<ListenAddress>;
}

async function serve({ tls: changed = {}, settings = {}, entries = TREE, listen = {} }: Serve = {}): Promise<number> {
  const server = createDirectoryServer({
    settings: {
      limits: DEFAULT_LIMITS,
      allowAnonymous: false,
      requireTls: false,
      scopeSudoToHost: false,
      vendorName: 'identree',
      vendorVersion: '1',
      ...settings,
    },
    checker,
    tls: { ...own, clientCa: [authority.pem], clientCertificates: 'optional', ...changed },
    report: () => undefined,
    randomBytes,
    now: () => performance.now(),
  });
  opened.push(server);
  if (entries !== null) server.publish(snapshotOf(entries));
  return server.listen({ host: '127.0.0.1', port: 0, tls: true, ...listen });
}

/** Whatever `answer` does with a connection. */
async function fake(answer: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    answer(socket);
  });
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  opened.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as net.AddressInfo).port;
}

const access = (port: number, change: Partial<DirectoryAccess['endpoint']> = {}): DirectoryAccess => ({
  endpoint: { host: 'localhost', port, security: 'ldaps', ca: authority.pem, client, ...change },
  baseDn: BASE,
  mode: 'full',
  bind: null,
});

async function problemOf(wanted: DirectoryAccess): Promise<string> {
  const result = await probeDirectory(wanted);
  assert.equal(result.ok, false, JSON.stringify(result));
  return result.ok ? '' : result.problem;
}

describe('the probe of the directory', () => {
  it('LDAPS with the certificate of this host, by name and by address', async () => {
    const port = await serve();
    assert.deepEqual(await probeDirectory(access(port)), { ok: true, person: 'alice' });
    assert.deepEqual(await probeDirectory(access(port, { host: '127.0.0.1' })), { ok: true, person: 'alice' });
  });

  it('StartTLS', async () => {
    const port = await serve({ listen: { tls: false } });
    assert.deepEqual(await probeDirectory(access(port, { security: 'starttls' })), { ok: true, person: 'alice' });
  });

  it('a bind with a name and a password, in clear text where that is wanted', async () => {
    const port = await serve({ listen: { tls: false } });
    const wanted = access(port, { security: 'plain', client: null });
    assert.deepEqual(await probeDirectory({ ...wanted, bind: { dn: HOST.dn, password: PASSWORD } }), {
      ok: true,
      person: 'alice',
    });
    assert.match(
      await problemOf({ ...wanted, bind: { dn: HOST.dn, password: 'wrong' } }),
      /refuses the name or password of this host \(49/,
    );
  });

  it('bridge mode: sudo rules, and nobody', async () => {
    const port = await serve({ entries: [baseEntry(), container('sudoers')] });
    assert.deepEqual(await probeDirectory({ ...access(port), mode: 'bridge' }), { ok: true, person: null });
    assert.match(
      await problemOf(access(port)),
      /no ou=people,dc=example,dc=com \(32 noSuchObject\).*"dc=example,dc=com"/,
    );
  });

  it('a directory without people', async () => {
    const port = await serve({ entries: TREE.slice(0, 4) });
    assert.deepEqual(await probeDirectory(access(port)), { ok: true, person: null });
  });

  it('another base', async () => {
    const port = await serve();
    assert.match(
      await problemOf({ ...access(port), baseDn: 'dc=other' }),
      /no ou=people,dc=other .*Its base is dc=other/,
    );
  });

  it('a name that is not in the certificate', async () => {
    const elsewhere = await authority.server(['dns:ldap.example.com']);
    const port = await serve({ tls: elsewhere });
    assert.match(await problemOf(access(port)), /not for localhost; it names DNS:ldap\.example\.com\..*EXTERNAL_URL/);
    assert.match(await problemOf(access(port, { host: '127.0.0.1' })), /not for 127\.0\.0\.1/);
  });

  it('an authority that is not ours, whatever the system trusts', async () => {
    const port = await serve();
    assert.match(
      await problemOf(access(port, { ca: stranger.pem })),
      /signed by an unknown authority \(CN=test authority\).*IDENTREE_LDAP_TLS_SERVER_CA_CERT/,
    );
    assert.match(
      await problemOf(access(await serve({ listen: { tls: false } }), { ca: stranger.pem, security: 'starttls' })),
      /unknown authority/,
    );
  });

  it('a certificate that has ended or not begun', async () => {
    const now = Date.now();
    const old = await authority.server(['dns:localhost'], { from: now - 2e9, until: now - 1e9 });
    assert.match(await problemOf(access(await serve({ tls: old }))), /has expired/);
    const early = await authority.server(['dns:localhost'], { from: now + 1e9, until: now + 2e9 });
    assert.match(await problemOf(access(await serve({ tls: early }))), /clock of this host/);
  });

  it('a client certificate that is needed and missing, or not accepted', async () => {
    const port = await serve({ tls: { clientCertificates: 'required' } });
    assert.deepEqual(await probeDirectory(access(port)), { ok: true, person: 'alice' });
    assert.match(await problemOf(access(port, { client: null })), /requires a client certificate, and none is used/);
    assert.match(await problemOf(access(port, { client: foreign })), /does not accept the certificate of this host/);
  });

  it('a server that says it with a TLS alert, as slapd does', { skip: WITHOUT_OPENSSL }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'identree-probe-'));
    opened.push({ close: () => rm(folder, { recursive: true }) });
    const files = { cert: own.certificate, key: own.key, CAfile: authority.pem };
    for (const [name, pem] of Object.entries(files)) await writeFile(join(folder, name), pem);
    const options = Object.keys(files).flatMap((name) => [`-${name}`, join(folder, name)]);
    for (const version of ['-tls1_2', '-tls1_3']) {
      const args = ['s_server', '-accept', '0', '-Verify', '1', '-verify_return_error', '-naccept', '3', version];
      const server = spawn('openssl', [...args, ...options], { stdio: ['pipe', 'pipe', 'ignore'] });
      opened.push({ close: () => server.kill('SIGKILL') });
      const port = await new Promise<number>((resolve) => {
        let text = '';
        server.stdout.on('data', (chunk) => {
          text += chunk;
          const found = /ACCEPT \S*:(\d+)/.exec(text)?.[1];
          if (found) resolve(Number(found));
        });
      });
      assert.match(await problemOf(access(port, { client: null })), /requires a client certificate, and none is used/);
      assert.match(await problemOf(access(port, { client: foreign })), /does not accept the certificate of this host/);
    }
  });

  it('a certificate of somebody who is not a host here: 50', async () => {
    const port = await serve();
    assert.match(await problemOf(access(port, { client: other })), /50 insufficientAccessRights|does not accept/);
    assert.match(await problemOf(access(port, { client: null })), /be read without authentication \(50 insufficient/);
  });

  it('a directory that has nothing yet: 51', async () => {
    const port = await serve({ entries: null });
    assert.match(await problemOf(access(port)), /nothing to serve yet \(51 busy\)/);
  });

  it('TLS that is required: 13', async () => {
    const port = await serve({ listen: { tls: false }, settings: { requireTls: true } });
    const bind = { dn: HOST.dn, password: PASSWORD };
    assert.match(await problemOf({ ...access(port, { security: 'plain', client: null }), bind }), /without TLS \(13/);
  });

  it('nobody there, nobody of that name', async () => {
    const port = await fake(() => undefined);
    await opened.pop()!.close();
    assert.match(await problemOf(access(port)), /Nothing listens at localhost:\d+: the connection was refused/);
    assert.match(
      await problemOf(access(port, { host: 'no-such-name.invalid' })),
      /no-such-name\.invalid.*cannot be resolved/,
    );
  });

  it('something else than LDAP', async () => {
    const plain = await serve({ listen: { tls: false } });
    assert.match(await problemOf(access(plain)), /Is it the port for plain LDAP\?/);
    const web = await fake((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    assert.match(await problemOf(access(web)), /does not speak TLS/);
    const unsecured = access(web, { security: 'plain', client: null });
    assert.match(await problemOf(unsecured), /does not speak LDAP/);
    const silent = await fake((socket) => socket.once('data', () => socket.end()));
    assert.match(await problemOf(access(silent, { security: 'plain', client: null })), /ended the connection/);
  });

  it('StartTLS that is not to be had, or that lies', async () => {
    const refusal = Buffer.from('300c02010178070a013404000400', 'hex');
    const without = await fake((socket) => socket.once('data', () => socket.write(refusal)));
    assert.match(await problemOf(access(without, { security: 'starttls' })), /refuses StartTLS/);
    const yes = Buffer.from('300c02010178070a010004000400', 'hex');
    const liar = await fake((socket) => {
      const heard: Buffer[] = [];
      socket.on('data', (chunk) => {
        heard.push(chunk);
        if (heard.length === 1) socket.write(yes);
        else {
          // Nothing but a TLS hello may follow.
          assert.equal(chunk[0], 0x16);
          socket.end();
        }
      });
    });
    assert.match(await problemOf(access(liar, { security: 'starttls' })), /hung up in the middle of the TLS handshake/);
  });

  it('an answer without an end is not waited for, and not held', async () => {
    const flood = await fake((socket) => {
      // An element that says it is 2 GiB long.
      socket.once('data', () => socket.write(Buffer.concat([Buffer.from('30847fffffff', 'hex'), Buffer.alloc(1024)])));
    });
    assert.match(await problemOf(access(flood, { security: 'plain', client: null })), /too large/);
  });

  it('words of the other end stay on one line and cannot draw on the terminal', async () => {
    const text = Buffer.from('no\u001b[2J\r\nidentree: all is well');
    const notice = Buffer.concat([Buffer.from([0x0a, 1, 52, 0x04, 0, 0x04, text.length]), text]);
    const result = Buffer.concat([Buffer.from([0x02, 1, 0, 0x78, notice.length]), notice]);
    const message = Buffer.concat([Buffer.from([0x30, result.length]), result]);
    const port = await fake((socket) => socket.once('data', () => socket.write(message)));
    const problem = await problemOf(access(port, { security: 'plain', client: null }));
    assert.match(problem, /ended the connection: no\[2J identree: all is well/);
    assert.doesNotMatch(problem, /[\n\u001b]/);
  });
});

describe('the little of LDAP that it speaks', () => {
  it('requests as RFC 4511 has them', () => {
    assert.equal(
      bindRequest(1, 'cn=a', 'pw').toString('hex'),
      '3012020101600d0201030404636e3d6180027077'.replace('3012', '3012'),
    );
    assert.equal(
      searchRequest(2, { base: '', scope: 'base', present: 'objectClass', attributes: ['1.1'], sizeLimit: 1 }).toString(
        'hex',
      ),
      '302a0201026325' + '04000a01000a010002010102010a010100' + '870b6f626a656374436c617373' + '30050403312e31',
    );
    const long = bindRequest(1, `cn=${'a'.repeat(300)}`, 'pw');
    assert.equal(long[1], 0x83, 'long lengths');
  });

  it('what is cut off is waited for, what can never be right is refused', () => {
    const done = Buffer.from('300c02010265070a010004000400', 'hex');
    for (let size = 0; size < done.length; size += 1) assert.equal(readAnswer(done.subarray(0, size)), null);
    const read = readAnswer(Buffer.concat([done, done]));
    assert.deepEqual(read, {
      answer: { kind: 'result', id: 2, tag: 0x65, result: { code: 0, matchedDn: '', message: '' } },
      size: done.length,
    });
    for (const bad of [
      '3080', // indefinite length
      '3f8101', // a tag of several octets
      '0400', // no sequence
      '300302010265', // the operation is missing
      `3084${(MESSAGE_LIMIT + 1).toString(16).padStart(8, '0')}`,
      '308500000000010000',
      '300c02010265070a020100040004',
      '300b020102640604016104013000'.slice(0, 26),
    ])
      assert.throws(() => readAnswer(Buffer.from(bad, 'hex')), WireError, bad);
  });

  it('whatever arrives, it answers or refuses', () => {
    let refused = 0;
    const done = Buffer.from(`3030020102642b0404636e3d61302330210403756964311a${'0418'.padEnd(52, '41')}`, 'hex');
    for (let i = 0; i < 20_000; i += 1) {
      const bytes = Buffer.from(done);
      for (let n = 0; n <= i % 3; n += 1)
        bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
      try {
        readAnswer(bytes);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
        refused += 1;
      }
    }
    assert.ok(refused > 100);
  });
});
