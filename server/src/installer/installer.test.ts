import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { formatRelease, formatSignature, sha256Hex } from '#shared/release.ts';
import { createTestApp, TEST_EXTERNAL_URL, type TestApp } from '../testing/test-app.ts';

const DEB = 'identree-agent_1.2.3_amd64.deb';
const SCRIPT = Buffer.from('#!/bin/sh\necho installing\n');
const PACKAGE = Buffer.from('a package');

const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;

describe('what hosts are installed from', () => {
  const work = mkdtempSync(join(tmpdir(), 'identree-installer-'));
  const folder = join(work, 'install');
  const verifyKey = join(work, 'verify.pub');
  const operator = generateKeyPairSync('ed25519');
  const thief = generateKeyPairSync('ed25519');
  let t: TestApp;
  before(async () => {
    mkdirSync(folder);
    writeFileSync(join(work, 'secret'), 'not for anybody');
    writeFileSync(verifyKey, pem(operator.publicKey));
    t = await createTestApp({ env: { IDENTREE_INSTALL_DIR: folder, IDENTREE_INSTALL_VERIFY_KEY: verifyKey } });
  });
  after(async () => {
    await t.close();
    rmSync(work, { recursive: true, force: true });
  });

  /** What `identree sign-script --folder` leaves. */
  function publish(by = operator, script = SCRIPT): void {
    const put = (name: string, bytes: string | Buffer) => writeFileSync(join(folder, name), bytes);
    const sigOf = (bytes: Buffer) => formatSignature(sign(null, bytes, by.privateKey));
    const files = [
      { name: 'install.sh', size: script.length, sha256: sha256Hex(script) },
      { name: DEB, size: PACKAGE.length, sha256: sha256Hex(PACKAGE) },
    ];
    const manifest = Buffer.from(formatRelease({ version: '1.2.3', files }));
    put('install.sh', script);
    put('install.sh.sig', sigOf(script));
    put('manifest', manifest);
    put('manifest.sig', sigOf(manifest));
    put('install.pub', pem(by.publicKey));
    rmSync(join(folder, DEB), { force: true });
    put(DEB, PACKAGE);
  }
  beforeEach(() => publish());

  const ask = (url: string, method: 'GET' | 'HEAD' | 'POST' = 'GET', headers = {}) =>
    t.app.http.inject({ url, method, headers });
  const refused = async (url: string): Promise<void> => {
    const { statusCode, json, body } = await ask(url);
    assert.equal(statusCode, 503, `${url}: ${body}`);
    assert.equal(json().error.code, 'not_as_signed');
  };

  it('is handed out as it was signed, to everybody', async () => {
    const script = await ask('/install.sh');
    assert.deepEqual([script.statusCode, script.body], [200, SCRIPT.toString()]);
    assert.match((await ask('/install.sh.sig')).body, /^[A-Za-z0-9+/]{86}==\n$/);
    assert.equal((await ask('/install.pub')).body, pem(operator.publicKey));
    assert.deepEqual((await ask('/install-config.json')).json(), { server_url: TEST_EXTERNAL_URL, version: '1.2.3' });
    assert.equal((await ask('/download/version')).body, '1.2.3\n');
    assert.match((await ask('/download/manifest')).body, /^identree release 1\nversion 1\.2\.3\n/);
    const deb = await ask(`/download/${DEB}`);
    assert.deepEqual([deb.statusCode, deb.body], [200, 'a package']);
    assert.equal(deb.headers['content-type'], 'application/octet-stream');
  });

  it('is sent again only when it is another one, and HEAD says how much it is', async () => {
    for (const [url, length] of [
      ['/install.sh', SCRIPT.length],
      [`/download/${DEB}`, PACKAGE.length],
    ] as const) {
      const first = await ask(url);
      assert.equal(first.headers['cache-control'], 'no-cache');
      const again = await ask(url, 'GET', { 'if-none-match': first.headers.etag });
      assert.deepEqual([again.statusCode, again.body], [304, '']);
      const head = await ask(url, 'HEAD');
      assert.deepEqual([head.statusCode, head.body, head.headers['content-length']], [200, '', String(length)]);
    }
  });

  it('holds nothing that the manifest does not name, wherever a path would lead', async () => {
    writeFileSync(join(folder, 'notes.txt'), 'left here');
    for (const name of [
      'notes.txt',
      'none.deb',
      '..%2fsecret',
      '%2e%2e%2fsecret',
      '../secret',
      '..\\secret',
      '%00',
      '',
    ])
      assert.equal((await ask(`/download/${name}`)).statusCode, 404, name);
    assert.equal((await ask(`/download/${DEB}`, 'POST')).statusCode, 404);
  });

  it('is refused when a package is not the one that was signed', async () => {
    writeFileSync(join(folder, DEB), 'b package');
    await refused(`/download/${DEB}`);
    writeFileSync(join(folder, DEB), 'a package and more');
    await refused(`/download/${DEB}`);
    publish();
    assert.equal((await ask(`/download/${DEB}`)).statusCode, 200);
    // The same size and the same name, in its place after it was looked at.
    writeFileSync(join(work, 'other'), 'c package');
    renameSync(join(work, 'other'), join(folder, DEB));
    await refused(`/download/${DEB}`);
    rmSync(join(folder, DEB));
    await refused(`/download/${DEB}`);
  });

  it('is refused when a package is a way to another file', async () => {
    rmSync(join(folder, DEB));
    writeFileSync(join(work, 'same'), PACKAGE);
    symlinkSync(join(work, 'same'), join(folder, DEB));
    await refused(`/download/${DEB}`);
  });

  it('is refused when script, manifest or signature were changed', async () => {
    for (const [name, bytes] of [
      ['install.sh', `${SCRIPT}id\n`],
      ['install.sh.sig', formatSignature(sign(null, SCRIPT, thief.privateKey))],
      [
        'manifest',
        formatRelease({ version: '9', files: [{ name: 'install.sh', size: 1, sha256: sha256Hex(SCRIPT) }] }),
      ],
      ['manifest.sig', ''],
    ] as const) {
      publish();
      writeFileSync(join(folder, name), bytes);
      for (const url of ['/install.sh', '/install.sh.sig', '/install-config.json', `/download/${DEB}`])
        await refused(url);
    }
  });

  it('is refused when the script was signed for another release', async () => {
    const older = Buffer.from('#!/bin/sh\necho older\n');
    writeFileSync(join(folder, 'install.sh'), older);
    writeFileSync(join(folder, 'install.sh.sig'), formatSignature(sign(null, older, operator.privateKey)));
    await refused('/install.sh');
  });

  it('is refused when all of it was signed again with another key', async () => {
    publish(thief, Buffer.from('#!/bin/sh\nid\n'));
    for (const url of ['/install.sh', '/install.pub', `/download/${DEB}`]) await refused(url);
  });

  it('is not there on a server without such a folder', async () => {
    const other = await createTestApp();
    for (const url of ['/install.sh', '/install.pub', '/install-config.json', '/download/version', `/download/${DEB}`])
      assert.equal((await other.app.http.inject(url)).statusCode, 404, url);
    await other.close();
  });
});
