import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSudoPolicy, parseSudoRsPolicy, passes, readPath, type SudoPolicy } from './sudo-policy.ts';

const SECURE = 'secure_path=/usr/sbin\\:/usr/bin';
const listing = (settings: string, rules = '(ALL : ALL) ALL', conditional = '') =>
  `${settings === '' ? '' : `Matching Defaults entries for alice on web1:\n    ${settings}\n\n`}${
    conditional === '' ? '' : `Runas and Command-specific defaults for alice:\n    ${conditional}\n\n`
  }User alice may run the following commands on web1:\n    ${rules}\n`;
const of = (...parts: Parameters<typeof listing>): SudoPolicy | null => parseSudoPolicy(listing(...parts));

describe('what sudo says of an account', () => {
  it('the ordinary case', () => {
    assert.deepEqual(of(`env_reset, mail_badpass, ${SECURE}, use_pty`), {
      kind: 'sudo',
      securePath: ['/usr/sbin', '/usr/bin'],
      runAsDefault: 'root',
      keeps: [],
    });
  });

  for (const [name, settings, path] of [
    ['no Defaults at all', '', null],
    ['no secure_path', 'env_reset', null],
    ['taken away for this account', `${SECURE}, !secure_path`, null],
    ['set anew for this account', `${SECURE}, secure_path=/opt/bin`, ['/opt/bin']],
    ['accounts that are exempt', `${SECURE}, exempt_group=wheel`, null],
    ['nobody is exempt any more', `${SECURE}, exempt_group=wheel, !exempt_group`, ['/usr/sbin', '/usr/bin']],
    ['a folder with a blank', 'secure_path="/opt/my tools:/bin"', ['/opt/my tools', '/bin']],
    ['a folder with a comma', 'secure_path=/opt/a\\,b\\:/bin', ['/opt/a,b', '/bin']],
    ['a relative folder', 'secure_path=bin\\:/bin', null],
    ['the current folder', 'secure_path=/bin\\:', null],
    ['a list inside a value', `env_keep+="A, secure_path=/evil", ${SECURE}`, ['/usr/sbin', '/usr/bin']],
  ] as const) {
    it(`secure_path: ${name}`, () => assert.deepEqual(of(settings)?.securePath, path));
  }

  for (const [name, parts] of [
    ['a rule that changes the folder', [SECURE, '(root) CWD=/srv /bin/x']],
    ['a rule that changes the root', [SECURE, '(ALL : ALL) ALL\n    (root) CHROOT=/jail NOPASSWD: /bin/x']],
    ['another root for all', [`${SECURE}, runchroot=/jail`]],
    ['another folder for all', [`${SECURE}, runcwd=/srv`]],
    ['a secure_path under a condition', [SECURE, 'ALL', 'Defaults!/bin/x !secure_path']],
    ['another account under a condition', [SECURE, 'ALL', 'Defaults>bob runas_default=carol']],
    ['a backslash between quotes', ['passprompt="a\\" b", secure_path=/bin']],
  ] as [string, Parameters<typeof listing>][]) {
    it(`nothing is known under ${name}`, () => assert.equal(of(...parts), null));
  }

  it('what the person may choose by an option is no choice of the rules', () => {
    assert.notEqual(of(`${SECURE}, runchroot=*, runcwd=*`, '(ALL) CWD=* CHROOT=* ALL'), null);
    assert.notEqual(of(SECURE, 'ALL', 'Defaults!/bin/x !requiretty'), null);
  });

  for (const text of [
    '',
    'User carol is not allowed to run sudo on web1.\n',
    'Sorry, user root may not run sudo on web1.\n',
    `Passende Defaults-Einträge für alice auf web1:\n    ${SECURE}\n\nUser alice may run the following commands on web1:\n    ALL\n`,
    'usage: sudo -h | -K | -k | -V\n',
  ]) {
    it(`nothing is known from ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseSudoPolicy(text), null));
  }

  it('who runs a command when nobody is named', () => {
    assert.equal(of(`${SECURE}, runas_default=operator`)?.runAsDefault, 'operator');
  });

  it('which variables pass to the command', () => {
    const policy = of(`${SECURE}, env_reset, env_keep+="LD_* PYTHONPATH", env_check=TZ, env_keep-=FOO`)!;
    const passing = ['LD_PRELOAD', 'PYTHONPATH', 'TZ', 'FOO', 'PYTHONHOME'].filter((name) => passes(policy, name));
    assert.deepEqual(passing, ['LD_PRELOAD', 'PYTHONPATH', 'TZ']);
    assert.equal(passes(of(`${SECURE}, !env_reset`)!, 'PYTHONHOME'), true);
    assert.equal(passes(of(SECURE)!, 'PYTHONHOME'), false);
  });

  it('a path is a list of folders that are the same from everywhere', () => {
    assert.deepEqual(readPath('/a:/b'), ['/a', '/b']);
    for (const text of [null, '', '.', '/a:', ':/a', '/a::/b', '/a:b'])
      assert.equal(readPath(text), null, String(text));
  });
});

describe('what sudo-rs says of an account', () => {
  const facts = (sudoers: string, path: string | null = '/usr/sbin:/usr/bin', rules = '(ALL : ALL) ALL') =>
    parseSudoRsPolicy({ listing: listing('', rules), path, sudoers });

  it('the PATH that it gives to root is everybody’s, unless a condition says otherwise', () => {
    assert.deepEqual(facts('Defaults secure_path="/usr/sbin:/usr/bin"\n')?.securePath, ['/usr/sbin', '/usr/bin']);
    assert.equal(facts('Defaults env_reset\n', null)?.securePath, null);
    for (const line of [
      'Defaults:alice !secure_path',
      'Defaults @web1 secure_path=/x',
      'Defaults!X \\\n secure_path=/x',
    ]) {
      assert.equal(facts(`Defaults secure_path="/usr/bin"\n${line}\n`), null, line);
    }
    assert.notEqual(facts('Defaults:alice use_pty\n'), null);
  });

  it('a rule that changes the folder, and an account without rules', () => {
    assert.equal(facts('', '/bin', '(root) CWD=/srv /bin/x'), null);
    assert.equal(
      parseSudoRsPolicy({ listing: 'User carol is not allowed to run sudo on web1.', path: '/bin', sudoers: '' }),
      null,
    );
  });

  it('which variables pass to the command', () => {
    const policy = facts('Defaults env_keep += "LD_PRELOAD NODE_*", env_check=TZ\n')!;
    const passing = ['LD_PRELOAD', 'NODE_OPTIONS', 'TZ', 'LANG'].filter((name) => passes(policy, name));
    assert.deepEqual(passing, ['LD_PRELOAD', 'NODE_OPTIONS', 'TZ']);
  });
});
