export type TokenKind =
  | ('word' | 'alias' | 'group' | 'netgroup' | 'address' | 'all' | 'command')
  | ('tag' | 'option' | 'digest kind' | 'digest' | 'setting')
  | ('defaults' | 'aliases' | 'include' | 'includedir')
  | (':' | '=' | ',' | '!' | '+' | '-' | '(' | ')')
  | ('end' | 'error');

export interface Token {
  kind: TokenKind;
  /** Without quotes and escapes; for an error, what is wrong. */
  text: string;
  /** The arguments of a command that has any. */
  args?: string;
  line: number;
}

export type State =
  | ('initial' | 'scope' | 'digest' | 'path')
  | ('arguments' | 'regex' | 'setting' | 'value' | 'string' | 'include');

/** What the rules see and change. */
export interface Lexer {
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

export interface Rule {
  /** States in which it holds; `common` are those of plain text. */
  in: readonly State[] | 'common' | 'any';
  pattern: RegExp;
  act(lexer: Lexer, text: string): void;
}
