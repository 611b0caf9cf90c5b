import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseSudoArgv, wordsOf } from './sudo-argv.ts';

/** mode, run-as user, run-as group, the command word. */
type Row = [line: string, mode: string, user: string | null, group: string | null, command: string | null];

const TABLE: Row[] = [
  ['sudo id', 'command', 'root', null, 'id'],
  ['sudo -- id', 'command', 'root', null, 'id'],
  ['sudo -u alice id', 'command', 'alice', null, 'id'],
  ['sudo -ualice id', 'command', 'alice', null, 'id'],
  ['sudo -nu alice id', 'command', 'alice', null, 'id'],
  ['sudo -nHualice id', 'command', 'alice', null, 'id'],
  ['sudo -u #1000 id', 'command', '#1000', null, 'id'],
  ['sudo --user alice id', 'command', 'alice', null, 'id'],
  ['sudo --user=alice id', 'command', 'alice', null, 'id'],
  // What an abbreviation stands for depends on the version.
  ['sudo --us alice id', 'unparsed', 'root', null, null],
  ['sudo --use=alice id', 'unparsed', 'root', null, null],
  ['sudo -u a -u b id', 'command', 'b', null, 'id'],
  ['sudo -g wheel id', 'command', null, 'wheel', 'id'],
  ['sudo -u bob -g wheel id', 'command', 'bob', 'wheel', 'id'],
  ['sudo --gr wheel id', 'unparsed', 'root', null, null],
  ['sudo --group wheel id', 'command', null, 'wheel', 'id'],
  ['sudo -D /tmp id', 'unparsed', 'root', null, null],
  ['sudo -nD/tmp /bin/id', 'unparsed', 'root', null, null],
  ['sudo --chdir=/tmp id', 'unparsed', 'root', null, null],
  ['sudo -R /jail id', 'unparsed', 'root', null, null],
  ['sudo --chroot /jail id', 'unparsed', 'root', null, null],
  ['xedit f', 'unparsed', 'root', null, null],
  ['sudo -u -- id', 'command', '--', null, 'id'],
  ['sudo -u -n id', 'command', '-n', null, 'id'],
  ['sudo -p prompt: -C 3 -T 10 id', 'command', 'root', null, 'id'],
  ['sudo -r role_r -t type_t id', 'command', 'root', null, 'id'],
  ['sudo -EHPBbnAkNS id', 'command', 'root', null, 'id'],
  ['sudo --preserve-env id', 'command', 'root', null, 'id'],
  // sudo writes into a list of variables: the words behind it are not what it runs.
  ['sudo --preserve-env=PATH,HOME id', 'unparsed', 'root', null, null],
  ['sudo --preserve-env=PATH id', 'unparsed', 'root', null, null],
  ['sudo --preserve-env= id', 'unparsed', 'root', null, null],
  ['sudo --preserve-e=PATH id', 'unparsed', 'root', null, null],
  ['sudo -n --preserve-env=PATH -u bob id', 'unparsed', 'root', null, null],
  ['sudo A=1 --preserve-env=PATH id', 'unparsed', 'root', null, null],
  ['sudo -l --preserve-env=PATH', 'unparsed', 'root', null, null],
  ['sudoedit --preserve-env=PATH f', 'unparsed', 'root', null, null],
  ['sudo id --preserve-env=PATH', 'command', 'root', null, 'id'],
  ['sudo -- id --preserve-env=PATH', 'command', 'root', null, 'id'],
  ['sudo -p --preserve-env=PATH id', 'command', 'root', null, 'id'],
  ['sudo A=1 id', 'command', 'root', null, 'id'],
  ['sudo A=1 -u bob B=2 id C=3', 'command', 'bob', null, 'id'],
  ['sudo -- A=1 id', 'command', 'root', null, 'A=1'],
  ['sudo -u -- A=1 id', 'command', '--', null, 'A=1'],
  ['sudo /a=b', 'command', 'root', null, '/a=b'],
  ['sudo =a', 'command', 'root', null, '=a'],
  ['sudo id -u bob', 'command', 'root', null, 'id'],
  ['sudo id --user=bob -i', 'command', 'root', null, 'id'],
  ['sudo -k id', 'command', 'root', null, 'id'],
  ['sudo -', 'command', 'root', null, '-'],
  ['sudo -s', 'shell', 'root', null, null],
  ['sudo -s id', 'shell', 'root', null, 'id'],
  ['sudo --sh', 'unparsed', 'root', null, null],
  ['sudo', 'shell', 'root', null, null],
  ['sudo -u bob', 'shell', 'bob', null, null],
  ['sudo A=1', 'shell', 'root', null, null],
  ['sudo -i', 'login-shell', 'root', null, null],
  ['sudo --login', 'login-shell', 'root', null, null],
  ['sudo --login -u bob', 'login-shell', 'bob', null, null],
  ['sudo -iu bob id', 'login-shell', 'bob', null, 'id'],
  ['sudo -e /etc/fstab', 'edit', 'root', null, null],
  ['sudo --edit /etc/fstab', 'edit', 'root', null, null],
  ['sudoedit /etc/fstab', 'edit', 'root', null, null],
  ['/usr/bin/sudoedit -u bob f', 'edit', 'bob', null, null],
  ['sudo -l', 'list', 'root', null, null],
  ['sudo -ll', 'list', 'root', null, null],
  ['sudo -lU bob', 'list', 'root', null, null],
  ['sudo -l id', 'list', 'root', null, 'id'],
  ['sudo -h web1 -l', 'unparsed', 'root', null, null],
  ['sudo -hweb1 -l', 'list', 'root', null, null],
  ['sudo --host=web1 -l', 'list', 'root', null, null],
  ['sudo -v', 'validate', 'root', null, null],
  // What sudo itself refuses, or never authenticates for.
  ['sudo -s -i', 'unparsed', 'root', null, null],
  ['sudo -e', 'unparsed', 'root', null, null],
  ['sudoedit -s f', 'unparsed', 'root', null, null],
  ['sudo -l -v', 'unparsed', 'root', null, null],
  ['sudo -v id', 'unparsed', 'root', null, null],
  ['sudo -K', 'unparsed', 'root', null, null],
  ['sudo -V', 'unparsed', 'root', null, null],
  ['sudo --help', 'unparsed', 'root', null, null],
  ['sudo -u', 'unparsed', 'root', null, null],
  ['sudo --user', 'unparsed', 'root', null, null],
  ['sudo --user= id', 'unparsed', 'root', null, null],
  ['sudo -Z id', 'unparsed', 'root', null, null],
  ['sudo -nZu bob id', 'unparsed', 'root', null, null],
  ['sudo --nonsense id', 'unparsed', 'root', null, null],
  ['sudo --shell=x id', 'unparsed', 'root', null, null],
  // Ambiguous abbreviations: --preserve-(env|groups), --re(move|set)-timestamp, --lo… is --login or --login-class.
  ['sudo --preserve id', 'unparsed', 'root', null, null],
  ['sudo --re', 'unparsed', 'root', null, null],
  ['sudo --s id', 'unparsed', 'root', null, null],
  ['sudo --logi', 'unparsed', 'root', null, null],
];

describe('sudo argv', () => {
  for (const [line, mode, user, group, command] of TABLE) {
    it(`${line}: ${mode}${command === null ? '' : ` ${command}`}${user === 'root' ? '' : ` as ${user}`}`, () => {
      const words = line.split(' ');
      const parsed = parseSudoArgv(words);
      assert.equal(parsed.mode, mode);
      if (mode === 'unparsed') {
        assert.deepEqual([parsed.runAsUser, parsed.command], ['root', null]);
        return;
      }
      assert.equal(parsed.runAsUser, user);
      assert.equal(parsed.runAsGroup, group);
      assert.equal(parsed.command === null ? null : words[parsed.command], command);
    });
  }

  for (const [line, mode, command] of [
    ['sudo-rs id', 'command', 'id'],
    ['sudo-rs -u alice id', 'command', 'id'],
    ['sudo-rs A=1 id', 'command', 'id'],
    // What another sudo would take for a variable is a command to this one, and the other way round.
    ['sudo-rs a-b=1 id', 'command', 'a-b=1'],
    ['sudo-rs =1 id', 'command', 'id'],
    ['sudo-rs -u -- A=1 id', 'command', 'id'],
    // It runs a command by this name, where others edit.
    ['sudoedit report', 'unparsed', null],
    ['sudo-rs - id', 'unparsed', null],
    ['sudo-rs -A id', 'unparsed', null],
    ['sudo-rs -b id', 'unparsed', null],
    ['sudo-rs -e f', 'unparsed', null],
    ['sudo-rs --command-timeout=3 id', 'unparsed', null],
    ['sudo-rs \xe4=1 id', 'unparsed', null],
    ['sudo-rs -l', 'list', null],
  ] as const) {
    it(`${line}: ${mode}`, () => {
      const words = line.split(' ');
      const parsed = parseSudoArgv(words, { kind: 'sudo-rs', runAsDefault: 'root' });
      assert.equal(parsed.mode, mode);
      assert.equal(parsed.command === null ? null : words[parsed.command], command);
    });
  }

  it('tells which variables the line sets, and that it keeps all', () => {
    assert.deepEqual(parseSudoArgv(['sudo', 'A=1', '-u', 'bob', 'LD_PRELOAD=x', 'id', 'B=2']).variables, [
      'A',
      'LD_PRELOAD',
    ]);
    assert.equal(parseSudoArgv(['sudo', '-nE', 'id']).keepsEnvironment, true);
    assert.equal(parseSudoArgv(['sudo', '--preserve-env', 'id']).keepsEnvironment, true);
    assert.equal(parseSudoArgv(['sudo', 'id', '-E']).keepsEnvironment, false);
  });

  it('no line with a list of variables to keep is believed, however the option is spelled and wherever sudo cut it', () => {
    const name = 'preserve-env';
    const spelling = fc.integer({ min: 1, max: name.length }).map((length) => `--${name.slice(0, length)}=`);
    const before = fc.array(fc.constantFrom('-n', '-H', '-A', '-u', '--user=bob', 'A=1', '-k', '-ubob'), {
      maxLength: 3,
    });
    const list = fc.array(fc.constantFrom('X', 'PATH', '/usr/bin/cat', '-l', '', '--', '-u', 'nobody', 'A=1'), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(before, spelling, list, fc.array(fc.string()), (own, option, [first = '', ...cut], words) => {
        // `-u` would take the option for a user, whom sudo then refuses.
        fc.pre(own.at(-1) !== '-u');
        // The commas have become NUL bytes, so each entry of the list reads as a word of its own.
        const parsed = parseSudoArgv(['sudo', ...own, `${option}${first}`, ...cut, ...words]);
        assert.deepEqual([parsed.mode, parsed.runAsUser, parsed.command], ['unparsed', 'root', null]);
      }),
      { numRuns: 5000 },
    );
  });

  it('no arguments at all, empty words, and only options', () => {
    assert.equal(parseSudoArgv([]).mode, 'unparsed');
    assert.equal(parseSudoArgv(['sudo', '']).mode, 'command');
    assert.equal(parseSudoArgv(['sudo', '-n']).mode, 'shell');
  });

  it('never throws, and a command is always one of the words and no option of sudo', () => {
    const word = fc.oneof(
      fc.constantFrom(
        '-u',
        '-i',
        '-s',
        '-e',
        '--',
        '--user',
        '--us=',
        '-nu',
        'A=1',
        'id',
        '',
        '-',
        '--edit',
        '-h',
        '-l',
        'root',
        '=',
        '-=',
        '--=',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (words) => {
        const parsed = parseSudoArgv(['sudo', ...words]);
        if (parsed.command === null) return;
        assert.ok(parsed.command >= 1 && parsed.command <= words.length);
        const ended = words[parsed.command - 2] === '--';
        const command = words[parsed.command - 1]!;
        assert.ok(ended || command === '-' || !command.startsWith('-'), `${command} in ${JSON.stringify(words)}`);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a line of half a million words', () => {
  const line = (text: string) => wordsOf(Buffer.from(`${text.trim().replaceAll(' ', '\0')}\0`));
  const many = (word: string) => `${word} `.repeat(500_000);

  it('is read as far as its command, and not beyond', () => {
    const words = line(`sudo -u bob ls ${many('file')}`);
    assert.ok(words.length < 2000, 'each word costs, for as long as nobody else is answered');
    assert.deepEqual([words[0], words[3], words[4]], ['sudo', 'ls', 'file']);
    const { mode, runAsUser, command } = parseSudoArgv(words);
    assert.deepEqual([mode, runAsUser, command], ['command', 'bob', 3]);
  });

  it('of which most stand before a command is not read at all', () => {
    for (const before of ['-n', 'A=b'])
      for (const after of ['id', '-u bob id', '-l', ''])
        assert.equal(parseSudoArgv(line(`sudo ${many(before)}${after}`)).mode, 'unparsed', before);
  });
});
