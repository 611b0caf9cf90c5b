import { RULES } from './lex-rules.ts';
import type { Lexer, Rule, State, Token } from './token.ts';

/**
 * The words of a sudoers file, as sudo itself cuts them (plugins/sudoers/toke.l): in each state the rule that matches
 * most wins, and of two that match the same the first. What a sign means depends on what stood before it, so nothing
 * simpler reads what sudo reads.
 */

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
