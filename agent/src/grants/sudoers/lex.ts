/**
 * The words of a sudoers file, as sudo itself cuts them (plugins/sudoers/toke.l): in each state the rule that matches
 * most wins, and of two that match the same the first. What a sign means depends on what stood before it, so nothing
 * simpler reads what sudo reads.
 */

export type TokenKind =
  | ('word' | 'alias' | 'group' | 'netgroup' | 'address' | 'all' | 'command')
  | ('tag' | 'option' | 'digest kind' | 'digest' | 'setting')
  | ('defaults' | 'aliases' | 'include' | 'includedir')
  | (':' | '=' | ',' | '!' | '+' | '-' | '(' | ')')
  | ('end' | 'error');

export interface Token {
  kind: TokenKind;
  /** Without quotes and escapes; of an error, what is wrong. */
  text: string;
  /** Of a command that has any. */
  args?: string;
  line: number;
}

type State =
  | ('initial' | 'scope' | 'digest' | 'path')
  | ('arguments' | 'regex' | 'setting' | 'value' | 'string' | 'include');

interface Lexer {
  state: State;
  /** Which state a quoted string or a path goes back to. */
  before: State;
  line: number;
  /** The line goes on after a backslash. */
  continued: boolean;
  sawSpace: boolean;
  string: string | null;
  command: { path: string; args: string | null };
  digestBytes: number;
  emit(kind: TokenKind, text: string): void;
  /** The text is looked at again, from this many characters on, and is not the beginning of a line any more. */
  back(characters: number): void;
}

interface Rule {
  in: readonly State[] | 'common' | 'any';
  pattern: RegExp;
  act(lexer: Lexer, text: string): void;
}

const BLANK = '[ \\t]';
const OCTET = '(?:25[0-5]|2[0-4]\\d|1?\\d{1,2})';
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`;
const HEX16 = '[0-9A-Fa-f]{1,4}';
const IPV6 = `(?:(?:(?:${HEX16})?:){2,6}:${IPV4}|(?:(?:${HEX16})?:){2,7}(?:${HEX16})?)`;
const WORD = '(?:[^#>!=:,() \\t\\r\\n\\\\"]|\\\\[^\\t\\n])+';
const ID = '#-?\\d+';
const PATH = '\\/(?:\\\\[,:= \\t#]|[^,:=\\\\ \\t\\r\\n#])+';
const REGEX = '\\^(?:\\\\[#$]|[^#\\r\\n$])*\\$';
const VALUE = '(?:[^#!=, \\t\\r\\n\\\\"]|\\\\[^\\r\\n])(?:[^#=, \\t\\r\\n\\\\"]|\\\\[^\\r\\n])*';

const TAGS = [
  ...['NOPASSWD', 'PASSWD', 'NOEXEC', 'EXEC', 'INTERCEPT', 'NOINTERCEPT', 'SETENV', 'NOSETENV', 'LOG_OUTPUT'],
  ...['NOLOG_OUTPUT', 'LOG_INPUT', 'NOLOG_INPUT', 'MAIL', 'NOMAIL', 'FOLLOW', 'NOFOLLOW'],
];
const OPTIONS = ['TIMEOUT', 'NOTBEFORE', 'NOTAFTER', 'ROLE', 'TYPE', 'APPARMOR_PROFILE', 'PRIVS', 'LIMITPRIVS'];
const DIGEST_BYTES: Record<string, number> = { sha224: 28, sha256: 32, sha384: 48, sha512: 64 };

/** `\,` is a comma and `\x20` a blank. */
const plain = (text: string): string =>
  text.replace(/\\(?:x([0-9A-Fa-f]{2})|([\s\S]))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
  );

const wordAs =
  (kind: TokenKind) =>
  (lexer: Lexer, text: string): void =>
    lexer.emit(kind, plain(text));
const same = (lexer: Lexer, text: string): void => lexer.emit(text as TokenKind, text);
const fail =
  (reason: string) =>
  (lexer: Lexer): void =>
    lexer.emit('error', reason);

/** Of words that begin an entry: after a backslash at the end of the line before, sudo takes none of them. */
const begins =
  (act: Rule['act']): Rule['act'] =>
  (lexer, text) =>
    lexer.continued ? lexer.emit('error', 'an entry begins in the middle of another') : act(lexer, text);

const including =
  (kind: 'include' | 'includedir'): Rule['act'] =>
  (lexer, text) => {
    lexer.emit(kind, text);
    lexer.back(kind.length + 1);
    lexer.state = 'include';
  };

function startCommand(lexer: Lexer, path: string): void {
  const escapes = path.startsWith('^') ? path : path.replace(/\\([,:= \t#])/g, '$1');
  lexer.command = { path: escapes.endsWith('/sudoedit') ? 'sudoedit' : escapes, args: null };
}

const addArgument = (text: (found: string) => string, spaced = true): Rule['act'] =>
  function add(lexer, found) {
    const { args } = lexer.command;
    const space = spaced && args !== null && lexer.sawSpace ? ' ' : '';
    lexer.command.args = `${args ?? ''}${space}${text(found)}`;
    lexer.sawSpace = false;
  };

function endString(lexer: Lexer): void {
  lexer.state = lexer.before;
  const { string } = lexer;
  const named = lexer.state === 'initial' || lexer.state === 'scope';
  if (string === null) lexer.emit('error', 'an empty string');
  else if (named && /^(%:?|\+)$/.test(string)) lexer.emit('error', 'a group without a name');
  else
    lexer.emit(
      named && string.startsWith('%') ? 'group' : named && string.startsWith('+') ? 'netgroup' : 'word',
      string,
    );
}

function startString(lexer: Lexer): void {
  if (lexer.state !== 'path') lexer.before = lexer.state === 'include' ? 'initial' : lexer.state;
  lexer.string = null;
  lexer.state = 'string';
}

const digest =
  (lengths: (bytes: number, text: string) => number): Rule['act'] =>
  (lexer, text) => {
    lexer.state = 'initial';
    if (text.length === lengths(lexer.digestBytes, text)) lexer.emit('digest', text);
  };

const rule = (where: Rule['in'], pattern: string, act: Rule['act']): Rule => ({
  in: where,
  pattern: new RegExp(pattern, 'y'),
  act,
});

const ENTRY = (words: string): string => `(?<![^\\n])${words}`;

const RULES: readonly Rule[] = [
  rule(['scope'], `${BLANK}*,${BLANK}*`, (lexer) => lexer.emit(',', ',')),
  rule(['scope'], `${BLANK}+`, (lexer) => {
    lexer.state = 'setting';
  }),
  rule(['setting'], '[a-z_]+', (lexer, text) => {
    lexer.state = 'value';
    lexer.emit('setting', text);
  }),
  rule(['value'], ',', (lexer) => {
    lexer.state = 'setting';
    lexer.emit(',', ',');
  }),
  rule(['value'], '=', same),
  rule(['value'], '[+-]=', (lexer, text) => lexer.emit(text[0] as TokenKind, text)),
  rule(['value'], '"', startString),
  rule(['value'], VALUE, wordAs('word')),

  rule(['string'], `\\\\${BLANK}*\\r?\\n${BLANK}*`, (lexer) => {
    lexer.line++;
    lexer.continued = true;
  }),
  rule(['string'], '"', endString),
  rule(['string'], '\\\\', (lexer) => {
    lexer.string = `${lexer.string ?? ''}\\`;
  }),
  rule(['string'], '(?:[^"\\r\\n\\\\]|\\\\")+', (lexer, text) => {
    lexer.string = `${lexer.string ?? ''}${plain(text)}`;
  }),

  rule(
    ['arguments'],
    '\\\\[*?[\\]!^]',
    addArgument((text) => text),
  ),
  rule(
    ['arguments'],
    '\\\\[:\\\\,= \\t#]',
    addArgument((text) => text.slice(1)),
  ),
  rule(['arguments'], '[#:,=\\r\\n]', (lexer) => {
    lexer.state = 'initial';
    lexer.emit('command', lexer.command.path);
    lexer.back(0);
  }),
  rule(['arguments'], '[^#\\\\:, \\t\\r\\n]+', (lexer, text) => {
    if (lexer.command.args === null && text.startsWith('^')) {
      lexer.state = 'regex';
      return lexer.back(0);
    }
    addArgument((found) => found)(lexer, text);
  }),
  rule(
    ['regex'],
    '\\\\[^\\r\\n]',
    addArgument((text) => text, false),
  ),
  rule(['regex'], '[#\\r\\n]', (lexer) => {
    lexer.state = 'initial';
    lexer.emit('error', 'a regular expression that does not end');
    lexer.back(0);
  }),
  rule(['regex'], '\\$', (lexer) => {
    lexer.command.args = `${lexer.command.args ?? ''}$`;
    lexer.state = 'initial';
    lexer.continued = false;
    lexer.emit('command', lexer.command.path);
  }),
  rule(['regex'], '[^#\\\\\\r\\n$]+', (lexer, text) => {
    addArgument((found) => (lexer.continued ? found.trimStart() : found), false)(lexer, text);
    lexer.continued = false;
  }),

  rule(
    ['digest'],
    '[0-9A-Fa-f]+',
    digest((bytes) => bytes * 2),
  ),
  rule(
    ['digest'],
    '[A-Za-z0-9+/=]+',
    digest((bytes, text) => (text.endsWith('=') ? 4 * Math.floor((bytes + 2) / 3) : Math.floor((4 * bytes + 2) / 3))),
  ),

  rule(['initial'], '@include', begins(including('include'))),
  rule(['initial'], '@includedir', begins(including('includedir'))),
  rule(['initial'], ENTRY(`#include${BLANK}+.*(?:\\r?\\n)?`), begins(including('include'))),
  rule(['initial'], ENTRY(`#includedir${BLANK}+.*(?:\\r?\\n)?`), begins(including('includedir'))),
  rule(
    ['initial'],
    ENTRY(`${BLANK}*Defaults(?:[:@>!]${BLANK}*!*"?(?:${ID}|${WORD}))?`),
    begins((lexer, text) => {
      const [head, scope] = /^[ \t]*Defaults([:@>!]?)[ \t]*/.exec(text) as unknown as [string, string];
      lexer.state = 'scope';
      lexer.emit('defaults', scope);
      lexer.back(head.length);
    }),
  ),
  rule(
    ['initial'],
    ENTRY(`${BLANK}*(?:Host|Cmnd|Cmd|User|Runas)_Alias`),
    begins((lexer, text) => lexer.emit('aliases', text.trim().replace('Cmd', 'Cmnd'))),
  ),
  ...TAGS.map((tag) => rule('common', `${tag}${BLANK}*:`, (lexer) => lexer.emit('tag', tag))),
  rule(['initial', 'scope'], '\\+|%:?', fail('a group without a name')),
  rule('common', `\\+${WORD}`, wordAs('netgroup')),
  rule('common', `%:?(?:${WORD}|${ID})`, wordAs('group')),
  rule('common', `${IPV4}(?:/${IPV4}|/(?:[12]?\\d|3[0-2]))?`, wordAs('address')),
  rule('common', `${IPV6}(?:/${IPV6}|/(?:1[01]\\d|12[0-8]|[1-9]?\\d))?`, (lexer, text) =>
    text.split('/').every((address) => (address.match(/(?=::)/g) ?? []).length <= 1)
      ? lexer.emit('address', text)
      : lexer.emit('error', 'not an IPv6 address'),
  ),
  rule('common', 'ALL', (lexer) => lexer.emit('all', 'ALL')),
  ...OPTIONS.map((name) => rule(['initial'], name, (lexer) => lexer.emit('option', name))),
  rule(['initial'], 'CWD|CHROOT', (lexer, text) => {
    lexer.emit('option', text);
    lexer.before = lexer.state;
    lexer.state = 'path';
  }),
  rule('common', '[A-Z][A-Z0-9_]*', wordAs('alias')),
  rule(['scope'], `${PATH}|${REGEX}|sudoedit`, (lexer, text) => {
    startCommand(lexer, text);
    lexer.emit('command', lexer.command.path);
  }),
  rule('common', 'sha(?:224|256|384|512)', (lexer, text) => {
    lexer.digestBytes = DIGEST_BYTES[text]!;
    lexer.state = 'digest';
    lexer.emit('digest kind', text);
  }),
  rule('common', 'sudoedit', (lexer, text) => {
    startCommand(lexer, text);
    lexer.state = 'arguments';
  }),
  rule(['path'], `${PATH}|${WORD}`, (lexer, text) => {
    lexer.state = lexer.before;
    lexer.emit('word', plain(text));
  }),
  rule('common', PATH, (lexer, text) => {
    startCommand(lexer, text);
    // A folder stands for the programs in it, and takes no arguments.
    if (text.endsWith('/')) return lexer.emit('command', lexer.command.path);
    lexer.state = 'arguments';
  }),
  rule('common', REGEX, (lexer, text) => {
    startCommand(lexer, text);
    lexer.state = 'arguments';
  }),
  rule(['initial', 'path', 'scope'], '"', startString),
  rule(['initial', 'scope'], `${ID}|${WORD}`, wordAs('word')),
  rule(['include'], '[^"\\s](?:\\\\[ \\t]*|\\S)*', (lexer, text) => {
    lexer.state = 'initial';
    lexer.emit('word', plain(text));
  }),
  rule(['include'], '"', startString),
  rule('common', '[(),=:]', same),
  rule('any', '!+', (lexer, text) => {
    if (text.length % 2 === 1) lexer.emit('!', '!');
  }),
  rule('any', '\\r?\\n', (lexer) => {
    if (lexer.state === 'string') {
      lexer.state = 'initial';
      lexer.emit('error', 'a string that does not end');
      return lexer.back(0);
    }
    lexer.state = 'initial';
    lexer.continued = false;
    lexer.emit('end', '');
    lexer.line++;
  }),
  rule('any', `${BLANK}+`, (lexer) => {
    lexer.sawSpace = true;
  }),
  rule('any', `\\\\${BLANK}*\\r?\\n`, (lexer) => {
    lexer.sawSpace = true;
    lexer.line++;
    lexer.continued = true;
  }),
  rule(['initial', 'setting', 'value'], '#(?:-[^\\r\\n0-9].*|[^\\r\\n0-9-].*)?(?:\\r?\\n)?', (lexer, text) => {
    lexer.state = 'initial';
    lexer.continued = false;
    lexer.emit('end', '');
    if (text.endsWith('\n')) lexer.line++;
  }),
  rule('any', '[\\s\\S]', (lexer, text) => lexer.emit('error', `“${text}” stands where sudo knows no such sign`)),
];

const COMMON: readonly State[] = ['initial', 'scope', 'digest', 'path'];
const applies = ({ in: where }: Rule, state: State): boolean =>
  where === 'any' || (where === 'common' ? COMMON : where).includes(state);

const STATES: readonly State[] = [
  ...COMMON,
  ...(['arguments', 'regex', 'setting', 'value', 'string', 'include'] as const),
];
const RULES_OF = new Map(STATES.map((state) => [state, RULES.filter((one) => applies(one, state))]));

/** Cuts a whole file. Each entry ends with an `end`, or the last one with an `error`. */
export function lex(source: string): Token[] {
  // sudo adds the newline that the last line lacks.
  const text = source === '' || source.endsWith('\n') ? source : `${source}\n`;
  const tokens: Token[] = [];
  let at = 0;
  let matched = 0;
  let goesOn: number | null = null;
  const lexer: Lexer = {
    state: 'initial',
    before: 'initial',
    line: 1,
    continued: false,
    sawSpace: false,
    string: null,
    command: { path: '', args: null },
    digestBytes: 0,
    emit(kind, value) {
      const { args } = lexer.command;
      tokens.push({ kind, text: value, ...(kind === 'command' && args !== null ? { args } : {}), line: lexer.line });
    },
    back(characters) {
      goesOn = at + characters;
    },
  };
  while (at < text.length) {
    let best: Rule | undefined;
    matched = 0;
    for (const one of RULES_OF.get(lexer.state)!) {
      one.pattern.lastIndex = at;
      const length = one.pattern.exec(text)?.[0].length ?? 0;
      if (length > matched) [best, matched] = [one, length];
    }
    goesOn = null;
    best!.act(lexer, text.slice(at, at + matched));
    at = goesOn ?? at + matched;
  }
  // After a backslash at the end of the last line.
  if (tokens.length > 0 && tokens.at(-1)!.kind !== 'end')
    lexer.emit('error', 'the file ends in the middle of an entry');
  return tokens;
}
