import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { makeCertificate } from '../testing/certificate.ts';
import { readFailure, readReply } from './reply.ts';
import { ANSWER_LIMIT, classify, createTransport, TransportError } from './transport.ts';
import { onlyTrusted, systemTrusted, type Trusted } from './trusted.ts';

async function serve(handler: http.RequestListener) {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = createTransport({ serverUrl: url, ca: null });
  return {
    url,
    transport,
    async [Symbol.asyncDispose]() {
      transport.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const GET = { method: 'GET', path: '/x', headers: {}, body: Buffer.alloc(0), timeoutMs: 5000 };
const kind = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => assert.fail('no failure'),
    (caught: unknown) => caught,
  );
  assert.ok(error instanceof TransportError, String(error));
  return error.kind;
};

describe('transport', () => {
  it('keeps its connection warm', async () => {
    const sockets = new Set<unknown>();
    await using server = await serve((request, response) => {
      sockets.add(request.socket);
      response.end('{}');
    });
    for (let i = 0; i < 5; i += 1) await server.transport.request(GET);
    assert.equal(sockets.size, 1);
  });

  it('a server that changes the protocol instead of answering is there, and is not waited for', {
    timeout: 60_000,
  }, async () => {
    await using server = await serve((_request, response) => {
      response.socket?.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
    });
    assert.equal(await kind(server.transport.request(GET)), 'broken');
  });

  it('long polls do not stand in the way of each other', async () => {
    const held: http.ServerResponse[] = [];
    await using server = await serve((request, response) => {
      if (request.url === '/hold') held.push(response);
      else response.end('{}');
    });
    const polls = Array.from({ length: 60 }, () => server.transport.request({ ...GET, path: '/hold' }));
    while (held.length < 60) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal((await server.transport.request(GET)).status, 200);
    for (const response of held) response.end('{}');
    await Promise.all(polls);
  });

  it('[W-19] ignores proxies of the environment', async () => {
    let proxied = 0;
    await using proxy = await serve((_, response) => {
      proxied += 1;
      response.end('{}');
    });
    await using server = await serve((_, response) => response.end('{}'));
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY'];
    const before = names.map((name) => process.env[name]);
    try {
      for (const name of names) process.env[name] = proxy.url;
      const transport = createTransport({ serverUrl: server.url, ca: null });
      await transport.request(GET);
      transport.close();
    } finally {
      names.forEach((name, index) => {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      });
    }
    assert.equal(proxied, 0);
  });

  it('[W-19] does not follow a redirect', async () => {
    let calls = 0;
    await using server = await serve((_, response) => {
      calls += 1;
      response.writeHead(302, { location: '/y' });
      response.end();
    });
    const answer = await server.transport.request(GET);
    assert.equal(answer.status, 302);
    assert.equal(calls, 1);
    assert.equal(readReply(answer, z.unknown()).kind, 'broken');
  });

  it('does not read an answer that is too large', async () => {
    await using server = await serve((request, response) => {
      response.end(Buffer.alloc(request.url === '/fits' ? ANSWER_LIMIT : ANSWER_LIMIT + 1));
    });
    assert.equal((await server.transport.request({ ...GET, path: '/fits' })).body.length, ANSWER_LIMIT);
    assert.equal(await kind(server.transport.request(GET)), 'broken');
  });

  it('gives up on an answer that does not come', async (t) => {
    const arrived = Promise.withResolvers<void>();
    await using server = await serve(() => arrived.resolve());
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const asked = kind(server.transport.request(GET));
    await arrived.promise;
    t.mock.timers.tick(GET.timeoutMs);
    assert.equal(await asked, 'broken');
  });

  it('can be cancelled', async () => {
    await using server = await serve(() => undefined);
    const abort = new AbortController();
    const request = server.transport.request({ ...GET, signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    assert.equal(await kind(request), 'aborted');
    assert.equal(await kind(server.transport.request({ ...GET, signal: abort.signal })), 'aborted');
  });

  it('nobody listening is unreachable', async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const transport = createTransport({ serverUrl: `http://127.0.0.1:${port}`, ca: null });
    assert.equal(await kind(transport.request(GET)), 'unreachable');
  });

  it('[E-B6] a name that does not exist is unreachable', async () => {
    const transport = createTransport({ serverUrl: 'https://no-such-host.invalid', ca: 'x' });
    assert.equal(await kind(transport.request(GET)), 'unreachable');
  });

  it('who takes the connection and then says nothing is no outage: anybody in between can do that', async () => {
    const server = net.createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const transport = createTransport({ serverUrl: `https://127.0.0.1:${port}`, ca: 'x' });
    assert.equal(await kind(transport.request({ ...GET, timeoutMs: 20_000 })), 'broken');
    transport.close();
    server.close();
  });

  it('[E-B6] no way, no permission, no address and no packet back are unreachable where a connection is made, not within one', () => {
    const failure = (code: string, syscall: string) =>
      Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
    for (const code of ['ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EPERM', 'EADDRNOTAVAIL', 'ETIMEDOUT']) {
      assert.equal(classify(failure(code, 'connect')).kind, 'unreachable', code);
      assert.equal(classify(new AggregateError([failure(code, 'connect')])).kind, 'unreachable', code);
      assert.equal(classify(failure(code, 'read')).kind, 'broken', code);
    }
  });

  it('a call that runs out before there is a connection found nobody', async (t) => {
    await using server = await serve((_request, response) => response.end('{}'));
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const asked = kind(server.transport.request({ ...GET, timeoutMs: 3000 }));
    // Before the event loop had a turn in which there could be a connection.
    t.mock.timers.tick(3000);
    assert.equal(await asked, 'unreachable');
  });

  for (const [name, bytes] of Object.entries({
    'a reset': null,
    'something that is not HTTP': 'SSH-2.0-x\r\n',
    'half an answer': 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc',
  })) {
    it(`${name} is broken, not unreachable: it must not look like an outage`, async () => {
      const server = net.createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => (bytes === null ? socket.resetAndDestroy() : socket.end(bytes)));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const transport = createTransport({
        serverUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        ca: null,
      });
      assert.equal(await kind(transport.request(GET)), 'broken');
      transport.close();
      await new Promise((resolve) => server.close(resolve));
    });
  }
});

describe('a connection that is dialled ahead', () => {
  /** A server over TLS that lets go of each connection once it has answered, unless it is asked for `/stay`. */
  async function letting(behind?: (socket: net.Socket, count: number, target: number) => unknown) {
    const { certificate, key, ca } = await makeCertificate('localhost');
    const used: unknown[] = [];
    const server = https.createServer({ cert: certificate, key }, (request, response) => {
      used.push(request.socket);
      response.writeHead(200, request.url === '/stay' ? {} : { connection: 'close' }).end('{}');
    });
    const secured: Duplex[] = [];
    server.on('secureConnection', (socket) => secured.push(socket));
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    let count = 0;
    const front = net.createServer((socket) => {
      count += 1;
      socket.on('error', () => undefined);
      if (behind) return void behind(socket, count, port);
      pipe(socket, port);
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    const transport = createTransport({ serverUrl: `https://localhost:${(front.address() as AddressInfo).port}`, ca });
    return {
      server,
      transport,
      used,
      secured,
      count: () => count,
      async [Symbol.asyncDispose]() {
        transport.close();
        server.closeAllConnections();
        await Promise.all([server, front].map((one) => new Promise((resolve) => one.close(resolve))));
      },
    };
  }
  function pipe(socket: net.Socket, port: number) {
    const onward = net.connect(port, '127.0.0.1').on('error', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
  }
  const until = async (met: () => boolean) => {
    while (!met()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it('is what the next request uses, and is one', { timeout: 30_000 }, async () => {
    await using server = await letting();
    server.transport.dialAhead();
    await server.transport.request(GET);
    assert.equal(server.count(), 1, 'where to is known by the first request');
    server.transport.dialAhead();
    server.transport.dialAhead();
    await until(() => server.secured.length === 2);
    await server.transport.request({ ...GET, path: '/stay' });
    assert.equal(server.count(), 2);
    assert.equal(server.used[1], server.secured[1]);
    await new Promise((resolve) => setImmediate(resolve));
    server.transport.dialAhead();
    await server.transport.request(GET);
    assert.equal(server.count(), 2, 'none while another one is idle');
  });

  it('is used while it is being made', { timeout: 30_000 }, async () => {
    await using server = await letting();
    await server.transport.request(GET);
    server.transport.dialAhead();
    assert.equal((await server.transport.request(GET)).status, 200);
    assert.equal(server.count(), 2);
  });

  it('is forgotten when the server lets go of it', { timeout: 30_000 }, async () => {
    await using server = await letting();
    await server.transport.request(GET);
    server.transport.dialAhead();
    await until(() => server.secured.length === 2);
    server.secured[1]!.destroy();
    await until(() => {
      server.transport.dialAhead();
      return server.secured.length === 3;
    });
    await server.transport.request(GET);
    assert.equal(server.used[1], server.secured[2]);
  });

  it('is not used once the server has said that it waited too long', { timeout: 30_000 }, async (t) => {
    const dialled: net.Socket[] = [];
    const onDial = (message: unknown) => void dialled.push((message as { socket: net.Socket }).socket);
    subscribe('net.client.socket', onDial);
    t.after(() => unsubscribe('net.client.socket', onDial));
    const taken: net.Socket[] = [];
    const server = http.createServer((_, response) => response.writeHead(200, { connection: 'close' }).end('{}'));
    server.on('connection', (socket) => taken.push(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const transport = createTransport({ serverUrl: `http://127.0.0.1:${port}`, ca: null });
    t.after(() => {
      transport.close();
      server.closeAllConnections();
      server.close();
    });
    await transport.request(GET);
    const heard = async (count: number) => {
      transport.dialAhead();
      await until(() => taken.length === count);
      taken.at(-1)!.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
      await until(() => dialled.at(-1)!.readableLength > 0);
    };
    await heard(2);
    await heard(3);
    assert.equal(dialled[1]!.destroyed, true, 'nor is it kept');
    assert.equal((await transport.request(GET)).status, 200);
  });

  it('is looked at as closely as any', { timeout: 30_000 }, async () => {
    await using server = await letting();
    await server.transport.request(GET);
    const other = await makeCertificate('localhost');
    server.server.setSecureContext({ cert: other.certificate, key: other.key });
    server.transport.dialAhead();
    assert.equal(await kind(server.transport.request(GET)), 'broken');
    assert.equal(server.used.length, 1);
  });

  it('is given up when somebody takes it and says nothing', { timeout: 60_000 }, async () => {
    await using server = await letting((socket, count, port) => (count === 1 ? pipe(socket, port) : socket.resume()));
    await server.transport.request(GET);
    server.transport.dialAhead();
    await until(() => server.count() === 2);
    const asked = server.transport.request({ ...GET, timeoutMs: 20_000 });
    await assert.rejects(asked, { kind: 'broken', message: /could not be made in time/ });
  });
});

describe('replies', () => {
  const answer = (status: number, body: string) => ({
    status,
    contentType: 'application/json',
    body: Buffer.from(body),
  });
  const told = (code: string) => JSON.stringify({ error: { code, message: 'words\u001b[1m' } });
  for (const [name, status, body, expected] of [
    ['a good answer', 200, '{"a":1}', 'ok'],
    ['an answer of another shape', 200, '{"b":1}', 'broken'],
    ['an answer that is not JSON', 200, '<html>', 'broken'],
    ['a refusal', 403, told('host_revoked'), 'refused'],
    ['a refusal in an unknown code', 418, told('teapot'), 'refused'],
    ['a 4xx of a proxy', 404, '<html>', 'refused'],
    ['a broken policy', 503, told('policy_broken'), 'refused'],
    ['a server that is busy', 503, told('unavailable'), 'unavailable'],
    ['too many requests', 429, told('rate_limited'), 'unavailable'],
    ['too many of this user', 429, told('too_many_pending_user'), 'refused'],
    ['a gateway without its server', 502, '<html>', 'unavailable'],
  ] as const) {
    it(`${name}: ${expected}`, () => {
      const reply = readReply(answer(status, body), z.object({ a: z.number() }));
      assert.equal(reply.kind, expected);
      if (reply.kind === 'refused') assert.doesNotMatch(reply.message, /\u001b/);
    });
  }

  it('an answer without a body says that it is done, where nothing else is to be said', () => {
    const empty = { status: 204, contentType: '', body: Buffer.alloc(0) };
    assert.deepEqual(readReply(empty, z.unknown()), { kind: 'ok', value: null });
    assert.equal(readReply(empty, z.object({ a: z.number() })).kind, 'broken');
  });

  it('[E-B6] only a gateway without its server counts as unreachable', () => {
    const unreachable = (status: number, body: string) => {
      const reply = readReply(answer(status, body), z.unknown());
      return reply.kind === 'unavailable' && reply.unreachable;
    };
    assert.equal(unreachable(502, ''), true);
    assert.equal(unreachable(504, 'x'), true);
    assert.equal(unreachable(500, 'x'), false);
    assert.equal(unreachable(503, told('unavailable')), false);
    const outage = (status: number, body: string) => {
      const reply = readReply({ status, contentType: '', body: Buffer.from(body) }, z.unknown());
      return reply.kind === 'unavailable' && reply.outage;
    };
    const answers = [502, 503, 504].flatMap((status) => [outage(status, ''), outage(status, told('unavailable'))]);
    assert.deepEqual(answers, Array(6).fill(true), 'whoever says so, no server in working order can be asked');
    for (const status of [400, 401, 403, 404, 408, 429, 500, 501, 505]) assert.equal(outage(status, ''), false);
  });

  it('[E-B6] a bug is not taken for an outage', () => {
    assert.throws(() => readFailure(new TypeError('x')), TypeError);
  });
});

describe('TLS', () => {
  async function secureServer(name: string) {
    const { certificate, key, ca } = await makeCertificate(name);
    const server = https.createServer({ cert: certificate, key }, (_, response) => response.end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      url: `https://localhost:${(server.address() as AddressInfo).port}`,
      ca,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  it('trusts the authority of client.conf and no other', async () => {
    await using server = await secureServer('localhost');
    await using other = await secureServer('localhost');
    const good = createTransport({ serverUrl: server.url, ca: server.ca });
    assert.equal((await good.request(GET)).status, 200);
    good.close();
    for (const ca of [other.ca, null]) {
      const bad = createTransport({ serverUrl: server.url, ca });
      assert.equal(await kind(bad.request(GET)), 'broken', 'not unreachable: a wrong certificate is no outage');
    }
  });

  it('what the system trusts beside the one file of its distribution is looked at where that does not do', async () => {
    await using server = await secureServer('localhost');
    await using other = await secureServer('localhost');
    let looked = 0;
    const trusting = (most: string, all: string) => ({
      most: onlyTrusted(most).all,
      all: () => {
        looked += 1;
        return onlyTrusted(all).all();
      },
    });
    const ask = async (trusted: Trusted, requests: number) => {
      const transport = createTransport({ serverUrl: server.url, trusted });
      const came = await Promise.all(Array.from({ length: requests }, () => transport.request(GET).catch(() => null)));
      transport.close();
      return came.map((answer) => answer?.status ?? null);
    };
    assert.deepEqual(await ask(trusting(server.ca, other.ca), 2), [200, 200]);
    assert.equal(looked, 0);
    assert.deepEqual(await ask(trusting(other.ca, server.ca), 3), [200, 200, 200]);
    assert.equal(looked, 1);
    assert.deepEqual(await ask(trusting(other.ca, other.ca), 2), [null, null], 'and nobody else');
  });

  it('the file of the distribution is all that is read where it does', async (t) => {
    await using server = await secureServer('localhost');
    const folder = await mkdtemp(join(tmpdir(), 'identree-trusted-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'bundle.pem');
    await writeFile(file, server.ca);
    const trusted = systemTrusted([join(folder, 'none.pem'), file]);
    const all = t.mock.method(trusted, 'all');
    const transport = createTransport({ serverUrl: server.url, trusted });
    assert.equal((await transport.request(GET)).status, 200);
    assert.equal(all.mock.callCount(), 0);
    transport.close();
    assert.equal(systemTrusted([join(folder, 'none.pem')]).most(), null);
  });

  it('checks the name in the certificate', async () => {
    await using server = await secureServer('identree.example.com');
    assert.equal(await kind(createTransport({ serverUrl: server.url, ca: server.ca }).request(GET)), 'broken');
  });

  it('cannot be talked out of it by the environment', async () => {
    await using server = await secureServer('localhost');
    await using other = await secureServer('localhost');
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      assert.equal(await kind(createTransport({ serverUrl: server.url, ca: other.ca }).request(GET)), 'broken');
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });
});
