import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Client } from 'ldapts';
import { listSettings } from '../config/config.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { TEST_ISSUER, testUser } from '../directory/scim/test-scim.ts';
import { createLogger } from '../platform/logger.ts';
import { createTestApp } from '../testing/test-app.ts';
import { enrolBody, enrolTestHost, sendEnrol } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, testStranger } from '../testing/test-person.ts';
import { until } from './testing/audit-kit.ts';
import { httpReceiver } from './testing/http-receiver.ts';

/** What a secret could look like where it must not be. */
function shapesOf(secret: string): string[] {
  const bytes = [Buffer.from(secret), ...(/^([0-9a-f]{2})+$/.test(secret) ? [Buffer.from(secret, 'hex')] : [])];
  const encoded = bytes.flatMap((one) => [one.toString('base64').replace(/=+$/, ''), one.toString('base64url')]);
  return [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    ...encoded,
    bytes[0]!.toString('hex'),
  ];
}

const closing: (() => unknown)[] = [];
const t = { after: (run: () => unknown) => void closing.push(run) };
after(async () => {
  for (const close of closing.toReversed()) await close();
});

/** Tokens of audit sinks: of the first of a kind, and of further ones. */
const SINK_TOKENS = listSettings().flatMap(({ meta }) =>
  meta.secret && meta.section === 'Audit' ? [meta.env as string] : [],
);
const SINKS = ['IDENTREE_AUDIT_SPLUNK_HEC_TOKEN', 'IDENTREE_AUDIT_LOKI_TOKEN'];

/** Secrets of settings that some installation here was given. */
const planted = new Set<string>();

/** A server with a canary in each of these settings, and everything that it says to anybody. */
async function install(secretSettings: readonly string[], env: Record<string, string>, dsn = false) {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-canaries-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  /** What it is → the secret. */
  const canaries = new Map<string, string>();
  const plant = (what: string, secret = randomBytes(32).toString('hex')): string => {
    canaries.set(what, secret);
    return secret;
  };
  for (const name of secretSettings) planted.add(name);
  const secrets = Object.fromEntries(secretSettings.map((name) => [name, plant(name)]));
  // A password in an address is in the name of a file here.
  if (dsn) {
    planted.add('IDENTREE_DATABASE_DSN');
    secrets.IDENTREE_DATABASE_DSN = join(folder, plant('IDENTREE_DATABASE_DSN'));
  }
  const said: string[] = [];
  const splunk = await httpReceiver(t, () => ({ status: 200, body: '{"text":"Success","code":0}' }));
  const loki = await httpReceiver(t, () => ({ status: 204 }));
  const syslog = createSocket('udp4');
  syslog.on('message', (message) => void said.push(message.toString('utf8')));
  syslog.bind(0, '127.0.0.1');
  await once(syslog, 'listening');
  t.after(() => syslog.close());
  const file = join(folder, 'directory.json');
  const users = [{ id: 'sub-alice', username: 'alice', issuer: 'https://idp.example.com' }];
  await writeFile(file, JSON.stringify({ users, groups: [] }), { mode: 0o600 });
  const provider = createTestProvider();
  const site = await createTestApp({
    env: {
      IDENTREE_AUDIT_LOG: 'stdout',
      IDENTREE_AUDIT_SYSLOG_URL: `udp://127.0.0.1:${syslog.address().port}`,
      ...Object.fromEntries(
        secretSettings
          .filter((name) => SINK_TOKENS.includes(name))
          .map((name) => [name.replace(/TOKEN$/, 'URL'), name.includes('LOKI') ? loki.url : splunk.url]),
      ),
      IDENTREE_DIRECTORY_FILE: file,
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: '127.0.0.1:0',
      ...env,
      ...secrets,
    },
    app: {
      provider,
      log: createLogger('debug', { write: (line) => void said.push(line) }),
      output: {
        write(text, done) {
          said.push(text);
          done();
        },
        on: () => {},
      },
    },
    now: Date.now(),
  });
  t.after(() => site.close());
  await site.app.start();
  await site.app.directory?.directory.settled();
  const { app } = site;
  return {
    ...site,
    provider,
    plant,
    signIn: (name: string, options: Parameters<typeof signInTestPerson>[4] = {}) =>
      signInTestPerson(app, provider, site.clock, name, options),
    /** Everything is out, and no canary is in it. */
    async check(): Promise<void> {
      const { seq } = await app.events.head();
      await until(async () =>
        (await app.readers.status()).every((reader) => !reader.reader.startsWith('audit ') || reader.seq >= seq),
      );
      await until(() => said.some((one) => one.startsWith('<') && one.includes(`seq="${seq}"`)));
      const events = JSON.stringify(await app.events.read(0, 10_000));
      const metrics = (
        await app.http.inject({
          url: '/metrics',
          headers: { authorization: `Bearer ${app.config.metricsToken ?? ''}` },
        })
      ).body;
      assert.ok(metrics.includes('identree_audit_events_total'));
      const places = {
        'an event': events,
        'what the server logged or wrote': said.join('\n'),
        Splunk: splunk.received.map(({ body }) => body).join('\n'),
        Loki: loki.received.map(({ body }) => body).join('\n'),
        'the metrics': metrics,
        'the health report': JSON.stringify(await app.health()),
      };
      for (const [place, text] of Object.entries(places))
        assert.ok(text.length > 100 || place.includes('health'), place);
      for (const [what, secret] of canaries) {
        for (const shape of shapesOf(secret))
          for (const [place, text] of Object.entries(places))
            assert.ok(!text.includes(shape), `${what} is in ${place}`);
      }
    },
  };
}

describe('[A-14] no secret is in an event, a sink, a log line or a metric', { concurrency: true }, () => {
  test('of those that people, hosts and programs bring, and those of the settings that they are checked by', async () => {
    const settings = [
      ...SINK_TOKENS,
      'IDENTREE_METRICS_TOKEN',
      'IDENTREE_OIDC_CLIENT_SECRET',
      'IDENTREE_SHARED_SECRET',
      'IDENTREE_WEBHOOK_SECRET',
      'IDENTREE_LDAP_BIND_PASSWORD',
      'IDENTREE_LDAP_SECRET',
      'IDENTREE_LDAP_SECRET_PREVIOUS',
      'IDENTREE_ESCROW_ENCRYPTION_KEY',
      'IDENTREE_ESCROW_ENCRYPTION_KEY_PREVIOUS',
    ];
    const s = await install(
      settings,
      {
        IDENTREE_DIRECTORY_SOURCE: 'file',
        IDENTREE_LDAP_BIND_DN: 'cn=readonly,dc=example,dc=com',
        IDENTREE_ESCROW_BACKEND: 'local',
        IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
      },
      true,
    );
    const { app, clock, plant, config } = s;
    // People: cookies, tokens of forms, codes and states of a sign-in, desktop credentials, recovery codes.
    const olga = await s.signIn('olga', { groups: ['admins'] });
    const alice = await s.signIn('alice', { subject: 'sub-alice' });
    for (const person of [olga, alice]) {
      for (const [name, value] of person.browser.jar) plant(`cookie ${name} of somebody`, value);
      plant('token of a form', person.csrf);
    }
    const { browser } = await testStranger(app, s.provider, clock);
    const state = await browser.beginSignIn();
    plant('state of a sign-in', state);
    for (const [name, value] of browser.jar) plant(`cookie ${name} while signing in`, value);
    s.provider.next = { ok: false, problem: 'invalid_answer', detail: 'the provider said no' };
    await browser.get(`/callback?code=${plant('code of a sign-in')}&state=${encodeURIComponent(state)}`);
    await browser.get(`/callback?code=${plant('stray code')}&state=${plant('stray state')}`);
    const again = await s.signIn('alice', { subject: 'sub-alice', passkey: false });
    plant('credential of a desktop app', (await again.browser.desktopApp()).credential);
    const people = (await olga.query<{ id: string; username: string }[]>('people.list')).data;
    const personId = people.find(({ username }) => username === 'alice')!.id;
    const { data } = await olga.mutate<{ code: string }>('people.createRecoveryCode', { personId });
    plant('recovery code', data.code);
    await again.mutate('passkeys.registrationOptions', { recoveryCode: data.code });
    await again.mutate('passkeys.registrationOptions', { recoveryCode: plant('wrong recovery code') });
    for (const url of ['/trpc/me.get', '/metrics', '/scim/v2/Users', '/api/events', '/no/such/page'])
      await app.http.inject({
        url: `${url}?token=${plant(`token in the address of ${url}`)}`,
        headers: { authorization: `Bearer ${plant(`bearer at ${url}`)}`, cookie: `x=${plant(`cookie at ${url}`)}` },
      });
    // Hosts: tokens, shared secret, keys, passwords.
    const made = await olga.mutate<{ token: string }>('hosts.createToken', { hostname: 'db1.example.com' });
    plant('enrolment token', made.data.token);
    const enrolment = await enrolBody('db1.example.com', { token: made.data.token });
    plant('key for TLS of a host', enrolment.tlsKey.split('\n')[1]!);
    plant('key of a host', String(enrolment.key.export({ type: 'pkcs8', format: 'pem' })).split('\n')[1]!);
    assert.equal((await sendEnrol(app, clock, enrolment)).status, 200);
    await sendEnrol(app, clock, await enrolBody('db2.example.com', { sharedSecret: config.sharedSecret! }));
    await sendEnrol(app, clock, await enrolBody('db3.example.com', { sharedSecret: plant('wrong shared secret') }));
    await sendEnrol(app, clock, await enrolBody('db4.example.com', { token: plant('wrong enrolment token') }));
    const host = await enrolTestHost(app, clock, 'web1.example.com');
    const about = { id: randomUUID(), type: 'random', createdAt: clock.now() };
    const password = plant('break-glass password');
    const kept = await host.send('POST', '/break-glass/escrow', { ...about, password });
    assert.equal(kept.status, 200, JSON.stringify(kept.body));
    await host.send('POST', '/break-glass/escrow', {
      ...about,
      id: 'none',
      password: plant('password of a bad request'),
    });
    const which = { hostId: host.id, reason: 'the network is down' };
    const asked = await olga.mutate('breakGlass.revealOptions', which);
    const assertion = olga.passkey.assert(asked.data as never);
    const shown = await olga.mutate<{ password: string }[]>('breakGlass.reveal', { ...which, assertion });
    assert.deepEqual(
      shown.data.map((one) => one.password),
      [password],
    );
    // Programs: the webhook, the directory, the metrics.
    for (const signature of [plant('wrong signature of a webhook'), 'sha256=00'])
      await app.http.inject({
        method: 'POST',
        url: '/api/webhook/pocketid',
        headers: { 'x-webhook-signature': signature, 'content-type': 'application/json' },
        payload: JSON.stringify({ secret: plant('body of a webhook') }),
      });
    const [port] = app.directory!.ports();
    for (const [dn, word] of [
      ['cn=readonly,dc=example,dc=com', config.ldap!.service!.password],
      ['cn=readonly,dc=example,dc=com', plant('wrong password of the directory')],
      ['uid=alice,ou=people,dc=example,dc=com', plant('password of a person at the directory')],
      ['cn=nobody,dc=example,dc=com', plant('password beside a name that nobody has')],
    ] as const) {
      const client = new Client({ url: `ldap://127.0.0.1:${port}`, timeout: 60_000, connectTimeout: 60_000 });
      await client.bind(dn, word).catch(() => {});
      await client.unbind();
    }
    await s.check();
  });

  test('of those that the server shows to others, who refuse them', async () => {
    const refusing = await httpReceiver(t, () => ({ status: 401, body: '{"errors":["permission denied"]}' }));
    const s = await install(
      ['IDENTREE_METRICS_TOKEN', ...SINKS, 'IDENTREE_POCKETID_API_KEY', 'IDENTREE_ESCROW_AUTH_SECRET'],
      {
        IDENTREE_DIRECTORY_SOURCE: 'pocketid',
        IDENTREE_POCKETID_API_URL: refusing.url,
        IDENTREE_ESCROW_BACKEND: 'vault',
        IDENTREE_ESCROW_URL: refusing.url,
        IDENTREE_ESCROW_PATH: 'secret/identree',
      },
    );
    const host = await enrolTestHost(s.app, s.clock, 'web1.example.com');
    const about = { id: randomUUID(), type: 'random', createdAt: s.clock.now() };
    const kept = await host.send('POST', '/break-glass/escrow', {
      ...about,
      password: s.plant('break-glass password'),
    });
    assert.equal(kept.body.error?.code, 'escrow_failed');
    await until(() => refusing.received.length >= 2);
    await s.check();
  });

  test('of SCIM clients', async () => {
    const s = await install(['IDENTREE_METRICS_TOKEN', ...SINKS], { IDENTREE_DIRECTORY_SOURCE: 'scim' });
    const { scim } = s.app.directory!;
    const client = { name: 'idp', issuer: TEST_ISSUER, sudo: false, days: 30 };
    const made = await scim.createClient(client, { username: 'olga', remoteAddr: null });
    s.plant('SCIM token', made.token);
    const post = (token: string, body: object) =>
      s.app.http.inject({
        method: 'POST',
        url: '/scim/v2/Users',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
        payload: JSON.stringify(body),
      });
    const password = s.plant('password of a SCIM user');
    const answer = await post(made.token, testUser('alice', { password }));
    assert.equal(answer.statusCode, 201, answer.body);
    await post(made.token, { userName: 3, password: s.plant('password of a bad SCIM user') });
    await post(s.plant('wrong SCIM token'), testUser('bob'));
    await scim.revokeClient(made.id, { username: 'olga', remoteAddr: null });
    await post(made.token, testUser('carol'));
    await s.check();
  });
});

test('[A-14] every setting that is a secret has a canary in it', () => {
  const secret = listSettings().flatMap(({ meta }) => (meta.secret ? [meta.env as string] : []));
  assert.deepEqual([...planted].sort(), secret.sort());
});
