import type { Who } from '../grant.ts';
import type { JsToken } from './js-tokens.ts';

/** What has to hold together: an action, who asks, and what else. Empty: always. */
export interface Case {
  action: string | null;
  /** Somebody has to be all of them; none: everyone. */
  who: readonly Who[];
  /** In words, to be read after what is allowed. */
  also: string[];
}

/** Reads tokens one after the other; every method throws `NotPlain` where something else stands. */
export interface Reader {
  peek(ahead?: number): string | undefined;
  take(...texts: string[]): void;
  takeIf(...texts: string[]): boolean;
  string(): string;
  name(): string;
  line(): number;
}

export class NotPlain extends Error {}

export function createReader(
  tokens: readonly JsToken[],
): Reader & { done(): boolean; at(): number; to(index: number): void } {
  let at = 0;
  const reader = {
    peek: (ahead = 0) => tokens[at + ahead]?.text,
    take(...texts: string[]) {
      for (const text of texts) if (tokens[at++]?.text !== text) throw new NotPlain();
    },
    takeIf(...texts: string[]) {
      if (!texts.every((text, index) => tokens[at + index]?.text === text)) return false;
      at += texts.length;
      return true;
    },
    string() {
      const value = tokens[at++]?.value;
      if (typeof value !== 'string') throw new NotPlain();
      return value;
    },
    name() {
      const text = tokens[at++]?.text ?? '';
      if (!/^[A-Za-z_$]/.test(text)) throw new NotPlain();
      return text;
    },
    line: () => tokens[Math.min(at, tokens.length - 1)]?.line ?? 1,
    done: () => at >= tokens.length,
    at: () => at,
    to(index: number) {
      at = index;
    },
  };
  return reader;
}

/** A condition of people is a handful of cases; more would not be read by anybody. */
const MAX_CASES = 200;
const MAX_DEPTH = 50;

const both = (a: Case, b: Case): Case => {
  if (a.action !== null && b.action !== null) throw new NotPlain();
  return { action: a.action ?? b.action, who: [...a.who, ...b.who], also: [...a.also, ...b.also] };
};

/** @param names of the parameters for the action and for who asks. @throws NotPlain */
export function readCondition(reader: Reader, names: { action: string; subject: string }): Case[] {
  const equals = () => {
    if (!reader.takeIf('===')) reader.take('==');
  };
  const isTrue = () => {
    if (reader.takeIf('==') || reader.takeIf('===')) reader.take('true');
  };
  const one = (part: Partial<Case>): Case[] => [{ action: null, who: [], also: [], ...part }];

  let depth = 0;
  function term(): Case[] {
    if (reader.takeIf('(')) {
      if (++depth > MAX_DEPTH) throw new NotPlain();
      const inner = or();
      depth--;
      reader.take(')');
      return inner;
    }
    if (reader.takeIf(names.action, '.', 'id')) {
      if (reader.takeIf('.', 'indexOf', '(')) {
        const action = `${reader.string()}*`;
        reader.take(')');
        equals();
        reader.take('0');
        return one({ action });
      }
      if (reader.takeIf('.', 'startsWith', '(')) {
        const action = `${reader.string()}*`;
        reader.take(')');
        return one({ action });
      }
      equals();
      return one({ action: reader.string() });
    }
    if (reader.takeIf(names.action, '.', 'lookup', '(')) {
      const key = reader.string();
      reader.take(')');
      equals();
      return one({ also: [`for ${key} ${reader.string()}`] });
    }
    reader.take(names.subject, '.');
    const property = reader.name();
    if (property === 'isInGroup' || property === 'isInNetGroup') {
      reader.take('(');
      const name = reader.string();
      reader.take(')');
      isTrue();
      return one({ who: [{ type: property === 'isInGroup' ? 'group' : 'netgroup', name }] });
    }
    if (property === 'user') {
      equals();
      return one({ who: [{ type: 'user', name: reader.string() }] });
    }
    if (property !== 'local' && property !== 'active') throw new NotPlain();
    isTrue();
    return one({ also: [property === 'local' ? 'at this machine' : 'in the active session'] });
  }

  function and(): Case[] {
    let cases = term();
    while (reader.takeIf('&&')) {
      const more = term();
      if (cases.length * more.length > MAX_CASES) throw new NotPlain();
      cases = cases.flatMap((a) => more.map((b) => both(a, b)));
    }
    return cases;
  }

  function or(): Case[] {
    const cases = and();
    while (reader.takeIf('||')) cases.push(...and());
    if (cases.length > MAX_CASES) throw new NotPlain();
    return cases;
  }

  return or();
}
