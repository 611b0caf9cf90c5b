import { parseArgs } from 'node:util';
import { nearest } from '../nearest.ts';
import type { Command, Given } from './command.ts';

export type Parsed =
  | { kind: 'given'; given: Given }
  | { kind: 'help' }
  /** A sentence that says what is wrong. */
  | { kind: 'refused'; problem: string };

const refused = (problem: string): Parsed => ({ kind: 'refused', problem });

/**
 * Reads what was given to a command. Nothing is ignored: an option that has no effect may have been meant to prevent
 * something. No operand is repeated in a message, because it may be a secret that was pasted in the wrong place.
 */
export function parse(command: Omit<Command<never>, 'run'>, args: readonly string[]): Parsed {
  const { options = {}, operands = {}, rest: restText } = command;
  const types = Object.entries(options).map(
    ([name, { value }]) => [name, { type: value === undefined ? 'boolean' : 'string' }] as const,
  );
  const help = { type: 'boolean', short: 'h' } as const;
  // Not strict: parseArgs would pass over an option that is given twice, and knows no name that is near.
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...Object.fromEntries(types), help },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | true>();
  const words: string[] = [];
  let rest: readonly string[] = [];
  for (const token of tokens) {
    if (token.kind === 'option-terminator') {
      if (restText === undefined) continue;
      rest = args.slice(token.index + 1);
      break;
    }
    if (token.kind === 'positional') {
      if (restText !== undefined) {
        rest = args.slice(token.index);
        break;
      }
      words.push(token.value);
      continue;
    }
    const { name, rawName, value, inlineValue } = token;
    const isHelp = name === 'help';
    if (!isHelp && !Object.hasOwn(options, name)) {
      const meant = rawName.startsWith('--') ? nearest(name, Object.keys(options)) : null;
      return refused(`there is no ${rawName}${meant === null ? '' : `. Did you mean --${meant}?`}`);
    }
    if (values.has(name)) return refused(`${rawName} is given twice`);
    const option = isHelp ? { help: '' } : options[name]!;
    if (option.value === undefined) {
      if (inlineValue) return refused(`${rawName} takes no value`);
      values.set(name, true);
      continue;
    }
    if (value === undefined) return refused(`${rawName} needs ${option.value}`);
    // Much more often a value was forgotten than begins with a dash.
    if (!inlineValue && /^-./.test(value)) {
      return refused(`${rawName} needs ${option.value}; one that begins with a dash is given as ${rawName}=…`);
    }
    if (option.choices !== undefined && !option.choices.includes(value))
      return refused(`${rawName} is one of ${option.choices.join(', ')}`);
    values.set(name, value);
  }
  if (values.has('help')) return { kind: 'help' };

  const names = Object.entries(operands);
  const missing = names.find(([, { optional }], index) => !optional && words[index] === undefined);
  if (missing !== undefined) return refused(`${missing[0].toUpperCase()} is missing`);
  if (words.length > names.length)
    return refused(names.length === 0 ? 'only options can be given' : 'too much is given');
  const foreign = names.find(
    ([, { choices }], index) => words[index] !== undefined && choices?.includes(words[index]) === false,
  );
  if (foreign !== undefined) return refused(`${foreign[0].toUpperCase()} is one of ${foreign[1].choices!.join(', ')}`);
  const given: Given = {
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value, default: otherwise }]) => [
        name,
        values.get(name) ?? (value === undefined ? false : (otherwise ?? null)),
      ]),
    ) as Given['options'],
    operands: Object.fromEntries(names.map(([name], index) => [name, words[index] ?? null])) as Given['operands'],
    rest,
  };
  return { kind: 'given', given };
}
