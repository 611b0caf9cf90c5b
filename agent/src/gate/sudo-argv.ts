import type { RequestMode } from '#shared/decision.ts';

/** What sudo will make of its arguments. Shown to people; no permission is derived from it. */
export interface SudoRequest {
  mode: Exclude<RequestMode, 'login'>;
  /** Null: the account that asks (`-g` alone). */
  runAsUser: string | null;
  runAsGroup: string | null;
  /** Index of the command in argv; null when there is none. */
  command: number | null;
  /** Options that change where the command is looked up: -R and -D. */
  chroot: boolean;
  chdir: boolean;
}

type Argument = 'none' | 'required' | 'optional';

/** Short options of sudo 1.9. Those of other builds (-a BSD, -c login classes, -r -t SELinux) are read the same. */
const SHORT: Record<string, Argument> = Object.fromEntries([
  ...[...'AbBeHiKklNnPSsVv'].map((letter) => [letter, 'none']),
  ...[...'aCcDgpRrTtUu'].map((letter) => [letter, 'required']),
  ['E', 'none'],
  ['h', 'optional'],
]);

/** Long options: name, argument, the short option that they stand for. */
const LONG: readonly (readonly [name: string, argument: Argument, short: string])[] = [
  ['askpass', 'none', 'A'],
  ['auth-type', 'required', 'a'],
  ['background', 'none', 'b'],
  ['bell', 'none', 'B'],
  ['close-from', 'required', 'C'],
  ['login-class', 'required', 'c'],
  ['chdir', 'required', 'D'],
  ['preserve-env', 'optional', 'E'],
  ['edit', 'none', 'e'],
  ['group', 'required', 'g'],
  ['set-home', 'none', 'H'],
  ['help', 'none', '?'],
  ['host', 'required', 'h'],
  ['login', 'none', 'i'],
  ['remove-timestamp', 'none', 'K'],
  ['reset-timestamp', 'none', 'k'],
  ['list', 'none', 'l'],
  ['no-update', 'none', 'N'],
  ['non-interactive', 'none', 'n'],
  ['preserve-groups', 'none', 'P'],
  ['prompt', 'required', 'p'],
  ['chroot', 'required', 'R'],
  ['role', 'required', 'r'],
  ['stdin', 'none', 'S'],
  ['shell', 'none', 's'],
  ['type', 'required', 't'],
  ['command-timeout', 'required', 'T'],
  ['other-user', 'required', 'U'],
  ['user', 'required', 'u'],
  ['version', 'none', 'V'],
  ['validate', 'none', 'v'],
];

const UNPARSED: SudoRequest = {
  mode: 'unparsed',
  runAsUser: 'root',
  runAsGroup: null,
  command: null,
  chroot: false,
  chdir: false,
};

/** getopt_long: an exact name wins, otherwise the one option that the text begins. */
function findLong(name: string): (typeof LONG)[number] | null {
  const exact = LONG.find(([candidate]) => candidate === name);
  if (exact) return exact;
  const begun = LONG.filter(([candidate]) => candidate.startsWith(name));
  return begun.length === 1 ? begun[0]! : null;
}

/** As sudo's is_envar: `NAME=value` between options, but not a path nor `=…`. */
function isVariable(argument: string | undefined): boolean {
  return argument !== undefined && argument[0] !== '/' && argument[0] !== '=' && argument.includes('=');
}

interface Parsed {
  options: Map<string, string>;
  rest: number;
}

/** The option loop of sudo's parse_args(): options and variables mixed, the first other word ends it. */
function parseOptions(argv: readonly string[]): Parsed | null {
  const options = new Map<string, string>();
  let at = 1;
  // sudo looks at the previous word only, so `-u --` ends the options too.
  const ended = () => at > 1 && argv[at - 1] === '--';
  for (;;) {
    const word = argv[at];
    if (word === undefined) return { options, rest: at };
    if (word === '--') {
      at += 1;
      return { options, rest: at };
    }
    if (!word.startsWith('-') || word === '-') {
      if (!ended() && isVariable(word)) {
        at += 1;
        continue;
      }
      return { options, rest: at };
    }
    at += 1;
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const found = findLong(word.slice(2, equals === -1 ? undefined : equals));
      if (found === null) return null;
      const [, takes, short] = found;
      if (equals !== -1 && takes === 'none') return null;
      // sudo cuts this list up where it stands, in the memory that is read here: what follows a comma would look like the
      // command, while sudo runs another one. Nothing of such a line can be believed.
      if (equals !== -1 && short === 'E') return null;
      let value = equals === -1 ? '' : word.slice(equals + 1);
      if (equals === -1 && takes === 'required') {
        if (argv[at] === undefined) return null;
        value = argv[at]!;
        at += 1;
      }
      options.set(short, value);
      continue;
    }
    for (let i = 1; i < word.length; i += 1) {
      const letter = word[i]!;
      const takes = SHORT[letter];
      if (takes === undefined) return null;
      if (takes === 'none') {
        options.set(letter, '');
        continue;
      }
      const glued = word.slice(i + 1);
      if (glued !== '') options.set(letter, glued);
      else if (takes === 'required') {
        if (argv[at] === undefined) return null;
        options.set(letter, argv[at]!);
        at += 1;
      } else {
        // A lone -h is help, or a host name if a word follows: sudo itself guesses here, so we do not.
        return null;
      }
      break;
    }
  }
}

/**
 * Reads sudo's command line as sudo 1.9 does: clustered and glued short options, abbreviated long ones, variables
 * between options, `--`. Whatever sudo would not run, or this cannot read for certain, is `unparsed`.
 *
 * @param argv arguments with the program name first, bytes as latin1.
 */
export function parseSudoArgv(argv: readonly string[]): SudoRequest {
  if (argv.length === 0) return UNPARSED;
  const program = argv[0]!.slice(argv[0]!.lastIndexOf('/') + 1);
  const parsed = parseOptions(argv);
  if (parsed === null) return UNPARSED;
  const { options, rest } = parsed;
  const has = (short: string) => options.has(short);
  const words = argv.length - rest;

  // These never authenticate, so a PAM stage that sees one has misread something.
  if (has('?') || has('V') || has('K')) return UNPARSED;
  const edit = has('e') || (program.length > 4 && program.endsWith('edit'));
  const list = has('l');
  const validate = has('v');
  const shell = has('s');
  const login = has('i');
  if ([edit, list, validate].filter(Boolean).length > 1 || (shell && login)) return UNPARSED;
  if ((edit || list || validate) && (shell || login)) return UNPARSED;
  if (validate && words > 0) return UNPARSED;
  if (edit && words === 0) return UNPARSED;

  const user = options.get('u');
  const group = options.get('g');
  if (user === '' || group === '') return UNPARSED;
  const common = {
    runAsUser: user ?? (group === undefined ? 'root' : null),
    runAsGroup: group ?? null,
    chroot: has('R'),
    chdir: has('D'),
    command: words > 0 && !edit ? rest : null,
  };
  if (edit) return { mode: 'edit', ...common };
  if (list) return { mode: 'list', ...common };
  if (validate) return { mode: 'validate', ...common };
  if (login) return { mode: 'login-shell', ...common };
  // A bare `sudo` runs a shell where `Defaults shell_noargs` is set.
  if (shell || words === 0) return { mode: 'shell', ...common };
  return { mode: 'command', ...common };
}
