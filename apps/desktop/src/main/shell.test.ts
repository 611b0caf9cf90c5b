import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CHANNELS } from '../channels.ts';
import type { SetupState } from '../setup-state.ts';
import { createCredentialStore } from './credential-store.ts';
import type { ExternalLink } from './external-link.ts';
import type { OpenerPort } from './ports.ts';
import { boundsFile, partitionOf, profileFile } from './profile.ts';
import { createShell } from './shell.ts';
import { fakePorts, fakeSecrets } from './testing/fake-ports.ts';
import { startFakeServer } from './testing/fake-server.ts';

type SignInLink = Extract<ExternalLink, { kind: 'sign-in' }>;
const FILE = { type: 'text/html; charset=utf-8', bytes: Buffer.from('<p>page') };
const LINK = { kind: 'approve', code: 'ABCDEF-123456' } as const;

async function until(what: string, check: () => unknown): Promise<void> {
  for (let i = 0; i < 6000; i++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`waited for ${what}`);
}

async function setUp(t: TestContext, options: { keychain?: boolean; visit?: boolean; status?: () => number } = {}) {
  const server = await startFakeServer((request, response) => {
    const status = request.url.startsWith('/trpc/sessions.signOut') ? 200 : (options.status?.() ?? 200);
    response.writeHead(status, { 'content-type': 'application/json' }).end('{"result":{"data":[]}}');
  });
  t.after(() => server.close());
  const folder = mkdtempSync(join(tmpdir(), 'identree-shell-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const opened: { origin: string; link: ExternalLink }[] = [];
  const visit = async (link: SignInLink) => {
    const code = server.consent(link.codeChallenge);
    await fetch(`${link.redirectUri}?${new URLSearchParams({ code, state: link.state })}`);
  };
  const opener: OpenerPort = {
    async open(origin, link) {
      opened.push({ origin, link });
      if (link.kind === 'sign-in' && options.visit !== false) void visit(link);
      return true;
    },
  };
  const secrets = fakeSecrets({ available: options.keychain ?? true });
  async function start() {
    const desk = fakePorts({ opener, secrets });
    // The real clock decides about the credential's life, the fake one about the pace of clicks.
    const credentials = createCredentialStore({ folder, secrets, clock: { now: () => Date.now() } });
    const shell = createShell({
      ports: desk.ports,
      profiles: profileFile(folder),
      bounds: boundsFile(folder),
      credentials,
      files: { console: () => FILE, setup: () => FILE },
      random: randomBytes,
      version: '0.0.0',
      platform: 'test',
    });
    await shell.start();
    const state = () => desk.send(CHANNELS.setupState) as Promise<SetupState>;
    return {
      ...desk,
      shell,
      state,
      async signIn() {
        await desk.send(CHANNELS.saveServer, server.origin);
        await desk.send(CHANNELS.startSignIn);
        await until('the console', () => desk.current().spec.kind === 'console');
      },
    };
  }
  return { server, folder, opened, visit, start };
}

test('first run: address, browser, console; the profile is kept', async (t) => {
  const { server, folder, opened, start } = await setUp(t);
  const desk = await start();
  assert.deepEqual(await desk.state(), { step: 'server', origin: null, problem: null });
  await desk.send(CHANNELS.saveServer, 'http://identree.example.com');
  assert.deepEqual(await desk.state(), { step: 'server', origin: 'http://identree.example.com', problem: 'not_https' });
  await desk.signIn();
  assert.equal(opened[0]?.origin, server.origin);
  assert.deepEqual(
    desk.windows.map(({ spec }) => spec.kind),
    ['setup', 'console'],
  );
  assert.equal(desk.current().spec.partition, partitionOf({ origin: server.origin }));
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8')), { v: 1, origin: server.origin });
});

test('the page is told where it works, and nothing that could sign anybody in', async (t) => {
  const { server, start } = await setUp(t);
  const desk = await start();
  await desk.signIn();
  const credential = JSON.parse(JSON.stringify(desk.current().spec.facts));
  assert.deepEqual(credential, { origin: server.origin, version: '0.0.0', platform: 'test' });
});

test('while the browser is open the window shows the compare code; the page can stop the wait', async (t) => {
  const { server, start } = await setUp(t, { visit: false });
  const desk = await start();
  await desk.send(CHANNELS.saveServer, server.origin);
  await desk.send(CHANNELS.startSignIn);
  await desk.send(CHANNELS.startSignIn);
  await until('the code', async () => (await desk.state()).step === 'waiting');
  const state = await desk.state();
  assert.match(state.step === 'waiting' ? state.compareCode : '', /^[A-Z2-7]{4}-[A-Z2-7]{4}$/);
  await desk.send(CHANNELS.cancelSignIn);
  await until('the end', async () => (await desk.state()).step === 'sign-in');
  assert.equal(desk.windows.length, 1);
});

test('two clicks open one browser', async (t) => {
  const { server, opened, start } = await setUp(t, { visit: false });
  const desk = await start();
  await desk.send(CHANNELS.saveServer, server.origin);
  await Promise.all([desk.send(CHANNELS.startSignIn), desk.send(CHANNELS.startSignIn)]);
  await until('the code', async () => (await desk.state()).step === 'waiting');
  assert.equal(opened.length, 1);
  desk.current().userCloses();
});

test('choosing another server ends the sign-in that waits', async (t) => {
  const { server, start } = await setUp(t, { visit: false });
  const desk = await start();
  await desk.send(CHANNELS.saveServer, server.origin);
  await desk.send(CHANNELS.startSignIn);
  await until('the code', async () => (await desk.state()).step === 'waiting');
  await desk.send(CHANNELS.changeServer);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await desk.state(), { step: 'server', origin: server.origin, problem: null });
});

test('with a keychain the next start goes straight to the console; without one it asks again and says so before', async (t) => {
  const kept = await setUp(t);
  await (await kept.start()).signIn();
  assert.equal((await kept.start()).current().spec.kind, 'console');

  const lost = await setUp(t, { keychain: false });
  const first = await lost.start();
  await first.signIn();
  const second = await lost.start();
  const state = await second.state();
  assert.deepEqual(state, { step: 'sign-in', origin: lost.server.origin, notice: null, keychain: false });
});

test('a link waits for the person to sign in, then reaches the console once, and opens nothing by itself', async (t) => {
  const { opened, start } = await setUp(t);
  const desk = await start();
  desk.shell.follow({ kind: 'approve', code: 'GHJKLM-000000' });
  desk.shell.follow(LINK);
  await desk.signIn();
  const window = desk.current();
  assert.deepEqual(window.sent, []);
  await desk.send(CHANNELS.linksWanted);
  assert.deepEqual(window.sent, [{ channel: CHANNELS.deepLink, payload: LINK }]);
  await desk.send(CHANNELS.linksWanted);
  assert.equal(window.sent.length, 1);
  desk.shell.follow(LINK);
  assert.equal(window.sent.length, 2);
  assert.ok(window.focused > 0);
  assert.deepEqual(
    opened.map(({ link }) => link.kind),
    ['sign-in'],
  );
});

test('a click opens the approval page on the server of the profile, and a storm of calls opens one', async (t) => {
  const { server, opened, start } = await setUp(t);
  const desk = await start();
  await desk.signIn();
  for (let i = 0; i < 5; i++) await desk.send(CHANNELS.openApproval, LINK.code);
  assert.deepEqual(opened.slice(1), [{ origin: server.origin, link: LINK }]);
  desk.clock.at += 1000;
  await desk.send(CHANNELS.openApproval, LINK.code);
  assert.equal(opened.length, 3);
  await assert.rejects(desk.send(CHANNELS.openApproval, '../admin'));
});

test('signing out: the server forgets the session, this computer too, and the page is gone', async (t) => {
  const { server, start } = await setUp(t);
  const desk = await start();
  await desk.signIn();
  await desk.send(CHANNELS.signOut);
  const call = server.seen.find(({ url }) => url === '/trpc/sessions.signOut');
  assert.equal(call?.method, 'POST');
  assert.match(call?.headers.authorization ?? '', /^Bearer fake-credential-/);
  assert.equal(desk.current().spec.kind, 'setup');
  const state = await desk.state();
  assert.equal(state.step === 'sign-in' && state.notice, 'signed_out');
  assert.equal((await start()).current().spec.kind, 'setup');
});

test('signing out works without the server', async (t) => {
  const { server, start } = await setUp(t);
  const desk = await start();
  await desk.signIn();
  await server.close();
  await desk.send(CHANNELS.signOut);
  assert.equal((await start()).current().spec.kind, 'setup');
});

test('a session that has ended leads to the sign-in page, once', async (t) => {
  let status = 200;
  const { start } = await setUp(t, { status: () => status });
  const desk = await start();
  await desk.signIn();
  assert.equal((await desk.fetch('/trpc/challenges.inbox')).status, 200);
  status = 401;
  await Promise.all([desk.fetch('/trpc/challenges.inbox'), desk.fetch('/trpc/challenges.history')]);
  await until('the sign-in page', () => desk.windows.at(-1)?.spec.kind === 'setup');
  const state = await desk.state();
  assert.equal(state.step === 'sign-in' && state.notice, 'session_ended');
  assert.equal(desk.windows.length, 3);
  assert.equal((await start()).current().spec.kind, 'setup');
});

test('an outage leads nowhere', async (t) => {
  const { server, start } = await setUp(t);
  const desk = await start();
  await desk.signIn();
  await server.close();
  assert.equal((await desk.fetch('/trpc/challenges.inbox')).type, 'error');
  assert.equal(desk.current().spec.kind, 'console');
});

test('messages of one page are not taken from the other', async (t) => {
  const { start } = await setUp(t);
  const desk = await start();
  for (const channel of [CHANNELS.openApproval, CHANNELS.signOut, CHANNELS.linksWanted]) {
    await assert.rejects(desk.send(channel, ...(channel === CHANNELS.openApproval ? [LINK.code] : [])), /refused/);
  }
  await desk.signIn();
  for (const [channel, ...args] of [
    [CHANNELS.saveServer, 'https://evil.example'],
    [CHANNELS.changeServer],
    [CHANNELS.startSignIn],
    [CHANNELS.setupState],
  ]) {
    await assert.rejects(desk.send(channel!, ...args), /refused/);
  }
});

test('the window comes back where it was', async (t) => {
  const { start } = await setUp(t);
  const desk = await start();
  await desk.signIn();
  assert.equal(desk.current().spec.bounds, null);
  desk.current().move({ x: 30, y: 40, width: 900, height: 700 });
  await until('the note of where it was', async () => (await start()).current().spec.bounds !== null);
  assert.deepEqual((await start()).current().spec.bounds, { x: 30, y: 40, width: 900, height: 700 });
});

test('a new window is there before the old one goes, or the shell would end between two pages', async (t) => {
  const { start } = await setUp(t);
  const desk = await start();
  let least = Number.POSITIVE_INFINITY;
  for (const window of desk.windows)
    window.onClosed(() => {
      least = Math.min(least, desk.windows.filter((other) => other.isOpen).length);
    });
  await desk.signIn();
  assert.equal(least, 1);
});
