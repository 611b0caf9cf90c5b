import {
  addArgument,
  begins,
  digest,
  endString,
  fail,
  including,
  plain,
  same,
  startCommand,
  startString,
  wordAs,
} from './lex-actions.ts';
import type { Rule, TokenKind } from './token.ts';

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

const rule = (where: Rule['in'], pattern: string, act: Rule['act']): Rule => ({
  in: where,
  pattern: new RegExp(pattern, 'y'),
  act,
});

const ENTRY = (words: string): string => `(?<![^\\n])${words}`;

/** In the order of sudo: of two rules that match the same, the first holds. */
export const RULES: readonly Rule[] = [
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
