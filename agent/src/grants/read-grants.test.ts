import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readGateState } from '../setup/gate-state.ts';
import { createHostTree } from '../testing/host-tree.ts';
import { readGrants } from './read-grants.ts';
import { sayGrants } from './say-grants.ts';

async function said(
  files: Record<string, string>,
  prepare: (root: string) => Promise<void> = async () => {},
): Promise<string[]> {
  await using host = await createHostTree(files);
  await prepare(host.root);
  const grants = await readGrants(host.root, 'web1');
  return sayGrants(grants, { gate: (await readGateState(host.root, [])).gate ?? 'pam' });
}
/** Without headings. */
const lines = async (files: Record<string, string>): Promise<string[]> =>
  (await said(files)).filter((line) => line.startsWith('  ')).map((line) => line.slice(2));

describe('what a host grants besides', () => {
  it('nothing on a host that grants nothing', async () => {
    assert.deepEqual(await said({}), []);
    assert.deepEqual(await said({ '/etc/sudoers': 'root ALL=(ALL:ALL) ALL\n', '/etc/group': 'docker:x:999:\n' }), []);
  });

  it('NOPASSWD runs with no request under the PAM gate, and is asked by the plugin', async () => {
    const files = { '/etc/sudoers': '%sudo ALL=(ALL:ALL) ALL\nubuntu ALL=(ALL) NOPASSWD:ALL\n' };
    assert.deepEqual(await said(files), [
      'Without a password, and with no request to identree: sudo asks PAM nothing for these:',
      '  ! ubuntu: any command as any user (sudo, /etc/sudoers:2)',
      'By a rule of sudo, asked by identree where it is in the PAM stack of sudo:',
      '    group sudo: any command as any user (sudo, /etc/sudoers:1)',
    ]);
    const plugin = 'Plugin identree_audit /x.so\nPlugin identree_approval /usr/lib/identree/identree_sudo.so\n';
    const under = await said({ ...files, '/etc/sudo.conf': plugin });
    assert.match(under[0]!, /^Without a password, and asked by identree all the same/);
    assert.equal(under[1], '  ! ubuntu: any command as any user (sudo, /etc/sudoers:2)');
    const commented = await said({ ...files, '/etc/sudo.conf': `# ${plugin.replaceAll('\n', '\n# ')}` });
    assert.match(commented[0]!, /with no request to identree/);
  });

  it('the file that sudo.conf names, and the one of sudo-rs', async () => {
    const files = {
      '/etc/sudo.conf': 'Plugin sudoers_policy sudoers.so sudoers_file=/etc/other\n',
      '/etc/other': 'alice ALL=ALL\n',
      '/etc/sudoers': 'bob ALL=ALL\n',
      '/etc/sudoers-rs': 'carol ALL=ALL\n',
    };
    assert.deepEqual(await lines(files), [
      '  alice: any command as root (sudo, /etc/other:1)',
      '  carol: any command as root (sudo, /etc/sudoers-rs:1)',
    ]);
  });

  it('members of groups that are root by another name, by their own group too', async () => {
    const files = {
      '/etc/group':
        'root:x:0:\ndocker:x:999:alice,bob\nadm:x:4:eve\nkvm:x:5:eve\nshadow:x:42:carol\nlibvirt:x:7:root\n',
      '/etc/passwd': 'root:x:0:7::/root:/bin/sh\ndave:x:1004:999::/home/dave:/bin/sh\n',
    };
    assert.deepEqual(await lines(files), [
      '! alice: root on this host, through a container that mounts its files (group docker) (/etc/group:2)',
      '! bob: root on this host, through a container that mounts its files (group docker) (/etc/group:2)',
      '! dave: root on this host, through a container that mounts its files (group docker) (/etc/passwd:2)',
      '  carol: the password hashes of every account (group shadow) (/etc/group:5)',
    ]);
  });

  it('pam_wheel that trusts, also in an included file; one that only takes away gives nothing', async () => {
    const files = {
      '/etc/pam.d/su':
        'auth sufficient pam_rootok.so\n# auth sufficient pam_wheel.so trust\n@include beside\nauth required pam_wheel.so\n',
      '/etc/pam.d/beside': 'auth  sufficient \\\n pam_wheel.so trust use_uid group=admins\n',
      '/etc/pam.d/su-l':
        'auth [success=2 default=ignore] /lib/security/pam_wheel.so trust root_only # why\nauth required pam_wheel.so trust\n',
      '/etc/pam.d/sudo': '-auth sufficient pam_wheel.so trust deny group=guests\n',
      '/etc/pam.d/login': 'auth sufficient pam_wheel.so trust\n',
      '/usr/lib/pam.d/su': 'auth sufficient pam_wheel.so trust\n',
      '/etc/group': 'root:x:0:\nwheel:x:10:alice\n',
    };
    assert.deepEqual(await lines(files), [
      '! group admins: becomes any user with su (/etc/pam.d/beside:1)',
      '! group wheel: becomes root with su -l (/etc/pam.d/su-l:1)',
      '! everyone, but not group guests: what sudo rules allow them (/etc/pam.d/sudo:1)',
      '  group wheel: becomes any user with su -l (/etc/pam.d/su-l:2)',
    ]);
  });

  it('PAM files that include each other end', async () => {
    const found = await lines({ '/etc/pam.d/su': 'auth include su\n' });
    assert.deepEqual(found, ['? /etc/pam.d/su: It includes itself. Look for pam_wheel in it.']);
  });

  it('doas: options, quotes, continued lines; deny gives nothing', async () => {
    const conf = [
      '# permit nopass eve',
      'permit nopass :wheel # all of them',
      'permit persist setenv { PATH=/bin -X "A" } alice as postgres cmd /bin/psql args -l "a b"',
      'deny bob',
      'permit \\',
      '  nopass "nopass" cmd reboot args',
      'permit nopass root',
      'permit everything to carol',
      'permit 1000 as "root',
      'permit :1001 as root',
    ].join('\n');
    assert.deepEqual(
      await lines({ '/etc/doas.conf': conf, '/etc/doas.d/x.conf': 'permit dave', '/etc/doas.d/x': 'permit eve' }),
      [
        '! group wheel: any command as any user (doas, /etc/doas.conf:2)',
        '! nopass: reboot without arguments as any user (doas, /etc/doas.conf:5)',
        '? /etc/doas.conf:8: Not a rule of doas. doas -C /etc/doas.conf says what is wrong with it.',
        '? /etc/doas.conf:9: Not a rule of doas. doas -C /etc/doas.conf says what is wrong with it.',
        '  alice: /bin/psql -l a b as postgres (doas, /etc/doas.conf:3)',
        '  group number 1001: any command as root (doas, /etc/doas.conf:10)',
        '  dave: any command as any user (doas, /etc/doas.d/x.conf:1)',
      ],
    );
  });

  it('a file that others may write is no reason to be silent', async () => {
    const open = await said(
      { '/etc/doas.conf': 'permit alice\n', '/etc/group': 'docker:x:9:bob\n', '/etc/pam.d/su': '' },
      async (root) => {
        for (const file of ['doas.conf', 'group', 'pam.d/su']) await chmod(join(root, 'etc', file), 0o666);
      },
    );
    assert.equal(open[0], 'Could not be read: look at it yourself:');
    for (const file of ['doas.conf', 'group', 'pam.d/su'])
      assert.ok(
        open.some((line) => line.includes(`/etc/${file} can be changed by others than root`)),
        open.join('\n'),
      );
  });

  it('nothing in a file writes to the terminal of who looks', async () => {
    const found = await said({ '/etc/sudoers': '"al\x1b[2Jice" ALL=NOPASSWD: /bin/\u202ex\n' });
    assert.doesNotMatch(found.join('\n'), /[\x1b\u202e]/);
    assert.match(found.join('\n'), /ice: \/bin\/x as root/);
  });

  it('a file that is no configuration at all takes no page', async () => {
    const found = await lines({ '/etc/sudoers': `${'garbage\n'.repeat(500)}alice ALL=ALL\n` });
    assert.equal(found.length, 21);
    assert.match(found[19]!, /^\? \/etc\/sudoers:20: .* 480 more lines of this file are like it\.$/);
    assert.match(found[20]!, /alice: any command as root/);
  });

  it('is plain JSON and the same each time', async () => {
    await using host = await createHostTree({ '/etc/sudoers': 'b ALL=ALL\na ALL=NOPASSWD:ALL\nb ALL=ALL\nx' });
    const once = await readGrants(host.root, 'web1');
    assert.deepEqual(JSON.parse(JSON.stringify(once)), once);
    assert.deepEqual(await readGrants(host.root, 'web1'), once);
    assert.deepEqual(
      once.map(({ line }) => line),
      [2, 4, 1, 3],
    );
  });
});
