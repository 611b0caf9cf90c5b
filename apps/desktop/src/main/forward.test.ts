import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { Credential } from './credential-store.ts';
import { createForwarder, type ForwardRequest } from './forward.ts';
import { inTime } from './in-time.ts';
import { nodeHttp, type Seen, startFakeServer } from './testing/fake-server.ts';

const SECRET = 'secret-of-the-desktop-session-0123456789';

async function setUp(t: TestContext, answer?: (request: Seen, response: ServerResponse) => void) {
  const server = await startFakeServer(answer);
  t.after(() => server.close());
  const ended: (Credential | null)[] = [];
  const state: { credential: Credential | null } = {
    credential: { origin: server.origin, secret: SECRET, expiresAt: Number.MAX_SAFE_INTEGER },
  };
  const forwarder = createForwarder({
    http: nodeHttp,
    origin: server.origin,
    credential: () => state.credential,
    onSessionEnded: (credential) => ended.push(credential),
    userAgent: 'identree-desktop/test',
  });
  return { server, ended, state, ...forwarder };
}

function ask(
  changes: Partial<Omit<ForwardRequest, 'headers' | 'body'>> & { headers?: Record<string, string>; text?: string } = {},
): ForwardRequest {
  const { headers, text, ...rest } = changes;
  return {
    method: 'GET',
    target: '/trpc/challenges.inbox',
    stream: false,
    names: ['challenges.inbox'],
    signal: new AbortController().signal,
    ...rest,
    headers: new Headers(headers),
    body: text === undefined ? null : new Response(text).body,
  };
}

const json = (response: ServerResponse, status: number, body: unknown, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

test('the credential is attached here, and only headers on the list pass', async (t) => {
  const { server, forward } = await setUp(t, (_request, response) => json(response, 200, { result: { data: 1 } }));
  const answer = await forward(
    ask({
      headers: {
        accept: 'application/json',
        'trpc-accept': 'application/json',
        authorization: 'Bearer of-the-renderer',
        cookie: '__Host-session=x',
        origin: 'https://evil.example',
        referer: 'https://evil.example/',
        'x-forwarded-for': '192.0.2.1',
        'x-csrf-token': 'x',
        forwarded: 'for=192.0.2.1',
        'proxy-authorization': 'x',
      },
    }),
  );
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), { result: { data: 1 } });
  const { headers } = server.seen[0]!;
  assert.equal(headers.authorization, `Bearer ${SECRET}`);
  assert.equal(headers['user-agent'], 'identree-desktop/test');
  assert.equal(headers.accept, 'application/json');
  assert.equal(headers['trpc-accept'], 'application/json');
  for (const name of [
    'cookie',
    'origin',
    'referer',
    'x-forwarded-for',
    'x-csrf-token',
    'forwarded',
    'proxy-authorization',
  ]) {
    assert.equal(headers[name], undefined, name);
  }
});

test('of the answer, neither cookies nor anything else off the list reaches the page', async (t) => {
  const { forward } = await setUp(t, (_request, response) =>
    json(
      response,
      429,
      {},
      { 'set-cookie': 'a=b', 'x-secret': 'y', 'retry-after': '7', 'access-control-allow-origin': '*' },
    ),
  );
  const answer = await forward(ask());
  assert.equal(answer.status, 429);
  assert.deepEqual(Object.fromEntries(answer.headers), {
    'cache-control': 'no-store',
    'content-type': 'application/json; charset=utf-8',
    'retry-after': '7',
    'x-content-type-options': 'nosniff',
  });
});

test('nobody is signed in: nothing is sent', async (t) => {
  const { server, state, forward } = await setUp(t);
  state.credential = null;
  const answer = await forward(ask());
  assert.equal(answer.status, 401);
  assert.equal(((await answer.json()) as { error: { data: { reason: string } } }).error.data.reason, 'not_signed_in');
  assert.equal(server.seen.length, 0);
});

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirect (${status}) is not followed: the credential goes nowhere else`, async (t) => {
    const other = await startFakeServer();
    t.after(() => other.close());
    const { forward } = await setUp(t, (_request, response) => {
      response
        .writeHead(status, { location: `${other.origin}/trpc/challenges.inbox`, 'content-type': 'application/json' })
        .end('{}');
    });
    const answer = await forward(ask());
    assert.equal(answer.type, 'error');
    assert.equal(answer.headers.get('location'), null);
    assert.equal(other.seen.length, 0);
  });
}

for (const type of [
  'text/html',
  'text/html; charset=utf-8',
  'TEXT/HTML',
  'application/xhtml+xml',
  'text/javascript',
  'image/svg+xml',
  '',
]) {
  test(`an answer of type "${type}" is refused: it would be shown as if it were ours`, async (t) => {
    const { forward } = await setUp(t, (_request, response) => {
      response.writeHead(200, type === '' ? {} : { 'content-type': type }).end('<script>alert(1)</script>');
    });
    const answer = await forward(ask());
    assert.equal(answer.type, 'error');
    assert.equal(await answer.text(), '');
  });
}

test('an event stream where none was asked for is refused', async (t) => {
  const { forward } = await setUp(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: x\n\n');
  });
  assert.equal((await forward(ask())).type, 'error');
});

test('bodies: JSON only, bounded', async (t) => {
  const { server, forward } = await setUp(t);
  const post = (text: string, type = 'application/json') =>
    forward(ask({ method: 'POST', target: '/trpc/challenges.deny', headers: { 'content-type': type }, text }));
  assert.equal((await post('{"a":1}')).status, 200);
  assert.equal(server.seen[0]?.body, '{"a":1}');
  assert.equal((await post('a=1', 'application/x-www-form-urlencoded')).status, 415);
  assert.equal((await post('{}', 'text/plain')).status, 415);
  assert.equal((await post(`"${'x'.repeat(40_000)}"`)).status, 413);
  assert.equal(server.seen.length, 1);
});

test('an answer without end is cut off', async (t) => {
  const { forward } = await setUp(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const chunk = Buffer.alloc(1024 * 1024, 0x20);
    const more = () => {
      while (!response.destroyed && response.write(chunk)) {}
    };
    response.on('drain', more);
    more();
  });
  assert.equal((await forward(ask())).type, 'error');
});

test('the server is down: a failed connection, as in a browser', async (t) => {
  const { server, forward, ended } = await setUp(t);
  await server.close();
  assert.equal((await forward(ask())).type, 'error');
  assert.deepEqual(ended, [], 'an outage signs nobody out');
});

test('refusals of the shell have the shape that the console reads from the server', async (t) => {
  const { state, forward } = await setUp(t);
  state.credential = null;
  const reasons = async (changes: Parameters<typeof ask>[0]) => (await forward(ask(changes))).json();
  const names = ['me.get', 'challenges.inbox'];
  const single = (await reasons({})) as { error: { message: string; data: { reason: string } } };
  assert.equal(single.error.data.reason, 'not_signed_in');
  const batch = (await reasons({ names, target: '/trpc/me.get,challenges.inbox?batch=1' })) as (typeof single)[];
  assert.deepEqual(
    batch.map((one) => one.error.data.reason),
    ['not_signed_in', 'not_signed_in'],
  );
  const plain = (await reasons({ names: [], target: '/api/events' })) as { error: { code: string } };
  assert.equal(plain.error.code, 'not_signed_in');
});

test('a session that the server no longer knows is reported with the credential that was used', async (t) => {
  const { ended, forward } = await setUp(t, (_request, response) => json(response, 401, { error: {} }));
  assert.equal((await forward(ask())).status, 401);
  assert.equal(ended[0]?.secret, SECRET);
});

test('so is one that me.get no longer knows, and only then', async (t) => {
  let data: unknown = { username: 'alice' };
  const { ended, forward } = await setUp(t, (_request, response) => json(response, 200, { result: { data } }));
  const me = () => forward(ask({ names: ['me.get'], target: '/trpc/me.get' }));
  await me();
  assert.equal(ended.length, 0);
  data = null;
  await forward(ask());
  assert.equal(ended.length, 0, 'null is an answer of other procedures');
  await me();
  assert.equal(ended.length, 1);
});

test('live updates pass as they come, and end on the server when the page stops listening', async (t) => {
  const streams: ServerResponse[] = [];
  const { server, forward } = await setUp(t, (_request, response) => {
    streams.push(response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('id: 1\ndata: one\n\n');
  });
  const answer = await forward(
    ask({ target: '/api/events', stream: true, names: [], headers: { 'last-event-id': '0' } }),
  );
  assert.equal(answer.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.equal(server.seen[0]?.headers['last-event-id'], '0');
  const reader = answer.body!.getReader();
  const decoder = new TextDecoder();
  assert.equal(decoder.decode((await reader.read()).value), 'id: 1\ndata: one\n\n');
  streams[0]?.write('id: 2\ndata: two\n\n');
  assert.equal(decoder.decode((await reader.read()).value), 'id: 2\ndata: two\n\n');
  const closed = once(streams[0]!, 'close');
  await reader.cancel();
  await closed;
});

test('a stream that breaks is an error for the page, not an end', async (t) => {
  const { forward } = await setUp(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: one\n\n', () => setTimeout(() => response.destroy(), 20));
  });
  const answer = await forward(ask({ target: '/api/events', stream: true, names: [] }));
  await assert.rejects(answer.text());
});

test('who follows a stream hears of its end also where the connection itself never says so', async () => {
  const deaf = new Response(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from(': hello')) }), {
    headers: { 'content-type': 'text/event-stream' },
  });
  const { forward } = createForwarder({
    http: { fetch: async () => deaf },
    origin: 'https://identree.example.com',
    credential: () => ({ origin: 'https://identree.example.com', secret: SECRET, expiresAt: Number.MAX_SAFE_INTEGER }),
    onSessionEnded: () => {},
    userAgent: 'identree-desktop/test',
  });
  const stop = new AbortController();
  const answer = await forward(ask({ target: '/api/events', stream: true, names: [], signal: stop.signal }));
  const reader = answer.body!.getReader();
  await reader.read();
  const next = reader.read();
  stop.abort();
  await assert.rejects(inTime(next, 10_000), TypeError);
});

test('what is given up before it is asked is not asked', async (t) => {
  const { server, forward } = await setUp(t);
  assert.equal((await forward(ask({ signal: AbortSignal.abort() }))).type, 'error');
  assert.equal(server.seen.length, 0);
});

test('streams are bounded, and all end when the person signs out', async (t) => {
  const open = new Set<ServerResponse>();
  const { forward, endStreams } = await setUp(t, (_request, response) => {
    open.add(response);
    response.on('close', () => open.delete(response));
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: x\n\n');
  });
  const answers = [];
  for (let i = 0; i < 7; i++) answers.push(await forward(ask({ target: '/api/events', stream: true, names: [] })));
  const settle = async (count: number) => {
    for (let i = 0; i < 3000 && open.size !== count; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(open.size, count);
  };
  await settle(4);
  endStreams();
  await settle(0);
  assert.equal(answers.length, 7);
});
