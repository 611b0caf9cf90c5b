import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountsOfUsers } from './mounts-of-users.ts';
import { followPath } from './walk-path.ts';

const MOUNTINFO = `27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:40 / /mnt/root\\040own rw,nosuid - fuse.sshfs root@a rw,user_id=0,group_id=0,allow_other
41 27 0:41 / /tmp/a\\040b rw,nosuid,nodev shared:9 master:1 - fuse.sshfs a@b rw,user_id=1000,group_id=1000,allow_other
42 27 0:42 / /srv/plain rw - fuse x rw,group_id=0,user_id=7
43 27 0:43 / /srv/unknown rw - fuse x rw
44 27 8:1 / /mnt/ntfs rw - fuseblk /dev/sda1 rw,user_id=0,group_id=0
45 27 0:45 / /sys/fs/fuse/connections rw - fusectl fusectl rw
28 27 0:5 / /proc rw,nosuid,nodev,noexec - proc proc rw
48 27 0:48 / /srv/jail/proc rw,relatime - proc proc rw
46 27 7:1 / /media/alice/IMAGE rw,nosuid,nodev - ext4 /dev/loop1 rw
`;
const UTAB = `SRC=/dev/loop1 TARGET=/media/alice/IMAGE ROOT=/ OPTS=uhelper=udisks2
SRC=/dev/sdb1 TARGET=/mnt/st\\040ick ROOT=/ OPTS=noauto,user=alice
SRC=/dev/sdc1 TARGET=/mnt/netdev ROOT=/ OPTS=_netdev
`;

describe('file systems that an ordinary account answers for', () => {
  it('are those of FUSE that it serves, and those that it had mounted; of proc nobody sees what others do', () => {
    assert.deepEqual([...mountsOfUsers(MOUNTINFO, UTAB)].sort(), [
      '/media/alice/IMAGE',
      '/mnt/st ick',
      '/proc',
      '/srv/jail/proc',
      '/srv/plain',
      '/srv/unknown',
      '/tmp/a b',
    ]);
  });

  const isRoot = process.geteuid?.() === 0;
  it('proc in another place leads each who looks to a folder of its own: it is not followed', {
    skip: isRoot ? false : 'needs root',
  }, async () => {
    const root = await mkdtemp(join(tmpdir(), 'identree-proc-'));
    const point = join(root, 'jail/proc');
    await mkdir(point, { recursive: true });
    execFileSync('mount', ['-t', 'proc', 'proc', point]);
    try {
      for (const path of ['self/exe', 'self/cwd/package.json', 'self/root/usr/bin/env', '1/root/usr/bin/env'])
        assert.equal(await followPath('', join(point, path)), 'unknown', path);
    } finally {
      execFileSync('umount', [point]);
      await rm(root, { recursive: true });
    }
  });

  const skip = !isRoot || !existsSync('/dev/fuse') ? 'needs root and FUSE' : false;
  it('are not looked into: whoever does waits as long as that account likes', { skip }, async () => {
    const root = await mkdtemp(join(tmpdir(), 'identree-fuse-'));
    const point = join(root, 'srv/tools');
    await mkdir(point, { recursive: true });
    // Nobody ever answers for it.
    const script = `exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=1000,group_id=1000,allow_other x "$1" && echo mounted && read -r end; umount -l "$1"`;
    const server = spawn('sh', ['-c', script, 'sh', point], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      const [said] = (await server.stdout.take(1).toArray()) as [Buffer?];
      assert.equal(String(said), 'mounted\n');
      const found = await Promise.race([followPath(root, '/srv/tools/job'), sleep(2000, 'held up', { ref: false })]);
      assert.equal(found, 'unknown');
    } finally {
      server.stdin.end('end\n');
      await new Promise((resolve) => server.on('close', resolve));
      await rm(root, { recursive: true });
    }
  });
});
