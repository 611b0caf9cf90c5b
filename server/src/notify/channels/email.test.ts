import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { Exchange } from '../channel.ts';
import { channelOf, signal, TOKEN } from '../testing/channel-kit.ts';
import { noticeOf } from '../testing/notices.ts';
import { smtpFake } from '../testing/smtp-fake.ts';

const about = { host: 'mail.example', from: 'identree@example.com', to: ['a@example.com', 'b@example.com'] };
const env = { OPS: { token: TOKEN } };

/** A certificate for one name, that vouches for itself. */
async function certificateFor(t: TestContext, name: string) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-mail-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  const named = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  await promisify(execFile)('openssl', [...made, ...named, '-keyout', key, '-out', cert]);
  return { key: await readFile(key), cert: await readFile(cert) };
}

test('[N-05] a server that offers no STARTTLS is given neither password nor mail', async (t) => {
  const smtp = await smtpFake(t);
  for (const user of [undefined, 'identree']) {
    const channel = channelOf('email', { ...about, port: smtp.port, ...(user ? { user } : {}) }, { env });
    const came = await channel.deliver(noticeOf(), signal());
    assert.equal(came.outcome, 'later');
    assert.doesNotMatch(came.reason, /AAF|example/);
  }
  assert.deepEqual(smtp.mails, []);
  assert.deepEqual([...new Set(smtp.commands.map((line) => line.split(' ')[0]))].sort(), ['EHLO', 'STARTTLS']);
});

test('[N-05] over TLS from the beginning, to a certificate of the name alone', async (t) => {
  const right = await certificateFor(t, 'mail.example');
  const wrong = await certificateFor(t, 'other.example');
  const send = async (files: typeof right, ca: Buffer | null) => {
    const smtp = await smtpFake(t, files);
    const settings = { ...about, port: smtp.port, tls: 'implicit', ...(ca === null ? {} : { ca: ca.toString() }) };
    const came = await channelOf('email', settings, { env }).deliver(noticeOf(), signal());
    return { came: came.outcome, mails: smtp.mails.length, smtp };
  };
  const good = await send(right, right.cert);
  assert.deepEqual([good.came, good.mails, good.smtp.recipients], ['delivered', 1, about.to]);
  const [mail] = good.smtp.mails;
  assert.match(mail!, /^Content-Type: multipart\/alternative/m);
  assert.match(mail!, new RegExp(`^Message-ID: <${noticeOf().id}@example.com>`, 'm'));
  assert.match(mail!, /^Auto-Submitted: auto-generated/m);
  assert.match(mail!, /^Subject: Approval needed\r$/m);
  for (const [files, ca] of [
    [wrong, wrong.cert],
    [right, null],
  ] as const) {
    const bad = await send(files, ca);
    assert.deepEqual([bad.came, bad.mails, bad.smtp.commands], ['later', 0, []]);
  }
});

test('[N-05] without TLS it stays in the networks that were opened, and no address leads inside', async (t) => {
  const smtp = await smtpFake(t);
  const came = await channelOf('email', { ...about, port: smtp.port, tls: 'none' }, { opened: [] }).deliver(
    noticeOf(),
    signal(),
  );
  assert.equal(came.outcome, 'refused');
  for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '::1', '::ffff:7f00:1']) {
    const literal = channelOf('email', { ...about, host, port: smtp.port, tls: 'none' }, { opened: [] });
    assert.equal((await literal.deliver(noticeOf(), signal())).outcome, 'refused', host);
  }
  assert.deepEqual(smtp.commands, []);
});

test('[N-05] a server that goes on talking is left when the time of the attempt is over', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('220 fake ESMTP\r\n');
    // Not before it is asked: a client that reads more than a greeting asks nothing.
    socket.once('data', () => {
      const talks = setInterval(() => socket.write('250-wait\r\n'), 20);
      socket.on('close', () => clearInterval(talks));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const end = new AbortController();
  const { port } = server.address() as AddressInfo;
  const came = channelOf('email', { ...about, port }, { env }).deliver(noticeOf(), end.signal);
  const [socket] = (await once(server, 'connection')) as [Socket];
  t.after(() => socket.destroy());
  const left = new Promise<void>((resolve) => void socket.on('close', () => resolve()));
  // It has been greeted, and waits for what the server can do.
  await once(socket, 'data');
  end.abort();
  assert.equal((await came).outcome, 'later');
  await left;
});

test('[N-20] of a mail it is shown by which server it went and what that said, and of a failure the number alone', async (t) => {
  const smtp = await smtpFake(t);
  const exchangeOf = async (more: object, made: object = {}) => {
    const seen: Exchange[] = [];
    const channel = channelOf('email', { ...about, port: smtp.port, tls: 'none', ...more }, { env, ...made });
    await channel.deliver(noticeOf({ event: 'test', request: null }), signal(), (exchange) => seen.push(exchange));
    return seen.at(-1);
  };
  const request = `mail by mail.example:${smtp.port}`;
  assert.deepEqual(await exchangeOf({}), { request, status: '250', answer: 'kept' });
  assert.deepEqual(await exchangeOf({ tls: 'starttls' }), { request, status: '502', answer: null });
  assert.deepEqual(await exchangeOf({}, { opened: [] }), { request, status: null, answer: null });
});
