import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_SETTINGS, type SudoSettings } from '../settings.ts';
import type { BareEntry } from '../tree/model.ts';
import { testTree } from '../tree/test-tree.ts';
import { checkCommand } from './command.ts';
import { checkHost } from './host.ts';
import { checkOption } from './options.ts';

const sudo = DEFAULT_SETTINGS.sudo;
const claims: SudoSettings = { ...sudo, noAuthenticate: 'claims' };
const option = (text: string, settings = sudo) => {
  const checked = checkOption(text, settings);
  return checked.ok ? checked.options.join(',') : null;
};

/** sudo options with which somebody could get around the approval, become root by other means or hide what they did. */
const DANGEROUS =
  `setenv env_file restricted_env_file env_keep env_delete env_check secure_path exempt_group editor env_editor
  rootpw targetpw runaspw runas_default shell_noargs visiblepw closefrom group_plugin iolog_dir iolog_file logfile lecture_file
  mailerpath mailerflags mailto pam_service pam_login_service pam_askpass_service passprompt passprompt_override sudoers_locale
  timestampdir timestampowner lecture_status_dir verifypw listpw runchroot runas_allow_unknown_id sudoedit_follow fdexec
  stay_setuid preserve_groups privs limitprivs log_servers authfail_message ignore_local_sudoers
  intercept_allow_setid log_passwords root_sudo tty_tickets syslog`.split(/\s+/);

describe('sudo options', () => {
  test('every dangerous one is refused however it is spelled', () => {
    for (const name of DANGEROUS) {
      for (const bangs of ['', '!', '!!', '!!!', '! !']) {
        for (const spelled of [name, name.toUpperCase(), ` ${name} `, `"${name}"`]) {
          for (const tail of ['', '=x', '="x"', '+=BASH_ENV', '-=PATH', '= /tmp', ' = *', '=LANG', ' +=x']) {
            const text = `${bangs}${spelled}${tail}`;
            for (const settings of [sudo, claims, { ...claims, noAuthenticate: 'true' as const }]) {
              assert.equal(option(text, settings), null, text);
            }
          }
        }
      }
    }
  });

  test('no spelling of "authenticate" leaves the server unless claims may ask for it', () => {
    const spellings = [
      'authenticate',
      '!authenticate',
      '!!authenticate',
      '!!!authenticate',
      '! ! !authenticate',
      ' !Authenticate ',
      '!"authenticate"',
      '!auth enticate',
      '!authenticate=x',
      'NOPASSWD',
      '!authenticate\n',
    ];
    for (const text of spellings) {
      for (const noAuthenticate of ['false', 'true'] as const)
        assert.equal(option(text, { ...sudo, noAuthenticate }), null, text);
    }
    const asked = spellings.filter((text) => option(text, claims) === '!authenticate');
    assert.deepEqual(asked, [
      '!authenticate',
      '!!!authenticate',
      '! ! !authenticate',
      ' !Authenticate ',
      '!"authenticate"',
      '!auth enticate',
      'NOPASSWD',
    ]);
  });

  test('what is served is spelled anew', () => {
    const cases: [string, string | null][] = [
      ['LOG_INPUT', 'log_input'],
      ['log_output', 'log_output'],
      [' use_pty ', 'use_pty'],
      ['!!noexec', 'noexec'],
      ['!noexec', null],
      ['NOEXEC', 'noexec'],
      ['SETENV', null],
      ['use_pty=true', null],
      ['!lecture', '!lecture'],
      ['lecture=always', 'lecture=always'],
      ['lecture=/etc/shadow', null],
      ['noninteractive_auth', 'noninteractive_auth'],
      [' NonInteractive_Auth ', 'noninteractive_auth'],
      ['!!noninteractive_auth', 'noninteractive_auth'],
      ['!noninteractive_auth', '!noninteractive_auth'],
      ['! ! !noninteractive_auth', '!noninteractive_auth'],
      ['noninteractive_auth=true', null],
      ['noninteractive_auth+=x', null],
      ['!noninteractive_auth=0', null],
      ['noninteractive_auth\n', null],
      ['timestamp_timeout=0', 'timestamp_timeout=0'],
      ['timestamp_timeout = "0"', 'timestamp_timeout=0'],
      ['timestamp_timeout=15', null],
      ['timestamp_timeout=-1', null],
      ['!timestamp_timeout', null],
      ['passwd_tries=3', 'passwd_tries=3'],
      ['passwd_tries=0', null],
      ['command_timeout=1h30m', 'command_timeout=5400'],
      ['command_timeout=25h', null],
      ['umask=022', 'umask=0022'],
      ['umask=9', null],
      ['timestamp_type=tty', 'timestamp_type=tty'],
      ['timestamp_type=global', null],
      ['runcwd=/srv', 'runcwd=/srv'],
      ['runcwd=*', null],
      ['role=sysadm_r', null],
      ['env_keep+=LANG LC_ALL', 'env_keep+=LANG,env_keep+=LC_ALL'],
      ['env_keep += "TZ"', 'env_keep+=TZ'],
      ['env_keep+=LANG BASH_ENV', null],
      ['env_keep+=*', null],
      ['env_keep+=LANG=x', null],
      ['!env_keep+=LANG', null],
      ['env_keep=LANG', null],
      ['log_input\r', null],
      ['unknown', null],
      ['', null],
    ];
    for (const [text, expected] of cases) assert.equal(option(text), expected, text);
    assert.equal(option('role=sysadm_r', { ...sudo, allowMac: true }), 'role=sysadm_r');
    assert.equal(option('timestamp_timeout=5', { ...sudo, maxTimestampTimeout: 15 }), 'timestamp_timeout=5');
  });
});

describe('sudo commands and hosts', () => {
  test('commands', () => {
    const text = (command: string, settings = sudo) => {
      const checked = checkCommand(command, settings);
      return checked.ok ? checked.command.text : null;
    };
    for (const good of [
      'ALL',
      '/usr/bin/apt',
      '/usr/bin/apt update',
      '/usr/bin/id ""',
      '/opt/tools/',
      `sha256:${'a'.repeat(64)} /bin/id`,
    ]) {
      assert.equal(text(good), good);
    }
    for (const bad of [
      '',
      ' ',
      'apt',
      '!/bin/su',
      '!!/bin/su',
      '/usr/../bin/su',
      '/bin/cat /var/log/../../etc/shadow',
      'sudoedit /etc/x',
      'SudoEdit',
      'list',
      'all',
      '/bin/a\0b',
      '/bin/a\n',
      '/bin/\r',
      'sha256:xx /bin/id',
      `sha1:${'a'.repeat(40)} /bin/id`,
      `sha256:${'a'.repeat(64)} ALL`,
      `/${'x'.repeat(1024)}`,
      '^/bin/.*$',
      '/bin/é',
      '/bin/a,b',
      '/bin/a=b',
      '/usr/bin/id \\',
      '/usr/bin/id x\\\\\\',
    ]) {
      assert.equal(text(bad), null, bad);
    }
    assert.equal(text('/usr/bin/id x\\\\'), '/usr/bin/id x\\\\');
    assert.equal(text('!/bin/su', { ...sudo, allowNegated: true }), '!/bin/su');
    assert.equal(text('sudoedit /etc/motd', { ...sudo, allowSudoedit: true }), 'sudoedit /etc/motd');
    assert.equal(text('sudoedit etc', { ...sudo, allowSudoedit: true }), null);
  });

  test('commands that are as good as everything are named', () => {
    const warning = (command: string) => {
      const checked = checkCommand(command, sudo);
      return checked.ok ? (checked.warnings[0] ?? null) : 'refused';
    };
    for (const wide of [
      'ALL',
      '/bin/bash',
      '/usr/bin/vim',
      '/usr/bin/',
      '/usr/bin/*',
      '/usr/bin/python3.11',
      '/bin/sh -c id',
    ]) {
      assert.equal(warning(wide), 'sudo_equals_all', wide);
    }
    assert.equal(warning('/bin/cat /var/log/*'), 'sudo_argument_wildcard');
    assert.equal(warning('/usr/bin/systemctl restart nginx'), null);
  });

  test('quotes around arguments are named: sudo compares what a shell has taken them off', () => {
    const quoted = (command: string) => {
      const checked = checkCommand(command, sudo);
      return checked.ok && checked.warnings.includes('sudo_argument_quoted');
    };
    for (const command of [
      '/usr/bin/logger "all is well"',
      "/usr/bin/logger 'x'",
      '/usr/sbin/useradd --comment="Ada L" ada',
      '/bin/sh -c "id"',
      '/usr/bin/logger -t "" x',
    ]) {
      assert.ok(quoted(command), command);
    }
    for (const command of [
      '/usr/bin/logger ""',
      '/usr/bin/logger',
      "/usr/bin/logger it's",
      '/usr/bin/logger \\"x\\"',
      'ALL',
    ]) {
      assert.ok(!quoted(command), command);
    }
    // What is dangerous is said as well, whatever else is wrong with it.
    const both = checkCommand('/bin/sh -c "id"', sudo);
    assert.deepEqual(both.ok && both.warnings, ['sudo_equals_all', 'sudo_argument_quoted']);
  });

  test('hosts', () => {
    const kind = (text: string) => {
      const checked = checkHost(text);
      return checked.ok ? `${checked.negated ? 'not ' : ''}${checked.kind}` : null;
    };
    const cases: [string, string | null][] = [
      ['ALL', 'all'],
      ['!web1', 'not name'],
      ['web1.example.com', 'name'],
      ['10.0.0.1', 'address'],
      ['10.0.0.0/8', 'address'],
      ['10.0.0.0/255.0.0.0', 'address'],
      ['2001:db8::/32', 'address'],
      ['+web', 'netgroup'],
      ['web*', 'wildcard'],
      ['web[0-9]', 'wildcard'],
      ['all', null],
      ['!!web1', null],
      ['10.0.0.0/33', null],
      ['a/b', null],
      ['web 1', null],
      ['-x', null],
      ['', null],
      ['web[', null],
      ['fe80::1%eth0', null],
      ['we*b)(x', null],
    ];
    for (const [text, expected] of cases) assert.equal(kind(text), expected, text);
  });
});

/** The rule that one group's claims give, as LDAP shows it. */
async function rule(sudoClaims: Record<string, string>, settings: Partial<SudoSettings> = {}, hosts: string[] = []) {
  const tree = await testTree(
    [{ username: 'alice' }],
    [{ name: 'ops', members: ['alice'], claims: sudoClaims }],
    { sudo: settings },
    { hosts: hosts.map((hostname) => ({ id: hostname, hostname, group: null })) },
  );
  const entry = tree.at('cn=ops,ou=sudoers');
  return { entry: entry && Object.fromEntries(entry.attributes), codes: tree.lints.map(({ code }) => code) };
}

describe('rules from claims', () => {
  test('defaults', async () => {
    const { entry } = await rule({ sudoCommands: '/usr/bin/apt, /usr/bin/id' });
    assert.deepEqual(entry, {
      cn: ['ops'],
      sudoUser: ['alice'],
      sudoHost: ['ALL'],
      sudoCommand: ['/usr/bin/apt', '/usr/bin/id'],
      sudoRunAsUser: ['root'],
      sudoOrder: ['2'],
    });
  });

  test('commas in arguments, JSON lists, groups to run as', async () => {
    const { entry } = await rule({
      sudoCommands: '["/bin/mount -o ro,nosuid"]',
      sudoRunAsGroup: 'adm',
      sudoOrder: '7',
    });
    assert.deepEqual(entry?.sudoCommand, ['/bin/mount -o ro,nosuid']);
    assert.deepEqual([entry?.sudoRunAsUser, entry?.sudoRunAsGroup, entry?.sudoOrder], [undefined, ['adm'], ['7']]);
    assert.deepEqual((await rule({ sudoCommands: '/bin/mount -o ro\\,nosuid' })).entry?.sudoCommand, [
      '/bin/mount -o ro,nosuid',
    ]);
  });

  test('what is not said right makes no rule that allows more than was meant', async () => {
    const none: Record<string, string>[] = [
      { sudoCommands: 'apt' },
      { sudoCommands: '' },
      { sudoCommands: 'ALL', sudoHosts: '' },
      { sudoCommands: 'ALL', sudoHosts: '  ' },
      { sudoCommands: 'ALL', sudoHosts: 'bad host' },
      { sudoCommands: 'ALL', sudoHosts: 'bad host, !web1' },
      { sudoCommands: 'ALL', sudoHosts: 'ALL, !bad host' },
      { sudoCommands: 'ALL', sudoHosts: 'web*' },
      { sudoCommands: 'ALL, !/bin/su' },
      { sudoCommands: 'ALL', sudoRunAsUser: 'a b' },
      { sudoCommands: 'ALL', sudoRunAsUser: 'all' },
      { sudoCommands: 'ALL', sudoRunAsUser: 'ALL, !root' },
      { sudoCommands: 'ALL', sudoRunAsGroup: '%x y' },
      { sudoCommands: 'ALL', sudoNotAfter: 'tomorrow' },
      { sudoCommands: '["ALL"' },
      { sudoCommands: '[1]' },
      { sudoCommands: 'x'.repeat(20_000) },
      { sudoCommands: 'ALL', sudoHosts: 'x'.repeat(20_000) },
      // As sudo's own schema has it, and as it is mistyped.
      { sudoCommands: 'ALL', sudoHost: 'web1' },
      { sudoCommands: 'ALL', sudoOption: 'noexec' },
      { sudoCommands: 'ALL', sudohosts: 'web1' },
      { sudoCommands: 'ALL', ' sudoHosts': 'web1' },
      { sudoCommands: 'ALL', 'su\u200bdoHosts': 'web1' },
      { sudoCommands: 'ALL', sudoHosts: 'web1', 'Sudo-Not-After': '20260101000000Z' },
      { sudoCommand: 'ALL' },
      // Without these the commands would run unconfined.
      { sudoCommands: 'ALL', sudoOptions: 'noexce' },
      { sudoCommands: 'ALL', sudoOptions: 'noexec=true' },
      { sudoCommands: 'ALL', sudoOptions: 'use_pty, command_timeout=5x' },
      { sudoCommands: 'ALL', sudoOptions: 'umask=77' },
      { sudoCommands: 'ALL', sudoOptions: 'role=webadm_r' },
      { sudoCommands: 'ALL', sudoOptions: 'apparmor_profile=web' },
      { sudoCommands: 'ALL', sudoOptions: 'runchroot=/srv/jail' },
    ];
    for (const sudoClaims of none) {
      const { entry, codes } = await rule(sudoClaims);
      assert.equal(entry, undefined, JSON.stringify(sudoClaims).slice(0, 80));
      assert.ok(codes.includes('sudo_rule_dropped'), JSON.stringify(sudoClaims).slice(0, 80));
    }
  });

  test('a bad value among good ones is left out, or takes the rule with it in strict mode', async () => {
    const mixed = { sudoCommands: '/bin/id, bad', sudoOptions: 'use_pty, setenv' };
    const { entry, codes } = await rule(mixed);
    assert.deepEqual([entry?.sudoCommand, entry?.sudoOption], [['/bin/id'], ['use_pty']]);
    assert.deepEqual(codes, ['sudo_value_rejected', 'sudo_value_rejected']);
    assert.equal((await rule(mixed, { strict: true })).entry, undefined);
  });

  test('an exception of a host that there is not is said: the rule would reach the one that was meant', async () => {
    const names = ['web1.example.com', 'db1.example.com'];
    const except = async (host: string, hosts = names) =>
      (await rule({ sudoCommands: '/bin/id', sudoHosts: `ALL, !${host}` }, {}, hosts)).codes;
    for (const host of ['wbe1', 'web2.example.com', 'prod*']) {
      assert.deepEqual(await except(host), ['sudo_host_unmatched'], host);
    }
    for (const host of ['web1', 'WEB1.example.com', 'db*', '10.0.0.0/8'])
      assert.deepEqual(await except(host), [], host);
    assert.deepEqual(await except('web1', []), [], 'hosts that are not enrolled have names as well');
  });

  test('host lists reach the hosts that sssd asks for', async () => {
    assert.deepEqual((await rule({ sudoCommands: 'ALL', sudoHosts: '!web1' })).entry?.sudoHost, ['ALL', '!web1']);
    const wild = await rule({ sudoCommands: 'ALL', sudoHosts: 'web*, !web2' }, {}, ['web2', 'db1', 'web1']);
    assert.deepEqual(wild.entry?.sudoHost, ['web1', 'web2', '!web2']);
    assert.deepEqual(
      (await rule({ sudoCommands: 'ALL', sudoHosts: 'web*' }, { hostWildcards: 'raw' })).entry?.sudoHost,
      ['web*'],
    );
  });

  test('mode "true" says so on every rule, mode "claims" where it is asked for', async () => {
    assert.deepEqual((await rule({ sudoCommands: 'ALL' }, { noAuthenticate: 'true' })).entry?.sudoOption, [
      '!authenticate',
    ]);
    assert.equal((await rule({ sudoCommands: 'ALL' }, { noAuthenticate: 'claims' })).entry?.sudoOption, undefined);
    const asked = await rule({ sudoCommands: 'ALL', sudoOptions: 'NOPASSWD' }, { noAuthenticate: 'claims' });
    assert.deepEqual(asked.entry?.sudoOption, ['!authenticate']);
    assert.ok(asked.codes.includes('sudo_unauthenticated'));
  });

  test('cn=defaults keeps sudo from skipping the next approval, and never switches approval off', async () => {
    const tree = await testTree([]);
    assert.deepEqual(tree.values('cn=defaults,ou=sudoers', 'sudoOption'), ['timestamp_timeout=0']);
    assert.equal(tree.values('cn=defaults,ou=sudoers', 'sudoHost'), undefined);
    const off = await testTree([], [], { sudo: { defaults: null } });
    assert.equal(off.at('cn=defaults,ou=sudoers'), undefined);
    const bad = await testTree([], [], { sudo: { defaults: ['!authenticate', 'use_pty'], noAuthenticate: 'claims' } });
    assert.deepEqual(bad.values('cn=defaults,ou=sudoers', 'sudoOption'), ['use_pty']);
  });
});

const oracle = existsSync('/usr/bin/cvtsudoers') && existsSync('/usr/sbin/visudo');

/** Lets sudo's own tools read the rules: LDIF → sudoers → visudo -c. Returns the rules as sudoers. */
function readBySudo(entries: readonly BareEntry[]): string {
  const base64 = (value: string) => Buffer.from(value).toString('base64');
  const ldif = entries.map(({ dn, objectClass, attributes }) =>
    [
      `dn: ${dn}`,
      ...objectClass.map((name) => `objectClass: ${name}`),
      ...attributes.flatMap(([name, values]) => values.map((value) => `${name}:: ${base64(value)}`)),
      '',
    ].join('\n'),
  );
  const run = (command: string, args: string[], input: string, expected: RegExp) => {
    const { status, stdout, stderr } = spawnSync(command, args, { input, encoding: 'utf8', timeout: 60_000 });
    const complaints = stderr.split('\n').filter((line) => line !== '' && !expected.test(line));
    assert.deepEqual([status, complaints], [0, []], `${command}\n${input}`);
    return stdout;
  };
  // sudoers knows most options per user or host only; those are checked as defaults below.
  const sudoers = run(
    '/usr/bin/cvtsudoers',
    ['-b', 'ou=sudoers,dc=example,dc=com', '-i', 'ldif', '-f', 'sudoers', '-'],
    ldif.join('\n'),
    /unable to convert sudoOption/,
  );
  const options = entries.flatMap(({ attributes }) => attributes.find(([name]) => name === 'sudoOption')?.[1] ?? []);
  const defaults = [...new Set(options)].map((option) => `Defaults ${option}\n`).join('');
  run('/usr/sbin/visudo', ['-c', '-f', '-'], `${defaults}${sudoers}`, /parsed OK/);
  return sudoers;
}

describe('sudo itself', { skip: oracle ? false : 'visudo and cvtsudoers are not installed' }, () => {
  test('reads what is served as it was meant', async () => {
    const tree = await testTree(
      [{ username: 'alice' }, { username: 'bob' }],
      [
        {
          name: 'ops',
          members: ['alice', 'bob'],
          claims: {
            sudoCommands: `["/usr/bin/apt update","/usr/bin/id \\"\\"","/opt/tools/","/bin/mount -o ro,nosuid","sha256:${'ab'.repeat(32)} /bin/ls"]`,
            sudoHosts: 'web1,10.0.0.0/8,+web,!web2',
            sudoRunAsUser: 'www-data,#1000,%adm',
            sudoRunAsGroup: 'adm',
            sudoOptions:
              'use_pty,LOG_INPUT,command_timeout=90,umask=027,env_keep+=LANG TZ,runcwd=/srv,lecture=never,!insults,timestamp_type=tty',
            sudoNotAfter: '2030-01-01T00:00:00Z',
          },
        },
      ],
    );
    const text = readBySudo(tree.entries.filter(({ dn }) => /ou=sudoers/.test(dn))).replace(/\\\n\s*/g, ' ');
    const expected = [
      /^alice, bob \+web, 10\.0\.0\.0\/8, web1, !web2 = /m,
      /\(#1000, %adm, www-data : adm\)/,
      /NOTAFTER=20300101000000Z/,
      /CWD=\/srv/,
      /LOG_INPUT:/,
      /\/usr\/bin\/apt update, .*\/usr\/bin\/id "", .*\/opt\/tools\/, .*\/bin\/mount -o ro\\,nosuid, .*sha256:(ab){32} \/bin\/ls/,
    ];
    for (const pattern of expected) assert.match(text, pattern);
    assert.doesNotMatch(text, /NOPASSWD|SETENV/);
  });

  /** cvtsudoers writes an escaped quotation mark as visudo does not read it again; from a directory sudo reads neither. */
  const isReadBack = (text: string): boolean => !text.includes('\\"');

  test('accepts whatever the rules let through, and finds no way around the approval in it', async () => {
    const noise = fc.oneof(
      fc.constantFrom(
        'ALL',
        '/bin/ls',
        '/usr/bin/apt update',
        '/opt/x/',
        '!x',
        'web1',
        '10.0.0.0/8',
        '+g',
        'root',
        '%adm',
        '#0',
        'adm',
        'use_pty',
        '!!!authenticate',
        'NOPASSWD',
        'LOG_INPUT',
        'umask=022',
        'env_keep+=LANG',
        'setenv',
        'lecture=once',
        '!lecture',
        '/bin/ls *',
        '/bin/a\\b',
        '/bin/a "b"',
        '/bin/x #y',
        '/bin/x (y)',
        '/bin/x a:b=c',
      ),
      fc.string({ maxLength: 20 }).filter(isReadBack),
      fc
        .string({ maxLength: 12 })
        .map((text) => `/${text}`)
        .filter(isReadBack),
    );
    const list = fc.array(noise, { maxLength: 5 }).map((values) => JSON.stringify(values));
    const groups = fc.array(
      fc.record(
        { sudoCommands: list, sudoHosts: list, sudoRunAsUser: list, sudoRunAsGroup: list, sudoOptions: list },
        { requiredKeys: ['sudoCommands'] },
      ),
      { minLength: 10, maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(groups, async (sets) => {
        const tree = await testTree(
          [{ username: 'alice' }],
          sets.map((each, n) => ({ name: `g${n}`, members: ['alice'], claims: each })),
        );
        const entries = tree.entries.filter(({ dn }) => /ou=sudoers/.test(dn));
        for (const { attributes } of entries) {
          for (const [name, values] of attributes) {
            for (const value of values) assert.match(value, /^[\x20-\x7e]+$/, `${name}: ${JSON.stringify(value)}`);
          }
        }
        assert.doesNotMatch(readBySudo(entries), /NOPASSWD:|SETENV:/);
      }),
      { numRuns: 30 },
    );
  });
});
