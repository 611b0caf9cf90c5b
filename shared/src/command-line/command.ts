/**
 * What a command says about itself. Usage, parsing, refusals, completions and reference pages of both programs follow
 * from it, so that a command is one file and one line in the list of its program.
 */

/** Without `value` it is a flag. Names are written in kebab case and without the dashes. */
export interface Option {
  /** A few words, lower case, without a full stop. */
  readonly help: string;
  /** What the value stands for: `FILE`, `NAME`. */
  readonly value?: string;
  /** What holds when it is not given. */
  readonly default?: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
}

export interface Operand {
  readonly optional?: boolean;
  /** The only values there are. */
  readonly choices?: readonly string[];
}

export type Options = Readonly<Record<string, Option>>;

/** In the order in which they are given; shown in upper case. */
export type Operands = Readonly<Record<string, Operand>>;

type OptionValue<O extends Option> = O extends { value: string }
  ? O extends { default: string }
    ? string
    : string | null
  : boolean;

/** What was given: `false` for a flag and null for a value that was not. */
export interface Given<O extends Options = Options, P extends Operands = Operands> {
  readonly options: { readonly [K in keyof O]: OptionValue<O[K]> };
  readonly operands: { readonly [K in keyof P]: P[K] extends { optional: true } ? string | null : string };
  /** Words that are not read here, see `Command.rest`. */
  readonly rest: readonly string[];
}

/** `Context` is what a program hands to its commands: where output goes, for example. */
export interface Command<Context, O extends Options = Options, P extends Operands = Operands> {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line, lower case, without a full stop. */
  readonly help: string;
  readonly options?: O;
  readonly operands?: P;
  /** How the words from the first operand on are shown. They are handed on as they are, options and all. */
  readonly rest?: string;
  /** What its exit codes mean where they are its own, and not those of the program. */
  readonly exits?: Readonly<Record<number, string>>;
  /** The exit code of wrong use and of every failure, where it is not for the program to say. */
  readonly failure?: number;
  /** Ends with the exit code. */
  run(context: Context, given: Given<O, P>, program: Program<Context>): Promise<number>;
}

/** Commands that share a first word. */
export interface CommandGroup<Context> {
  readonly name: string;
  readonly help: string;
  readonly commands: readonly Command<Context>[];
}

export interface Program<Context> {
  readonly name: string;
  readonly version: string;
  /** What it is, in a few words. */
  readonly title: string;
  readonly commands: readonly (Command<Context> | CommandGroup<Context>)[];
  /** Options that several commands have in common, described once. */
  readonly common: Options;
  /** By exit code. */
  readonly exits: Readonly<Record<number, string>>;
  /** Where it finds its configuration: one sentence or two. */
  readonly configuration: string;
}

/** A command, and the words that name it. */
export interface NamedCommand<Context> {
  readonly words: readonly string[];
  readonly command: Command<Context>;
}

/** Every command of a program, those of groups too. */
export function commandsOf<Context>(program: Program<Context>): NamedCommand<Context>[] {
  return program.commands.flatMap((entry): NamedCommand<Context>[] =>
    'commands' in entry
      ? entry.commands.map((command) => ({ words: [entry.name, command.name], command }))
      : [{ words: [entry.name], command: entry }],
  );
}

/** `--token-file FILE`. */
export const optionText = (name: string, { value }: Option): string =>
  value === undefined ? `--${name}` : `--${name} ${value}`;

/** ` ID [FILE]`: what stands behind the name of a command, with a space before each. */
export function operandsText({ operands = {}, rest }: Pick<Command<never>, 'operands' | 'rest'>): string {
  const shown = Object.entries(operands).map(([name, { optional }]) =>
    optional ? ` [${name.toUpperCase()}]` : ` ${name.toUpperCase()}`,
  );
  return `${shown.join('')}${rest === undefined ? '' : ` ${rest}`}`;
}

/** The help of an option with its choices and its default. */
export function optionHelp({ help, choices, default: otherwise }: Option): string {
  const facts = [choices?.join(', '), otherwise === undefined ? undefined : `default ${otherwise}`];
  const known = facts.filter((fact) => fact !== undefined);
  return known.length === 0 ? help : `${help} (${known.join('; ')})`;
}
