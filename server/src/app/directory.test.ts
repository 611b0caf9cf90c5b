import assert from 'node:assert/strict';
import { createHmac, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { Client, type Entry } from 'ldapts';
import { HOST_API } from '#shared/host-api.ts';
import type { Approval } from '../challenges/showing.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { FAKE_API_KEY, startFakePocketId } from '../directory/pocketid/test-pocketid.ts';
import { ruleInput } from '../directory/rules/rule.ts';
import { createTestCa } from '../ldap/testing/certificates.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson, type TestProvider } from '../testing/test-person.ts';
import { createApp } from './app.ts';

/** The directory in the whole server: from its source to an LDAP client on a real socket, and what administrators do. */

const BASE = 'dc=example,dc=com';
const SERVICE = { dn: `cn=readonly,${BASE}`, password: 'b7e0f19c5a2d48' };
const SECRET = 'b7e0f19c5a2d4836b7e0f19c5a2d4836';

type Group = { name: string; members: string[]; claims?: Record<string, string> };

/** Waits until something is no longer so; what follows says what it is then. */
async function whileStill(check: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  for (const end = Date.now() + withinMs; (await check()) && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 50));
}

/** `!alice` is a disabled alice. */
const directoryFile = (users: string[], groups: Group[]): string =>
  JSON.stringify({
    users: users.map((name) => {
      const username = name.replace('!', '');
      return { id: `sub-${username}`, issuer: 'https://idp.example.com', username, disabled: name.startsWith('!') };
    }),
    groups: groups.map(({ name, members, claims = {} }) => ({
      id: `group-${name}`,
      issuer: 'https://idp.example.com',
      name,
      customClaims: Object.entries(claims).map(([key, value]) => ({ key, value })),
      userIds: members.map((member) => `sub-${member}`),
    })),
  });

const OPS: Group = { name: 'ops', members: ['alice'], claims: { sudoCommands: 'ALL' } };

interface Site extends TestApp {
  provider: TestProvider;
  write(users: string[], groups: Group[]): Promise<void>;
  /** A client on the plain (0) or TLS (1) listener. */
  client(listener: 0 | 1, tls?: ConnectionOptions): Client;
  find(client: Client, filter: string, attributes?: string[]): Promise<Entry[]>;
}

async function open(
  t: TestContext,
  options: { env?: Record<string, string>; content?: string; driver?: 'postgres' } = {},
): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-directory-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'directory.json');
  await writeFile(file, options.content ?? directoryFile(['alice', 'bob'], [OPS]), { mode: 0o600 });
  const provider = createTestProvider();
  const site = await createTestApp({
    env: {
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: file,
      IDENTREE_LDAP_BASE_DN: BASE,
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_BIND_DN: SERVICE.dn,
      IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
      IDENTREE_WEBHOOK_SECRET: SECRET,
      ...options.env,
    },
    app: { provider },
    ...(options.driver ? { driver: options.driver } : {}),
    now: Date.now(),
  });
  t.after(() => site.close());
  await site.app.start();
  await site.app.directory!.directory.settled();
  const client = (listener: 0 | 1, tls: ConnectionOptions = {}): Client => {
    const port = site.app.directory!.ports()[listener];
    const url = `${listener === 0 ? 'ldap' : 'ldaps'}://localhost:${port}`;
    const made = new Client({
      url,
      timeout: 60_000,
      connectTimeout: 60_000,
      ...(listener === 1 ? { tlsOptions: { ca: site.app.keys.ca.certificatePem, ...tls } } : {}),
    });
    t.after(() => made.unbind());
    return made;
  };
  return {
    ...site,
    provider,
    client,
    write: (users, groups) => writeFile(file, directoryFile(users, groups), { mode: 0o600 }),
    find: async (from, filter, attributes = []) =>
      (await from.search(BASE, { scope: 'sub', filter, attributes })).searchEntries,
  };
}

test('the service account reads people, groups and rules; a stranger reads nothing', async (t) => {
  const site = await open(t);
  const client = site.client(0);
  await assert.rejects(site.find(client, '(uid=alice)'), /0x32/);
  await client.bind(SERVICE.dn, SERVICE.password);
  const [alice] = await site.find(client, '(uid=alice)');
  assert.equal(alice?.uidNumber, '200000');
  const [rule] = await site.find(client, '(&(objectClass=sudoRole)(cn=ops))');
  assert.deepEqual([rule?.sudoUser, rule?.sudoCommand, rule?.sudoOption], ['alice', 'ALL', undefined]);
  await assert.rejects(site.client(0).bind(SERVICE.dn, 'wrong-password'), /0x31/);
});

test('a fresh host is served nothing before it has said what gives power on it; then its files count', async (t) => {
  const site = await open(t);
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com', { reports: true });
  const client = () => site.client(1, { cert: host.grant.certificate, key: host.tlsKey });
  await assert.rejects(site.find(client(), '(uid=bob)'), /0x32/);
  const fleet = { name: 'fleet', members: ['alice'] };
  const grant = { type: 'group' as const, name: 'fleet', gives: 'any command', file: '/etc/sudoers.d/image', line: 4 };
  assert.equal((await host.report({ grants: [grant], accounts: [['carol', 1000, 1000]] })).status, 204);
  assert.equal((await site.find(client(), '(uid=bob)')).length, 1);

  await site.write(['alice', 'bob', 'carol'], [OPS, fleet]);
  const { directory } = site.app.directory!;
  directory.refresh('console');
  await directory.settled();
  const held = (await directory.holds()).map(({ kind, subject, detail }) => [
    kind,
    subject,
    'local' in detail && detail.local.map((one) => `${one.host} ${one.file}:${one.line}`),
  ]);
  assert.deepEqual(held.toSorted(), [
    ['power_member', 'group fleet', ['web1.example.com /etc/sudoers.d/image:4']],
    ['power_name', 'account carol', ['web1.example.com /etc/passwd:null']],
  ]);
  assert.equal((await site.find(client(), '(&(objectClass=posixGroup)(cn=fleet))'))[0]?.memberUid?.length ?? 0, 0);
  assert.deepEqual(await site.find(client(), '(uid=carol)'), []);

  const olga = await signInTestPerson(site.app, site.provider, site.clock, 'olga', {
    groups: ['admins'],
    passkey: false,
  });
  const { hosts } = (await olga.query<{ hosts: { report: { grants: object[]; count: number } }[] }>('hosts.list')).data;
  assert.deepEqual([hosts[0]!.report.grants, hosts[0]!.report.count], [[grant], 1]);
});

test('a fresh host whose image gives power to a name that the directory has waits for an administrator', async (t) => {
  const site = await open(t, {
    content: directoryFile(
      ['alice', 'bob'],
      [OPS, { name: 'fleet', members: ['bob'], claims: { sudoCommands: '/usr/bin/id', sudoHosts: 'web*' } }],
    ),
  });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com', { reports: true });
  const client = () => site.client(1, { cert: host.grant.certificate, key: host.tlsKey });
  const grant = { type: 'group' as const, name: 'fleet', gives: 'any command', file: '/etc/sudoers.d/image', line: 4 };
  assert.equal((await host.report({ grants: [grant] })).status, 204);
  const { directory } = site.app.directory!;
  await whileStill(async () => (await directory.holds()).length === 0);
  const [hold] = await directory.holds();
  assert.deepEqual(hold?.kind === 'new_host' && [hold.detail.rules[0]?.pattern, hold.detail.local], [
    'web*',
    [{ ...grant, host: 'web1.example.com' }],
  ]);
  await assert.rejects(site.find(client(), '(uid=bob)'), /0x32/);

  await directory.confirm(hold!, { username: 'olga', remoteAddr: null });
  await whileStill(async () =>
    site.find(client(), '(uid=bob)').then(
      () => false,
      () => true,
    ),
  );
  const [rule] = await site.find(client(), '(&(objectClass=sudoRole)(cn=fleet))');
  assert.equal(rule?.sudoHost, 'web1.example.com');
  await directory.settled();
  directory.refresh('console');
  await directory.settled();
  assert.deepEqual(await directory.holds(), [], 'what was let through is not asked about again');
});

test('a fresh host whose files give power to a number that somebody has waits as well; in quarantine what a host gives counts on', async (t) => {
  const site = await open(t);
  const { directory } = site.app.directory!;
  const any = { gives: 'any command', file: '/etc/sudoers', line: 4 };
  const fresh = await enrolTestHost(site.app, site.clock, 'web1.example.com', { reports: true });
  assert.equal((await fresh.report({ grants: [{ ...any, type: 'uid', name: '0200001' }] })).status, 204);
  await whileStill(async () => (await directory.holds()).length === 0);
  const [hold] = await directory.holds();
  assert.deepEqual(hold?.kind === 'new_host' && hold.detail.local[0]?.name, '0200001');
  await directory.reject(hold!, { username: 'olga', remoteAddr: null });

  const host = await enrolTestHost(site.app, site.clock, 'db1.example.com', { reports: true });
  assert.equal((await host.report({ grants: [{ ...any, type: 'group', name: 'late' }] })).status, 204);
  site.clock.advance(1000);
  host.counter = 0;
  assert.equal((await host.report({ grants: [] })).status, 403, 'two of it');
  await site.write(['alice', 'bob'], [OPS, { name: 'late', members: ['bob'] }]);
  directory.refresh('console');
  await directory.settled();
  assert.deepEqual(
    (await directory.holds()).map(({ kind, state }) => [kind, state]),
    [
      ['power_member', 'open'],
      ['new_host', 'rejected'],
    ],
  );
});

test('the certificate that opens LDAPS for a host is refused at the host API, however it is shown', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-https-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [IDENTREE_TLS_CERT_FILE, IDENTREE_TLS_KEY_FILE] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  const ca = await createTestCa();
  const listener = await ca.issue('localhost', 'server');
  await writeFile(IDENTREE_TLS_CERT_FILE, listener.certificate);
  await writeFile(IDENTREE_TLS_KEY_FILE, listener.key, { mode: 0o600 });
  const site = await open(t, { env: { IDENTREE_TLS_CERT_FILE, IDENTREE_TLS_KEY_FILE } });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const own = { cert: host.grant.certificate, key: host.tlsKey };
  assert.equal((await site.find(site.client(1, own), '(uid=bob)')).length, 1);
  const path = '/offline-grants';
  assert.equal((await host.send('GET', path)).status, 200);

  // As the certificate of the connection, and as proxies hand on what they were shown.
  await site.app.http.listen({ host: '127.0.0.1', port: 0 });
  const { port } = site.app.http.server.address() as AddressInfo;
  const show = (headers: Record<string, string>) =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      const options = { host: '127.0.0.1', servername: 'localhost', port, path: `${HOST_API}${path}`, headers };
      const asked = https.get({ ...options, ...own, ca: ca.certificate, agent: false }, (answer) => {
        text(answer).then((body) => resolve([answer.statusCode, JSON.parse(body).error?.code]), reject);
      });
      asked.on('error', reject).on('upgrade', () => reject(new Error('the protocol was changed')));
    });
  const pem = encodeURIComponent(own.cert);
  const der = new X509Certificate(own.cert).raw.toString('base64');
  const ways: Record<string, string>[] = [
    {},
    { 'client-cert': `:${der}:` },
    { 'x-forwarded-client-cert': `Cert="${pem}";Subject="CN=web1.example.com"` },
    { 'x-ssl-client-cert': pem, 'x-ssl-client-verify': 'SUCCESS', 'x-ssl-client-s-dn': 'CN=web1.example.com' },
  ];
  for (const headers of ways)
    assert.deepEqual(await show(headers), [401, 'signature_missing'], JSON.stringify(headers));

  // As the key of a signature, in the form of an Ed25519 signature and by its own name.
  const key = { key: createPrivateKey(own.key), dsaEncoding: 'ieee-p1363' } as unknown as KeyObject;
  const created = Math.floor(site.clock.now() / 1000);
  const named = `sig1=("@method" "@target-uri" "content-digest");created=${created};nonce="${'n'.repeat(24)}";keyid="${host.id}";alg="ecdsa-p256-sha256";tag="${host.serverId}"`;
  for (const [headers, code] of [
    [{}, 'signature_invalid'],
    [{ 'signature-input': named }, 'signature_malformed'],
  ] as const) {
    const answer = await host.send('GET', path, undefined, { key, headers });
    assert.deepEqual([answer.status, answer.body.error?.code], [401, code]);
  }
});

test('the certificate of a host opens LDAPS until the host is revoked, and then at once no more', async (t) => {
  const site = await open(t);
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const own = { cert: host.grant.certificate, key: host.tlsKey };
  const client = site.client(1, own);
  assert.equal((await site.find(client, '(uid=bob)')).length, 1);
  await assert.rejects(site.find(site.client(1), '(uid=bob)'), /0x32/, 'without a certificate');

  await site.app.hosts.revoke(host.id, { username: 'admin', remoteAddr: null });
  const cutOff = async (): Promise<boolean> =>
    site.find(client, '(uid=bob)').then(
      () => false,
      () => true,
    );
  // By itself the server looks half a minute after its start again.
  await whileStill(async () => !(await cutOff()), 12_000);
  assert.ok(await cutOff());
  await assert.rejects(site.find(site.client(1, own), '(uid=bob)'));
});

test('a host of the same name that enrols again is not its predecessor', async (t) => {
  const site = await open(t);
  const first = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  await site.app.hosts.revoke(first.id, { username: 'admin', remoteAddr: null });
  const second = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const clientOf = (host: typeof first) => site.client(1, { cert: host.grant.certificate, key: host.tlsKey });
  await assert.rejects(site.find(clientOf(first), '(uid=bob)'), /0x32/);
  assert.equal((await site.find(clientOf(second), '(uid=bob)')).length, 1);
});

test('a further authority vouches for hosts when it is named for that, and who signs the directory for none', async (t) => {
  const foreign = await createTestCa('an authority of the site');
  const { certificate, key } = await foreign.issue('web1.example.com', 'client');
  const reads = async (env: Record<string, string>): Promise<boolean> => {
    const site = await open(t, { env });
    await enrolTestHost(site.app, site.clock, 'web1.example.com');
    const found = site.find(site.client(1, { cert: certificate, key }), '(uid=bob)');
    return found.then(
      ({ length }) => length === 1,
      () => false,
    );
  };
  assert.equal(await reads({ IDENTREE_LDAP_TLS_CA_CERT: foreign.certificate }), true);
  assert.equal(await reads({ IDENTREE_LDAP_TLS_SERVER_CA_CERT: foreign.certificate }), false);
});

test('passwords of hosts work when they are switched on, and name the host they belong to', async (t) => {
  const site = await open(t, {
    env: { IDENTREE_LDAP_PROVISION_ENABLED: 'true', IDENTREE_LDAP_SECRET: SECRET.replace('b7', 'c8') },
  });
  await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const key = createHmac('sha256', SECRET.replace('b7', 'c8')).update('ldap-bind').digest();
  const password = (name: string) => createHmac('sha256', key).update(name).digest('hex');
  const dn = (name: string) => `uid=${name},ou=identree-hosts,${BASE}`;
  const client = site.client(0);
  await client.bind(dn('web1.example.com'), password('web1.example.com'));
  assert.equal((await site.find(client, '(uid=alice)')).length, 1);
  await assert.rejects(
    site.client(0).bind(dn('web2.example.com'), password('web2.example.com')),
    /0x31/,
    'not enrolled',
  );
});

test('a change of the source and a signed webhook: the answer changes, and nobody else may ask for it', async (t) => {
  const site = await open(t);
  const client = site.client(0);
  await client.bind(SERVICE.dn, SERVICE.password);
  await site.write(['alice', 'bob', 'carol'], [OPS]);
  const call = (body: string, signature: string) =>
    site.app.http.inject({
      method: 'POST',
      url: '/api/webhook/pocketid',
      headers: { 'content-type': 'application/json', 'x-webhook-signature': signature },
      payload: body,
    });
  const sign = (body: string) => `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
  assert.equal((await call('{}', sign('{ }'))).statusCode, 403);
  assert.equal((await call('{}', sign('{}'))).statusCode, 204);
  await site.app.directory!.directory.settled();
  assert.equal((await site.find(client, '(uid=carol)')).length, 1);
  assert.equal((await site.app.http.inject({ url: '/api/webhook/directory' })).statusCode, 405);
});

test('a new member of a group that makes root waits for an administrator, who sees who it is', async (t) => {
  const site = await open(t);
  const client = site.client(0);
  await client.bind(SERVICE.dn, SERVICE.password);
  const sudoUsers = async (): Promise<unknown> =>
    (await site.find(client, '(&(objectClass=sudoRole)(cn=ops))'))[0]?.sudoUser;
  await site.write(['alice', 'bob'], [{ ...OPS, members: ['alice', 'bob'] }]);
  site.app.directory!.directory.refresh('watch');
  await site.app.directory!.directory.settled();
  assert.equal(await sudoUsers(), 'alice');

  const olga = await signInTestPerson(site.app, site.provider, site.clock, 'olga', {
    groups: ['admins'],
    passkey: false,
  });
  const mallory = await signInTestPerson(site.app, site.provider, site.clock, 'mallory', { passkey: false });
  assert.equal((await mallory.query('directory.holds')).refusal, 'forbidden');
  const [held] = (await olga.query<{ id: string; digest: string; kind: string; detail: object }[]>('directory.holds'))
    .data;
  assert.equal(held?.kind, 'power_member');
  assert.match(JSON.stringify(held?.detail), /bob/);
  const { id, digest } = held!;
  assert.equal((await mallory.mutate('directory.confirm', { id, digest })).refusal, 'forbidden');
  assert.equal((await olga.mutate('directory.confirm', { id, digest: 'another' })).refusal, 'not_found');
  assert.equal((await olga.mutate('directory.confirm', { id, digest })).refusal, null);
  await site.app.directory!.directory.settled();
  assert.deepEqual(await sudoUsers(), ['alice', 'bob']);
});

test('a person who is disabled at the source: sessions end, what waits is denied, and nothing new begins', async (t) => {
  const site = await open(t);
  const who = { subject: 'sub-alice', passkey: false };
  const alice = await signInTestPerson(site.app, site.provider, site.clock, 'alice', who);
  const bob = await signInTestPerson(site.app, site.provider, site.clock, 'bob', {
    subject: 'sub-bob',
    passkey: false,
  });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const [hers, his] = [await host.create(), await host.create(host.record({ user: 'bob' }))];

  await site.write(['!alice', 'bob'], [OPS]);
  site.app.directory!.directory.refresh('watch');
  await site.app.directory!.directory.settled();
  assert.equal((await alice.query('sessions.list')).refusal, 'not_signed_in');
  assert.equal((await bob.query('sessions.list')).refusal, null);
  const answer = async (id: string) => (await host.send('GET', `/challenges/${id}?wait=0`)).body;
  const denied = await answer(hers.challengeId);
  assert.deepEqual([denied.status, typeof denied.verdict], ['denied', 'string']);
  assert.equal((await answer(his.challengeId)).status, 'pending');
  const refused = await host.send('POST', '/challenges', host.createBody());
  assert.deepEqual([refused.status, refused.body.error?.code], [403, 'account_disabled']);
  await assert.rejects(signInTestPerson(site.app, site.provider, site.clock, 'alice', who), /403/);

  const log = await site.app.events.read(0, 1000);
  const of = (event: string) =>
    log.filter((one) => one.event === event).map(({ username, actor }) => [username, actor]);
  assert.deepEqual(of('session_revoked'), [['alice', 'directory']]);
  assert.deepEqual(of('challenge_rejected'), [['alice', 'directory']]);
  assert.deepEqual(
    log.filter(({ event }) => event === 'login_failed').map(({ reason }) => reason),
    ['account_disabled'],
  );
});

for (const driver of ['sqlite', 'postgres'] as const) {
  test(`a stranger who signs in under a name that the directory gave to somebody else has nothing of it (${driver})`, {
    skip: driver === 'postgres' ? (whyNoPostgres() ?? false) : false,
  }, async (t) => {
    // The directory folds names: its account `mira` is of the person who signs in as `Mira`.
    const site = await open(t, {
      content: directoryFile(['alice', 'Mira'], [OPS]),
      ...(driver === 'postgres' ? { driver } : {}),
    });
    assert.equal((await site.find(await bound(site), '(uid=mira)')).length, 1);
    const stranger = await signInTestPerson(site.app, site.provider, site.clock, 'mira', { subject: 'a stranger' });
    const alice = await signInTestPerson(site.app, site.provider, site.clock, 'alice', { subject: 'sub-alice' });
    const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
    const hers = await host.create(host.record({ user: 'mira' }));
    await attempt(stranger, hers);
    const held = (await site.app.events.read(0, 1000)).filter(({ event }) => event === 'account_binding_held');
    assert.deepEqual(
      held.map(({ username, data }) => [username, data.subject]),
      [['mira', 'a stranger']],
    );
    assert.equal((await host.send('GET', `/challenges/${hers.challengeId}?wait=0`)).body.status, 'pending');

    // Who the directory names keeps what is hers.
    const own = await host.create(host.record({ user: 'alice' }));
    assert.deepEqual(
      (await inboxOf(alice)).map(({ userCode }) => userCode),
      [own.userCode],
    );
  });

  test(`who had signed in under a name before the directory gave it to somebody else loses it (${driver})`, {
    skip: driver === 'postgres' ? (whyNoPostgres() ?? false) : false,
  }, async (t) => {
    const site = await open(t, { ...(driver === 'postgres' ? { driver } : {}) });
    const before = await signInTestPerson(site.app, site.provider, site.clock, 'mira', { subject: 'was first' });
    const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
    assert.equal((await inboxOf(before)).length, 0);
    const asked = await host.create(host.record({ user: 'mira' }));
    assert.deepEqual(
      (await inboxOf(before)).map(({ userCode }) => userCode),
      [asked.userCode],
    );

    const admin = await signInTestPerson(site.app, site.provider, site.clock, 'root-admin', { groups: ['admins'] });
    await site.write(['alice', 'bob', 'Mira'], [OPS]);
    site.app.directory!.directory.refresh('watch');
    await site.app.directory!.directory.settled();
    const { data: holds } = await admin.query<{ id: string; digest: string; kind: string }[]>('directory.holds');
    const [hold] = holds.filter(({ kind }) => kind === 'binding');
    assert.equal((await admin.mutate('directory.confirm', { id: hold!.id, digest: hold!.digest })).refusal, null);
    await site.app.directory!.directory.settled();
    await attempt(before, asked);
  });
}

type Request = { userCode: string };
const inboxOf = async (person: TestPerson) => (await person.query<Request[]>('challenges.inbox')).data;

/** Everything that somebody could try with a request that is none of theirs. */
async function attempt(person: TestPerson, { userCode, challengeId }: { userCode: string; challengeId: string }) {
  assert.deepEqual(await inboxOf(person), []);
  assert.equal((await person.query('challenges.get', { code: userCode })).refusal, 'not_found');
  assert.equal((await person.mutate('challenges.approve', { challengeId })).refusal, 'not_found');
  assert.equal((await person.mutate('challenges.deny', { challengeId, reason: null })).refusal, 'not_found');
}

async function bound(site: Site): Promise<Client> {
  const client = site.client(0);
  await client.bind(SERVICE.dn, SERVICE.password);
  return client;
}

test('a person who vanished from the source is signed out, and who was never in it is not', async (t) => {
  const site = await open(t);
  const alice = await signInTestPerson(site.app, site.provider, site.clock, 'alice', {
    subject: 'sub-alice',
    passkey: false,
  });
  const guest = await signInTestPerson(site.app, site.provider, site.clock, 'guest', { passkey: false });
  await site.write(['bob', 'carol'], []);
  site.app.directory!.directory.refresh('watch');
  await site.app.directory!.directory.settled();
  assert.equal((await alice.query('sessions.list')).refusal, 'not_signed_in');
  assert.equal((await guest.query('sessions.list')).refusal, null);
});

test('PocketID is asked at the approval: who was disabled a moment ago is not approved by a snapshot', async (t) => {
  const pocketId = await startFakePocketId(t);
  const users = [
    { id: 'a1', username: 'alice' },
    { id: 'b1', username: 'olga' },
  ];
  pocketId.content = { users, groups: [] };
  const site = await open(t, {
    env: {
      IDENTREE_DIRECTORY_SOURCE: 'pocketid',
      IDENTREE_POCKETID_API_KEY: FAKE_API_KEY,
      IDENTREE_POCKETID_API_URL: pocketId.url,
      IDENTREE_OIDC_ISSUER_URL: 'https://idp.example.com',
    },
  });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const alice = await signInTestPerson(site.app, site.provider, site.clock, 'alice', { subject: 'a1' });
  const olga = await signInTestPerson(site.app, site.provider, site.clock, 'olga', {
    subject: 'b1',
    groups: ['admins'],
  });
  const approve = async (person: TestPerson) => {
    const asked = await host.create();
    const { data } = await person.query<Approval>('challenges.get', { code: asked.userCode });
    const assertion = person.passkey.assert(data.passkey!.options as never);
    const { refusal } = await person.mutate('challenges.approve', { challengeId: asked.challengeId, assertion });
    const { body } = await host.send('GET', `/challenges/${asked.challengeId}?wait=0`);
    return [refusal, body.status];
  };
  assert.deepEqual(await approve(olga), [null, 'approved']);
  // Signing in bound accounts, which reads the provider again: what is read from here on is read for an approval.
  await site.app.directory!.directory.settled();
  pocketId.content = { users: [users[0]!, { ...users[1]!, disabled: true } as never], groups: [] };
  assert.deepEqual(await approve(olga), ['account_disabled', 'pending'], 'the approver is disabled');
  // What was heard there is read for everybody; it must not be what is written next.
  await site.app.directory!.directory.settled();
  pocketId.content = { users: [{ ...users[0]!, disabled: true } as never, users[1]!], groups: [] };
  assert.deepEqual(await approve(alice), ['account_disabled', 'denied'], 'the one who asks is disabled');
});

test('administrators see what is served, and try a command with the groups that the directory knows', async (t) => {
  const rulesOf = { name: 'web', members: ['bob'] };
  const site = await open(t, {
    env: { IDENTREE_SUDO_SOURCE: 'both' },
    content: directoryFile(['alice', 'bob'], [OPS, rulesOf]),
  });
  const olga = await signInTestPerson(site.app, site.provider, site.clock, 'olga', {
    groups: ['admins'],
    passkey: false,
  });
  // Signing in bound an account, which builds the tree again.
  await site.app.directory!.directory.settled();
  const status = (await olga.query<Record<string, unknown>>('directory.status')).data;
  assert.deepEqual(
    [status.state, status.busy, status.held, status.sudoSource, status.counts],
    ['fresh', false, 0, 'both', { people: 2, groups: 4, sudoRules: 1 }],
  );
  const rule = { group: 'web', commands: ['/usr/bin/id'] };
  assert.ok((await olga.mutate<{ ok: boolean }>('sudoRules.create', { rule })).data.ok);
  const served = async () =>
    (await olga.query<{ cn: string; source: string; sudoUsers: string[] }[]>('sudoRules.served')).data;
  await whileStill(async () => (await served()).length < 2);
  assert.deepEqual(
    (await served()).map(({ cn, source, sudoUsers }) => [cn, source, sudoUsers]),
    [
      ['ops', 'claims', ['alice']],
      ['web', 'store', ['%web']],
    ],
  );
  const ask = async (name: string, groups?: string[]) =>
    (
      await olga.query<{ verdict: string; rule: string | null; groups: string[] }>('sudoRules.simulate', {
        user: { name, ...(groups ? { groups } : {}) },
        host: { names: ['web1'] },
        command: '/usr/bin/id',
      })
    ).data;
  const { verdict, rule: by, groups } = await ask('bob');
  assert.deepEqual([verdict, by, groups], ['allowed', 'web', ['bob', 'web']]);
  assert.equal((await ask('bob', [])).verdict, 'no_rule', 'groups that are given count, even none');
  assert.deepEqual((await ask('nobody-here')).groups, []);
  const mallory = await signInTestPerson(site.app, site.provider, site.clock, 'mallory', { passkey: false });
  for (const name of ['directory.status', 'directory.lints', 'sudoRules.list', 'sudoRules.served', 'scim.clients'])
    assert.equal((await mallory.query(name)).refusal, 'forbidden', name);
});

test('a name that was left is kept from a group until an administrator releases it', async (t) => {
  const site = await open(t);
  const client = site.client(0);
  await client.bind(SERVICE.dn, SERVICE.password);
  await site.write(['alice'], [OPS, { name: 'bob', members: ['alice'] }]);
  site.app.directory!.directory.refresh('watch');
  await site.app.directory!.directory.settled();
  const groupBob = async () => (await site.find(client, '(&(objectClass=posixGroup)(cn=bob))'))[0]?.memberUid;
  assert.equal(await groupBob(), undefined);
  const olga = await signInTestPerson(site.app, site.provider, site.clock, 'olga', {
    groups: ['admins'],
    passkey: false,
  });
  const lints = async () =>
    (await olga.query<{ code: string; subject: string; name?: string }[]>('directory.lints')).data.map(
      ({ code, subject, name }) => [code, subject, name],
    );
  const wide = ['sudo_equals_all', 'group ops', undefined];
  assert.deepEqual(await lints(), [['name_requarantined', 'group bob', 'bob'], wide]);
  assert.equal((await olga.mutate('directory.releaseName', { name: 'bob' })).refusal, null);
  await whileStill(async () => (await groupBob()) === undefined);
  assert.equal(await groupBob(), 'alice');
  assert.deepEqual(await lints(), [wide]);
});

test('bridge mode: rules of the database and nothing else, changed in the console and visible at once', async (t) => {
  const site = await open(t, { env: { IDENTREE_DIRECTORY_SOURCE: 'none' } });
  const client = site.client(0);
  await client.bind(SERVICE.dn, SERVICE.password);
  const olga = await signInTestPerson(site.app, site.provider, site.clock, 'olga', {
    groups: ['admins'],
    passkey: false,
  });
  const rule = { group: 'ops', commands: ['/usr/bin/apt'] };
  const made = await olga.mutate<{ ok: boolean }>('sudoRules.create', { rule, acknowledged: true });
  assert.deepEqual([made.refusal, made.data.ok], [null, true]);
  const served = async (): Promise<unknown> => (await site.find(client, '(cn=ops)'))[0]?.sudoUser;
  await whileStill(async () => (await served()) === undefined);
  assert.equal(await served(), '%ops');
  // Empty would make a sssd that is set up wrongly delete every user it knows.
  await assert.rejects(client.search(`ou=people,${BASE}`, { scope: 'sub', filter: '(uid=*)' }), /0x20/);
});

test('two servers on one database: numbers are the same, and a rule made at one is served by the other', {
  skip: whyNoPostgres() ?? false,
}, async (t) => {
  const site = await open(t, { driver: 'postgres', env: { IDENTREE_SUDO_SOURCE: 'both' } });
  const other = await site.replica();
  await other.start();
  await other.directory!.directory.settled();
  const clients = [site.app, other].map((app) => {
    const made = new Client({ url: `ldap://localhost:${app.directory!.ports()[0]}` });
    t.after(() => made.unbind());
    return made;
  });
  for (const client of clients) await client.bind(SERVICE.dn, SERVICE.password);
  const everywhere = (filter: string) => Promise.all(clients.map((client) => site.find(client, filter, ['*', '+'])));
  const [here, there] = await everywhere('(objectClass=posixAccount)');
  assert.equal(here!.length, 2);
  assert.deepEqual(here, there, 'with the same numbers, times and update numbers');

  const actor = { username: 'olga', remoteAddr: null };
  const rule = ruleInput.parse({ group: 'web', commands: ['/usr/bin/id'] });
  assert.ok((await site.app.directory!.rules.create(rule, true, actor)).ok);
  const served = async () => (await everywhere('(&(objectClass=sudoRole)(cn=web))')).map(({ length }) => length);
  await whileStill(async () => (await served()).includes(0));
  assert.deepEqual(await served(), [1, 1]);
});

test('after a restart while the source is gone, what was served last is served at once', async (t) => {
  const site = await open(t);
  await site.write(['alice'], []);
  await site.app.close();
  const file = site.config.directory.file!;
  await rm(file);
  const again = await createApp(site.config, { clock: site.clock, provider: site.provider });
  t.after(() => again.close());
  await again.start();
  const client = new Client({ url: `ldap://localhost:${again.directory!.ports()[0]}` });
  t.after(() => client.unbind());
  await client.bind(SERVICE.dn, SERVICE.password);
  assert.equal((await site.find(client, '(uid=bob)')).length, 1);
  await again.directory!.directory.settled();
  assert.equal((await site.find(client, '(uid=bob)')).length, 1);
  assert.equal(again.directory!.directory.status().problem, `${file}: ENOENT`);
});

test('without a directory its operations say so, and nothing answers for it', async (t) => {
  const provider = createTestProvider();
  const site = await createTestApp({ app: { provider } });
  t.after(() => site.close());
  await site.app.start();
  const olga = await signInTestPerson(site.app, provider, site.clock, 'olga', { groups: ['admins'], passkey: false });
  assert.equal((await olga.query('directory.status')).data, null);
  for (const name of ['directory.holds', 'sudoRules.list', 'scim.clients']) {
    assert.equal((await olga.query(name)).refusal, 'directory_off', name);
  }
  assert.equal((await site.app.http.inject({ url: '/scim/v2/Users' })).statusCode, 404);
  const { checks } = (await site.app.http.inject({ url: '/healthz' })).json() as { checks: object };
  assert.deepEqual(Object.keys(checks), ['proxy', 'disk', 'database', 'policy', 'oidc', 'event_log', 'event_readers']);
});

test('[M-01] [M-10] health and metrics carry the names of the operations guide', async (t) => {
  const site = await open(t);
  const health = (await site.app.http.inject({ url: '/healthz' })).json() as { checks: Record<string, string> };
  assert.deepEqual([health.checks.ldap_sync, health.checks.ldap_server], ['ok', 'ok']);
  site.clock.advance(1.6 * 300_000);
  const stale = await site.app.http.inject({ url: '/healthz' });
  assert.equal(stale.statusCode, 503);
  assert.equal((stale.json() as { checks: Record<string, string> }).checks.ldap_sync, 'stale');
  await assert.rejects(site.client(0).bind(SERVICE.dn, 'wrong-password'));
  const metrics = (await site.app.http.inject({ url: '/metrics' })).body;
  for (const line of [
    /^identree_ldap_sync_failures_total 0$/m,
    /^identree_ldap_bind_failures_total 1$/m,
    /^identree_ldap_directory_entries\{kind="people"\} 2$/m,
    /^identree_ldap_queries_total\{base="people"\} \d+$/m,
    /^identree_ldap_search_duration_seconds_bucket\{le="\+Inf"\} \d+$/m,
  ]) {
    assert.match(metrics, line);
  }
});
