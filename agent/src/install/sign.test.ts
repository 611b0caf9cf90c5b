import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parseRelease } from '#shared/release.ts';
import { identree as cli } from '../testing/cli.ts';

const work = mkdtempSync(join(tmpdir(), 'identree-sign-'));
after(() => rmSync(work, { recursive: true, force: true }));
let folders = 0;
/** Paths in a new folder. */
const folder = () => {
  const path = join(work, String(++folders));
  mkdirSync(path);
  return (name = '') => join(path, name);
};
const openssl = (...words: string[]) => execFileSync('openssl', words, { encoding: 'utf8', stdio: 'pipe' });

/** A pair of OpenSSL's, a script, and its signature by us. */
async function signed() {
  const at = folder();
  openssl('genpkey', '-algorithm', 'ed25519', '-out', at('sign.pem'));
  openssl('pkey', '-in', at('sign.pem'), '-pubout', '-out', at('verify.pub'));
  writeFileSync(at('install.sh'), '#!/bin/sh\necho hello\n');
  const made = await cli(['sign-script', '--key', at('sign.pem'), '--script', at('install.sh')]);
  assert.equal(made.code, 0, made.stderr);
  const check = (change: Partial<Record<'key' | 'script' | 'sig', string>> = {}) =>
    cli([
      'verify-install',
      ...Object.entries({
        key: at('verify.pub'),
        script: at('install.sh'),
        sig: at('install.sh.sig'),
        ...change,
      }).flatMap(([name, path]) => [`--${name}`, path]),
    ]);
  return { at, check };
}

describe('identree verify-install', () => {
  it('[W-18] believes what was signed with a key of OpenSSL, and OpenSSL believes our signature', async () => {
    const { at, check } = await signed();
    const { code, stdout } = await check();
    assert.deepEqual([code, stdout], [0, `${at('install.sh')} is as it was signed.\n`]);
    openssl('base64', '-d', '-A', '-in', at('install.sh.sig'), '-out', at('raw'));
    const said = openssl(
      ...['pkeyutl', '-verify', '-pubin', '-inkey', at('verify.pub'), '-rawin', '-in', at('install.sh')],
      ...['-sigfile', at('raw')],
    );
    assert.match(said, /Verified Successfully/);
  });

  it('refuses a script that was changed, a signature that was changed, and another key', async () => {
    const { at, check } = await signed();
    const other = await signed();
    writeFileSync(at('changed.sh'), '#!/bin/sh\necho hello; id\n');
    const sig = readFileSync(at('install.sh.sig'), 'utf8');
    writeFileSync(at('changed.sig'), `${sig[0] === 'A' ? 'B' : 'A'}${sig.slice(1)}`);
    writeFileSync(at('empty.sig'), '');
    for (const change of [
      { script: at('changed.sh') },
      { sig: at('changed.sig') },
      { sig: at('empty.sig') },
      { sig: other.at('install.sh.sig'), script: at('changed.sh') },
      { key: other.at('verify.pub') },
    ]) {
      const { code, stdout, stderr } = await check(change);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /is not what was signed with this key\. Do not run it\./);
    }
  });

  it('ends with 1 and the reason when something cannot be read, or is not what it should be', async () => {
    const { at, check } = await signed();
    openssl('genpkey', '-algorithm', 'rsa', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', at('rsa.pem'));
    openssl('pkey', '-in', at('rsa.pem'), '-pubout', '-out', at('rsa.pub'));
    writeFileSync(at('raw.pub'), '-----BEGIN ED25519 PUBLIC KEY-----\nAAAA\n-----END ED25519 PUBLIC KEY-----\n');
    for (const [change, words] of [
      [{ script: at('none') }, /none cannot be read \(ENOENT\)/],
      [{ sig: at('none') }, /none cannot be read \(ENOENT\)/],
      [{ key: at('none') }, /none cannot be read \(ENOENT\)/],
      [{ key: at('sign.pem') }, /is a private key, not a public one/],
      [{ key: at('rsa.pub') }, /is no Ed25519 key/],
      [{ key: at('raw.pub') }, /is no key in PEM/],
    ] as const) {
      const { code, stderr } = await check(change);
      assert.equal(code, 1);
      assert.match(stderr, words);
    }
    assert.equal((await cli(['verify-install', '--script', at('install.sh')])).code, 1, 'wrong use too');
  });
});

describe('identree sign-script --generate-key', () => {
  const generate = (key: string) => cli(['sign-script', '--generate-key', '--key', key]);

  it('makes a pair that OpenSSL reads, the private half for its owner alone', async () => {
    const at = folder();
    assert.equal((await generate(at('sign.pem'))).code, 0);
    assert.equal(statSync(at('sign.pem')).mode & 0o777, 0o600);
    assert.equal(openssl('pkey', '-in', at('sign.pem'), '-pubout'), readFileSync(at('sign.pub'), 'utf8'));
  });

  it('[W-18] overwrites neither half', async () => {
    const at = folder();
    await generate(at('sign.pem'));
    const [key, pub] = [readFileSync(at('sign.pem'), 'utf8'), readFileSync(at('sign.pub'), 'utf8')];
    const again = await generate(at('sign.pem'));
    assert.equal(again.code, 1);
    assert.match(again.stderr, /is there already, and is never overwritten/);
    assert.deepEqual([readFileSync(at('sign.pem'), 'utf8'), readFileSync(at('sign.pub'), 'utf8')], [key, pub]);
  });

  it('with the public half missing makes it from the private one', async () => {
    const at = folder();
    await generate(at('sign.pem'));
    const pub = readFileSync(at('sign.pub'), 'utf8');
    rmSync(at('sign.pub'));
    assert.equal((await generate(at('sign.pem'))).code, 0);
    assert.equal(readFileSync(at('sign.pub'), 'utf8'), pub);
  });

  it('with the private half missing makes nothing, and leaves the public one', async () => {
    const at = folder();
    await generate(at('sign.pem'));
    const pub = readFileSync(at('sign.pub'), 'utf8');
    rmSync(at('sign.pem'));
    const { code, stderr } = await generate(at('sign.pem'));
    assert.equal(code, 1);
    assert.match(stderr, /sign\.pub is there and .*sign\.pem is not/);
    assert.equal(readFileSync(at('sign.pub'), 'utf8'), pub);
    assert.throws(() => statSync(at('sign.pem')), /ENOENT/);
  });
});

describe('identree sign-script --folder', () => {
  it('lists script and packages, signs the list and the script, and gives the script its key', async () => {
    const at = folder();
    await cli(['sign-script', '--generate-key', '--key', at('sign.pem')]);
    mkdirSync(at('out'));
    writeFileSync(at('out/install.sh'), "key() {\n  cat <<'INSTALL_KEY'\nINSTALL_KEY\n}\n");
    writeFileSync(at('out/identree-agent_1_amd64.deb'), 'package');
    writeFileSync(at('out/notes.txt'), 'not for hosts');
    for (const round of [1, 2]) {
      const { code, stderr } = await cli(['sign-script', '--key', at('sign.pem'), '--folder', at('out')]);
      assert.equal(code, 0, `${round}: ${stderr}`);
    }
    const script = readFileSync(at('out/install.sh'), 'utf8');
    assert.equal(script.split('BEGIN PUBLIC KEY').length, 2);
    assert.ok(script.includes(readFileSync(at('sign.pub'), 'utf8')));
    assert.equal(readFileSync(at('out/install.pub'), 'utf8'), readFileSync(at('sign.pub'), 'utf8'));
    const release = parseRelease(readFileSync(at('out/manifest'), 'utf8'));
    assert.deepEqual(
      release?.files.map(({ name }) => name),
      ['identree-agent_1_amd64.deb', 'install.sh'],
    );
    for (const file of ['install.sh', 'manifest']) {
      const { code } = await cli([
        ...['verify-install', '--key', at('sign.pub')],
        ...['--script', at(`out/${file}`), '--sig', at(`out/${file}.sig`)],
      ]);
      assert.equal(code, 0, file);
    }
  });

  it('signs nothing without a package, and says which half of a wrong use is wrong', async () => {
    const at = folder();
    await cli(['sign-script', '--generate-key', '--key', at('sign.pem')]);
    writeFileSync(at('install.sh'), '#!/bin/sh\n');
    chmodSync(at('install.sh'), 0o755);
    const none = await cli(['sign-script', '--key', at('sign.pem'), '--folder', at()]);
    assert.deepEqual([none.code, /holds no package/.test(none.stderr)], [1, true]);
    assert.throws(() => statSync(at('manifest')), /ENOENT/);
    const both = ['--script', at('install.sh'), '--folder', at()];
    assert.equal((await cli(['sign-script', '--key', at('sign.pem'), ...both])).code, 2);
  });

  it('signs no two packages for the same hosts, and none of two versions', async () => {
    const at = folder();
    await cli(['sign-script', '--generate-key', '--key', at('sign.pem')]);
    writeFileSync(at('install.sh'), '#!/bin/sh\n');
    writeFileSync(at('identree-agent_1.0_amd64.deb'), '1');
    for (const [name, words] of [
      ['identree-agent_2.0_amd64.deb', /are for the same hosts: take one away/],
      ['identree-agent-2.0-1.x86_64.rpm', /holds packages of .* and /],
    ] as const) {
      writeFileSync(at(name), '2');
      const { code, stderr } = await cli(['sign-script', '--key', at('sign.pem'), '--folder', at()]);
      assert.equal(code, 1);
      assert.match(stderr, words);
      rmSync(at(name));
    }
    assert.throws(() => statSync(at('manifest')), /ENOENT/);
  });
});
