import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer } from 'node:tls';
import { createPinnedHttp, tlsCertificates } from './pinned-http.ts';
import { type OfflineKind, OtherCertificate, offlineKind } from './reach.ts';
import { selfSigned, startTlsServer, type TestCertificate, testAuthority } from './testing/certificates.ts';

async function serve(t: TestContext, certificate: TestCertificate) {
  const server = await startTlsServer(certificate);
  t.after(() => server.close());
  return server;
}

/** Asks with this pin and tells what came of it. The other client is not to be asked at all. */
async function ask(origin: string, pin: string): Promise<'answered' | OfflineKind> {
  const open = { fetch: () => Promise.reject(new Error('the system was asked')) };
  const http = createPinnedHttp({ open, pinOf: (of) => (of === origin ? pin : null) });
  const headers = { authorization: 'Bearer secret' };
  try {
    const answer = await http.fetch(`${origin}/x`, { method: 'GET', headers, signal: AbortSignal.timeout(10_000) });
    assert.deepEqual(await answer.json(), { ok: true });
    return 'answered';
  } catch (error) {
    return offlineKind({ kind: 'network', error });
  }
}

test('a self-signed certificate that was agreed to is taken, from this server', async (t) => {
  const own = await selfSigned();
  const server = await serve(t, own);
  assert.equal(await ask(server.origin, own.certificate), 'answered');
  assert.deepEqual(server.seen, ['GET /x Bearer secret']);
});

test('an authority that was agreed to vouches for what it issues, also after a renewal', async (t) => {
  const authority = await testAuthority();
  const server = await serve(t, await authority.issue());
  assert.equal(await ask(server.origin, authority.pem), 'answered');
  server.change(await authority.issue());
  assert.equal(await ask(server.origin, authority.pem), 'answered');
});

test('a certificate of an authority can be agreed to by itself: another one of that authority is refused', async (t) => {
  const authority = await testAuthority();
  const issued = await authority.issue();
  const server = await serve(t, issued);
  assert.equal(await ask(server.origin, issued.certificate), 'answered');
  server.change(await authority.issue());
  assert.equal(await ask(server.origin, issued.certificate), 'other_certificate');
});

test('a change of certificate outside of what was agreed to is refused, and nothing is sent', async (t) => {
  const own = await selfSigned();
  const server = await serve(t, own);
  assert.equal(await ask(server.origin, own.certificate), 'answered');
  server.seen.length = 0;
  const authority = await testAuthority();
  const namesake = await testAuthority();
  for (const [what, next] of Object.entries({
    'another self-signed one': await selfSigned(),
    'one of an authority': await authority.issue(),
    'one of an authority of the same name': await namesake.issue(),
  })) {
    server.change(next);
    assert.equal(await ask(server.origin, own.certificate), 'other_certificate', what);
  }
  assert.equal(await ask(server.origin, authority.pem), 'other_certificate', 'same name, another key');
  assert.deepEqual(server.seen, []);
});

test('the environment of the person cannot have another certificate taken', async (t) => {
  const server = await serve(t, await selfSigned());
  const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env;
  t.after(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
  });
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  assert.equal(await ask(server.origin, (await selfSigned()).certificate), 'other_certificate');
  assert.deepEqual(server.seen, []);
});

test('what was agreed to does not outlive its time, stand for another name or serve another purpose', async (t) => {
  const authority = await testAuthority();
  const server = await serve(t, await selfSigned());
  for (const [what, certificate] of Object.entries({
    expired: await authority.issue({ from: -30, until: -1 }),
    'not valid yet': await authority.issue({ from: 1, until: 30 }),
    'for another name': await authority.issue({ names: ['other.example.com'] }),
  })) {
    server.change(certificate);
    assert.equal(await ask(server.origin, authority.pem), 'certificate', what);
  }
  server.change(await authority.issue({ use: 'client' }));
  assert.equal(await ask(server.origin, authority.pem), 'other_certificate', 'of a client');
  assert.deepEqual(server.seen, []);
});

test('an agreement holds for its own server: every other one is asked by the client that it does not concern', async (t) => {
  const own = await selfSigned();
  const [one, other] = [await serve(t, own), await serve(t, own)];
  const asked: string[] = [];
  const open = {
    fetch: async (url: string) => {
      asked.push(url);
      return new Response('{}');
    },
  };
  const http = createPinnedHttp({ open, pinOf: (origin) => (origin === one.origin ? own.certificate : null) });
  const init = { method: 'GET', headers: {}, signal: AbortSignal.timeout(10_000) };
  await http.fetch(`${other.origin}/x`, init);
  await http.fetch(`${one.origin}/x`, init);
  assert.deepEqual(asked, [`${other.origin}/x`]);
  assert.deepEqual([one.seen.length, other.seen.length], [1, 0]);
});

test('a look sends nothing, tells what the server shows, and who vouches for it', async (t) => {
  const authority = await testAuthority();
  const issued = await authority.issue();
  const server = await serve(t, issued);
  const alone = await tlsCertificates.look(server.origin, null);
  assert.equal(alone?.pem.trim(), issued.certificate.trim());
  assert.equal(alone?.isVouchedFor, false);
  assert.equal((await tlsCertificates.look(server.origin, authority.pem))?.isVouchedFor, true);
  assert.equal((await tlsCertificates.look(server.origin, (await testAuthority()).pem))?.isVouchedFor, false);
  assert.deepEqual(server.seen, []);
  await server.close();
  assert.equal(await tlsCertificates.look(server.origin, null), null);
});

test('an answer passes whole: several headers of one name, none at all, and a stream that is broken off', async (t) => {
  const own = await selfSigned();
  const server = await serve(t, own);
  const http = createPinnedHttp({
    open: { fetch: () => Promise.reject(new Error('no')) },
    pinOf: () => own.certificate,
  });
  const init = { method: 'GET', headers: {}, signal: AbortSignal.timeout(10_000) };
  const answer = await http.fetch(`${server.origin}/x`, init);
  assert.deepEqual(answer.headers.getSetCookie(), ['a=1', 'b=2']);
  await answer.text();
  const stop = new AbortController();
  stop.abort();
  await assert.rejects(http.fetch(`${server.origin}/x`, { ...init, signal: stop.signal }), (error: unknown) => {
    assert.ok(!(error instanceof OtherCertificate));
    return true;
  });
});

test('a server that changes the protocol instead of answering is not waited for', { timeout: 60_000 }, async (t) => {
  const { certificate, key } = await selfSigned();
  const server = createServer({ cert: certificate, key }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
  assert.equal(await ask(origin, certificate), 'unreachable');
});
