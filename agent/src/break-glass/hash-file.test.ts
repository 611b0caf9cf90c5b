import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import bcrypt from 'bcryptjs';
import { UntrustedFile } from '../state/trusted-file.ts';
import { hashPassword, isPassword } from './bcrypt.ts';
import { hasHashFile, readHashFile, type StoredHash, writeHashFile } from './hash-file.ts';

const HASH = `$2b$12$${'a'.repeat(53)}`;
const STORED: StoredHash = {
  hash: HASH,
  createdAt: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  type: 'random',
  escrowId: '5c7bb2bb-2f4a-4c57-9d61-0dbb40f5e1a9',
  sealedTo: null,
};

async function world() {
  const dir = await mkdtemp(join(tmpdir(), 'identree-hash-'));
  await chmod(dir, 0o755);
  const path = join(dir, 'identree-breakglass');
  return { dir, path, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

describe('the hash file', () => {
  it('is written for root alone, with a line that says whose and how old the password is, and read back', async () => {
    await using w = await world();
    await writeHashFile(w.path, 'web1.example.com', STORED);
    assert.equal((await stat(w.path)).mode & 0o7777, 0o600);
    assert.deepEqual(await readHashFile(w.path), STORED);
    assert.deepEqual(await readdir(w.dir), ['identree-breakglass'], 'nothing else is left');
  });

  it('an earlier installation’s is read: header and hash, no id of the server', async () => {
    await using w = await world();
    await writeFile(
      w.path,
      `\n# identree breakglass host=web1 type=passphrase created=2026-01-02T03:04:05Z\n\n${HASH}\n`,
      { mode: 0o600 },
    );
    assert.deepEqual(await readHashFile(w.path), {
      hash: HASH,
      createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
      type: 'passphrase',
      escrowId: null,
      sealedTo: null,
    });
  });

  it('[E-B5] one without a header is as old as the file', async () => {
    await using w = await world();
    await writeFile(w.path, `${HASH}\n`, { mode: 0o600 });
    assert.equal((await readHashFile(w.path))?.createdAt, (await stat(w.path)).mtimeMs);
  });

  it('[E-B5] a missing one is none; a folder or a link in its place is none either', async () => {
    await using w = await world();
    assert.equal(await readHashFile(w.path), null);
    assert.equal(await hasHashFile(w.path), false);
    await mkdir(w.path);
    assert.equal(await hasHashFile(w.path), false);
    await rm(w.path, { recursive: true });
    await writeHashFile(join(w.dir, 'elsewhere'), 'web1', STORED);
    await symlink('elsewhere', w.path);
    assert.equal(await hasHashFile(w.path), false);
    await rm(w.path);
    await rename(join(w.dir, 'elsewhere'), w.path);
    assert.equal(await hasHashFile(w.path), true);
  });

  const contents: [string, string][] = [
    ['nothing', ''],
    ['a comment alone', '# identree breakglass host=web1 type=random created=2026-01-02T03:04:05Z\n'],
    ['another kind of hash', '$6$salt$hash\n'],
    ['a hash that was cut off', `${HASH.slice(0, 40)}\n`],
    ['more than such a file has', `${HASH}\n${'#'.repeat(600)}\n`],
  ];
  for (const [what, content] of contents) {
    it(`[E-B1] is not believed with ${what} in it`, async () => {
      await using w = await world();
      await writeFile(w.path, content, { mode: 0o600 });
      await assert.rejects(readHashFile(w.path), UntrustedFile);
    });
  }

  for (const mode of [0o604, 0o640, 0o620]) {
    it(`[E-B1] is not believed with mode ${mode.toString(8)}`, async () => {
      await using w = await world();
      await writeHashFile(w.path, 'web1', STORED);
      await chmod(w.path, mode);
      await assert.rejects(readHashFile(w.path), UntrustedFile);
    });
  }

  it('is not believed behind a link', async () => {
    await using w = await world();
    await writeHashFile(join(w.dir, 'elsewhere'), 'web1', STORED);
    await symlink('elsewhere', w.path);
    await assert.rejects(readHashFile(w.path), UntrustedFile);
  });

  it('[E-B1] is not believed when it belongs to somebody else', {
    skip: process.geteuid?.() !== 0 && 'needs root',
  }, async () => {
    await using w = await world();
    await writeHashFile(w.path, 'web1', STORED);
    await chown(w.path, 65_534, 65_534);
    await assert.rejects(readHashFile(w.path), UntrustedFile);
  });

  it('[E-B4] who reads while it is replaced finds one whole password or the other', async () => {
    await using w = await world();
    const other = { ...STORED, hash: `$2b$12$${'b'.repeat(53)}` };
    await writeHashFile(w.path, 'web1', STORED);
    let over = false;
    const reading = (async () => {
      let reads = 0;
      while (!over) {
        const { hash } = (await readHashFile(w.path))!;
        assert.ok(hash === STORED.hash || hash === other.hash);
        reads += 1;
      }
      return reads;
    })();
    for (let n = 0; n < 20; n += 1) await writeHashFile(w.path, 'web1', n % 2 ? STORED : other);
    over = true;
    assert.ok((await reading) > 0);
  });

  it('[E-B4] cannot be written into a folder that does not exist', async () => {
    await using w = await world();
    await assert.rejects(writeHashFile(join(w.dir, 'no', 'file'), 'web1', STORED));
  });
});

describe('bcrypt', () => {
  it('[E-B3] knows the right password and no other, ours and those of other programs', async () => {
    const hash = await hashPassword(Buffer.from('correct-horse'), 10);
    assert.match(hash, /^\$2b\$10\$/);
    assert.equal(await isPassword(Buffer.from('correct-horse'), hash), true);
    assert.equal(await isPassword(Buffer.from('correct-hors3'), hash), false);
    assert.equal(await isPassword(Buffer.alloc(0), hash), false);
    // A test vector of crypt_blowfish.
    assert.equal(
      await isPassword(Buffer.from('U*U'), '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'),
      true,
    );
  });

  it('a password that only begins like the right one is another, though bcrypt reads 72 bytes', async () => {
    const long = 'x'.repeat(72);
    const hash = await hashPassword(Buffer.from(long), 10);
    assert.equal(await bcrypt.compare(`${long}y`, hash), true, 'this is what the library would say');
    assert.equal(await isPassword(Buffer.from(long), hash), true);
    assert.equal(await isPassword(Buffer.from(`${long}y`), hash), false);
  });

  it('bytes that are no text are no password', async () => {
    const hash = await hashPassword(Buffer.from('\ufffd'), 10);
    assert.equal(await isPassword(Buffer.from([0xff]), hash), false);
    await assert.rejects(hashPassword(Buffer.from('a\0b'), 10));
  });
});
