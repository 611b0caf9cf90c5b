import { type Case, createReader, NotPlain, readCondition } from './conditions.ts';
import { jsTokens } from './js-tokens.ts';

/** What a rules file says, as far as it is plain. */
export type Said = { line: number } & (
  | { kind: 'allows'; result: string; cases: Case[] }
  | { kind: 'administrators'; identities: string[] }
  | { kind: 'unread' }
);

const GIVING = ['YES', 'AUTH_SELF', 'AUTH_SELF_KEEP'];
const OTHER = ['NO', 'AUTH_ADMIN', 'AUTH_ADMIN_KEEP', 'NOT_HANDLED'];

/**
 * Reads a script of polkit's rules without running it: only `addRule` with an `if` whose parts are plain, and
 * `addAdminRule` that returns a list. Everything else is told as unread, never taken for harmless.
 */
export function readRulesScript(source: string): Said[] {
  const { tokens, stopped } = jsTokens(source);
  const reader = createReader(tokens);
  const said: Said[] = [];

  /** @returns names of the two parameters. */
  function head(): { action: string; subject: string } {
    const isFunction = reader.takeIf('function');
    reader.take('(');
    const action = reader.name();
    reader.take(',');
    const subject = reader.name();
    reader.take(')');
    if (!isFunction) reader.take('=>');
    reader.take('{');
    return { action, subject };
  }
  function tail(): void {
    reader.take('}', ')');
    reader.takeIf(';');
  }

  /** @returns null for a return that decides nothing. */
  function returned(): string | null {
    reader.take('return');
    if (reader.takeIf(';')) return null;
    if (reader.takeIf('null') || reader.takeIf('undefined')) {
      reader.takeIf(';');
      return null;
    }
    reader.take('polkit', '.', 'Result', '.');
    const result = reader.name();
    if (![...GIVING, ...OTHER].includes(result)) throw new NotPlain();
    reader.takeIf(';');
    return result === 'NOT_HANDLED' ? null : result;
  }
  /** Texts and what actions and people are, side by side: whatever calls something could add a rule in here. */
  function log(): boolean {
    if (!reader.takeIf('polkit', '.', 'log', '(')) return false;
    const value = () => {
      if (/^["']/.test(reader.peek() ?? '')) reader.string();
      else {
        reader.name();
        while (reader.takeIf('.')) reader.name();
      }
    };
    if (reader.peek() !== ')') value();
    while (reader.takeIf('+') || reader.takeIf(',')) value();
    reader.take(')');
    reader.takeIf(';');
    return true;
  }

  function rule(): void {
    const names = head();
    const found: Said[] = [];
    let refusedBefore = false;
    while (reader.peek() !== '}') {
      if (log()) continue;
      const line = reader.line();
      let cases: Case[] = [{ action: null, who: [], also: [] }];
      let result: string | null;
      if (reader.takeIf('if', '(')) {
        cases = readCondition(reader, names);
        reader.take(')');
        const block = reader.takeIf('{');
        while (block && log());
        result = returned();
        if (block) reader.take('}');
        // What holds in the other case would have to be worked out from all conditions before.
        if (reader.peek() === 'else') throw new NotPlain();
      } else result = returned();
      if (result === null) continue;
      if (GIVING.includes(result)) {
        if (refusedBefore) throw new NotPlain();
        found.push({ kind: 'allows', line, result, cases });
      } else refusedBefore = true;
    }
    tail();
    said.push(...found);
  }

  function administrators(line: number): void {
    head();
    reader.take('return', '[');
    const identities: string[] = [];
    while (reader.peek() !== ']') {
      identities.push(reader.string());
      if (!reader.takeIf(',')) break;
    }
    reader.take(']');
    reader.takeIf(';');
    tail();
    said.push({ kind: 'administrators', line, identities });
  }

  /** To the next rule that is not inside of something. */
  function recover(from: number): void {
    reader.to(from + 1);
    for (let depth = 0; !reader.done(); reader.to(reader.at() + 1)) {
      const next = reader.peek()!;
      if ('([{'.includes(next)) depth++;
      else if (')]}'.includes(next)) depth--;
      else if (depth <= 0 && next === 'polkit' && reader.peek(1) === '.' && reader.peek(2)?.startsWith('add')) return;
    }
  }

  while (!reader.done()) {
    const from = reader.at();
    const line = reader.line();
    const before = said.length;
    try {
      if (reader.takeIf(';') || log()) continue;
      if (reader.takeIf('polkit', '.', 'addRule', '(')) rule();
      else {
        reader.take('polkit', '.', 'addAdminRule', '(');
        administrators(line);
      }
    } catch (error) {
      if (!(error instanceof NotPlain)) throw error;
      said.splice(before);
      said.push({ kind: 'unread', line });
      recover(from);
    }
  }
  if (stopped !== null && said.at(-1)?.kind !== 'unread') said.push({ kind: 'unread', line: stopped });
  return said;
}
