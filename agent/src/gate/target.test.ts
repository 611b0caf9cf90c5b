import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, isSettled, type LookUp, MAX_HASHED_BYTES, orderReasons, resolveTarget } from './target.ts';
import { followPath, isAtHand, walkPath } from './walk-path.ts';

const isRoot = process.geteuid?.() === 0;
const skip = isRoot ? false : 'needs root: files of several owners';

describe('target of a command', () => {
  /** A file tree of its own, as seen through /proc/PID/root. */
  let root: string;
  const put = async (path: string, content = '#!/bin/true\n', mode = 0o755) => {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), content);
    await chmod(join(root, path), mode);
  };
  before(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'identree-target-'));
    root = join(dir, 'root');
    await mkdir(root, { mode: 0o755 });
    await put('/usr/bin/id', 'id\n');
    await put('/usr/bin/vim.basic', 'vim\n');
    await put('/usr/bin/python3.12', 'python\n');
    await put('/usr/bin/mysh', 'sh\n');
    await put('/etc/shells', '# shells\n/usr/bin/mysh\n', 0o644);
    await symlink('vim.basic', join(root, 'usr/bin/vi'));
    await symlink('/usr/bin/python3.12', join(root, 'usr/bin/python3'));
    await put('/usr/local/bin/tool', 'local\n');
    await put('/usr/bin/tool', 'distribution\n');
    await put('/usr/bin/noexec', 'x', 0o644);
    await put('/home/alice/deploy', 'deploy\n');
    await put('/srv/open/job', 'job\n');
    await mkdir(join(root, 'tmp'), { mode: 0o1777 });
    await chmod(join(root, 'tmp'), 0o1777);
    await put('/tmp/roots', 'tmp\n');
    await mkdir(join(root, 'proc/self'), { recursive: true });
    await put('/proc/self/exe', 'fake\n');
    await symlink('/usr/bin/id', join(root, 'home/alice/link'));
    await symlink('loop', join(root, 'usr/bin/loop'));
    if (isRoot) {
      await chown(join(root, 'home/alice'), 1000, 1000);
      await chown(join(root, 'home/alice/deploy'), 1000, 1000);
      await chmod(join(root, 'srv/open'), 0o777);
    }
  });
  after(() => rm(join(root, '..'), { recursive: true, force: true }));
  const securePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'.split(':');
  const resolve = (command: string, by: Partial<LookUp> = {}) =>
    resolveTarget(command, { root, securePath, asRoot: true, ...by });

  it('a bare word is looked up in the secure path, first match first', async () => {
    const { target } = await resolve('tool');
    assert.equal(target?.path, '/usr/local/bin/tool');
    assert.equal(target?.sha256, createHash('sha256').update('local\n').digest('base64url'));
    const info = await stat(join(root, 'usr/local/bin/tool'), { bigint: true });
    assert.deepEqual([target?.device, target?.inode], [String(info.dev), String(info.ino)]);
    assert.equal((await resolve('tool', { securePath: ['/usr/bin', '/usr/local/bin'] })).target?.path, '/usr/bin/tool');
  });

  it('without a path to search, a bare word may be any program', async () => {
    assert.deepEqual(await resolve('tool', { securePath: null }), { target: null, unrestricted: ['unparsed'] });
    assert.equal((await resolve('/usr/bin/tool', { securePath: null })).target?.path, '/usr/bin/tool');
  });

  it('a folder that only root may enter hides its programs from a command that runs as another account', async () => {
    await put('/opt/closed/tool', 'closed\n');
    await chmod(join(root, 'opt/closed'), 0o700);
    const securePath = ['/opt/closed', '/usr/bin'];
    assert.equal((await resolve('tool', { securePath })).target?.path, '/opt/closed/tool');
    assert.equal((await resolve('tool', { securePath, asRoot: false })).target, null);
  });

  it('links are followed inside the tree of the caller', async () => {
    assert.equal((await resolve('python3')).target?.path, '/usr/bin/python3.12');
    assert.equal((await resolve('/usr/../usr/bin/vi')).target?.path, '/usr/bin/vim.basic');
  });

  it('the end of a ".." beyond the top is the top', async () => {
    assert.equal((await resolve('/../../usr/bin/id')).target?.path, '/usr/bin/id');
  });

  for (const [name, command] of [
    ['nothing there', 'nope'],
    ['not executable', 'noexec'],
    ['a folder', '/usr/bin'],
    ['a path through a file', '/usr/bin/id/x'],
    ['an endless link', 'loop'],
    ['a relative word', './id'],
    ['a relative word of another kind', 'bin/id'],
    ['a path through /proc', '/proc/self/exe'],
    ['an empty word', ''],
    ['a NUL in the middle', '/usr/bin/i\0d'],
  ] as const) {
    it(`${name}: unparsed, so anything at all`, async () => {
      assert.deepEqual(await resolve(command), { target: null, unrestricted: ['unparsed'] });
    });
  }

  it('a FIFO does not hold anybody up', async () => {
    execFileSync('mkfifo', ['-m', '755', join(root, 'usr/bin/fifo')]);
    assert.equal((await resolve('fifo')).target, null);
  });

  it('a FIFO where a root has its list of shells does not hold anybody up', async () => {
    const fifo = join(root, 'etc/shells');
    await rm(fifo);
    execFileSync('mkfifo', [fifo]);
    try {
      assert.notEqual((await resolve('tool')).target, null);
    } finally {
      // Whoever still waits for somebody to write is let go.
      closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
      await rm(fifo);
      await put('/etc/shells', '# shells\n/usr/bin/mysh\n', 0o644);
    }
  });

  it('a list of shells without end is not read to its end', async () => {
    const list = join(root, 'etc/shells');
    await truncate(list, 2 ** 40);
    try {
      const { target, unrestricted } = await resolve('mysh');
      assert.notEqual(target, null);
      assert.deepEqual(unrestricted, ['shell']);
    } finally {
      await put('/etc/shells', '# shells\n/usr/bin/mysh\n', 0o644);
    }
  });

  it('a word that others can put into a folder that is searched before: no hash is promised', { skip }, async () => {
    await put('/usr/lib/script', '#!/usr/bin/env id\n');
    await put('/usr/bin/env', 'env\n');
    for (const [first, promised] of [
      ['/srv/open', false],
      ['/tmp', false],
      ['/home/alice/bin', false],
      ['/usr/local/absent', true],
    ] as const) {
      const securePath = [first, '/usr/bin'];
      for (const command of ['id', '/usr/lib/script']) {
        const { target, unrestricted } = await resolve(command, { securePath });
        assert.notEqual(target, null);
        assert.equal(unrestricted.includes('user-writable-path'), !promised, `${command} in ${first}`);
        assert.equal(target!.sha256 !== null, promised);
      }
    }
  });

  it('bytes that are no text are a file name like any other', async () => {
    const name = Buffer.concat([Buffer.from(`${root}/usr/bin/`), Buffer.from([0xff, 0xfe])]);
    await writeFile(name, 'x\n', { mode: 0o755 });
    assert.equal((await resolve('/usr/bin/\xff\xfe')).target?.path, '/usr/bin/\xff\xfe');
  });

  it('a file beyond the limit is known by size and times instead of a hash', async () => {
    await put('/usr/bin/huge', 'x');
    await truncate(join(root, 'usr/bin/huge'), MAX_HASHED_BYTES + 1);
    const { target } = await resolve('huge');
    assert.equal(target?.sha256, null);
    assert.match(target?.stamp ?? '', new RegExp(`^${MAX_HASHED_BYTES + 1}:\\d+:\\d+$`));
  });

  describe('unrestricted', { skip }, () => {
    for (const [command, reasons] of [
      ['id', []],
      ['tool', []],
      ['/tmp/roots', []],
      ['vi', ['editor']],
      ['python3', ['interpreter']],
      ['/usr/bin/mysh', ['shell']],
      ['/home/alice/deploy', ['user-writable-target', 'user-writable-path']],
      ['/home/alice/link', ['user-writable-path']],
      ['/srv/open/job', ['user-writable-path']],
    ] as const) {
      it(`${command}: ${reasons.length === 0 ? 'no' : reasons.join(', ')}`, async () => {
        assert.deepEqual((await resolve(command)).unrestricted, reasons);
      });
    }

    it('a file that a group may write is writable, also where the group is root: others may be in it, or in an ACL', async () => {
      for (const group of [0, 50]) {
        await put('/usr/bin/grp', 'x', 0o755);
        await chown(join(root, 'usr/bin/grp'), 0, group);
        assert.deepEqual((await resolve('grp')).unrestricted, []);
        await chmod(join(root, 'usr/bin/grp'), 0o775);
        const { target, unrestricted } = await resolve('grp');
        assert.deepEqual([target?.sha256, unrestricted], [null, ['user-writable-target']]);
        await mkdir(join(root, 'srv/shared'), { recursive: true });
        await put('/srv/shared/job', 'x');
        await chown(join(root, 'srv/shared'), 0, group);
        await chmod(join(root, 'srv/shared'), 0o775);
        assert.deepEqual((await resolve('/srv/shared/job')).unrestricted, ['user-writable-path']);
      }
    });

    it('an alias of a shell is a shell, and a shell under another name is found by its real one', async () => {
      await put('/usr/bin/bash', 'bash\n');
      await symlink('bash', join(root, 'usr/bin/harmless'));
      assert.deepEqual((await resolve('harmless')).unrestricted, ['shell']);
    });
  });

  describe('what may change until it runs', { skip }, () => {
    const script = (line: string) => put('/usr/bin/job1', `${line}\n`);
    before(async () => {
      await put('/home/alice/python', 'python\n');
      await put('/usr/bin/env', 'env\n');
      await symlink('/home/alice/python', join(root, 'usr/local/bin/py'));
    });

    for (const [line, reasons] of [
      ['#!/usr/bin/id', []],
      ['#! /usr/bin/id -x', []],
      ['#!/usr/bin/env id', []],
      ['#!/home/alice/python', ['user-writable-path']],
      ['#!/usr/local/bin/py', ['user-writable-path']],
      ['#!/usr/bin/env py', ['user-writable-path']],
      ['#!/usr/bin/env -S py -u', ['user-writable-path']],
      ['#!/usr/bin/env -S A=1 py', ['user-writable-path']],
      ['#!/home/alice/deploy', ['user-writable-target', 'user-writable-path']],
      ['#!python', ['unparsed']],
      ['#!/usr/bin/nothing', ['unparsed']],
      [`#!/usr/bin/id ${'x'.repeat(300)}`, ['unparsed']],
    ] as const) {
      it(`a script that begins ${line.slice(0, 40)}: ${reasons.join(', ') || 'only root changes it'}`, async () => {
        await script(line);
        const { target, unrestricted } = await resolve('job1');
        assert.deepEqual(unrestricted, reasons);
        assert.equal(target?.sha256 === null, reasons.length > 0, 'a hash only where nobody but root changes it');
      });
    }

    it('an interpreter that is a script is followed too', async () => {
      await put('/usr/bin/inner', '#!/home/alice/python\n');
      await script('#!/usr/bin/inner');
      assert.deepEqual((await resolve('job1')).unrestricted, ['user-writable-path']);
      await put('/usr/bin/inner', '#!/usr/bin/inner\n');
      assert.deepEqual((await resolve('job1')).unrestricted, ['unparsed'], 'and not for ever');
    });

    it('a program, or a folder above it, that is not root’s alone has no hash', async () => {
      for (const command of ['/home/alice/deploy', '/home/alice/link', '/srv/open/job']) {
        assert.equal((await resolve(command)).target?.sha256, null, command);
      }
      assert.notEqual((await resolve('/usr/bin/id')).target?.sha256, null);
    });
  });

  it('a link that is turned while it is walked does not lead out of the tree', async () => {
    await symlink('../../../../../../etc', join(root, 'usr/out'));
    const walked = await walkPath(root, '/usr/out/shells');
    assert.equal(walked?.real, '/etc/shells');
    assert.equal(walked?.info.ino, (await stat(join(root, 'etc/shells'), { bigint: true })).ino);
  });

  it('a way that is made to be long is not gone: one of 40 links took the agent minutes, for each sudo', async () => {
    const useless = '/bin/..'.repeat(500);
    for (let link = 0; link < 39; link++) await symlink(`/maze${link + 1}${useless}`, join(root, `maze${link}`));
    await symlink('/usr', join(root, 'maze39'));
    assert.equal(typeof (await followPath(root, '/maze39/bin')), 'object');
    assert.equal(await followPath(root, '/maze0/bin'), 'unknown');
    assert.deepEqual(await resolve('/maze0/bin/id'), { target: null, unrestricted: ['unparsed'] });
  });

  it('nor are any number of folders searched', async () => {
    const none = Array.from({ length: 64 }, () => '/usr/none');
    assert.equal((await resolve('id', { securePath: [...none.slice(0, 63), '/usr/bin'] })).target?.path, '/usr/bin/id');
    assert.equal((await resolve('id', { securePath: [...none, '/usr/bin'] })).target, null);
  });

  it('only what nobody but root can mount over is looked at without waiting', () => {
    for (const path of ['', '/usr', '/usr/bin/id', '/etc/alternatives/vi', '/bin']) {
      assert.equal(isAtHand('', path), true, path);
      assert.equal(isAtHand('/proc/12/root', path), true, path);
      assert.equal(isAtHand('/proc/12/root/srv/chroot', path), false, path);
    }
    for (const path of [
      '/home',
      '/home/alice',
      '/mnt',
      '/usr/local',
      '/usr/local/bin/x',
      '/usr/bin/a/b',
      '/opt',
      '/net',
    ]) {
      assert.equal(isAtHand('', path), false, path);
    }
  });

  it('another file under the name between look and open is not vouched for', async () => {
    const info = await stat(join(root, 'usr/bin/id'), { bigint: true });
    assert.equal((await identify(root, '/usr/bin/id', info.dev, info.ino))?.path, '/usr/bin/id');
    assert.equal(await identify(root, '/usr/bin/id', info.dev, info.ino + 1n), null);
    assert.equal(await identify(root, '/usr/bin/id', info.dev + 1n, info.ino), null);
    assert.equal(await identify(root, '/usr/bin/vi', info.dev, info.ino), null, 'a link');
  });

  it('a file that replaces another is another target', async () => {
    await put('/usr/bin/racy', 'one\n');
    const first = (await resolve('racy')).target;
    await put('/usr/bin/other', 'two\n');
    await rename(join(root, 'usr/bin/other'), join(root, 'usr/bin/racy'));
    const second = (await resolve('racy')).target;
    assert.notEqual(first?.inode, second?.inode);
    assert.notEqual(first?.sha256, second?.sha256);
  });

  describe('a content that is known already', { skip }, () => {
    const sha256 = async (command: string) => (await resolve(command)).target?.sha256;
    const hashOf = (content: string) => createHash('sha256').update(content).digest('base64url');
    const known = async (path: string) => {
      await put(path, 'one\n');
      const file = join(root, path);
      while (!isSettled((await stat(file, { bigint: true })).ctimeNs, Date.now())) await sleep(50);
      assert.equal(await sha256(path), hashOf('one\n'));
      assert.equal(await sha256(path), hashOf('one\n'), 'looked at again');
      return file;
    };

    it('is forgotten when the file is written to in place, whatever time it is given', async () => {
      const file = await known('/usr/bin/kept');
      const { atime, mtime } = await stat(file);
      await writeFile(file, 'two\n');
      await utimes(file, atime, mtime);
      assert.equal(await sha256('/usr/bin/kept'), hashOf('two\n'));
    });

    it('is vouched for no longer than nobody else can change what runs', async () => {
      await known('/opt/kept/tool');
      await chmod(join(root, 'opt/kept'), 0o777);
      assert.equal(await sha256('/opt/kept/tool'), null);
    });

    it('is not kept of a file that may change once more within the same tick of the clock', () => {
      const now = 1_700_000_000_000;
      const changed = (agoMs: number) => BigInt(now - agoMs) * 1_000_000n;
      assert.deepEqual(
        [2000, 1999, 0, -5000].map((ago) => isSettled(changed(ago), now)),
        [true, false, false, false],
      );
    });
  });

  it('the way to a program of the system is found the same without waiting', { skip }, async () => {
    for (const path of ['/usr/bin/env', '/bin/sh', '/etc/shells', '/usr/bin/identree-is-not-here']) {
      const [own, seen] = await Promise.all([followPath('', path), followPath('/proc/self/root/.', path)]);
      assert.deepEqual(own, seen, path);
    }
  });

  it('reasons come once and in one order', () => {
    assert.deepEqual(orderReasons(['unparsed', 'shell', 'unparsed', 'editor']), ['shell', 'editor', 'unparsed']);
  });
});
