import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountUsersFileSystem } from '../testing/fuse.ts';
import { apart, NoLook } from './apart.ts';
import { createProcessReader } from './proc.ts';
import { walkPath } from './walk-path.ts';

/** One fewer than the threads that Node.js has by itself. */
const MOST = 3;

describe('what may never answer', () => {
  it('is looked at by three threads at most, the next one in turn', async () => {
    const looks = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    const began: number[] = [];
    const all = looks.map(({ promise }, index) =>
      apart(() => {
        began.push(index);
        return promise;
      }),
    );
    for (const [index, { resolve }] of looks.entries()) {
      await sleep(5);
      assert.deepEqual(began, [...looks.keys()].slice(0, index + MOST));
      resolve();
    }
    await Promise.all(all);
  });

  it('that fails makes room', async () => {
    for (let index = 0; index < 2 * MOST; index += 1)
      await assert.rejects(
        apart(async () => {
          throw new Error('nothing there');
        }),
        /nothing there/,
      );
  });

  it('is not looked at while as many have not come back, and nobody waits for that twice', async () => {
    const lost = Promise.withResolvers<void>();
    const away = Array.from({ length: MOST }, () => apart(() => lost.promise));
    const look = async () => 'seen';
    await assert.rejects(apart(look), NoLook, 'it waited as long as a person does');
    const again = performance.now();
    await assert.rejects(apart(look), NoLook);
    assert.ok(performance.now() - again < 1000);
    lost.resolve();
    await Promise.all(away);
    assert.equal(await apart(look), 'seen');
  });

  const skip = process.geteuid?.() !== 0 || !existsSync('/dev/fuse') ? 'needs root and FUSE' : false;
  it('leaves a thread for everything else, whichever way it is come upon', { skip }, async () => {
    const root = await mkdtemp(join(tmpdir(), 'identree-apart-'));
    const point = join(root, 'srv/tools');
    await mkdir(point, { recursive: true });
    // Of root's own, which is looked into, and gone by now.
    const script = `exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 x "$1" && echo mounted && read -r end; umount -l "$1"`;
    const server = spawn('sh', ['-c', script, 'sh', point], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => server.on('close', resolve));
    const own = spawn('sleep', ['60'], { cwd: root, stdio: 'ignore' });
    const lost: Promise<unknown>[] = [];
    try {
      const [said] = (await server.stdout.take(1).toArray()) as [Buffer?];
      assert.equal(String(said), 'mounted\n');
      while (lost.length < MOST) lost.push(apart(() => stat(point)).catch(() => undefined));
      const looks = Array.from({ length: 4 * MOST }, () => walkPath(root, '/srv/tools/job'));
      const reader = createProcessReader();
      const start = await reader.startTime(own.pid!);
      const facts = await reader.capture(own.pid!, start!);
      assert.deepEqual([facts?.program !== undefined, facts?.cwd], [true, null]);
      const answered = stat('/').then(() => true);
      assert.equal(await Promise.race([answered, sleep(10_000, false, { ref: false })]), true);
      assert.deepEqual(new Set(await Promise.all(looks)), new Set([null]));
    } finally {
      own.kill();
      server.stdin.end('end\n');
      await ended;
      await Promise.all(lost);
      await rm(root, { recursive: true });
    }
  });

  it('is not waited for where an account has it wait: not in its folder, and not at its descriptors', {
    skip,
  }, async () => {
    const point = await mkdtemp(join(tmpdir(), 'identree-apart-'));
    const files = await mountUsersFileSystem(point, 1000);
    const begin = ['-c', 'cd "$1" && exec sleep 60 <.', 'sh', point];
    const ofAlice = Array.from({ length: MOST }, () => spawn('sh', begin, { stdio: 'ignore' }));
    try {
      const isIn = async ({ pid }: ChildProcess) => (await readlink(`/proc/${pid}/exe`)).endsWith('sleep');
      while ((await Promise.all(ofAlice.map(isIn))).includes(false)) await sleep(10);
      files.hush();
      const reader = createProcessReader();
      const began = performance.now();
      for (const { pid } of ofAlice) {
        const facts = await reader.capture(pid!, (await reader.startTime(pid!))!);
        assert.deepEqual(facts?.cwd, { path: point, device: '', inode: '' });
        assert.equal(await reader.terminal(pid!, '/dev/zero', 4711), null);
      }
      assert.ok(performance.now() - began < 4000, 'nobody waited');
    } finally {
      for (const child of ofAlice) child.kill('SIGKILL');
      await files.end();
      await rm(point, { recursive: true });
    }
  });
});
