import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { Page } from '@playwright/test';
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

/** A server for the last step of the sign-in; tells what reached it. */
async function tokenServer(cert: Buffer, key: Buffer) {
  const seen: { url: string; peer: string }[] = [];
  const server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerCertificate();
    seen.push({ url: request.url ?? '', peer: peer.subject?.CN?.toString() ?? '' });
    response.writeHead(401, { 'content-type': 'application/json' }).end('{}');
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
  assert.deepEqual(server.seen, [{ url: '/api/desktop/token', peer: '' }]);
  server.change(await ownCertificate('other'));
  await exchange(shell, page);
  await page.getByText('The certificate of the server was refused.').waitFor();
  assert.equal(server.seen.length, 1);
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
  assert.equal(server.seen.length, 1);
  server.change(await ownCertificate('instead'));
  await exchange(shell, page);
  await page.getByText('The certificate of the server was refused.').waitFor();
  assert.equal(server.seen.length, 1);
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
