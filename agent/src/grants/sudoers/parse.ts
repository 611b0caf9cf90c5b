import { lex } from './lex.ts';
import type { Token, TokenKind } from './token.ts';

export type AliasKind = 'User' | 'Runas' | 'Host' | 'Cmnd';

/** One name of a list. `text` is as in the file, without quotes and escapes: `%wheel`, `#1000`, `/bin/ls -l`. */
export interface Member {
  type: 'all' | 'alias' | 'word' | 'group' | 'netgroup' | 'address' | 'command';
  text: string;
  negated: boolean;
}

/** One command of a rule, with what it takes over from the commands before it. */
export interface CommandSpec {
  /** Whom it may be run as; null where the file does not say, none where it is the user alone. */
  runUsers: Member[] | null;
  runGroups: Member[] | null;
  /** What PASSWD and NOPASSWD say; null where neither stands. */
  authenticate: boolean | null;
  command: Member;
}

export interface Privilege {
  hosts: Member[];
  commands: CommandSpec[];
}

export interface Setting {
  name: string;
  negated: boolean;
  value: string | null;
}

/** What an entry of a file says; `line` is where it begins. */
export type Entry = { line: number } & (
  | { kind: 'rule'; users: Member[]; privileges: Privilege[] }
  | { kind: 'alias'; of: AliasKind; name: string; members: Member[] }
  | { kind: 'defaults'; scope: DefaultsScope; members: Member[]; settings: Setting[] }
  | { kind: 'include'; path: string; folder: boolean }
  | { kind: 'unread'; reason: string }
);
export type DefaultsScope = 'all' | 'users' | 'run as' | 'hosts' | 'commands';

const SCOPES: Record<string, DefaultsScope> = {
  '': 'all',
  ':': 'users',
  '>': 'run as',
  '@': 'hosts',
  '!': 'commands',
};

class Unexpected extends Error {
  readonly token: Token;

  constructor(token: Token) {
    super(token.kind === 'error' ? token.text : 'not a sudoers entry');
    this.token = token;
  }
}

/**
 * Reads a file entry by entry, as sudo's grammar does (plugins/sudoers/gram.y). Like sudo it leaves out an entry that it
 * cannot read, and goes on with the next.
 */
export function parseSudoers(source: string): Entry[] {
  const tokens = lex(source);
  const entries: Entry[] = [];
  let at = 0;

  const is = (kind: TokenKind): boolean => tokens[at]?.kind === kind;
  function expect(...kinds: TokenKind[]): Token {
    const token = tokens[at]!;
    if (!kinds.includes(token.kind)) throw new Unexpected(token);
    at++;
    return token;
  }
  function accept(kind: TokenKind): boolean {
    if (!is(kind)) return false;
    at++;
    return true;
  }
  function list<T>(item: () => T): T[] {
    const items = [item()];
    while (accept(',')) items.push(item());
    return items;
  }

  function member(...kinds: (Member['type'] & TokenKind)[]): Member {
    const negated = accept('!');
    const { kind, text } = expect('all', 'alias', ...kinds);
    return { type: kind as Member['type'], text, negated };
  }
  const user = (): Member => member('word', 'group', 'netgroup');
  const group = (): Member => member('word');
  const host = (): Member => member('word', 'netgroup', 'address');

  function command(): Member {
    const digested = is('digest kind');
    if (digested) {
      do {
        expect('digest kind');
        expect(':');
        expect('digest');
      } while (accept(','));
    }
    const negated = accept('!');
    const token = digested ? expect('all', 'command') : expect('all', 'alias', 'command', 'word');
    // The one command that has no path: `sudo -l` for somebody else.
    if (token.kind === 'word' && token.text !== 'list') throw new Unexpected(token);
    const text = token.args === undefined ? token.text : `${token.text} ${token.args}`;
    return { type: token.kind === 'word' ? 'command' : (token.kind as Member['type']), text, negated };
  }

  function runAs(): Pick<CommandSpec, 'runUsers' | 'runGroups'> {
    if (!accept('(')) return { runUsers: null, runGroups: null };
    const runUsers = is(')') || is(':') ? [] : list(user);
    // `(:)` is the user alone; `(alice:)` sudo does not take.
    const runGroups = accept(':') && !(runUsers.length === 0 && is(')')) ? list(group) : null;
    expect(')');
    return { runUsers, runGroups };
  }

  function commandSpecs(): CommandSpec[] {
    const specs: CommandSpec[] = [];
    for (const { ...spec } of list(commandSpec)) {
      const before = specs.at(-1);
      if (before !== undefined) {
        spec.authenticate ??= before.authenticate;
        if (spec.runUsers === null) [spec.runUsers, spec.runGroups] = [before.runUsers, before.runGroups];
      }
      specs.push(spec);
    }
    return specs;
  }

  function commandSpec(): CommandSpec {
    const as = runAs();
    while (accept('option')) {
      expect('=');
      expect('word');
    }
    let authenticate: boolean | null = null;
    while (is('tag')) {
      const { text } = expect('tag');
      if (text === 'PASSWD') authenticate = true;
      if (text === 'NOPASSWD') authenticate = false;
    }
    return { ...as, authenticate, command: command() };
  }

  function rule(line: number): Entry {
    const users = list(user);
    const privileges: Privilege[] = [];
    do {
      const hosts = list(host);
      expect('=');
      privileges.push({ hosts, commands: commandSpecs() });
    } while (accept(':'));
    return { kind: 'rule', line, users, privileges };
  }

  const MEMBERS: Record<AliasKind, () => Member> = { User: user, Runas: user, Host: host, Cmnd: command };

  /** sudo knows an alias as soon as it is read, whatever comes after it in the line. */
  function aliases(of: AliasKind): void {
    do {
      const { text: name, line } = expect('alias');
      expect('=');
      entries.push({ kind: 'alias', line, of, name, members: list(MEMBERS[of]) });
    } while (accept(':'));
  }

  function setting(): Setting {
    const negated = accept('!');
    const name = expect('setting').text;
    if (negated || !(is('=') || is('+') || is('-'))) return { name, negated, value: null };
    at++;
    return { name, negated, value: expect('word').text };
  }

  function defaults(line: number, scope: DefaultsScope): Entry {
    const members = scope === 'all' ? [] : list(scope === 'hosts' ? host : scope === 'commands' ? command : user);
    return { kind: 'defaults', line, scope, members, settings: list(setting) };
  }

  function entry(): void {
    const { kind, text, line } = tokens[at]!;
    if (kind === 'end') return;
    if (kind === 'include' || kind === 'includedir') {
      at++;
      entries.push({ kind: 'include', line, path: expect('word').text, folder: kind === 'includedir' });
    } else if (kind === 'aliases') {
      at++;
      aliases(text.replace('_Alias', '') as AliasKind);
    } else if (kind === 'defaults') {
      at++;
      const said = defaults(line, SCOPES[text]!);
      if (is('end')) entries.push(said);
    } else {
      const said = rule(line);
      if (is('end')) entries.push(said);
    }
  }

  while (at < tokens.length) {
    try {
      entry();
      expect('end');
    } catch (error) {
      if (!(error instanceof Unexpected)) throw error;
      entries.push({ kind: 'unread', line: error.token.line, reason: error.message });
      while (at < tokens.length && !is('end')) at++;
      at++;
    }
  }
  return entries;
}
