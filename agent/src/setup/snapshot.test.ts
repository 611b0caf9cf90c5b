import assert from 'node:assert/strict';
import { lstat, mkdtemp, open, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readOriginals, writeOriginals } from './backup.ts';
import { putSnapshotSomehow } from './snapshot.ts';

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'identree-snapshot-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** A name so long that no file can be written beside it, as on a disk that is full. */
const ALONE = 'a'.repeat(250);
const own = { uid: process.geteuid!(), gid: process.getegid!() };

describe('a file that is put back in its own place', () => {
  it('has the bytes and the mode that it had', async () => {
    await using dir = await folder();
    const path = join(dir.path, ALONE);
    await writeFile(path, 'what setup wrote', { mode: 0o644 });
    await putSnapshotSomehow(path, { text: 'before', mode: 0o440, ...own });
    assert.equal(await readFile(path, 'utf8'), 'before');
    assert.equal((await stat(path)).mode & 0o7777, 0o440);
  });

  it('lends its mode to no other, though whoever owns the folder swaps it for a link meanwhile', async () => {
    await using dir = await folder();
    const [path, shadow] = [join(dir.path, ALONE), join(dir.path, 'shadow')];
    await writeFile(path, 'what setup wrote', { mode: 0o644 });
    await writeFile(shadow, 'secret', { mode: 0o600 });
    const probe = await open(shadow, 'r');
    const prototype = Object.getPrototypeOf(probe);
    await probe.close();
    const { sync } = prototype;
    prototype.sync = async function (this: unknown) {
      await rename(path, join(dir.path, 'away'));
      await symlink(shadow, path);
      return sync.call(this);
    };
    try {
      await putSnapshotSomehow(path, { text: 'before', mode: 0o666, ...own });
    } finally {
      prototype.sync = sync;
    }
    assert.ok((await lstat(path)).isSymbolicLink());
    assert.equal((await stat(shadow)).mode & 0o7777, 0o600);
  });
});

describe('what files were', () => {
  it('is read again however large they are that setup takes down', async () => {
    await using dir = await folder();
    const rules = { text: '-a always,exit -F arch=b64 -k rule\n'.repeat(100_000), mode: 0o640, ...own };
    await writeOriginals(dir.path, new Map([['/etc/audit/audit.rules', rules]]), 1);
    assert.deepEqual((await readOriginals(dir.path)).get('/etc/audit/audit.rules'), rules);
  });
});
