import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { httpReceiver } from '../audit/testing/http-receiver.ts';
import { createOutbound, type Resolve, type Sent } from './outbound.ts';
import { rebindingNameServer } from './testing/rebinding-name-server.ts';

const NOW = Date.UTC(2026, 11, 24);
const SECRET = 'bot123456:AAF-secret-in-the-path';
const outboundWith = (opened: string[], resolve: Resolve = async () => ['127.0.0.1']) =>
  createOutbound({ opened, resolve, now: () => NOW });
const about = (url: string) => ({ url, headers: {}, body: '{}', signal: AbortSignal.timeout(60_000) });

function refused(sent: Sent): Extract<Sent, { ok: false }> {
  assert.ok(!sent.ok, 'nothing may be sent');
  assert.ok(!sent.reason.includes(SECRET), sent.reason);
  return sent;
}

/** A service on two addresses of loopback at one port: one that an attacker owns, and one that nobody may reach. */
async function insideAndOutside(t: TestContext) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.socket.localAddress} ${request.headers.host}`);
    response.end('there');
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

test('[N-21] nothing leads into this machine, by whatever spelling or name', async (t) => {
  const { port, seen } = await insideAndOutside(t);
  const outbound = outboundWith([]);
  for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '0177.1', '0', '[::1]', '[::ffff:7f00:1]', 'name.example'])
    for (const scheme of ['http', 'https']) {
      const sent = refused(await outbound.post(about(`${scheme}://${host}:${port}/${SECRET}`)));
      assert.equal(sent.final, true);
      assert.match(sent.reason, /IDENTREE_NOTIFY_ALLOW_CIDRS does not open/);
    }
  for (const host of ['user@127.0.0.1', ':@127.0.0.1', '@127.0.0.1']) {
    const sent = refused(await outboundWith(['127.0.0.0/8']).post(about(`http://${host}:${port}/${SECRET}`)));
    assert.deepEqual([sent.final, /user name/.test(sent.reason)], [true, true], host);
  }
  assert.deepEqual(seen, []);
});

test('[N-21] what the operator opened is reached, with the name in the request', async (t) => {
  const { port, seen } = await insideAndOutside(t);
  const sent = await outboundWith(['127.0.0.1/32']).post(about(`http://ntfy.example:${port}/`));
  assert.deepEqual(sent, { ok: true, answer: { status: 200, body: 'there', retryMs: null }, opened: true });
  assert.deepEqual(seen, [`127.0.0.1 ntfy.example:${port}`]);
});

test('[N-18] who says nothing is waited for as long as the server was told', async (t) => {
  const silent = createServer(() => undefined);
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const { port } = silent.address() as AddressInfo;
  const outbound = createOutbound({ opened: ['127.0.0.0/8'], resolve: async () => [], now: () => NOW, timeoutMs: 300 });
  const sent = refused(await outbound.post(about(`http://127.0.0.1:${port}/`)));
  assert.deepEqual([sent.final, sent.reason], [false, 'no answer in 0.3 seconds']);
});

test('[N-21] plain http stays in the networks that were opened', async () => {
  const outbound = outboundWith(['10.0.0.0/8'], async (name) =>
    name === 'both.example' ? ['10.0.0.1', '1.1.1.1'] : ['1.1.1.1'],
  );
  for (const host of ['public.example', 'both.example', '1.1.1.1', '[2606:4700:4700::1111]']) {
    const sent = refused(await outbound.post(about(`http://${host}/${SECRET}`)));
    assert.deepEqual([sent.final, /plain http/.test(sent.reason)], [true, true], host);
  }
});

test('[N-21] a redirect is an answer and leads nowhere', async (t) => {
  const inside = await httpReceiver(t, () => ({ status: 200 }));
  const outside = await httpReceiver(t, () => ({
    status: 307,
    headers: { location: `${inside.url}/latest/meta-data` },
  }));
  const sent = await outboundWith(['127.0.0.0/8']).post(about(outside.url));
  assert.equal(sent.ok && sent.answer.status, 307);
  assert.deepEqual([outside.received.length, inside.received.length], [1, 0]);
});

test('[N-21] no proxy is asked, whatever the environment says', async (t) => {
  const proxy = await httpReceiver(t, () => ({ status: 200, body: 'by the proxy' }));
  const receiver = await httpReceiver(t, () => ({ status: 200, body: 'by itself' }));
  const program = `
    import { createOutbound } from ${JSON.stringify(new URL('outbound.ts', import.meta.url).href)};
    const outbound = createOutbound({ opened: ['127.0.0.0/8'], resolve: async () => ['127.0.0.1'], now: Date.now });
    const request = { url: ${JSON.stringify(receiver.url)}, headers: {}, body: '', signal: AbortSignal.timeout(60_000) };
    console.log(JSON.stringify(await outbound.post(request)));`;
  const env = { PATH: process.env.PATH, NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy.url, http_proxy: proxy.url };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env });
  assert.equal(JSON.parse(stdout).answer?.body, 'by itself');
  assert.deepEqual(proxy.received, []);
});

test('[N-21] an answer that never ends is read no further than is of use', async (t) => {
  const receiver = await httpReceiver(t, () => ({ status: 200, body: 'x'.repeat(8 * 1024 * 1024) }));
  const sent = await outboundWith(['127.0.0.0/8']).post(about(receiver.url));
  assert.ok(sent.ok && sent.answer.body.length < 256 * 1024);
});

test('[N-21] one who never stops answering is left, and what they said at first counts', async (t) => {
  let left = () => {};
  const hungUp = new Promise<void>((resolve) => {
    left = resolve;
  });
  const server = createServer((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
    };
    response.writeHead(200);
    response.on('drain', more).on('close', () => left());
    more();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const sent = await outboundWith(['127.0.0.0/8']).post(about(`http://127.0.0.1:${port}/`));
  assert.equal(sent.ok && sent.answer.status, 200);
  await hungUp;
});

describe('what is said of a failure names no address', () => {
  test('[N-23] of a name that is not found, a port that is closed, and one who hangs up', async (t) => {
    const hangsUp = createServer((request) => request.socket.destroy());
    hangsUp.listen(0, '127.0.0.1');
    await once(hangsUp, 'listening');
    t.after(() => hangsUp.close());
    const { port } = hangsUp.address() as AddressInfo;
    const lost = outboundWith(['127.0.0.0/8'], async () => {
      throw new Error(`getaddrinfo ENOTFOUND ${SECRET}.example`);
    });
    const open = outboundWith(['127.0.0.0/8']);
    for (const [outbound, url] of [
      [lost, `https://${SECRET.split(':')[0]}.example/${SECRET}`],
      [outboundWith([], async () => []), `https://none.example/${SECRET}`],
      // Discard: nobody listens there.
      [open, `http://127.0.0.1:9/${SECRET}`],
      [open, `http://127.0.0.1:${port}/${SECRET}`],
    ] as const) {
      const sent = refused(await outbound.post(about(url)));
      assert.equal(sent.final, false, 'it may pass');
      assert.doesNotMatch(sent.reason, /127\.0\.0\.1|example|bot123456/);
    }
  });
});

test('[N-21] the certificate has to be of the name, whatever address was judged', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-outbound-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  const named = ['-subj', '/CN=right.example', '-addext', 'subjectAltName=DNS:right.example'];
  await promisify(execFile)('openssl', [...made, ...named, '-keyout', key, '-out', cert]);
  const server = createTlsServer({ key: await readFile(key), cert: await readFile(cert) }, (_request, response) =>
    response.end(),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const program = `
    import { createOutbound } from ${JSON.stringify(new URL('outbound.ts', import.meta.url).href)};
    const outbound = createOutbound({ opened: ['127.0.0.0/8'], resolve: async () => ['127.0.0.1'], now: Date.now });
    const about = { headers: {}, body: '', signal: AbortSignal.timeout(60_000) };
    for (const name of ['right.example', 'wrong.example', '127.0.0.1']) {
      const sent = await outbound.post({ ...about, url: 'https://' + name + ':${port}/' });
      console.log(sent.ok ? sent.answer.status : sent.reason);
    }`;
  const env = { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: cert };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env });
  assert.deepEqual(stdout.trim().split('\n'), ['200', ...Array(2).fill('ERR_TLS_CERT_ALTNAME_INVALID')]);
});

describe('a name server that changes its mind', () => {
  const INSIDE = '127.0.0.1';
  const OUTSIDE = '127.0.0.2';

  test('[N-22] what was judged is dialled, and the name is asked for once', async (t) => {
    const { port, seen } = await insideAndOutside(t);
    const names = await rebindingNameServer(t, { a: [[OUTSIDE], [INSIDE]] });
    const outbound = outboundWith([`${OUTSIDE}/32`], names.resolve);
    const sent = await outbound.post(about(`http://rebind.example:${port}/`));
    assert.equal(sent.ok && sent.answer.status, 200);
    assert.deepEqual(seen, [`${OUTSIDE} rebind.example:${port}`]);
    assert.deepEqual(names.asked, { a: 1, aaaa: 1 });
    // The next exchange asks anew, and is judged anew.
    assert.equal(refused(await outbound.post(about(`http://rebind.example:${port}/`))).final, true);
    assert.equal(seen.length, 1);
  });

  test('[N-22] one address that is closed among others is a reason to dial none', async (t) => {
    const { port, seen } = await insideAndOutside(t);
    for (const answers of [
      { a: [[OUTSIDE, INSIDE]] },
      { a: [[INSIDE, OUTSIDE]] },
      { a: [[OUTSIDE]], aaaa: [['0:0:0:0:0:0:0:1']] },
      { a: [[OUTSIDE]], aaaa: [['0:0:0:0:0:ffff:7f00:1']] },
      { a: [[OUTSIDE]], aaaa: [['64:ff9b:0:0:0:0:7f00:1']] },
      { a: [[]], aaaa: [['0:0:0:0:0:ffff:7f00:1']] },
      { a: [['0.0.0.0']] },
    ]) {
      const names = await rebindingNameServer(t, answers);
      const outbound = outboundWith([`${OUTSIDE}/32`], names.resolve);
      const sent = refused(await outbound.post(about(`http://rebind.example:${port}/`)));
      assert.deepEqual([sent.final, sent.reason.includes(INSIDE)], [true, false], JSON.stringify(answers));
    }
    assert.deepEqual(seen, []);
  });
});
