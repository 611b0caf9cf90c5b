/** A sudo whose command lines are tried. */
export type Sudo = 'sudo 1.9.13' | 'sudo 1.9.16' | 'sudo-rs 0.2.5';

/** One use of sudo by a person: the words, from where, and with which environment. */
export interface SudoLine {
  /** argv, the program's name first. */
  argv: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string>>;
}

/** What the host must have for the lines: see `layOut`. */
export const REPORT = '/usr/local/bin/report';
export const JAIL = '/srv/jail';

type Takes = 'nothing' | 'a word' | 'a list after =';
interface Option {
  long: string;
  /** Null: there is none. */
  short: string | null;
  takes: Takes;
  /** Words that make sense after it; others come too. */
  words?: readonly string[];
  not?: readonly Sudo[];
}

const RS = ['sudo-rs 0.2.5'] as const;

/** Every option of sudo(8), 1.9.13 and 1.9.16, and of sudo-rs. `not`: which of them do not know it. */
const OPTIONS: readonly Option[] = [
  { long: 'askpass', short: 'A', takes: 'nothing', not: RS },
  { long: 'auth-type', short: 'a', takes: 'a word', words: ['pam'], not: RS },
  { long: 'background', short: 'b', takes: 'nothing', not: RS },
  { long: 'bell', short: 'B', takes: 'nothing' },
  { long: 'close-from', short: 'C', takes: 'a word', words: ['3', '7'], not: RS },
  { long: 'login-class', short: 'c', takes: 'a word', words: ['staff'], not: RS },
  { long: 'chdir', short: 'D', takes: 'a word', words: ['/', '/srv', '/home/alice', '/home/alice/bin', '.', '..'] },
  { long: 'preserve-env', short: 'E', takes: 'a list after =' },
  { long: 'edit', short: 'e', takes: 'nothing' },
  { long: 'group', short: 'g', takes: 'a word', words: ['alice', 'bob', 'root', '#2002', '#0'] },
  { long: 'set-home', short: 'H', takes: 'nothing' },
  { long: 'help', short: null, takes: 'nothing' },
  { long: 'host', short: 'h', takes: 'a word', words: ['localhost', 'web1'] },
  { long: 'login', short: 'i', takes: 'nothing' },
  { long: 'remove-timestamp', short: 'K', takes: 'nothing' },
  { long: 'reset-timestamp', short: 'k', takes: 'nothing' },
  { long: 'list', short: 'l', takes: 'nothing' },
  { long: 'no-update', short: 'N', takes: 'nothing', not: ['sudo 1.9.13', ...RS] },
  { long: 'non-interactive', short: 'n', takes: 'nothing' },
  { long: 'preserve-groups', short: 'P', takes: 'nothing', not: RS },
  { long: 'prompt', short: 'p', takes: 'a word', words: ['', '%u: ', '-u'] },
  { long: 'chroot', short: 'R', takes: 'a word', words: [JAIL, '/', '/srv'], not: RS },
  { long: 'role', short: 'r', takes: 'a word', words: ['sysadm_r'], not: RS },
  { long: 'stdin', short: 'S', takes: 'nothing' },
  { long: 'shell', short: 's', takes: 'nothing' },
  { long: 'type', short: 't', takes: 'a word', words: ['sysadm_t'], not: RS },
  { long: 'command-timeout', short: 'T', takes: 'a word', words: ['5', '1h'], not: RS },
  { long: 'other-user', short: 'U', takes: 'a word', words: ['bob', 'alice'] },
  { long: 'user', short: 'u', takes: 'a word', words: ['bob', 'carol', 'root', 'alice', '#2002', '#0', '#2003'] },
  { long: 'version', short: 'V', takes: 'nothing' },
  { long: 'validate', short: 'v', takes: 'nothing' },
];

const VARIABLES = [
  ...['LD_PRELOAD', 'LD_LIBRARY_PATH', 'PYTHONPATH', 'PERL5LIB', 'BASH_ENV', 'NODE_OPTIONS', 'EDITOR', 'PAGER', 'PATH'],
  ...['HOME', 'IFS', 'LC_ALL', 'TZ', 'FOO', 'a-b', 'SUDO_EDITOR', 'GCONV_PATH', ''],
];
const VALUES = ['/evil', '/evil/x.so', '', 'C', '/evil:/usr/bin', '-u', '=', 'a,b'];

/** Words that lead to the program that reports, in more and less direct ways, and some that lead nowhere. */
const COMMANDS = [
  ...['report', 'report', 'report', REPORT, REPORT, 'alias', 'own', '/home/alice/bin/own', '/home/alice/bin/report'],
  ...['shebang', '/usr/local/bin/shebang', 'theirs', '/usr/local/bin/theirs', '/usr/local/bin/found', 'found'],
  ...['./report', './own', 'bin/own', '../bin/report', '/usr/local/bin/../bin/report', '//usr//local/bin/report'],
  ...['/usr/local/bin/alias', '/home/alice/bin/link', 'missing', '/usr/local/bin', '-', 'a=b', '/a=b', '=a', ''],
];

const ARGUMENTS = [
  ...[
    'x',
    '-u',
    'bob',
    '--',
    '-i',
    '--user=bob',
    'A=1',
    '',
    'two words',
    'ä',
    '\u202e',
    '$(id)',
    '-',
    '=',
    ',',
    'report',
  ],
  ...['a\\b', '"', "'", '*', '%s', '\n', 'id -u; id'],
];

const NAMES = ['sudo', 'sudo', 'sudo', 'sudo', '/usr/bin/sudo', 'sudoedit', 'xedit', '-sudo', 'report', 'sudo-rs'];

const FOLDERS = ['/', '/home/alice', '/home/alice/bin', '/usr/local', '/usr/local/bin', '/srv'];

/** A small generator of pseudo-random numbers (mulberry32): a line is found again by its seed. */
export function createRandom(seed: number) {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return {
    below,
    chance: (percent: number): boolean => next() * 100 < percent,
    one: <T>(list: readonly T[]): T => list[below(list.length)]!,
  };
}
type Random = ReturnType<typeof createRandom>;

/** A list of variables to keep, in which words hide that would be options or commands if it were cut up. */
const hidingList = (r: Random): string =>
  Array.from({ length: 1 + r.below(4) }, () =>
    r.one(['X', 'PATH', 'LD_PRELOAD', '-u', 'bob', '-l', '-v', '-i', '--', '/usr/bin/id', REPORT, '', 'A=1']),
  ).join(',');

const wordAfter = (r: Random, option: Option): string =>
  r.chance(85) ? r.one(option.words ?? ['x']) : r.one(['', '-', '--', '-u', 'nobody', 'A=1', '=bob', '#', REPORT]);

/** One option as a person may write it: short, glued, in a group, long, abbreviated, with `=`. */
function writeOption(r: Random, sudo: Sudo): string[] {
  const known = OPTIONS.filter((option) => !(option.not ?? []).includes(sudo) || r.chance(10));
  const option = r.one(known);
  const long = r.chance(45) || option.short === null;
  if (long) {
    const cut = r.chance(25) ? 1 + r.below(option.long.length) : option.long.length;
    const name = `--${option.long.slice(0, cut)}`;
    if (option.takes === 'a list after =') return [r.chance(70) ? `${name}=${hidingList(r)}` : name];
    if (option.takes === 'nothing') return [r.chance(4) ? `${name}=x` : name];
    const word = wordAfter(r, option);
    return r.chance(50) ? [`${name}=${word}`] : [name, word];
  }
  const flags = Array.from({ length: r.chance(35) ? 1 + r.below(3) : 0 }, () => r.one([...'BEHkNnPSis'])).join('');
  const group = `-${flags}${option.short}`;
  if (option.takes !== 'a word') return [group];
  const word = wordAfter(r, option);
  if (r.chance(8)) return [`${group}=${word}`];
  return r.chance(50) && word !== '' ? [`${group}${word}`] : [group, word];
}

function writePart(r: Random, sudo: Sudo): string[] {
  if (r.chance(22)) return [`${r.one(VARIABLES)}=${r.one(VALUES)}`];
  if (r.chance(4)) return [r.one(['--', '-', '-Z', '--nonsense', '--=x', '---', '-h', '--l', '--s', '--pre', '--no'])];
  // What most people write, so that most lines run.
  if (r.chance(60)) {
    return r.one([
      ['-n'],
      ['-u', 'bob'],
      ['-ubob'],
      ['-H'],
      ['-k'],
      ['-S'],
      ['--user=bob'],
      ['-u', '#2003'],
      ['-g', 'bob'],
      ['-E'],
    ]);
  }
  return writeOption(r, sudo);
}

/** Lines for a sudo, the same for the same seed. */
export function sudoLine(seed: number, sudo: Sudo): SudoLine {
  const r = createRandom(seed);
  const words: string[] = [];
  for (let parts = r.below(4); parts > 0; parts -= 1) words.push(...writePart(r, sudo));
  if (words.length > 0 && r.chance(10)) words.push(...words.slice(-1 - r.below(2)));
  if (r.chance(8)) words.push('--');
  if (r.chance(92)) words.push(r.one(COMMANDS), ...Array.from({ length: r.below(4) }, () => r.one(ARGUMENTS)));
  const env: Record<string, string> = {
    PATH: r.one(['/usr/local/bin:/usr/bin:/bin', '/home/alice/bin:/usr/local/bin:/usr/bin:/bin', '.:/usr/bin:/bin']),
    HOME: '/home/alice',
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    // What sudoedit starts as the person.
    EDITOR: REPORT,
    SUDO_ASKPASS: '/bin/false',
  };
  while (r.chance(35)) env[r.one(VARIABLES.slice(0, 14))] = r.one(['/evil', '/evil/x.so']);
  // These two are the person's own business, and a loader that finds nothing says so among what a test reads.
  env.HOME = '/home/alice';
  if (env.PATH === '/evil' || env.PATH === '/evil/x.so') env.PATH = '/usr/local/bin:/usr/bin:/bin';
  return { argv: [r.chance(80) ? 'sudo' : r.one(NAMES), ...words], cwd: r.one(FOLDERS), env };
}
