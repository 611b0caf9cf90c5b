import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createPlainServer, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { Page } from '@playwright/test';
import { NOBODY } from '../../../apps/desktop/src/main/testing/fake-server.ts';
import { wordsFor } from '../../../apps/desktop/src/words/words.ts';
import { must, until } from '../../harness/run.ts';
import { makeCertificates, openWorld, type Shell, type World } from './world.ts';

const dir = mkdtempSync(join(tmpdir(), 'tls-'));
let world: World;
before(async () => {
  world = await openWorld();
});
after(async () => {
  await world?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A server for the first and the last step of the sign-in; tells what reached it. */
async function tokenServer(cert: Buffer, key: Buffer) {
  const seen: { url: string; peer: string }[] = [];
  const server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerCertificate();
    seen.push({ url: request.url ?? '', peer: peer.subject?.CN?.toString() ?? '' });
    const isWho = request.url === '/trpc/me.get';
    response.writeHead(isWho ? 200 : 401, { 'content-type': 'application/json' }).end(isWho ? NOBODY : '{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => server.close());
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    seen,
    change(next: { cert: Buffer; key: Buffer }) {
      server.setSecureContext(next);
      server.closeAllConnections();
    },
  };
}

async function add(shell: Shell, origin: string): Promise<Page> {
  const page = await shell.pageAt('setup');
  await page.getByLabel('Server address').fill(origin);
  await page.getByRole('button', { name: 'Continue' }).click();
  return page;
}

/** From the page where the person signs in to the exchange of the code. */
async function exchange(shell: Shell, page: Page): Promise<void> {
  const before = shell.opened().length;
  await page.getByRole('button', { name: 'Open the browser' }).click();
  const asked = new URL(await until('the browser', () => shell.opened()[before])).searchParams;
  await fetch(`${asked.get('redirect_uri')}?code=${'x'.repeat(43)}&state=${asked.get('state')}`);
}

/** A certificate that vouches for itself. */
async function ownCertificate(name: string): Promise<{ cert: Buffer; key: Buffer }> {
  const files = { key: join(dir, `${name}.key`), cert: join(dir, `${name}.crt`) };
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await must('openssl', [...request, ...subject, '-keyout', files.key, '-out', files.cert]);
  return { cert: readFileSync(files.cert), key: readFileSync(files.key) };
}

test('a server whose certificate nobody vouches for is shown and gets nothing, also when Chromium is told to trust everything', async () => {
  const own = await ownCertificate('unknown');
  const { origin, seen } = await tokenServer(own.cert, own.key);
  const shell = await world.launch({ args: ['--ignore-certificate-errors'] });
  const page = await add(shell, origin);
  await page.getByRole('heading', { name: 'Is this your server?' }).waitFor();
  await page.getByText(new X509Certificate(own.cert).fingerprint256).waitFor();
  assert.equal(shell.opened().length, 0);
  assert.deepEqual(seen, []);
  await shell.close();
});

test('a certificate that the person agrees to is taken, and no other one after it', async () => {
  const own = await ownCertificate('agreed');
  const server = await tokenServer(own.cert, own.key);
  const shell = await world.launch();
  const page = await add(shell, server.origin);
  await page.getByRole('button', { name: 'Trust this certificate' }).click();
  await exchange(shell, page);
  await page.getByText('The server did not accept this sign-in.').waitFor();
  assert.deepEqual(server.seen, [
    { url: '/trpc/me.get', peer: '' },
    { url: '/api/desktop/token', peer: '' },
  ]);
  server.change(await ownCertificate('other'));
  await exchange(shell, page);
  await page.getByText('The certificate of the server was refused.').waitFor();
  assert.equal(server.seen.length, 2);
  await shell.close();
});

test('an authority that the person chooses vouches for its server alone', async () => {
  const own = await makeCertificates(join(dir, 'private'), { isTrusted: false });
  const server = await tokenServer(Buffer.from(own.cert), Buffer.from(own.key));
  const shell = await world.launch();
  const page = await add(shell, server.origin);
  await shell.app.evaluate(({ dialog }, file) => {
    (dialog as { showOpenDialog: unknown }).showOpenDialog = async () => ({ canceled: false, filePaths: [file] });
  }, own.caFile);
  await page.getByRole('button', { name: 'Choose its authority' }).click();
  await page.getByRole('button', { name: 'Trust this authority' }).click();
  await exchange(shell, page);
  await page.getByText('The server did not accept this sign-in.').waitFor();
  assert.equal(server.seen.length, 2);
  server.change(await ownCertificate('instead'));
  await exchange(shell, page);
  await page.getByText('The certificate of the server was refused.').waitFor();
  assert.equal(server.seen.length, 2);
  await shell.close();
});

test('a server that asks for a certificate of the person does not get it', async () => {
  const { certs } = world;
  const bundle = join(dir, 'person.p12');
  const pair = ['-inkey', certs.keyFile, '-in', certs.certFile, '-name', 'person'];
  await must('openssl', ['pkcs12', '-export', ...pair, '-passout', 'pass:x', '-out', bundle]);
  await must('pk12util', ['-d', `sql:${process.env.HOME}/.pki/nssdb`, '-i', bundle, '-W', 'x']);
  const { origin, seen } = await tokenServer(Buffer.from(certs.cert), Buffer.from(certs.key));
  const shell = await world.launch();
  const page = await add(shell, origin);
  await exchange(shell, page);
  await page.getByText('The server did not answer.').waitFor();
  // Electron ends a connection on which it is asked for a certificate.
  assert.deepEqual(seen, []);
  await shell.close();
});

test('what is no identree is said before it is added, and what was typed stays', async () => {
  const words = wordsFor('en').setup;
  const answers = {
    site: (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Hello'),
    elsewhere: (response: ServerResponse) => response.writeHead(302, { location: 'https://example.com/' }).end(),
    broken: (response: ServerResponse) => response.writeHead(502, { 'content-type': 'text/html' }).end('<p>Bad'),
  };
  const portOf = async (server: Server) => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    after(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  const http = (answer: (response: ServerResponse) => void) =>
    portOf(createPlainServer((_request, response) => answer(response)));
  // As SSH and mail do: it speaks first, and not what is expected.
  const talks = await portOf(createTcpServer((socket) => socket.on('error', () => {}).write('SSH-2.0-OpenSSH\r\n')));
  const site = await http(answers.site);
  const shell = await world.launch();
  const page = await shell.pageAt('setup');
  for (const [typed, said] of [
    [`localhost:${site}/inbox`, words.problems.another_site],
    [`http://localhost:${await http(answers.elsewhere)}`, words.problems.another_site],
    [`http://localhost:${await http(answers.broken)}`, words.errorAnswer(502)],
    [`https://localhost:${site}`, words.problems.no_tls],
    [`https://localhost:${talks}`, words.problems.no_tls],
    [`http://localhost:${talks}`, words.problems.another_site],
  ] as const) {
    await page.getByLabel('Server address').fill(typed);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').getByText(said).waitFor();
    assert.equal(await page.getByLabel('Server address').inputValue(), typed);
    await page.getByLabel('Server address').fill('');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').getByText(words.problems.empty).waitFor();
  }
  assert.deepEqual(shell.opened(), []);
  await shell.close();
});
