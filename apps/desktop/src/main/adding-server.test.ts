import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CHANNELS } from '../channels.ts';
import type { SetupState } from '../setup-state.ts';
import { createCredentialStore } from './credential-store.ts';
import { tlsCertificates } from './pinned-http.ts';
import type { HttpPort, SecretsPort } from './ports.ts';
import { boundsFile, profileFile } from './profile.ts';
import { certificateFacts } from './server-certificate.ts';
import { settingsFile } from './settings.ts';
import { createShell } from './shell.ts';
import { selfSigned, startTlsServer, type TestCertificate, testAuthority } from './testing/certificates.ts';
import { fakePorts, fakeSecrets } from './testing/fake-ports.ts';
import { NOBODY } from './testing/fake-server.ts';
import { until } from './testing/until.ts';

type Step<S extends SetupState['step']> = Extract<SetupState, { step: S }>;

/** A shell, a server with this certificate, and a system that trusts it or does not. */
async function setUp(
  t: TestContext,
  certificate: TestCertificate,
  options: {
    isTrusted?: boolean;
    /** As Chromium calls what is wrong with the certificate. */
    refusal?: string;
    /** What answers at the address where the system trusts it; an identree when not given. */
    site?: () => Response;
    answer?: (path: string) => string | Promise<string>;
    /** The keychain is asked to keep something, and does so when this is done. */
    keychain?: () => Promise<void>;
    /** The person agrees in the browser. */
    agrees?: boolean;
  } = {},
) {
  const server = await startTlsServer(certificate, options.answer);
  t.after(() => server.close());
  const folder = mkdtempSync(join(tmpdir(), 'identree-adding-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const opened: string[] = [];
  let file: string | null = null;
  /** As Chromium answers. */
  const asked: string[] = [];
  const http: HttpPort = {
    fetch(url) {
      asked.push(new URL(url).pathname);
      return options.isTrusted
        ? Promise.resolve(options.site?.() ?? new Response(NOBODY))
        : Promise.reject(new Error(`net::${options.refusal ?? 'ERR_CERT_AUTHORITY_INVALID'}`));
    },
  };
  const sealed = fakeSecrets();
  const secrets: SecretsPort = {
    ...sealed,
    async encrypt(text) {
      await options.keychain?.();
      return sealed.encrypt(text);
    },
  };
  const desk = fakePorts({
    http,
    secrets,
    certificates: tlsCertificates,
    file: () => file,
    opener: {
      async open(origin, link) {
        opened.push(origin);
        if (options.agrees && link.kind === 'sign-in') {
          void fetch(`${link.redirectUri}?${new URLSearchParams({ code: 'c'.repeat(20), state: link.state })}`);
        }
        return true;
      },
    },
  });
  desk.clock.at = Date.now();
  const shell = createShell({
    ports: desk.ports,
    profiles: profileFile(folder),
    bounds: boundsFile(folder),
    settings: settingsFile(folder),
    credentials: createCredentialStore({ folder, secrets, clock: { now: () => Date.now() } }),
    files: { console: () => null, setup: () => null },
    random: randomBytes,
    language: 'en',
    version: '0.0.0',
    platform: 'test',
  });
  t.after(shell.stop);
  await shell.start();
  async function state<S extends SetupState['step']>(step: S): Promise<Step<S>> {
    const now = (await desk.send(CHANNELS.setupState)) as SetupState;
    assert.equal(now.step, step);
    return now as Step<S>;
  }
  return {
    ...desk,
    server,
    folder,
    opened,
    /** What was asked by the client that takes what the system trusts. */
    asked,
    state,
    add: () => desk.send(CHANNELS.saveServer, server.origin),
    /** The person chooses this file; comes back once the page says what came of it. */
    async choose(text: string | null) {
      file = text;
      const before = JSON.stringify(await desk.send(CHANNELS.setupState));
      await desk.send(CHANNELS.chooseAuthority);
      await until('an answer', async () => JSON.stringify(await desk.send(CHANNELS.setupState)) !== before);
    },
  };
}

test('a server that nobody vouches for is shown with its certificate, and gets nothing before the person agrees', async (t) => {
  const own = await selfSigned();
  const { add, state, send, server, opened } = await setUp(t, own);
  await add();
  const shown = await state('certificate');
  assert.deepEqual(shown.certificate, certificateFacts(own.certificate));
  assert.deepEqual([shown.authority, shown.fault, shown.notice, shown.isTrusted], [null, null, null, false]);
  await send(CHANNELS.startSignIn);
  assert.deepEqual(opened, []);
  assert.deepEqual(server.seen, []);
  await send(CHANNELS.trustCertificate, shown.certificate.fingerprint);
  const next = await state('sign-in');
  assert.deepEqual([next.isPinned, next.keychain], [true, null]);
  assert.deepEqual(next.certificate, shown.certificate);
  assert.deepEqual(server.seen, ['GET /trpc/me.get'], 'without a word of who asks');
  await send(CHANNELS.startSignIn);
  await until('the browser', () => opened.length === 1);
});

test('what is agreed to is what was shown: another fingerprint agrees to nothing', async (t) => {
  const { add, state, send } = await setUp(t, await selfSigned());
  await add();
  const other = certificateFacts((await selfSigned()).certificate).fingerprint;
  for (const wrong of [other, '', 'x']) await send(CHANNELS.trustCertificate, wrong);
  await state('certificate');
  for (const shape of [null, undefined, 1, {}, 'x'.repeat(201)]) {
    await assert.rejects(send(CHANNELS.trustCertificate, shape), /refused/);
  }
});

test('one for another name, or out of its time, cannot be agreed to at all', async (t) => {
  for (const [fault, certificate] of [
    ['other_name', await selfSigned({ names: ['other.example.com'] })],
    ['expired', await selfSigned({ from: -30, until: -1 })],
    ['not_yet_valid', await selfSigned({ from: 1 })],
  ] as const) {
    const { add, state, send } = await setUp(t, certificate);
    await add();
    const shown = await state('certificate');
    assert.equal(shown.fault, fault);
    await send(CHANNELS.trustCertificate, shown.certificate.fingerprint);
    await state('certificate');
  }
});

test('an authority is taken when it vouches for the server, and is what is kept', async (t) => {
  const authority = await testAuthority();
  const { add, state, send, choose } = await setUp(t, await authority.issue());
  await add();
  await choose('no certificate');
  assert.equal((await state('certificate')).notice, 'not_a_certificate');
  await choose((await testAuthority()).pem);
  assert.equal((await state('certificate')).notice, 'not_its_authority');
  await choose(authority.pem);
  const shown = await state('certificate');
  assert.deepEqual([shown.notice, shown.authority], [null, certificateFacts(authority.pem)]);
  await send(CHANNELS.trustCertificate, shown.certificate.fingerprint);
  await state('certificate');
  await send(CHANNELS.trustCertificate, shown.authority!.fingerprint);
  assert.deepEqual((await state('sign-in')).certificate, certificateFacts(authority.pem));
});

test('a server that the system trusts is shown with its certificate too, and can be held to one authority', async (t) => {
  const authority = await testAuthority();
  const issued = await authority.issue();
  const { add, state, send, choose } = await setUp(t, issued, { isTrusted: true });
  await add();
  const first = await state('sign-in');
  assert.deepEqual(first.certificate, certificateFacts(issued.certificate));
  assert.equal(first.isPinned, false);
  await choose(authority.pem);
  const shown = await state('certificate');
  assert.equal(shown.isTrusted, true);
  await send(CHANNELS.trustCertificate, shown.authority!.fingerprint);
  assert.equal((await state('sign-in')).isPinned, true);
});

test('whoever turns to another server has agreed to nothing', async (t) => {
  const { add, state, send, server, menu, folder } = await setUp(t, await selfSigned());
  await add();
  const { certificate } = await state('certificate');
  await send(CHANNELS.changeServer);
  await send(CHANNELS.trustCertificate, certificate.fingerprint);
  await state('server');
  menu.choose({ do: 'add-server' });
  await state('server');
  assert.deepEqual(server.seen, []);
  assert.throws(() => readFileSync(join(folder, 'profile.json')), /ENOENT/);
});

/** A credential as the server gives it, and a wait that the test ends. */
function grant() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const credential = `credential-${'x'.repeat(32)}`;
  return { promise, resolve, credential, text: JSON.stringify({ credential, expiresAt: Date.now() + 3_600_000 }) };
}

test('a sign-in that was left while the server answered is taken back at that server, and told to nobody else', async (t) => {
  const given = grant();
  const { add, state, send, server, asked } = await setUp(t, await selfSigned(), {
    agrees: true,
    async answer(path) {
      if (path !== '/api/desktop/token') return NOBODY;
      await given.promise;
      return given.text;
    },
  });
  await add();
  const shown = await state('certificate');
  await send(CHANNELS.trustCertificate, shown.certificate.fingerprint);
  await send(CHANNELS.startSignIn);
  await until('the exchange', () => server.seen.includes('POST /api/desktop/token'));
  await send(CHANNELS.changeServer);
  await state('server');
  given.resolve();
  const signOut = '/trpc/sessions.signOut';
  await until('the end of the session', () => asked.includes(signOut) || server.seen.length > 2);
  assert.deepEqual(asked, ['/trpc/me.get']);
  assert.equal(server.seen[2], `POST ${signOut} Bearer ${given.credential}`);
});

test('a server that the person leaves while the keychain opens is followed by what was agreed to alone', async (t) => {
  const keychain = grant();
  let isAsked = false;
  const { add, state, send, server, asked } = await setUp(t, await selfSigned(), {
    agrees: true,
    keychain() {
      isAsked = true;
      return keychain.promise;
    },
    answer: (path) => (path === '/api/desktop/token' ? keychain.text : NOBODY),
  });
  await add();
  const shown = await state('certificate');
  await send(CHANNELS.trustCertificate, shown.certificate.fingerprint);
  await send(CHANNELS.startSignIn);
  await until('the keychain', () => isAsked);
  await send(CHANNELS.changeServer);
  keychain.resolve();
  const events = '/api/events';
  await until('the events', () => asked.includes(events) || server.seen.some((line) => line.includes(events)));
  assert.deepEqual(asked, ['/trpc/me.get']);
  await state('server');
});

test('a server that does not answer is said at once, also one on this computer', async (t) => {
  const { send, state, asked } = await setUp(t, await selfSigned(), { refusal: 'ERR_CONNECTION_REFUSED' });
  await send(CHANNELS.saveServer, 'http://localhost:1');
  const shown = await state('sign-in');
  assert.deepEqual([shown.notice, shown.certificate, asked], ['server_unreachable', null, ['/trpc/me.get']]);
});

test('an agreement does not overrule what the system knows of a certificate that it would trust', async (t) => {
  const { add, state, send, server } = await setUp(t, await selfSigned(), { refusal: 'ERR_CERT_REVOKED' });
  await add();
  const shown = await state('sign-in');
  assert.deepEqual([shown.notice, shown.isPinned], ['certificate_refused', false]);
  await send(CHANNELS.trustCertificate, shown.certificate!.fingerprint);
  assert.equal((await state('sign-in')).isPinned, false);
  assert.deepEqual(server.seen, []);
});

const html =
  (status: number, headers: Record<string, string> = {}) =>
  () =>
    new Response('<!doctype html><title>Hello</title>', {
      status,
      headers: { 'content-type': 'text/html', ...headers },
    });

test('what is no identree is said before it is added, with what was typed, and no browser opens', async (t) => {
  const authority = await testAuthority();
  const issued = await authority.issue();
  for (const [site, problem] of [
    [html(200), 'another_site'],
    [html(302, { location: 'https://example.com/' }), 'another_site'],
    [() => Response.json({ ok: true }), 'another_site'],
    [() => new Response('x'.repeat(100_000)), 'another_site'],
    [html(404), { status: 404 }],
    [html(502), { status: 502 }],
    [() => Response.json({ result: { data: null } }, { status: 503 }), { status: 503 }],
  ] as const) {
    const { state, send, server, folder } = await setUp(t, issued, { isTrusted: true, site });
    const typed = ` ${server.origin}/approve `;
    await send(CHANNELS.saveServer, typed);
    const shown = await state('server');
    assert.deepEqual([shown.problem, shown.origin], [problem, typed]);
    await send(CHANNELS.startSignIn);
    await send(CHANNELS.chooseAuthority);
    await state('server');
    assert.throws(() => readFileSync(join(folder, 'profile.json')), /ENOENT/);
  }
});

test('what speaks no TLS is said to do so, not that its certificate was refused', async (t) => {
  for (const [refusal, problem] of [
    ['ERR_SSL_PROTOCOL_ERROR', 'no_tls'],
    ['ERR_INVALID_HTTP_RESPONSE', 'another_site'],
  ] as const) {
    const { state, send } = await setUp(t, await selfSigned(), { refusal });
    await send(CHANNELS.saveServer, 'https://localhost:1');
    const shown = await state('server');
    assert.deepEqual([shown.problem, shown.origin], [problem, 'https://localhost:1']);
  }
});

test('what is no identree is not added either once its certificate was agreed to: nobody could ask it before', async (t) => {
  const { add, state, send, server, opened } = await setUp(t, await selfSigned(), { answer: () => '{"ok":true}' });
  await add();
  const { certificate } = await state('certificate');
  await send(CHANNELS.trustCertificate, certificate.fingerprint);
  const shown = await state('server');
  assert.deepEqual([shown.problem, shown.origin], ['another_site', server.origin]);
  await send(CHANNELS.startSignIn);
  assert.deepEqual([server.seen, opened], [['GET /trpc/me.get'], []]);
});

test('whoever leaves while it is looked at what answers is not led back', async (t) => {
  const answered = grant();
  const { add, state, send, server } = await setUp(t, await selfSigned(), {
    async answer() {
      await answered.promise;
      return NOBODY;
    },
  });
  await add();
  const { certificate } = await state('certificate');
  const agreed = send(CHANNELS.trustCertificate, certificate.fingerprint);
  await until('the question', () => server.seen.length === 1);
  await send(CHANNELS.changeServer);
  answered.resolve();
  await agreed;
  await state('server');
});
