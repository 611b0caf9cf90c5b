import { execFile } from 'node:child_process';
import fc from 'fast-check';
import type { Entry, Member } from '../grants/sudoers/parse.ts';

/**
 * Sudoers files made at random, and what sudo's own cvtsudoers says of a file, in the same words as what we read: one
 * row for each command of a rule, for each alias and for each Defaults setting.
 */

interface Named {
  negated?: boolean;
  [kind: string]: string | number | boolean | undefined;
}
interface Converted {
  Defaults?: { Binding?: Named[]; Options: Record<string, unknown>[] }[];
  User_Specs?: {
    User_List: Named[];
    Host_List: Named[];
    Cmnd_Specs: {
      runasusers?: Named[];
      runasgroups?: Named[];
      Options?: Record<string, unknown>[];
      Commands: Named[];
    }[];
  }[];
  [aliases: string]: unknown;
}

const SIGNS: Record<string, string> = {
  userid: '#',
  usergroup: '%',
  usergid: '%#',
  nonunixgroup: '%:',
  nonunixgid: '%:#',
  netgroup: '+',
};

/** In cvtsudoers the groups of `(alice : group)` are user groups, without being written so. */
function named(one: Named, signs = SIGNS): string {
  const [kind, value] = Object.entries(one).find(([key]) => key !== 'negated' && !key.startsWith('sha'))!;
  return `${one.negated ? '!' : ''}${signs[kind] ?? ''}${value}`;
}

const groups = (list: Named[] | undefined): string => (list ?? []).map((one) => named(one, {})).join();
const names = (list: readonly Named[]): string => list.map((one) => named(one)).join();

/** @param json what `cvtsudoers -f json` printed. */
export function rowsOfSudo(json: string): string[] {
  const read = JSON.parse(json) as Converted;
  const rows: string[] = [];
  for (const { User_List, Host_List, Cmnd_Specs } of read.User_Specs ?? [])
    for (const { runasusers, runasgroups, Options = [], Commands } of Cmnd_Specs)
      for (const command of Commands) {
        const asked = Options.find((option) => 'authenticate' in option)?.authenticate ?? null;
        const as = `(${names(runasusers ?? [])}:${groups(runasgroups)})`;
        rows.push(`${names(User_List)} ${names(Host_List)} = ${as} ${asked} ${named(command)}`);
      }
  for (const kind of ['User', 'Runas', 'Host', 'Command'])
    for (const [name, members] of Object.entries((read[`${kind}_Aliases`] ?? {}) as Record<string, Named[]>))
      rows.push(`${kind.replace('Command', 'Cmnd')}_Alias ${name} = ${names(members)}`);
  for (const { Binding = [], Options } of read.Defaults ?? [])
    for (const option of Options)
      for (const [name, value] of Object.entries(option))
        if (name !== 'operation') rows.push(`Defaults ${names(Binding)} ${value === false ? '!' : ''}${name}`);
  return rows.sort();
}

const shown = (list: readonly Member[] | null): string =>
  (list ?? []).map(({ text, negated }) => `${negated ? '!' : ''}${text}`).join();

/** The same of what `parseSudoers` read. */
export function rowsOfEntries(entries: readonly Entry[]): string[] {
  return entries
    .flatMap((entry) => {
      if (entry.kind === 'alias') return [`${entry.of}_Alias ${entry.name} = ${shown(entry.members)}`];
      if (entry.kind === 'defaults')
        return entry.settings.map(
          ({ name, negated }) => `Defaults ${shown(entry.members)} ${negated ? '!' : ''}${name}`,
        );
      if (entry.kind !== 'rule') return [];
      return entry.privileges.flatMap(({ hosts, commands }) =>
        commands.map(
          ({ runUsers, runGroups, authenticate, command }) =>
            `${shown(entry.users)} ${shown(hosts)} = (${shown(runUsers)}:${shown(runGroups)}) ${authenticate} ${shown([command])}`,
        ),
      );
    })
    .sort();
}

const text = (...choices: string[]) => fc.constantFrom(...choices);
const blank = fc.oneof(
  { weight: 6, arbitrary: fc.constant(' ') },
  { weight: 2, arbitrary: text('  ', '\t') },
  { weight: 1, arbitrary: text(' \\\n', '\\\n\t', ' \\\n  \\\n') },
);
const gap = fc.oneof({ weight: 3, arbitrary: fc.constant('') }, { weight: 1, arbitrary: blank });
const negations = text('', '', '', '', '!', '!!', '!!!');

/** A command with a digest cannot be negated from in front of the digest. */
const negate = (not: string, item: string): string => (item.startsWith('sha256:') ? item : `${not}${item}`);

const ALIASES = { User: ['ADMINS', 'OPS_2'], Runas: ['DBA', 'R'], Host: ['WEB', 'H1'], Cmnd: ['POWER', 'C_C'] };
const user = fc.oneof(
  text('alice', 'bob-2', 'ALL', 'svc_x$', 'o.brien', '#0', '#1001', 'al\\,ice', 'al\\ ice', '"al ice"', '"a\\"b"'),
  text(
    '%wheel',
    '%#100',
    '%:admins',
    '%:#7',
    '"%domain users"',
    '%domain\\ users',
    '"%:dom \\\n admins"',
    '+net',
    '"+n g"',
  ),
  text(...ALIASES.User, 'lower\\x41', 'A\\\\B', 'sha256x', 'NOPASSWDx', 'sudoedits', '@included'),
);
const runUser = text('root', 'ALL', '#0', '%www', '+net', '"a b"', ...ALIASES.Runas);
const host = text(
  'ALL',
  'web1',
  'w*',
  '10.0.0.255',
  '10.1.0.0/16',
  '10.1.0.0/255.255.0.0',
  '::1',
  'fe80::1/64',
  '+hosts',
  ...ALIASES.Host,
);
const SHA = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const command = fc.oneof(
  text(
    'ALL',
    '/bin/ls',
    '/usr/bin/',
    '/bin/x\\,y',
    '/bin/a\\:b',
    '/bin/[a-z]*',
    'sudoedit',
    'sudoedit /etc/hosts',
    '/x!y',
  ),
  text(
    '/bin/ls -l',
    '/bin/ls  -l   /tmp',
    '/bin/echo a\\,b',
    '/bin/ls ""',
    '/bin/echo a=b',
    '/bin/echo \\*',
    '/bin/a \\= b',
  ),
  text(
    '/bin/ls \\\n -a',
    '/bin/ls -l \\\n\t -a',
    ...ALIASES.Cmnd,
    `${SHA} /bin/su`,
    `${SHA}, ${SHA} ALL`,
    '/bin/kill -9 !x',
  ),
);

const listOf = (item: fc.Arbitrary<string>, max = 3) =>
  fc
    .array(fc.tuple(gap, negations, item, gap), { minLength: 1, maxLength: max })
    .map((items) => items.map(([before, not, one, behind]) => `${before}${negate(not, one)}${behind}`).join(','));

const tag = fc
  .tuple(text('NOPASSWD', 'PASSWD', 'NOPASSWD', 'SETENV', 'NOEXEC', 'LOG_INPUT', 'NOFOLLOW', 'MAIL'), gap, gap)
  .map(([name, before, after]) => `${name}${before.includes('\n') ? '' : before}:${after}`);
const runAs = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: listOf(runUser).map((users) => `(${users})`) },
  fc.tuple(listOf(runUser, 2), listOf(text('adm', 'ALL', 'DBA'), 2)).map(([users, groups]) => `(${users}:${groups})`),
  fc.constant('()'),
);
/** The others make cvtsudoers of sudo 1.9.13 write JSON that is none. */
const option = text('', '', '', 'TIMEOUT=5m ', 'NOTAFTER=20301231235959Z ');
const spec = fc
  .tuple(gap, runAs, gap, option, fc.array(tag, { maxLength: 2 }), negations, command, gap)
  .map(
    ([a, as, b, options, tags, not, found, c]) => `${a}${as}${b}${options}${tags.join('')}${negate(not, found)}${c}`,
  );
const privilege = fc
  .tuple(listOf(host), fc.array(spec, { minLength: 1, maxLength: 4 }))
  .map(([hosts, specs]) => `${hosts}=${specs.join(',')}`);
const rule = fc
  .tuple(listOf(user), blank, fc.array(privilege, { minLength: 1, maxLength: 2 }))
  .map(([users, space, privileges]) => `${users}${space}${privileges.join(' : ')}`);

const setting = text(
  ...['!authenticate', 'authenticate', '!!authenticate', 'env_reset', 'secure_path="/bin:/sbin"', 'passwd_tries=1'],
  ...['env_keep += "A B"', 'env_keep -= A', 'badpass_message="no, \\"no\\""', 'editor=/bin/a\\:b', 'exempt_group=ops'],
);
const scoped = (sign: string, item: fc.Arbitrary<string>) =>
  fc
    .array(fc.tuple(text('', '!'), item), { minLength: 1, maxLength: 2 })
    .map((items) => `${sign}${items.map((parts) => parts.join('')).join(',')}`);
const plainUser = text('alice', '%wheel', '"a b"', 'ADMINS', '#1001', 'ALL', '+net');
const scope = fc.oneof(
  fc.constant(''),
  scoped(':', plainUser),
  scoped('>', text('root', '#0', 'ALL')),
  scoped('@', text('web1', 'WEB', '10.0.0.1', 'ALL')),
  scoped('!', text('/bin/ls', 'POWER', '/usr/bin/', 'ALL')),
);
const defaults = fc
  .tuple(scope, text(' ', '\t', '  '), fc.array(setting, { minLength: 1, maxLength: 2 }), gap)
  .map(([of, space, settings, after]) => `Defaults${of}${space}${settings.join(', ')}${after}`);
const noise = text('', '# a comment \\', '   # another', '#', '#-x', '\t', '#include', '# Defaults !authenticate');

const MEMBERS = { User: user, Runas: runUser, Host: host, Cmnd: command };
/** Each name once: sudo refuses a second one. Names that nothing defines stay in the lists. */
const aliases = fc
  .tuple(
    ...(['User', 'Runas', 'Host', 'Cmnd'] as const).map((of) =>
      fc.tuple(listOf(MEMBERS[of]), listOf(MEMBERS[of]), fc.boolean()),
    ),
  )
  .map((lists) =>
    (['User', 'Runas', 'Host', 'Cmnd'] as const).flatMap((of, index) => {
      const [first, second, together] = lists[index]!;
      const [a, b] = [`${ALIASES[of][0]} = ${first}`, `${ALIASES[of][1]}=${second}`];
      return together ? [`${of}_Alias ${a} : ${b}`] : [`${of}_Alias\t${a}`, `  ${of}_Alias ${b}`];
    }),
  );

const entries = fc.array(fc.oneof({ weight: 4, arbitrary: rule }, { weight: 2, arbitrary: defaults }, noise), {
  maxLength: 12,
});

/** Files that sudo accepts. */
export const sudoersFile: fc.Arbitrary<string> = fc
  .tuple(aliases, entries, text('\n', ''))
  .map(([first, rest, end]) => [...first, ...rest, '# the end'].join('\n') + end);

const SPOILERS = [
  ...'!,:=()#@%+"\\>/^$'.split(''),
  ' ',
  '\n',
  ' ALL',
  ' NOPASSWD:',
  'Defaults ',
  '@include ',
  '\\\n',
  '\t',
  'sha256:',
  '=(',
];
/** The same with a few characters too many or too few: some of it sudo cannot read. */
export const spoiledFile: fc.Arbitrary<string> = fc
  .tuple(
    sudoersFile,
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3 }), text('', ...SPOILERS)), { minLength: 1, maxLength: 4 }),
  )
  .map(([file, edits]) =>
    edits.reduce((now, [where, less, more]) => {
      const at = where % (now.length + 1);
      return now.slice(0, at) + more + now.slice(at + less);
    }, file),
  );

export const run = (
  program: string,
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(program, args, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 127, stdout, stderr }),
    ),
  );
