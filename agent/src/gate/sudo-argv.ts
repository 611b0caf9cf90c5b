import type { RequestMode } from '#shared/decision.ts';
import { eachArgument } from './shown-argv.ts';

/** What sudo will make of its arguments. Shown to people; no permission is derived from it. */
export interface SudoRequest {
  mode: Exclude<RequestMode, 'login'>;
  /** Null: the account that asks (`-g` alone). */
  runAsUser: string | null;
  runAsGroup: string | null;
  /** Index of the command in argv; null when there is none. */
  command: number | null;
  /** Names of the variables that the line sets for the command. */
  variables: readonly string[];
  /** The line asks for the whole environment to be kept (`-E`). */
  keepsEnvironment: boolean;
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

/** The options of sudo-rs, as short ones. It knows no others, and refuses them. */
const OF_SUDO_RS = new Set('BEHiKklnSsVvgpUu');

/** By any other name some versions edit and others run; sudo-rs runs commands as `sudoedit` too, until 0.2.8. */
const NAMES: Record<Kind, ReadonlySet<string>> = {
  sudo: new Set(['sudo', 'sudo.ws', 'sudoedit']),
  'sudo-rs': new Set(['sudo', 'sudo-rs']),
};

export const UNPARSED: SudoRequest = {
  mode: 'unparsed',
  runAsUser: 'root',
  runAsGroup: null,
  command: null,
  variables: [],
  keepsEnvironment: false,
};

/** What an abbreviation stands for depends on the version, so only whole names are believed. */
function findLong(name: string): (typeof LONG)[number] | null {
  return LONG.find(([candidate]) => candidate === name) ?? null;
}

/** The name in `NAME=value` between options; null for another word, undefined where versions may differ. */
function variableName(word: string, kind: Kind): string | null | undefined {
  const equals = word.indexOf('=');
  if (equals === -1) return null;
  const name = word.slice(0, equals);
  if (kind === 'sudo') return word[0] === '/' || word[0] === '=' ? null : name;
  if (/[\x80-\xff]/.test(name)) return undefined;
  return /^\w*$/.test(name) ? name : null;
}

type Kind = 'sudo' | 'sudo-rs';

interface Parsed {
  options: Map<string, string>;
  variables: string[];
  rest: number;
}

/** A line with more before its command is not read: nobody types it, and there may be half a million words. */
const MAX_WORDS = 1024;

/** All of a line of sudo that is read, bytes as latin1. @param cmdline raw bytes, each argument ended by NUL */
export function wordsOf(cmdline: Buffer): string[] {
  const words: string[] = [];
  for (const bytes of eachArgument(cmdline)) {
    words.push(bytes.toString('latin1'));
    if (words.length > MAX_WORDS) break;
  }
  return words;
}

/** The option loop of sudo's parse_args(): options and variables mixed, the first other word ends it. */
function parseOptions(argv: readonly string[], kind: Kind): Parsed | null {
  const options = new Map<string, string>();
  const variables: string[] = [];
  const known = (short: string) => kind === 'sudo' || OF_SUDO_RS.has(short);
  let at = 1;
  // sudo looks at the previous word only, so `-u --` ends the options too.
  const ended = () => kind === 'sudo' && at > 1 && argv[at - 1] === '--';
  for (;;) {
    if (at >= MAX_WORDS) return null;
    const word = argv[at];
    if (word === undefined) return { options, variables, rest: at };
    if (word === '--') {
      at += 1;
      return { options, variables, rest: at };
    }
    // sudo-rs reads a lone dash as an option with no letters, and goes on.
    if (word === '-' && kind === 'sudo-rs') return null;
    if (!word.startsWith('-') || word === '-') {
      const name = variableName(word, kind);
      if (name === undefined) return null;
      if (!ended() && name !== null) {
        variables.push(name);
        at += 1;
        continue;
      }
      return { options, variables, rest: at };
    }
    at += 1;
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const found = findLong(word.slice(2, equals === -1 ? undefined : equals));
      if (found === null || !known(found[2])) return null;
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
      if (takes === undefined || !known(letter)) return null;
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

/** Whether a line says `-n`, that nobody waits. False where it cannot be read. @param argv as for {@link parseSudoArgv} */
export const saysNobodyWaits = (argv: readonly string[], kind: Kind): boolean =>
  parseOptions(argv, kind)?.options.has('n') === true;

/**
 * Reads sudo's command line as this sudo does: clustered and glued short options, variables between options, `--`.
 * Whatever sudo would not run, resolves by itself or may have written into, and whatever versions read differently, is
 * `unparsed`.
 *
 * @param argv arguments with the program name first, bytes as latin1.
 * @param sudo which one it is, and who runs a command when nobody is named.
 */
export function parseSudoArgv(
  argv: readonly string[],
  sudo: { kind: Kind; runAsDefault: string } = { kind: 'sudo', runAsDefault: 'root' },
): SudoRequest {
  if (argv.length === 0) return UNPARSED;
  const program = argv[0]!.slice(argv[0]!.lastIndexOf('/') + 1);
  if (!NAMES[sudo.kind].has(program)) return UNPARSED;
  const parsed = parseOptions(argv, sudo.kind);
  if (parsed === null) return UNPARSED;
  const { options, variables, rest } = parsed;
  const has = (short: string) => options.has(short);
  const words = argv.length - rest;

  // These never authenticate, so a PAM stage that sees one has misread something.
  if (has('?') || has('V') || has('K')) return UNPARSED;
  // Another root or folder: which file a word is there, sudo finds out later and by itself.
  if (has('R') || has('D')) return UNPARSED;
  const edit = has('e') || program === 'sudoedit';
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
    runAsUser: user ?? (group === undefined ? sudo.runAsDefault : null),
    runAsGroup: group ?? null,
    variables,
    keepsEnvironment: has('E'),
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
