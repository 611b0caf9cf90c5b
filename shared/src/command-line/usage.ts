import {
  type Command,
  type CommandGroup,
  commandsOf,
  type NamedCommand,
  type Options,
  operandsText,
  optionHelp,
  optionText,
  type Program,
} from './command.ts';

/** Two columns, as wide as the longest line of the left one needs. */
function columns(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `${left.padEnd(width)}${right}`.trimEnd()).join('\n');
}

const isCommon = (program: Program<never>, name: string): boolean => Object.hasOwn(program.common, name);

/** What a command has that is not common to several. */
export const ownOptions = (program: Program<never>, { options = {} }: Pick<Command<never>, 'options'>): Options =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !isCommon(program, name)));

const optionRows = (options: Options, indent: string): [string, string][] =>
  Object.entries(options).map(([name, option]) => [`${indent}${optionText(name, option)}`, optionHelp(option)]);

function commandRow({ name }: Program<never>, { words, command }: NamedCommand<never>): [string, string] {
  const also = command.aliases ? ` (also: ${command.aliases.map((alias) => `${name} ${alias}`).join(', ')})` : '';
  return [`  ${name} ${words.join(' ')}${operandsText(command)}`, `${command.help}${also}`];
}

/** `use: identree-server hosts list [--json]`. */
export function synopsis(program: Program<never>, { words, command }: NamedCommand<never>): string {
  const options = Object.entries(ownOptions(program, command)).map(
    ([name, option]) => ` [${optionText(name, option)}]`,
  );
  const common = Object.keys(command.options ?? {}).some((name) => isCommon(program, name)) ? ' [options]' : '';
  return `${program.name} ${words.join(' ')}${options.join('')}${common}${operandsText(command)}`;
}

/** Everything that a program can do. */
export function overview(program: Program<never>): string {
  const rows = commandsOf(program).flatMap((named) => [
    commandRow(program, named),
    ...optionRows(ownOptions(program, named.command), '      '),
  ]);
  const common = optionRows(program.common, '  ');
  return [
    `${program.name} ${program.version}: ${program.title}`,
    columns(rows),
    ...(common.length > 0 ? [columns(common)] : []),
    `${program.configuration}\n${program.name} COMMAND --help tells about one command.`,
  ]
    .join('\n\n')
    .concat('\n');
}

/** What `--help` behind a command says. */
export function commandHelp(program: Program<never>, named: NamedCommand<never>): string {
  const { command } = named;
  const aliases = command.aliases ? [`Also: ${command.aliases.join(', ')}`] : [];
  const options = optionRows({ ...ownOptions(program, command), ...command.options }, '  ');
  const exits = Object.entries(command.exits ?? {});
  return [
    `use: ${synopsis(program, named)}`,
    `${program.name} ${named.words.join(' ')}: ${command.help}`,
    ...aliases,
    ...(options.length > 0 ? [columns(options)] : []),
    ...(exits.length > 0 ? [columns(exits.map(([code, meaning]) => [`  exit ${code}`, meaning]))] : []),
  ]
    .join('\n\n')
    .concat('\n');
}

/** What the first word of a group alone says. */
export function groupHelp(program: Program<never>, group: CommandGroup<never>): string {
  const rows = group.commands.flatMap((command) => [
    commandRow(program, { words: [group.name, command.name], command }),
    ...optionRows(ownOptions(program, command), '      '),
  ]);
  return `${program.name} ${group.name}: ${group.help}\n\n${columns(rows)}\n`;
}
