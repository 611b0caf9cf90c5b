import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, lchown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createHostTree } from '../../testing/host-tree.ts';
import { type Grant, isUnread, sortGrants } from '../grant.ts';
import { createHostFiles } from '../host-files.ts';
import { readSudoers } from './read-sudoers.ts';
import { sudoersGrants } from './sudoers-grants.ts';

const words = (grant: Grant): string => {
  if (isUnread(grant)) return `${grant.file}:${grant.line} ${grant.unread}`;
  const { who, except, gives, withoutPassword, file, line } = grant;
  const but = except.map((one) => ` but ${one.name}`).join('');
  return `${file}:${line} ${who.type} ${who.name}${but}: ${gives}${withoutPassword ? ', no password' : ''}`;
};

async function grantsOf(files: Record<string, string> | string): Promise<string[]> {
  await using host = await createHostTree(typeof files === 'string' ? { '/etc/sudoers': files } : files);
  const placed = await readSudoers(createHostFiles(host.root), '/etc/sudoers', 'web1');
  return sudoersGrants(placed).map((grant) => words(grant).replace('/etc/sudoers', ''));
}

describe('what sudoers gives', () => {
  it('a rule of a cloud image, and of the package; nothing of what root has anyway', async () => {
    assert.deepEqual(
      await grantsOf('root ALL=(ALL:ALL) ALL\n#0 ALL=ALL\n%sudo ALL=(ALL:ALL) ALL\nubuntu ALL=(ALL) NOPASSWD:ALL\n'),
      [':3 group sudo: any command as any user', ':4 user ubuntu: any command as any user, no password'],
    );
  });

  it('everybody that a user list can name', async () => {
    const list = '%#100,#7,+ops,"%domain users",%:dom\\\\grp,al\\ ice';
    const who = (lines: string[]) => lines.map((line) => /^:1 (.*): any command as root$/.exec(line)?.[1]);
    assert.deepEqual(who(await grantsOf(`${list} ALL=ALL`)), [
      'gid 100',
      'uid 7',
      'netgroup ops',
      'group domain users',
      'non-unix group dom\\grp',
      'user al ice',
    ]);
    // ALL gives it to those before it too.
    assert.deepEqual(who(await grantsOf('bob, !%temps ALL=ALL')), ['user bob but temps']);
    assert.deepEqual(who(await grantsOf(`alice, ALL, bob, !carol ALL=ALL`)), ['everyone  but carol', 'user bob']);
  });

  it('tags carry on to the commands behind them, and not to the next hosts', async () => {
    assert.deepEqual(
      await grantsOf('alice ALL = (www) NOPASSWD: /bin/a, /bin/b -x, (root) PASSWD: /bin/c : web2 = /bin/d'),
      [
        ':1 user alice: /bin/a, /bin/b -x as www, no password',
        ':1 user alice: /bin/c as root',
        ':1 user alice: /bin/d as root on web2',
      ],
    );
  });

  it('aliases in aliases, negated ones, and one that nothing defines', async () => {
    assert.deepEqual(
      await grantsOf(
        'User_Alias OPS = alice, !bob : ALL_OPS = OPS, %wheel, !carol\nCmnd_Alias SHELLS = /bin/sh, /bin/bash\n' +
          'Runas_Alias DB = postgres\nHost_Alias WEB = web1, web2\nALL_OPS, NOBODY WEB = (DB) ALL, !SHELLS\nX ALL = UNKNOWN\n',
      ),
      [
        ':5 user alice: any command but /bin/sh, /bin/bash as postgres on web1, web2',
        ':5 group wheel but carol: any command but /bin/sh, /bin/bash as postgres on web1, web2',
        ':5 user NOBODY: any command but /bin/sh, /bin/bash as postgres on web1, web2',
      ],
    );
    assert.deepEqual(await grantsOf('User_Alias A = B : B = A, alice\nA ALL=ALL'), [
      ':2 user A: any command as root',
      ':2 user alice: any command as root',
    ]);
  });

  it('what is taken away again is not given', async () => {
    assert.deepEqual(await grantsOf('alice, !alice ALL=ALL\nbob ALL=!ALL\ncarol !ALL=ALL\ndave ALL=(!root) ALL\n'), []);
    assert.deepEqual(await grantsOf('ALL, !alice, !ALL ALL=ALL\n!alice, ALL ALL = /bin/a'), [
      ':2 everyone : /bin/a as root',
    ]);
  });

  it('the user alone, and with a group', async () => {
    assert.deepEqual(
      await grantsOf('alice ALL=() /bin/a, (:adm) /bin/b, (root:adm) /bin/c\nDefaults runas_default=op\nb ALL=ALL'),
      [
        ':1 user alice: /bin/a as themselves',
        ':1 user alice: /bin/b as themselves with group adm',
        ':1 user alice: /bin/c as root',
        ':3 user b: any command as op',
      ],
    );
  });

  it('a long list says how long it is', async () => {
    const listed = async (list: string) =>
      (await grantsOf(`alice ALL = ${list}`)).join().replace(/^:1 user alice: /, '');
    assert.equal(await listed('/a/1, /a/2, /a/3, /a/4, /a/5, /a/6, !/a/2'), '/a/1, /a/3, /a/4, /a/5, /a/6 as root');
    assert.equal(await listed('/a/1, /a/2, /a/3, /a/4, /a/5, /a/6'), '/a/1, /a/2, /a/3, /a/4 and 2 more as root');
  });

  it('Defaults !authenticate in every scope, and exempt_group', async () => {
    assert.deepEqual(await grantsOf('Defaults !authenticate\nalice ALL=ALL, PASSWD: /bin/su'), [
      ':1 everyone : what sudo rules allow them, no password',
      ':2 user alice: any command as root, no password',
      ':2 user alice: /bin/su as root',
    ]);
    assert.deepEqual(await grantsOf('Defaults !authenticate\nDefaults authenticate\nalice ALL=ALL'), [
      ':3 user alice: any command as root',
    ]);
    assert.deepEqual(
      await grantsOf(
        'Defaults:alice,%ops !authenticate\nDefaults@web2 env_reset, !authenticate\nDefaults>www !authenticate\n' +
          'Defaults!/bin/su !authenticate\nDefaults exempt_group=admin\nalice,bob ALL=ALL\n%ops ALL=ALL',
      ),
      [
        ':1 user alice: what sudo rules allow them, no password',
        ':1 group ops: what sudo rules allow them, no password',
        ':2 everyone : what sudo rules allow them, on web2, no password',
        ':3 everyone : what sudo rules allow them, as www, no password',
        ':4 everyone : /bin/su, where sudo rules allow it, no password',
        ':5 group admin: what sudo rules allow them, no password',
        ':6 user alice: any command as root, no password',
        ':6 user bob: any command as root',
        ':7 group ops: any command as root, no password',
      ],
    );
  });

  it('CWD, CHROOT, ROLE and TYPE before the tags hide none of them', async () => {
    assert.deepEqual(
      await grantsOf(
        'alice ALL = (root) CWD=/tmp ROLE=a TYPE=b NOPASSWD: CHROOT, /bin/a\nbob ALL = CHROOT=* NOPASSWD: /bin/b',
      ),
      [':1 Not a sudoers entry. What it gives, sudo -l -U USER shows.', ':2 user bob: /bin/b as root, no password'],
    );
  });

  it('what cannot be read is said, and what follows is read', async () => {
    assert.deepEqual(await grantsOf('alice ALL=(ALL\nbob ALL=ALL\nUser_Alias A=x\nUser_Alias A=y\nA ALL=ALL'), [
      ':1 Not a sudoers entry. What it gives, sudo -l -U USER shows.',
      ':4 A is defined already, and sudo leaves this one out. What it gives, sudo -l -U USER shows.',
      ':2 user bob: any command as root',
      ':5 user x: any command as root',
    ]);
  });

  it('aliases that multiply are given up, not worked off', async () => {
    const doubled = Array.from({ length: 14 }, (_, n) => `User_Alias A${n + 1} = A${n}, A${n}`).join('\n');
    const grants = await grantsOf(`User_Alias A0 = alice\n${doubled}\nA14 ALL=ALL`);
    assert.deepEqual(grants, [':16 Its aliases stand for too many names. What it gives, sudo -l -U USER shows.']);
  });
});

describe('which files sudo includes', () => {
  it('relative to the file, %h, quoted; of a folder those without dot and tilde, in order', async () => {
    assert.deepEqual(
      await grantsOf({
        '/etc/sudoers':
          '@include sub/%h\n#include "more files"\n@includedir /etc/sudoers.d\n#includedir /etc/not-there\n  #include x',
        '/etc/sub/web1': '@include beside',
        '/etc/sub/beside': 'beside ALL=ALL',
        '/etc/more files': 'quoted ALL=ALL',
        '/etc/sudoers.d/b': 'b ALL=ALL',
        '/etc/sudoers.d/a': 'a ALL=ALL',
        '/etc/sudoers.d/README.md': 'dot ALL=ALL',
        '/etc/sudoers.d/a~': 'tilde ALL=ALL',
        '/etc/x': 'not at the beginning of a line ALL=ALL',
      }),
      [
        '/etc/sub/beside:1 user beside: any command as root',
        '/etc/more files:1 user quoted: any command as root',
        '.d/a:1 user a: any command as root',
        '.d/b:1 user b: any command as root',
      ],
    );
  });

  it('one that is not there, and one that includes itself, are said', async () => {
    assert.deepEqual(await grantsOf('@include gone\nalice ALL=ALL'), [
      ':1 It includes /etc/gone, which is not there. What it gives, sudo -l -U USER shows.',
      ':2 user alice: any command as root',
    ]);
    const grants = await grantsOf('alice ALL=ALL\n@include sudoers\n@include sudoers');
    assert.ok(grants.some((line) => line.startsWith(':2 It includes too many files.')));
    assert.ok(grants.length < 3000);
    const broad = await grantsOf({ '/etc/sudoers': '@include a\n'.repeat(1002), '/etc/a': 'alice ALL=ALL' });
    assert.match(broad.at(-1) ?? '', /^\/etc\/a:1 user alice/);
    assert.ok(broad.some((line) => line.startsWith(':1002 It includes too many files.')));
  });
});

describe('files that others than root could have chosen', () => {
  const onlyRoot = process.geteuid?.() === 0 ? false : 'needs root, to own files as somebody else';

  async function read(prepare: (root: string) => Promise<void>): Promise<string[]> {
    await using host = await createHostTree({
      '/etc/sudoers': 'alice ALL=ALL\n@include /home/bob/sudoers\n',
      '/home/bob/real': 'secret of root\n',
    });
    await prepare(host.root);
    const placed = await readSudoers(createHostFiles(host.root), '/etc/sudoers', 'web1');
    return sortGrants(sudoersGrants(placed)).map(words);
  }

  it('a link of root is followed within the host, one of a user is not', { skip: onlyRoot }, async () => {
    const roots = await read((root) => symlink('/home/bob/real', join(root, 'home/bob/sudoers')));
    assert.match(roots[0]!, /^\/home\/bob\/sudoers:1 Not a sudoers entry/);
    const bobs = await read(async (root) => {
      await symlink('/home/bob/real', join(root, 'home/bob/sudoers'));
      await lchown(join(root, 'home/bob/sudoers'), 2002, 2002);
    });
    assert.match(bobs[0]!, /\/home\/bob\/sudoers is a symbolic link that root does not own/);
  });

  it('a file or folder that others may write is not read', async () => {
    const file = await read(async (root) => {
      await symlink('/home/bob/real', join(root, 'home/bob/sudoers'));
      await chmod(join(root, 'home/bob/real'), 0o666);
    });
    assert.match(file[0]!, /\/home\/bob\/real can be changed by others than root/);
    const folder = await read((root) => chmod(join(root, 'home/bob'), 0o777));
    assert.match(folder[0]!, /\/home\/bob can be changed by others than root/);
  });

  it('a huge file, a folder and a pipe are said, not waited for', async () => {
    const huge = await read((root) =>
      writeFile(join(root, 'home/bob/sudoers'), 'x'.repeat(300 * 1024), { mode: 0o600 }),
    );
    assert.match(huge[0]!, /larger than 256 KiB/);
    const folder = await read((root) => mkdir(join(root, 'home/bob/sudoers'), { mode: 0o755 }).then(() => undefined));
    assert.match(folder[0]!, /It is not a regular file/);
    const pipe = await read(async (root) => void execFileSync('mkfifo', ['-m', '600', join(root, 'home/bob/sudoers')]));
    assert.match(pipe[0]!, /It is not a regular file/);
  });
});
