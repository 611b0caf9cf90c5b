import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isAuthselect, originalNsswitch, withService } from './nsswitch.ts';

const ALL = ['passwd', 'group', 'sudoers'] as const;

const DEBIAN = `# /etc/nsswitch.conf
#
# Example configuration of GNU Name Service Switch functionality.

passwd:         files systemd
group:          files systemd
shadow:         files
gshadow:        files

hosts:          files dns
networks:       files

services:       db files
netgroup:       nis
`;

describe('nsswitch.conf', () => {
  it('[E-S4] Debian: passwd, group and sudoers ask sss, shadow and everything else stays', () => {
    assert.equal(
      withService(DEBIAN, ALL, 'sss'),
      `${DEBIAN.replaceAll('files systemd', 'files systemd sss')}sudoers:        files sss\n`,
    );
  });

  const LINES: [string, string][] = [
    ['passwd: files', 'passwd: files sss'],
    ['passwd: files sss', 'passwd: files sss'],
    ['passwd: sss files', 'passwd: sss files'],
    ['passwd: files  # local only', 'passwd: files sss  # local only'],
    ['passwd: files# sss', 'passwd: files sss# sss'],
    ['passwd: files [NOTFOUND=return] nis', 'passwd: files sss [NOTFOUND=return] nis'],
    ['passwd: files [ notfound = return ] nis'.replace(' = ', '='), 'passwd: files sss [ notfound=return ] nis'],
    ['passwd: files [!SUCCESS=return] nis # why', 'passwd: files sss [!SUCCESS=return] nis # why'],
    ['passwd: files [NOTFOUND=return]', 'passwd: files sss [NOTFOUND=return]'],
    [
      'passwd: files [SUCCESS=continue NOTFOUND=return] nis',
      'passwd: files sss [SUCCESS=continue NOTFOUND=return] nis',
    ],
    ['passwd: files [SUCCESS=return] nis', 'passwd: files [SUCCESS=return] nis sss'],
    ['passwd: files [UNAVAIL=return] nis', 'passwd: files [UNAVAIL=return] nis sss'],
    ['passwd: files [!NOTFOUND=return] nis', 'passwd: files [!NOTFOUND=return] nis sss'],
    ['passwd:\tcompat\t', 'passwd:\tcompat sss\t'],
    ['  passwd :files', '  passwd :files sss'],
    ['passwd:', 'passwd: files sss'],
    ['passwd: nsssd', 'passwd: nsssd sss'],
    ['passwd: db files [NOTFOUND=return] db', 'passwd: db files sss [NOTFOUND=return] db'],
  ];
  for (const [before, after] of LINES) {
    it(JSON.stringify(before), () => {
      assert.equal(withService(`${before}\n`, ['passwd'], 'sss'), `${after}\n`);
      assert.equal(originalNsswitch(withService(`${before}\n`, ALL, 'sss'), `${before}\n`), `${before}\n`);
    });
  }

  it('comments are no lines, and every line of a database is one', () => {
    const text = '# passwd: files\npasswd: files\nxpasswd: files\npasswd_compat: nis\npasswd: nis\n';
    assert.equal(
      withService(text, ['passwd'], 'sss'),
      '# passwd: files\npasswd: files sss\nxpasswd: files\npasswd_compat: nis\npasswd: nis sss\n',
    );
  });

  it('without a line, without a newline, without anything', () => {
    assert.equal(withService('hosts: files', ['sudoers'], 'sss'), 'hosts: files\nsudoers:        files sss\n');
    assert.equal(withService('', ['passwd'], 'ldap'), 'passwd:         files ldap\n');
  });

  it('sudo by LDAP beside sss', () => {
    const both = withService(withService(DEBIAN, ALL, 'sss'), ['sudoers'], 'ldap');
    assert.match(both, /^sudoers: +files sss ldap$/m);
    assert.equal(originalNsswitch(both, DEBIAN), DEBIAN);
  });

  it('edited since: our words go, the edits stay', () => {
    const edited = withService(DEBIAN, ALL, 'sss')
      .replace('passwd:         files systemd sss', 'passwd:         files systemd sss winbind # mine')
      .concat('automount: files\n');
    assert.equal(
      originalNsswitch(edited, DEBIAN),
      DEBIAN.replace('passwd:         files systemd', 'passwd:         files systemd winbind # mine').concat(
        'automount: files\n',
      ),
    );
    assert.equal(
      originalNsswitch('passwd: files sss\n', 'passwd: files sss\n'),
      'passwd: files sss\n',
      'what was there before us is not ours to take',
    );
  });

  it('[E-S4] twice is once, and undo gives the original, whatever the file', () => {
    const word = fc.constantFrom(
      'files',
      'systemd',
      'nis',
      'compat',
      '[NOTFOUND=return]',
      '[SUCCESS=merge]',
      '[!SUCCESS=return]',
    );
    const blank = fc.constantFrom(' ', '  ', '\t');
    const line = fc
      .tuple(
        fc.constantFrom('passwd', 'group', 'sudoers', 'shadow', 'hosts', '# passwd'),
        fc.array(fc.tuple(blank, word), { maxLength: 4 }),
        fc.constantFrom('', ' ', ' # comment', '# sss', '\t#x [NOTFOUND=return]'),
      )
      .map(([database, words, end]) => `${database}:${words.flat().join('')}${end}`);
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.constantFrom('', '# c'))), fc.boolean(), (lines, newline) => {
        const text = lines.join('\n') + (newline ? '\n' : '');
        const once = withService(text, ALL, 'sss');
        assert.equal(withService(once, ALL, 'sss'), once);
        assert.equal(originalNsswitch(once, text), text);
        const ldap = withService(once, ['sudoers'], 'ldap');
        assert.equal(originalNsswitch(ldap, text), text);
      }),
    );
  });

  it('what authselect wrote is known', () => {
    assert.ok(isAuthselect('# Generated by authselect\n# Do not modify this file manually, use authselect instead.\n'));
    assert.ok(!isAuthselect(DEBIAN));
    assert.ok(!isAuthselect('# Fedora: see also authselect(8)\npasswd: files\n'));
  });
});
