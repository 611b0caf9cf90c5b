import assert from 'node:assert/strict';
import { type ExecFileException, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { Worker } from 'node:worker_threads';
import { Client } from 'ldapts';
import { createDirectoryServer, type DirectoryServer, type TlsSettings } from './directory-server.ts';
import { collect } from './garbage.ts';
import { OID, RESULT } from './protocol/operation.ts';
import { createLdapServer, type LdapServer } from './server.ts';
import type { CredentialChecker } from './session/credentials.ts';
import { DEFAULT_LIMITS, type Limits } from './session/limits.ts';
import type { Settings } from './session/settings.ts';
import { createTestCa, type TestCa, type TestCertificate } from './testing/certificates.ts';
import { smallDirectory, snapshotOf } from './testing/entries.ts';
import { type LdapjsClient, type LdapjsEntry, type LdapjsSearch, ldapjs } from './testing/ldapjs.ts';
import { type Answer, bind, extended, saslBind, search, unbind } from './testing/messages.ts';
import { BASE, sampleEntries, sampleUsn } from './testing/sample-entries.ts';
import { HOST, SERVICE, SERVICE_DN } from './testing/session-harness.ts';
import { connectSnapshots } from './testing/snapshot-port.ts';
import { wireClient } from './testing/wire-client.ts';

const settingsOf = (limits: Partial<Limits> = {}, more: Partial<Settings> = {}): Settings => ({
  limits: { ...DEFAULT_LIMITS, searchRate: 0, searchRatePerAddress: 0, connectionsPerAddress: 6000, ...limits },
  allowAnonymous: true,
  requireTls: false,
  scopeSudoToHost: false,
  vendorName: 'identree',
  vendorVersion: '9.9',
  ...more,
});
const revoked = new Set<string>();
const checker: CredentialChecker = {
  checkBind: async ({ dn, password }) =>
    dn === SERVICE_DN && Buffer.from(password).toString() === 'secret' ? SERVICE : null,
  identify: async ({ names, serial }) => (names.includes('web1.example.com') ? { ...HOST, reference: serial } : null),
  isCurrent: async ({ reference }) => !revoked.has(reference),
};
const small = snapshotOf(smallDirectory());
const sample = (users: number) => snapshotOf(sampleEntries(users), { lastUsn: sampleUsn(users) });
const look = (id = 1): Buffer => search(id, { base: BASE, scope: 0, attributes: ['1.1'] });

const opened: { close(): Promise<void> }[] = [];
after(() => Promise.all(opened.map((server) => server.close())));

async function serve(
  options: {
    limits?: Partial<Limits>;
    settings?: Partial<Settings>;
    tls?: TlsSettings;
    listenTls?: boolean;
    ready?: boolean;
  } = {},
): Promise<{ server: DirectoryServer; port: number }> {
  const server = createDirectoryServer({
    settings: settingsOf(options.limits, options.settings),
    checker,
    tls: options.tls ?? null,
    report: () => {},
    randomBytes,
    now: () => performance.now(),
  });
  opened.push(server);
  if (options.ready !== false) server.publish(small);
  return { server, port: await server.listen({ host: '127.0.0.1', port: 0, tls: options.listenTls ?? false }) };
}

let folder: string;
let ca: TestCa;
let otherCa: TestCa;
let tls: TlsSettings;
let hostCertificate: TestCertificate;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'identree-ldap-'));
  [ca, otherCa] = [await createTestCa('host CA'), await createTestCa('somebody else')];
  const own = await ca.issue('ldap.test', 'server');
  tls = { certificate: own.certificate, key: own.key, clientCa: [ca.certificate], clientCertificates: 'optional' };
  hostCertificate = await ca.issue('web1.example.com', 'client', { serial: '00c0ffee', uris: ['urn:uuid:1'] });
});
after(() => rm(folder, { recursive: true, force: true }));

describe('over TCP', () => {
  test('one answer per request, in one write for many requests', async () => {
    const { port } = await serve();
    const client = await wireClient(port);
    client.write(...Array.from({ length: 50 }, (_, i) => look(i + 1)));
    const answers = await client.until(50);
    assert.equal(answers.length, 100);
    client.close();
  });

  test('TLS on the plain port, HTTP and a remote desktop are hung up on at once', async () => {
    const { port } = await serve();
    for (const hex of ['16030100c2010000be', '474554202f20485454502f312e310d0a0d0a', '0300000b06e00000000000']) {
      const client = await wireClient(port);
      client.write(Buffer.from(hex, 'hex'));
      assert.deepEqual(await client.ended(), []);
    }
  });

  test('a message that announces a gigabyte is refused on its header', async () => {
    const { port } = await serve();
    const client = await wireClient(port);
    client.write(Buffer.from('308440000000', 'hex'));
    const [notice] = await client.ended();
    assert.deepEqual([notice!.code, notice!.responseName], [RESULT.adminLimitExceeded, OID.noticeOfDisconnection]);
  });

  test('9,000 requests in one segment are all answered', async () => {
    const { port } = await serve();
    const client = await wireClient(port);
    client.write(Buffer.concat(Array.from({ length: 9000 }, (_, i) => look(i + 1))));
    assert.equal((await client.until(9000)).length, 18_000);
    client.close();
  });

  test('beside clients at its address that never stop asking, a host gets all its answers, and none is busy', async () => {
    const { port } = await serve({ limits: { searchRatePerAddress: 1000, searchBurstPerAddress: 100 } });
    const flood = await Promise.all(Array.from({ length: 10 }, () => wireClient(port)));
    const looks = Buffer.concat(Array.from({ length: 300 }, (_, i) => look(i + 1)));
    let isServed = false;
    let rounds = 0;
    const answered = flood.map(async (client) => {
      const answers: Answer[] = [];
      for (; !isServed || answers.length === 0; rounds += 1) {
        client.write(looks);
        answers.push(...(await client.until(300)));
      }
      return answers.filter(({ code }) => code !== undefined && code !== RESULT.success);
    });
    const host = await wireClient(port);
    for (let i = 1; i <= 50; i++) {
      host.write(look(i));
      assert.equal((await host.until(i)).at(-1)!.code, RESULT.success);
    }
    isServed = true;
    // Behind all that waits it would have been ten for each of its searches.
    assert.ok(rounds < 150, `${rounds} rounds of the flood were over first`);
    assert.deepEqual((await Promise.all(answered)).flat(), []);
    for (const client of [host, ...flood]) client.close();
  });

  test('the server says goodbye when it stops, and when the directory has been loaded to who was told it was not', async () => {
    const { server, port } = await serve({ ready: false });
    const told = await wireClient(port);
    const silent = await wireClient(port);
    told.write(search(1, { base: '', scope: 0, attributes: ['lastUSN'] }), look(2));
    assert.equal((await told.until(2)).at(-1)!.code, RESULT.busy);
    silent.write(extended(1, OID.whoAmI));
    await silent.until(1);
    server.publish(small);
    assert.equal((await told.ended())[0]!.responseName, OID.noticeOfDisconnection);
    silent.write(look(2));
    assert.equal((await silent.until(2)).at(-1)!.code, RESULT.success);
    await server.close();
    assert.equal((await silent.ended())[0]!.responseName, OID.noticeOfDisconnection);
  });
});

test('nothing is kept of the directory before this one', async () => {
  const { server, port } = await serve({ ready: false });
  async function published(): Promise<WeakRef<object>> {
    const snapshot = sample(100);
    server.publish(snapshot);
    return new WeakRef(snapshot.arena);
  }
  const before = await published();
  const client = await wireClient(port);
  client.write(
    look(1),
    bind(2, SERVICE_DN, 'secret'),
    search(3, { base: BASE, filter: '(&(objectClass=posixAccount)(memberOf=cn=g1,dc=example,dc=com))' }),
    search(4, { base: `ou=people,${BASE}`, filter: '(|(uid=u000001)(cn=*a*))', controls: [] }),
  );
  await client.until(4);
  await published();
  client.write(look(5));
  await client.until(5);
  await until(() => {
    collect();
    return before.deref() === undefined;
  });
  client.close();
});

test('who has said goodbye and goes on sending is cut off', async () => {
  const { port } = await serve();
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write(unbind(1));
  const sending = setInterval(() => socket.write(Buffer.alloc(4096)), 20);
  const started = performance.now();
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.on('error', resolve));
  clearInterval(sending);
  assert.match(error.code!, /ECONNRESET|EPIPE/);
  assert.ok(performance.now() - started < 8000, 'it was listened to until nobody had any more patience');
});

describe('limits on connections', () => {
  test('beyond the total a client is told so and let go', async () => {
    const { server, port } = await serve({ limits: { connections: 3 } });
    const clients = [await wireClient(port), await wireClient(port), await wireClient(port)];
    for (const client of clients) {
      client.write(look());
      await client.until(1);
    }
    const refused = await wireClient(port);
    const [notice] = await refused.ended();
    assert.deepEqual([notice!.code, notice!.responseName], [RESULT.unavailable, OID.noticeOfDisconnection]);
    assert.equal(server.stats().rejected.connections, 1);
    clients[0]!.close();
    await until(() => server.stats().connections === 2);
    const next = await wireClient(port);
    next.write(look());
    await next.until(1);
    for (const client of [...clients, next]) client.close();
  });

  test('beyond the number per address as well', async () => {
    const { server, port } = await serve({ limits: { connectionsPerAddress: 1 } });
    const first = await wireClient(port);
    first.write(look());
    await first.until(1);
    assert.equal((await (await wireClient(port)).ended()).length, 1);
    assert.equal(server.stats().rejected.connections_per_address, 1);
    first.close();
  });

  test('strangers who hold all of them make way for a host, and hosts for nobody', async () => {
    for (const limits of [{ connectionsPerAddress: 3 }, { connections: 3 }]) {
      const { server, port } = await serve({ limits, settings: { allowAnonymous: false } });
      const strangers = [await wireClient(port), await wireClient(port), await wireClient(port)];
      await until(() => server.stats().connections === 3);
      const hosts = [];
      for (let n = 0; n < 3; n++) {
        const host = await wireClient(port);
        host.write(bind(1, SERVICE_DN, 'secret'));
        assert.equal((await host.until(1))[0]!.code, RESULT.success);
        hosts.push(host);
      }
      for (const stranger of strangers) await stranger.ended();
      await (await wireClient(port)).ended();
      assert.equal(server.stats().connections, 3);
      for (const host of hosts) {
        host.write(look(2));
        assert.equal((await host.until(2)).at(-1)!.code, RESULT.success);
        host.close();
      }
    }
  });

  test('a TLS handshake that is never finished ends', async () => {
    const { port, server } = await serve({ limits: { handshake: 150 }, tls, listenTls: true });
    const client = await wireClient(port);
    await client.ended();
    await until(() => server.stats().connections === 0);
  });

  test('a message that never ends, and silence, end too', async () => {
    const { port } = await serve({
      limits: { incompleteMessage: 150, idleUnauthenticated: 300 },
      settings: { allowAnonymous: false },
    });
    const slow = await wireClient(port);
    slow.write(look().subarray(0, 5));
    assert.deepEqual(await slow.ended(), []);
    const silent = await wireClient(port);
    assert.equal((await silent.ended())[0]!.code, RESULT.unavailable);
  });
});

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 120_000; performance.now() < end; ) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail('it never happened');
}

describe('clients that do not read', () => {
  test('twenty enumerations that nobody reads hold little memory and nobody up', async () => {
    const { server, port } = await serve({ limits: { searchResults: 0 } });
    server.publish(sample(20_000));
    const greedy = await Promise.all(Array.from({ length: 20 }, () => wireClient(port)));
    const normal = await wireClient(port);
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    for (const client of greedy) {
      client.socket.pause();
      client.write(search(1, { base: BASE }));
    }
    for (let id = 1; id <= 200; id++) {
      normal.write(search(id, { base: BASE, filter: `(uid=u000${100 + (id % 100)})` }));
      assert.equal((await normal.until(id)).length, 2);
    }
    assert.ok(process.memoryUsage().rss - before < 64 * 2 ** 20);
    for (const client of [...greedy, normal]) client.close();
    await until(() => server.stats().connections === 0);
  });

  test('one that reads slowly gets everything in the end', async () => {
    const { server, port } = await serve({ limits: { searchResults: 0, writeBuffer: 32 * 1024 } });
    server.publish(sample(5000));
    const client = await wireClient(port);
    client.write(search(1, { base: BASE }));
    for (let i = 0; i < 20; i++) {
      client.socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 5));
      client.socket.resume();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal((await client.until(1)).length, 5 + 5000 * 2 + 500 + 50 + 1);
    client.close();
  });

  test('one that goes away in mid-enumeration is forgotten', async () => {
    const { server, port } = await serve({ limits: { searchResults: 0 } });
    server.publish(sample(5000));
    for (let i = 0; i < 20; i++) {
      const client = await wireClient(port);
      client.write(search(1, { base: BASE }));
      await client.next();
      client.close();
    }
    await until(() => server.stats().connections === 0);
  });
});

describe('TLS', () => {
  const own = () => ({ ca: ca.certificate, cert: hostCertificate.certificate, key: hostCertificate.key });

  test('a host with its certificate needs no bind; EXTERNAL says who it is', async () => {
    const { port } = await serve({ tls, listenTls: true, settings: { allowAnonymous: false } });
    const client = await wireClient(port, { tls: own() });
    client.write(look(1), extended(2, OID.whoAmI), saslBind(3, 'EXTERNAL'));
    const answers = await client.until(3);
    assert.equal(answers[1]!.code, RESULT.success);
    assert.equal(answers[2]!.responseValue!.toString(), `dn:${HOST.dn}`);
    assert.equal(answers[3]!.code, RESULT.success);
    client.close();
  });

  test('without a certificate it is nobody, and where one is required there is no connection', async () => {
    const optional = await serve({ tls, listenTls: true, settings: { allowAnonymous: false } });
    const nobody = await wireClient(optional.port, { tls: { ca: ca.certificate } });
    nobody.write(look());
    assert.equal((await nobody.until(1))[0]!.code, RESULT.insufficientAccessRights);
    nobody.close();
    const required = await serve({ tls: { ...tls, clientCertificates: 'required' }, listenTls: true });
    await assert.rejects(async () => {
      const client = await wireClient(required.port, { tls: { ca: ca.certificate } });
      client.write(look());
      await client.next();
    });
  });

  test('a certificate of somebody else’s CA, or of no host, is worse than none', async () => {
    const foreign = await otherCa.issue('web1.example.com', 'client');
    const expired = await ca.issue('web1.example.com', 'client', { days: -1 });
    for (const clientCertificates of ['optional', 'required'] as const) {
      const { port } = await serve({ tls: { ...tls, clientCertificates }, listenTls: true });
      for (const { certificate: cert, key } of [foreign, expired]) {
        await assert.rejects(async () => {
          const client = await wireClient(port, { tls: { ca: ca.certificate, cert, key } });
          client.write(look());
          await client.next();
        });
      }
    }
    const { port } = await serve({ tls, listenTls: true });
    const stranger = await ca.issue('web9.example.com', 'client');
    const client = await wireClient(port, {
      tls: { ca: ca.certificate, cert: stranger.certificate, key: stranger.key },
    });
    client.write(look());
    const [answer, notice] = await client.ended();
    assert.deepEqual(
      [answer!.code, notice!.responseName],
      [RESULT.insufficientAccessRights, OID.noticeOfDisconnection],
    );
  });

  test('a certificate that is revoked while connected: the next operation is the last', async () => {
    const { server, port } = await serve({ tls, listenTls: true });
    const client = await wireClient(port, { tls: own() });
    client.write(look(1));
    assert.equal((await client.until(1)).at(-1)!.code, RESULT.success);
    revoked.add('c0ffee');
    await server.recheck();
    revoked.delete('c0ffee');
    client.write(look(2));
    const answers = await client.ended();
    assert.deepEqual(
      answers.map(({ code }) => code),
      [RESULT.insufficientAccessRights, RESULT.insufficientAccessRights],
    );
  });

  test('plain and TLS listeners side by side, StartTLS on the plain one', async () => {
    const { server, port } = await serve({ tls, settings: { requireTls: true } });
    const tlsPort = await server.listen({ host: '127.0.0.1', port: 0, tls: true });
    const direct = await wireClient(tlsPort, { tls: own() });
    direct.write(look());
    assert.equal((await direct.until(1)).at(-1)!.code, RESULT.success);
    direct.close();
    const client = await wireClient(port);
    client.write(look(1));
    assert.equal((await client.until(1))[0]!.code, RESULT.confidentialityRequired);
    client.write(extended(2, OID.startTls));
    assert.equal((await client.until(2))[0]!.code, RESULT.success);
    await client.upgrade(own());
    client.write(look(3), extended(4, OID.whoAmI));
    const answers = await client.until(4);
    assert.equal(answers.at(-1)!.responseValue!.toString(), `dn:${HOST.dn}`);
    client.close();
  });

  test('clear text behind a StartTLS request never reaches what TLS protects', async () => {
    const { server, port } = await serve({ tls });
    const client = await wireClient(port);
    client.write(extended(1, OID.startTls), bind(2, SERVICE_DN, 'secret'), look(3));
    assert.equal((await client.until(1))[0]!.code, RESULT.success);
    await client.upgrade({ ca: ca.certificate });
    client.write(extended(4, OID.whoAmI));
    const answers = await client.until(4);
    assert.equal(answers.length, 1);
    assert.equal(answers[0]!.responseValue!.toString(), '');
    assert.equal(server.stats().rejected.plaintext_after_starttls, 1);
    client.close();
  });

  test('a renewed certificate is used for new connections', async () => {
    const { server, port } = await serve({ tls, listenTls: true });
    const renewed = await otherCa.issue('ldap.test', 'server');
    server.setTls({ ...tls, ...renewed });
    await assert.rejects(wireClient(port, { tls: { ca: ca.certificate } }));
    const client = await wireClient(port, { tls: { ca: otherCa.certificate } });
    client.close();
  });

  test('a TLS session cannot be taken up again: its certificate may have been revoked since', async () => {
    const { port } = await serve({ tls, listenTls: true });
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const once = (session?: Buffer): Promise<{ reused: boolean; session: Buffer | undefined }> =>
        new Promise((resolve, reject) => {
          const socket = connectTls({
            port,
            host: '127.0.0.1',
            servername: 'ldap.test',
            maxVersion,
            ...own(),
            session,
          });
          socket.on('error', reject);
          socket.on('data', () => {
            resolve({ reused: socket.isSessionReused(), session: socket.getSession() });
            socket.destroy();
          });
          socket.on('secureConnect', () => socket.write(look()));
        });
      const first = await once();
      assert.equal((await once(first.session)).reused, false);
    }
  });

  test('what is older than TLS 1.2 is refused', async () => {
    const { port } = await serve({ tls, listenTls: true });
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    const attempt = new Promise((resolve, reject) => {
      const socket = connectTls({ port, host: '127.0.0.1', servername: 'ldap.test', ...own(), ...old }, () =>
        resolve(null),
      );
      socket.on('error', reject);
    });
    await assert.rejects(attempt, { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  });
});

describe('ldapts', () => {
  test('searches, pages, compares, binds and asks who it is', async () => {
    const { server, port } = await serve({ settings: { allowAnonymous: false } });
    server.publish(sample(2500));
    const client = new Client({ url: `ldap://127.0.0.1:${port}` });
    await assert.rejects(client.search(BASE, { filter: '(uid=*)' }), /0x32/);
    await client.bind(SERVICE_DN, 'secret');
    const { searchEntries } = await client.search(BASE, {
      filter: '(uid=u00000*)',
      attributes: ['uidNumber', 'objectClass'],
    });
    assert.equal(searchEntries.length, 10);
    assert.equal(searchEntries[3]!.uidNumber, '200003');
    const paged = await client.search(`ou=people,${BASE}`, {
      scope: 'one',
      paged: { pageSize: 400 },
      attributes: ['uid'],
    });
    assert.equal(paged.searchEntries.length, 2500);
    assert.equal(await client.compare(`uid=u000001,ou=people,${BASE}`, 'uidNumber', '200001'), true);
    assert.equal((await client.exop(OID.whoAmI)).value, `dn:${SERVICE_DN}`);
    await assert.rejects(client.bind(SERVICE_DN, 'wrong'), /0x31/);
    await client.unbind();
  });

  test('StartTLS', async () => {
    const { port } = await serve({ tls, settings: { requireTls: true } });
    const client = new Client({ url: `ldap://127.0.0.1:${port}` });
    await client.startTLS({ ca: [ca.certificate], servername: 'ldap.test' });
    await client.bind(SERVICE_DN, 'secret');
    assert.equal((await client.search(BASE, { filter: '(uid=alice)' })).searchEntries.length, 1);
    await client.unbind();
  });
});

describe('ldapjs', () => {
  const call = <T>(work: (done: (error: Error | null, result: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) => work((error, result) => (error === null ? resolve(result) : reject(error))));

  async function find(client: LdapjsClient, base: string, options: Record<string, unknown>): Promise<LdapjsEntry[]> {
    const search = await call<LdapjsSearch>((done) => client.search(base, options, done));
    return new Promise((resolve, reject) => {
      const entries: LdapjsEntry[] = [];
      search.on('searchEntry', ({ pojo }) => entries.push(pojo));
      search.on('error', reject);
      search.on('end', () => resolve(entries));
    });
  }

  function dial(port: number): LdapjsClient {
    const client = ldapjs.createClient({ url: `ldap://127.0.0.1:${port}` });
    client.on('error', () => {});
    return client;
  }

  test('binds, searches, pages, compares and asks who it is', async () => {
    const { server, port } = await serve({ settings: { allowAnonymous: false } });
    server.publish(sample(2500));
    const client = dial(port);
    await assert.rejects(find(client, BASE, { scope: 'base' }), { code: RESULT.insufficientAccessRights });
    await call((done) => client.bind(SERVICE_DN, 'secret', done));
    const options = {
      scope: 'sub',
      filter: '(&(uid=u00000*)(!(uid=u000003)))',
      attributes: ['uidNumber', 'objectClass'],
    };
    const found = await find(client, BASE, options);
    assert.equal(found.length, 9);
    assert.deepEqual(found[0]!.attributes.find(({ type }) => type === 'uidNumber')!.values, ['200000']);
    const paged = await find(client, `ou=people,${BASE}`, {
      scope: 'one',
      paged: { pageSize: 400 },
      attributes: ['uid'],
    });
    assert.equal(paged.length, 2500);
    const alice = `uid=u000001,ou=people,${BASE}`;
    assert.equal(await call<boolean>((done) => client.compare(alice, 'uidNumber', '200001', done)), true);
    assert.equal(await call<string>((done) => client.exop(OID.whoAmI, done)), `dn:${SERVICE_DN}`);
    await assert.rejects(
      call((done) => client.bind(SERVICE_DN, 'wrong', done)),
      { code: RESULT.invalidCredentials },
    );
    client.destroy();
  });

  test('StartTLS', async () => {
    const { port } = await serve({ tls, settings: { requireTls: true } });
    const client = dial(port);
    await call((done) => client.starttls({ ca: [ca.certificate], servername: 'ldap.test' }, [], done));
    await call((done) => client.bind(SERVICE_DN, 'secret', done));
    assert.equal((await find(client, BASE, { scope: 'sub', filter: '(uid=alice)' })).length, 1);
    client.destroy();
  });
});

const noTools = existsSync('/usr/bin/ldapsearch') ? false : 'ldap-utils is not installed';

describe('Debian’s ldap-utils', { skip: noTools }, () => {
  async function run(program: string, args: string[], env: Record<string, string> = {}) {
    return new Promise<{ code: number; out: string; err: string }>((resolve) => {
      execFile(
        program,
        args,
        { env: { PATH: '/usr/bin:/bin', LDAPCONF: '/dev/null', HOME: '/nonexistent', ...env }, timeout: 60_000 },
        (error: ExecFileException | null, out, err) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
        },
      );
    });
  }
  const count = (out: string): number => out.match(/^dn:/gm)?.length ?? 0;

  test('ldapsearch: anonymous, bound, paged, rootDSE, wrong password, no such object', async () => {
    const { port } = await serve();
    const plain = ['-x', '-LLL', '-o', 'ldif-wrap=no', '-H', `ldap://127.0.0.1:${port}`];
    const alice = await run('ldapsearch', [
      ...plain,
      '-b',
      BASE,
      '(&(uid=alice)(objectclass=posixAccount))',
      'uid',
      'uidNumber',
      '+',
    ]);
    assert.match(
      alice.out,
      /^dn: uid=alice,ou=people,dc=example,dc=com\nuid: alice\nuidNumber: 200001\nentryUSN: 10\n/,
    );
    const bound = await run('ldapsearch', [
      ...plain,
      '-D',
      SERVICE_DN,
      '-w',
      'secret',
      '-b',
      `ou=sudoers,${BASE}`,
      '(cn=web)',
      'sudoOption',
    ]);
    assert.match(bound.out, /sudoOption: !authenticate/);
    const paged = await run('ldapsearch', [...plain, '-b', BASE, '-E', 'pr=2/noprompt', '(objectClass=*)', '1.1']);
    assert.equal(count(paged.out), 13);
    const root = await run('ldapsearch', [...plain, '-b', '', '-s', 'base', '+']);
    assert.match(root.out, /lastUSN: 1000000/);
    const subschema = await run('ldapsearch', [...plain, '-b', 'cn=subschema', '-s', 'base', 'attributeTypes']);
    assert.match(subschema.out, /NAME 'sudoUser'/);
    assert.equal((await run('ldapsearch', [...plain, '-D', SERVICE_DN, '-w', 'wrong', '-b', BASE])).code, 49);
    assert.equal((await run('ldapsearch', [...plain, '-b', `ou=nowhere,${BASE}`])).code, 32);
    assert.equal((await run('ldapsearch', [...plain, '-z', '3', '-b', BASE])).code, 4);
  });

  test('ldapwhoami and ldapcompare', async () => {
    const { port } = await serve();
    const plain = ['-x', '-H', `ldap://127.0.0.1:${port}`];
    assert.equal((await run('ldapwhoami', plain)).out, 'anonymous\n');
    assert.equal((await run('ldapwhoami', [...plain, '-D', SERVICE_DN, '-w', 'secret'])).out, `dn:${SERVICE_DN}\n`);
    const alice = `uid=alice,ou=people,${BASE}`;
    assert.equal((await run('ldapcompare', [...plain, alice, 'uid:ALICE'])).code, 6);
    assert.equal((await run('ldapcompare', [...plain, alice, 'uid:bob'])).code, 5);
  });

  test('StartTLS, ldaps with a client certificate, EXTERNAL', async () => {
    const { server, port } = await serve({ tls, settings: { allowAnonymous: false } });
    const tlsPort = await server.listen({ host: '127.0.0.1', port: 0, tls: true });
    const files = { ca: ca.certificate, cert: hostCertificate.certificate, key: hostCertificate.key };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const trust = { LDAPTLS_CACERT: join(folder, 'ca') };
    const own = { ...trust, LDAPTLS_CERT: join(folder, 'cert'), LDAPTLS_KEY: join(folder, 'key') };
    const started = await run(
      'ldapwhoami',
      ['-x', '-ZZ', '-H', `ldap://127.0.0.1:${port}`, '-D', SERVICE_DN, '-w', 'secret'],
      trust,
    );
    assert.equal(started.out, `dn:${SERVICE_DN}\n`, started.err);
    const url = `ldaps://127.0.0.1:${tlsPort}`;
    const external = await run('ldapwhoami', ['-Q', '-Y', 'EXTERNAL', '-H', url], own);
    // Debian puts SASL mechanisms in packages of their own.
    if (!/No worthy mechs|Unknown authentication method/.test(external.err)) {
      assert.equal(external.out, `dn:${HOST.dn}\n`, external.err);
    }
    const anonymous = await run('ldapsearch', ['-x', '-LLL', '-H', url, '-b', BASE, '(uid=alice)', '1.1'], own);
    assert.equal(count(anonymous.out), 1);
    const byAccount = await run(
      'ldapsearch',
      ['-x', '-LLL', '-H', url, '-D', SERVICE_DN, '-w', 'secret', '-b', BASE, '(uid=*)', '1.1'],
      own,
    );
    assert.equal(count(byAccount.out), 4);
    assert.notEqual((await run('ldapsearch', ['-x', '-H', url, '-b', BASE], trust)).code, 0);
  });
});

describe('in its own thread', () => {
  const start = (more: Partial<Parameters<typeof createLdapServer>[0]> = {}): Promise<LdapServer> =>
    createLdapServer({
      settings: settingsOf(),
      listen: [{ host: '127.0.0.1', port: 0, tls: false }],
      tls: null,
      service: { dn: SERVICE_DN, password: 'secret' },
      checker: { ...checker, checkBind: async () => null },
      report: () => {},
      ...more,
    });

  test('who has proved to know a password is not kept out by strangers after a restart either', async () => {
    const kept: string[] = [];
    const open = async (remembers: boolean) => {
      const server = await start({
        settings: settingsOf({ bindFailures: 3, bindFailureDelay: 0, bindProvenWait: 0 }),
        proofs: { key: Buffer.alloc(32, 3), known: () => (remembers ? kept : []), keep: (digest) => kept.push(digest) },
      });
      opened.push(server);
      const client = await wireClient(server.ports[0]!);
      let id = 0;
      return async (dn: string, password: string) => {
        client.write(bind(++id, dn, password));
        return (await client.until(id)).at(-1)!.code;
      };
    };
    const before = await open(true);
    for (let i = 0; i < 3; i++) assert.equal(await before(SERVICE_DN, 'secret'), RESULT.success);
    assert.equal(kept.length, 1, 'kept once and not with every bind');
    assert.doesNotMatch(kept[0]!, /127|sssd/);
    for (const [remembers, wanted] of [
      [true, RESULT.success],
      [false, RESULT.invalidCredentials],
    ] as const) {
      const after = await open(remembers);
      for (let i = 0; i < 8; i++) await after(i % 2 ? SERVICE_DN : `cn=other,${BASE}`, 'wrong');
      assert.equal(await after(SERVICE_DN, 'secret'), wanted);
      assert.equal(await after(`cn=other,${BASE}`, 'secret'), RESULT.invalidCredentials);
    }
  });

  test('snapshots, credentials, certificates, statistics and the end cross over', async () => {
    const events: string[] = [];
    const server = await start({
      tls,
      listen: [
        { host: '127.0.0.1', port: 0, tls: false },
        { host: '127.0.0.1', port: 0, tls: true },
      ],
      report: ({ kind }) => events.push(kind),
    });
    opened.push(server);
    const [plain, secure] = [
      await wireClient(server.ports[0]!),
      await wireClient(server.ports[1]!, {
        tls: { ca: ca.certificate, cert: hostCertificate.certificate, key: hostCertificate.key },
      }),
    ];
    plain.write(look(1));
    assert.equal((await plain.until(1))[0]!.code, RESULT.busy);
    connectSnapshots(server)(small);
    plain.write(bind(2, SERVICE_DN, 'secret'), bind(3, SERVICE_DN, 'wrong'), extended(4, OID.whoAmI));
    assert.deepEqual(
      (await plain.until(4)).map(({ code }) => code),
      [0, 49, 0],
    );
    secure.write(extended(1, OID.whoAmI), search(2, { base: BASE, filter: '(uid=alice)' }));
    const answers = await secure.until(2);
    assert.equal(answers[0]!.responseValue!.toString(), `dn:${HOST.dn}`);
    assert.equal(answers.length, 3);
    revoked.add('c0ffee');
    server.recheck();
    while (!events.includes('identity-withdrawn')) await new Promise((resolve) => setTimeout(resolve, 5));
    revoked.delete('c0ffee');
    secure.write(look(3));
    assert.equal((await secure.ended())[0]!.code, RESULT.insufficientAccessRights);
    const stats = await server.stats();
    assert.equal(stats!.accepted, 2);
    assert.ok(events.includes('bind') && events.includes('identity-withdrawn'));
    await server.close();
    assert.equal((await plain.ended())[0]!.responseName, OID.noticeOfDisconnection);
  });

  test('an address that is taken is an error with its reason, and nothing is left behind', async () => {
    const { port } = await serve();
    await assert.rejects(start({ listen: [{ host: '127.0.0.1', port, tls: false }] }), { code: 'EADDRINUSE' });
  });

  test('once withdrawn it is busy until a newer directory comes, whatever was on its way', async () => {
    const server = await start();
    opened.push(server);
    const servedUsn = async (): Promise<string | undefined> => {
      const client = await wireClient(server.ports[0]!);
      client.write(search(1, { base: '', scope: 0, attributes: ['lastUSN'] }));
      const [root] = await client.until(1);
      client.close();
      return root!.attributes?.get('lastUSN')?.toString();
    };
    const of = (generation: number) => snapshotOf(smallDirectory(), { generation, lastUsn: 1000 + generation });
    const give = connectSnapshots(server);
    give(of(2));
    await until(async () => (await servedUsn()) === '1002');
    server.withdraw(4);
    await until(async () => (await servedUsn()) === undefined);
    give(of(4));
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      assert.equal(await servedUsn(), undefined);
    }
    give(of(5));
    await until(async () => (await servedUsn()) === '1005');
  });

  test('a thread that dies is replaced on the port it had and is given what to serve', async () => {
    const threads: Worker[] = [];
    const note = (worker: Worker): void => {
      threads.push(worker);
    };
    process.on('worker', note);
    const server: LdapServer = await start({ onEmpty: () => connectSnapshots(server)(small) });
    opened.push(server);
    connectSnapshots(server)(small);
    const first = await wireClient(server.ports[0]!);
    first.write(look(1));
    assert.equal((await first.until(1)).at(-1)!.code, RESULT.success);
    await threads[0]!.terminate();
    await first.ended();
    await until(() => threads.length === 2);
    process.off('worker', note);
    await until(async () => {
      const second = await wireClient(server.ports[0]!).catch(() => null);
      second?.write(look(1));
      const answer = (await second?.until(1))?.at(-1);
      second?.close();
      return answer?.code === RESULT.success;
    });
  });
});
