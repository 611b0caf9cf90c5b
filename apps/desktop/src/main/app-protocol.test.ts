import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createConsoleHandler, createSetupHandler, onlyFor } from './app-protocol.ts';
import type { ForwardRequest } from './forward.ts';
import type { ShellFile } from './page-files.ts';

const FILES: Record<string, ShellFile> = {
  '/index.html': {
    type: 'text/html; charset=utf-8',
    bytes: Buffer.from('<meta nonce="__CSP_NONCE__"><style nonce="__CSP_NONCE__">'),
  },
  '/static/index-a1.js': { type: 'text/javascript; charset=utf-8', bytes: Buffer.from('run("__CSP_NONCE__")') },
};
const files = (path: string) => (Object.hasOwn(FILES, path) ? FILES[path]! : null);

function consoleHandler() {
  const forwarded: ForwardRequest[] = [];
  const handler = createConsoleHandler({
    files,
    random: randomBytes,
    forwarder: {
      forward: async (request) => {
        forwarded.push(request);
        return Response.json({});
      },
    },
  });
  return { forwarded, get: (path: string, init?: RequestInit) => handler(new Request(`app://console${path}`, init)) };
}

test('the page comes with its policy, and with one nonce that no other answer has', async () => {
  const { get } = consoleHandler();
  const nonces = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const answer = await get('/');
    assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    const nonce = /'nonce-([A-Za-z0-9_-]{24})'/.exec(answer.headers.get('content-security-policy') ?? '')?.[1];
    assert.ok(nonce);
    assert.equal(await answer.text(), `<meta nonce="${nonce}"><style nonce="${nonce}">`);
    nonces.add(nonce);
  }
  assert.equal(nonces.size, 3);
});

test('routes of the console are its one page; files that are not there are not', async () => {
  const { get } = consoleHandler();
  for (const path of ['/history', '/hosts/web1', '/?request=ABCDEF-123456']) {
    const answer = await get(path);
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get('content-type') ?? '', /html/);
  }
  for (const path of ['/static/missing.js', '/index.php', '/.env', '/history.html']) {
    assert.equal((await get(path)).status, 404, path);
  }
});

test('a script is sent as it is, with its type', async () => {
  const { get } = consoleHandler();
  const answer = await get('/static/index-a1.js');
  assert.equal(answer.headers.get('content-type'), 'text/javascript; charset=utf-8');
  assert.equal(await answer.text(), 'run("__CSP_NONCE__")');
});

test('procedures and events are forwarded with what was asked and no more', async () => {
  const { get, forwarded } = consoleHandler();
  await get('/trpc/me.get');
  await get('/trpc/challenges.get?input=%7B%7D');
  await get('/api/events');
  await get('/trpc/challenges.deny', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
  assert.deepEqual(
    forwarded.map(({ method, target, stream, names }) => ({ method, target, stream, names })),
    [
      { method: 'GET', target: '/trpc/me.get', stream: false, names: ['me.get'] },
      { method: 'GET', target: '/trpc/challenges.get?input=%7B%7D', stream: false, names: ['challenges.get'] },
      { method: 'GET', target: '/api/events', stream: true, names: [] },
      { method: 'POST', target: '/trpc/challenges.deny', stream: false, names: ['challenges.deny'] },
    ],
  );
});

test('what is off the list is answered here and never forwarded', async () => {
  const { get, forwarded } = consoleHandler();
  assert.equal((await get('/trpc/challenges.approve', { method: 'POST' })).status, 403);
  assert.equal((await get('/api/desktop/token', { method: 'POST' })).status, 403);
  assert.equal((await get('/metrics', { method: 'POST' })).status, 405);
  assert.equal(forwarded.length, 0);
});

test('the setup page has files and nothing else', async () => {
  const handler = createSetupHandler({ files, random: randomBytes });
  const ask = (url: string, method = 'GET') => handler(new Request(url, { method }));
  const answer = await ask('app://setup/');
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-security-policy') ?? '', /connect-src 'none'/);
  for (const url of ['app://setup/trpc/me.get', 'app://setup/api/events', 'app://console/', 'app://setup/?x=1']) {
    assert.equal((await ask(url)).status, 403, url);
  }
  assert.equal((await ask('app://setup/', 'POST')).status, 403);
});

test('a window gets its own page only, and a fault inside is no page', async () => {
  const served = onlyFor('console', async () => new Response('console'));
  assert.equal((await served(new Request('app://setup/'))).status, 403);
  assert.equal((await served(new Request('app://console.evil/'))).status, 403);
  assert.equal(await (await served(new Request('app://console/'))).text(), 'console');
  const broken = onlyFor('console', async () => {
    throw new Error('private detail');
  });
  const answer = await broken(new Request('app://console/'));
  assert.equal(answer.status, 500);
  assert.equal(await answer.text(), '');
});
