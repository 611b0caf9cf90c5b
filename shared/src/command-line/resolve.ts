import { nearest } from '../nearest.ts';
import type { Command, Given, NamedCommand, Program } from './command.ts';
import { parse } from './parse.ts';
import { commandHelp, groupHelp, overview, synopsis } from './usage.ts';

/** What a command line asks for. */
export type Asked<Context> =
  | { kind: 'run'; command: Command<Context>; given: Given }
  /** Help or the version, for standard output. */
  | { kind: 'told'; text: string }
  /** Wrong use, for standard error. The command is null when it is not known which was meant. */
  | { kind: 'refused'; command: Command<Context> | null; text: string };

const HELP = ['help', '--help', '-h'];
const VERSION = ['version', '--version', '-v'];

/** What `argv`, without the program's own name, asks a program for. */
export function resolve<Context>(program: Program<Context>, argv: readonly string[]): Asked<Context> {
  const [first, ...more] = argv;
  if (first === undefined) return { kind: 'refused', command: null, text: overview(program) };
  if (VERSION.includes(first)) return { kind: 'told', text: `${program.name} ${program.version}\n` };
  if (HELP.includes(first)) {
    return more.length === 0 ? { kind: 'told', text: overview(program) } : resolve(program, [...more, '--help']);
  }
  const entry = program.commands.find((candidate) => candidate.name === first || isAlias(candidate, first));
  if (entry === undefined) return unknown(program, program.commands, first, overview(program));
  if (!('commands' in entry)) return named(program, { words: [entry.name], command: entry }, more);

  const [second, ...rest] = more;
  if (second === undefined) return { kind: 'refused', command: null, text: groupHelp(program, entry) };
  if (HELP.includes(second)) return { kind: 'told', text: groupHelp(program, entry) };
  const command = entry.commands.find((candidate) => candidate.name === second || isAlias(candidate, second));
  if (command === undefined) return unknown(program, entry.commands, second, groupHelp(program, entry));
  return named(program, { words: [entry.name, command.name], command }, rest);
}

const isAlias = (entry: { aliases?: readonly string[] } | object, word: string): boolean =>
  'aliases' in entry && (entry.aliases?.includes(word) ?? false);

function named<Context>(
  program: Program<Context>,
  found: NamedCommand<Context>,
  args: readonly string[],
): Asked<Context> {
  const { command } = found;
  const parsed = parse(command, args);
  if (parsed.kind === 'help') return { kind: 'told', text: commandHelp(program, found) };
  if (parsed.kind === 'given') return { kind: 'run', command, given: parsed.given };
  const name = `${program.name} ${found.words.join(' ')}`;
  return { kind: 'refused', command, text: `${name}: ${parsed.problem}\nuse: ${synopsis(program, found)}\n` };
}

function unknown<Context>(
  program: Program<Context>,
  known: readonly { name: string; aliases?: readonly string[] }[],
  word: string,
  help: string,
): Asked<Context> {
  const meant = nearest(
    word,
    known.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
  );
  const hint = meant === null ? '' : ` Did you mean ${meant}?`;
  return { kind: 'refused', command: null, text: `${program.name}: there is no command "${word}".${hint}\n\n${help}` };
}
