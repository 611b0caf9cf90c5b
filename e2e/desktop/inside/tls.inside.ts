import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { must, until } from '../../harness/run.ts';
import { openWorld, type Shell, type World } from './world.ts';

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
  return { origin: `https://localhost:${(server.address() as AddressInfo).port}`, seen };
}

/** Goes through the sign-in as far as the exchange of the code. */
async function exchange(origin: string): Promise<Shell> {
  const shell = await world.launch();
  const page = await shell.pageAt('setup');
  await page.getByLabel('Server address').fill(origin);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Open the browser' }).click();
  const asked = new URL(await until('the browser', () => shell.opened()[0])).searchParams;
  await fetch(`${asked.get('redirect_uri')}?code=${'x'.repeat(43)}&state=${asked.get('state')}`);
  return shell;
}

test('a server whose certificate nobody vouches for gets nothing, and there is nothing to click it away', async () => {
  const files = { key: join(dir, 'own.key'), cert: join(dir, 'own.crt') };
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await must('openssl', [...request, ...subject, '-keyout', files.key, '-out', files.cert]);
  const { origin, seen } = await tokenServer(readFileSync(files.cert), readFileSync(files.key));
  const shell = await exchange(origin);
  const page = await shell.pageAt('setup');
  await page.getByText('The server did not answer.').waitFor();
  assert.deepEqual(seen, []);
  await shell.close();
});

test('a server that asks for a certificate of the person does not get it', async () => {
  const { certs } = world;
  const bundle = join(dir, 'person.p12');
  const pair = ['-inkey', certs.keyFile, '-in', certs.certFile, '-name', 'person'];
  await must('openssl', ['pkcs12', '-export', ...pair, '-passout', 'pass:x', '-out', bundle]);
  await must('pk12util', ['-d', `sql:${process.env.HOME}/.pki/nssdb`, '-i', bundle, '-W', 'x']);
  const { origin, seen } = await tokenServer(Buffer.from(certs.cert), Buffer.from(certs.key));
  const shell = await exchange(origin);
  const page = await shell.pageAt('setup');
  await page.getByText('The server did not answer.').waitFor();
  // Electron ends a connection on which it is asked for a certificate.
  assert.deepEqual(seen, []);
  await shell.close();
});
