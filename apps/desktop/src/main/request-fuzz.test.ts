import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { consoleProcedures } from '#shared/console.ts';
import { createConsoleHandler } from './app-protocol.ts';
import { createForwarder } from './forward.ts';
import { nodeHttp } from './testing/fake-server.ts';

/**
 * What a page that is not ours any more could ask of the main process: every request is made of bytes that it chose.
 * What reaches the server is looked at there, as it came over the wire.
 */

const SECRET = `credential-${'x'.repeat(40)}`;
const QUERY = Object.entries(consoleProcedures()).find(([, kind]) => kind === 'query')![0];
const MUTATION = Object.entries(consoleProcedures()).find(([, kind]) => kind === 'mutation')![0];

async function setUp(t: TestContext) {
  const seen: { request: IncomingMessage; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen.push({ request, body: Buffer.concat(chunks) });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const forwarder = createForwarder({
    http: nodeHttp,
    origin,
    credential: () => ({ origin, secret: SECRET, expiresAt: Number.MAX_SAFE_INTEGER }),
    onSessionEnded: () => {},
    userAgent: 'identree-desktop/0 (test)',
  });
  const handler = createConsoleHandler({ files: () => null, forwarder, random: randomBytes });
  return { seen, origin, handler };
}

/** A request as Electron hands it over. What `Request` itself cannot hold never gets that far. */
function requestOf(url: string, init: RequestInit): Request | null {
  try {
    return new Request(url, init);
  } catch {
    return null;
  }
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
/** Every UTF-16 code unit, halves of surrogate pairs among them. */
const units = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
  .map((all) => String.fromCharCode(...all));
const path = fc.oneof(
  fc.constant(`/trpc/${QUERY}`),
  fc.constant(`/trpc/${MUTATION}`),
  fc.constantFrom(
    '/api/events',
    '/trpc/challenges.approve',
    '/trpc/',
    '/',
    '//evil.example/',
    '/api/host/v1/heartbeat',
  ),
  fc
    .tuple(fc.constantFrom('/trpc/', '/', `/trpc/${QUERY},`, `/trpc/${QUERY}`), units)
    .map(([start, end]) => start + end),
);
const query = fc.oneof(
  fc.constantFrom(
    '',
    '?batch=1',
    '?input=%7B%7D',
    '?connectionParams=x',
    '?input=1&input=2',
    '?batch=1\r\nHost: evil.example',
  ),
  units.map((text) => `?input=${text}`),
);

test('fuzz: what reaches the server is an address on the list, with our credential and nobody else’s name', async (t) => {
  const { seen, origin, handler } = await setUp(t);
  const allowed = consoleProcedures();
  let reached = 0;
  const headers = fc.dictionary(
    fc.constantFrom(
      'authorization',
      'cookie',
      'origin',
      'host',
      'x-forwarded-for',
      'x-forwarded-host',
      'forwarded',
      'referer',
      'connection',
      'transfer-encoding',
      'content-length',
      'accept',
      'last-event-id',
      'trpc-accept',
      'content-type',
      'x-http-method-override',
      'upgrade',
      'te',
      'expect',
      'proxy-authorization',
    ),
    fc.oneof(fc.constantFrom('application/json', 'chunked', '5', '100-continue', 'Bearer other'), units),
    { maxKeys: 6 },
  );
  const method = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('GET', 'POST') },
    { weight: 2, arbitrary: fc.constantFrom('HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'get', 'post') },
  );
  await fc.assert(
    fc.asyncProperty(path, query, method, headers, bytes(200), async (at, search, how, extra, body) => {
      seen.length = 0;
      const given: Record<string, string> = {};
      for (const [name, value] of Object.entries(extra))
        if (requestOf('app://console/', { headers: { [name]: value } })) given[name] = value;
      const canCarry = !['GET', 'HEAD'].includes(how.toUpperCase());
      const request = requestOf(`app://console${at}${search}`, {
        method: how,
        headers: given,
        ...(canCarry ? { body } : {}),
      });
      if (!request) return;
      const answer = await handler(request);
      assert.ok(answer.status === 200 || answer.status >= 400 || answer.type === 'error', String(answer.status));
      reached += seen.length;
      for (const { request: got, body: came } of seen) {
        const where = /^\/(?:trpc\/([^?]+)|api\/events)(?:\?.*)?$/.exec(got.url ?? '');
        assert.ok(where, got.url);
        for (const name of where[1]?.split(',') ?? []) assert.ok(Object.hasOwn(allowed, name), got.url);
        assert.equal(got.headers.authorization, `Bearer ${SECRET}`);
        assert.equal(got.headers.host, new URL(origin).host);
        assert.equal(got.headers['user-agent'], 'identree-desktop/0 (test)');
        for (const name of [
          'cookie',
          'origin',
          'x-forwarded-for',
          'x-forwarded-host',
          'forwarded',
          'referer',
          'upgrade',
          'expect',
          'proxy-authorization',
          'x-http-method-override',
        ]) {
          assert.equal(got.headers[name], undefined, name);
        }
        assert.ok(got.method === 'GET' || got.method === 'POST');
        if (got.method === 'GET') assert.equal(came.length, 0);
        for (let i = 0; i < got.rawHeaders.length; i++) assert.doesNotMatch(got.rawHeaders[i]!, /[\r\n\0]/);
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(reached > 0, 'some of them are in order, and pass');
});

test('fuzz: a header cannot bring another one along, nor a second request', async (t) => {
  const { seen, handler } = await setUp(t);
  const injected = fc
    .tuple(
      units,
      fc.constantFrom('\r\n', '\n', '\r', '\0', '\r\n\r\n', '\u010d\u010a'),
      fc.constantFrom('x-injected: 1', 'GET /trpc/challenges.approve HTTP/1.1'),
    )
    .map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('accept', 'last-event-id', 'trpc-accept'), injected, async (name, value) => {
      seen.length = 0;
      // Past the checks of `Request`, as a renderer could send it that does not use it.
      const request = {
        method: 'GET',
        url: `app://console/trpc/${QUERY}`,
        headers: { get: (asked: string) => (asked === name ? value : null) },
        body: null,
        signal: new AbortController().signal,
      } as unknown as Request;
      await handler(request);
      assert.ok(seen.length <= 1);
      for (const { request: got } of seen) {
        assert.equal(got.headers['x-injected'], undefined);
        assert.equal(got.url, `/trpc/${QUERY}`);
      }
    }),
    { numRuns: 100 },
  );
});

test('fuzz: a body arrives as what the page said or not at all: never cut off, never more than the limit', async (t) => {
  const { seen, handler } = await setUp(t);
  const sizes = fc.constantFrom(0, 1, 1000, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 200_000);
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 5 }), bytes(50), async (size, pieces, noise) => {
      seen.length = 0;
      const whole = Buffer.alloc(size, 0x61);
      whole.set(noise.subarray(0, size), 0);
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          const step = Math.max(1, Math.ceil(size / pieces));
          for (let from = 0; from < size; from += step)
            controller.enqueue(Uint8Array.from(whole.subarray(from, from + step)));
          controller.close();
        },
      });
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body, duplex: 'half' };
      const answer = await handler(new Request(`app://console/trpc/${MUTATION}`, init as RequestInit));
      if (size > 32 * 1024) {
        assert.equal(answer.status, 413);
        assert.deepEqual(seen, []);
        return;
      }
      assert.equal(answer.status, 200);
      assert.equal(seen.length, 1);
      // JSON is UTF-8: bytes that are none are told as such, as in a browser, and cannot become other ones.
      assert.deepEqual(seen[0]!.body, Buffer.from(new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole)));
    }),
    { numRuns: 60 },
  );
});

test('a body without an end, or that breaks off, sends nothing', async (t) => {
  const { seen, handler } = await setUp(t);
  const post = (body: ReadableStream<Uint8Array>) =>
    handler(
      new Request(`app://console/trpc/${MUTATION}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        duplex: 'half',
      } as RequestInit),
    );
  const endless = await post(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1024)) }));
  assert.equal(endless.status, 413);
  const broken = await post(new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) }));
  assert.equal(broken.status, 400);
  assert.deepEqual(seen, []);
});
