import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { aboutFile, systemErrorText, systemReason } from './system-error.ts';

const of = (code: string, syscall: string, more: object = {}) =>
  Object.assign(new Error(`${code}: some words of the system, ${syscall}`), { code, syscall, ...more });

const SAID: readonly [error: Error, text: string][] = [
  [of('ENOSPC', 'write', { path: '/a/b' }), 'cannot write /a/b: no space left on the disk'],
  [of('ENOSPC', 'open', { path: '/a/b' }), 'cannot write /a/b: no space left on the disk'],
  [of('EEXIST', 'mkdir', { path: '/a' }), 'cannot make the folder /a: it is there already'],
  [of('EROFS', 'open', { path: '/a' }), 'cannot write /a: the file system may only be read'],
  [of('ENOENT', 'open', { path: '/none/at/all' }), 'cannot open /none/at/all: there is no folder /none'],
  [of('ENOENT', 'open', { path: '/none' }), 'cannot open /none: there is no such file or folder'],
  [of('ENOSPC', 'copyfile', { path: '/a', dest: '/b' }), 'cannot copy /a to /b: no space left on the disk'],
  [of('EXYZ', 'scandir', { path: '/a' }), 'cannot read /a: some words of the system'],
  [of('EISDIR', 'read'), 'cannot read: it is a folder'],
  [of('ERR_FS_CP_EEXIST', 'cp', { path: '/a', info: { code: 'EEXIST' } }), 'cannot copy /a: it is there already'],
];

test('a failure of the operating system says what cannot be done with which file, and why', () => {
  for (const [error, text] of SAID) assert.equal(systemErrorText(error), text);
  assert.equal(systemErrorText(new Error('ENOENT: by somebody else')), null);
  assert.equal(systemErrorText('ENOENT'), null);
  assert.equal(systemReason(of('ENOTDIR', 'open')), 'a part of this path is a file, not a folder');
  assert.equal(systemReason(new TypeError('something else')), null);
});

test('as the system says it itself: a folder that is read, a device that is full, a port that is taken', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-system-'));
  t.after(() => rm(folder, { recursive: true }));
  const read = await readFile(folder).catch((error: unknown) => aboutFile(error, folder));
  assert.equal(systemErrorText(read), `cannot read ${folder}: it is a folder`);

  const full = await open('/dev/full', 'w');
  const write = await full.writeFile('x').catch((error: unknown) => aboutFile(error, '/dev/full'));
  await full.close();
  assert.equal(systemErrorText(write), 'cannot write /dev/full: no space left on the disk');

  const listen = (port: number) => {
    const server = createServer();
    t.after(() => server.close());
    return new Promise<unknown>((resolve) => {
      server.on('error', resolve);
      server.listen(port, '127.0.0.1', () => resolve(server.address()));
    });
  };
  const { port } = (await listen(0)) as { port: number };
  assert.equal(
    systemErrorText(await listen(port)),
    `cannot listen on 127.0.0.1:${port}: another process listens there already`,
  );
});
