import type { Lexer, Rule, TokenKind } from './token.ts';

/** `\,` is a comma and `\x20` a blank. */
export const plain = (text: string): string =>
  text.replace(/\\(?:x([0-9A-Fa-f]{2})|([\s\S]))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
  );

/** The text is a token of this kind, without its escapes. */
export const wordAs =
  (kind: TokenKind) =>
  (lexer: Lexer, text: string): void =>
    lexer.emit(kind, plain(text));
/** A sign that stands for itself. */
export const same = (lexer: Lexer, text: string): void => lexer.emit(text as TokenKind, text);
/** What sudo takes for an error too. */
export const fail =
  (reason: string) =>
  (lexer: Lexer): void =>
    lexer.emit('error', reason);

/** For words that begin an entry: after a backslash at the end of the line before, sudo takes none of them. */
export const begins =
  (act: Rule['act']): Rule['act'] =>
  (lexer, text) =>
    lexer.continued ? lexer.emit('error', 'an entry begins in the middle of another') : act(lexer, text);

/** The word, and then the path behind it. */
export const including =
  (kind: 'include' | 'includedir'): Rule['act'] =>
  (lexer, text) => {
    lexer.emit(kind, text);
    lexer.back(kind.length + 1);
    lexer.state = 'include';
  };

/** A path or a pattern of commands; arguments may follow. */
export function startCommand(lexer: Lexer, path: string): void {
  const escapes = path.startsWith('^') ? path : path.replace(/\\([,:= \t#])/g, '$1');
  lexer.command = { path: escapes.endsWith('/sudoedit') ? 'sudoedit' : escapes, args: null };
}

/** One more piece of the arguments, with the blank that stood before it. */
export const addArgument = (text: (found: string) => string, spaced = true): Rule['act'] =>
  function add(lexer, found) {
    const { args } = lexer.command;
    const space = spaced && args !== null && lexer.sawSpace ? ' ' : '';
    lexer.command.args = `${args ?? ''}${space}${text(found)}`;
    lexer.sawSpace = false;
  };

/** What was quoted is a name, of a group or netgroup where it begins like one. */
export function endString(lexer: Lexer): void {
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

/** A quoted string begins; what it goes back to is kept. */
export function startString(lexer: Lexer): void {
  if (lexer.state !== 'path') lexer.before = lexer.state === 'include' ? 'initial' : lexer.state;
  lexer.string = null;
  lexer.state = 'string';
}

/** A digest counts only with the length of its kind; sudo drops any other. */
export const digest =
  (lengths: (bytes: number, text: string) => number): Rule['act'] =>
  (lexer, text) => {
    lexer.state = 'initial';
    if (text.length === lengths(lexer.digestBytes, text)) lexer.emit('digest', text);
  };
