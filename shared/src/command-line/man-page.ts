import { commandsOf, type Options, optionHelp, optionText, type Program } from './command.ts';
import { ownOptions, synopsis } from './usage.ts';

/** Text as troff prints it: a backslash, a dash that can be copied, and a line that is no request. */
const plain = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/, '\\&');

const optionLines = (options: Options): string[] =>
  Object.entries(options).flatMap(([name, option]) => [
    '.TP',
    `.B ${plain(optionText(name, option))}`,
    plain(optionHelp(option)),
  ]);

const exitLines = (exits: Program<never>['exits']): string[] =>
  Object.entries(exits).flatMap(([code, meaning]) => ['.TP', `.B ${code}`, plain(meaning)]);

/** The manual page of a program, section 8, in the man macros of troff. */
export function manPage(program: Program<never>): string {
  const { name, title, configuration, common, exits } = program;
  const commands = commandsOf(program);
  return [
    `.\\" Written by: npm run docs`,
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} 8 "" "identree" "System administration"`,
    '.SH NAME',
    `${plain(name)} \\- ${plain(title)}`,
    '.SH SYNOPSIS',
    `.B ${plain(name)}`,
    '.I COMMAND',
    '[OPTION]...',
    '.SH DESCRIPTION',
    plain(configuration),
    '.SH COMMANDS',
    ...commands.flatMap((named) => {
      const { command } = named;
      return [
        '.TP',
        `.B ${plain(synopsis(program, named))}`,
        plain(`${command.help}${command.aliases ? `; also: ${command.aliases.join(', ')}` : ''}`),
        ...(Object.keys(ownOptions(program, command)).length === 0
          ? []
          : ['.RS', ...optionLines(ownOptions(program, command)), '.RE']),
      ];
    }),
    ...(Object.keys(common).length === 0 ? [] : ['.SH OPTIONS', ...optionLines(common)]),
    '.SH EXIT STATUS',
    ...exitLines(exits),
    ...commands.flatMap(({ words, command }) =>
      command.exits === undefined ? [] : [`.SS ${plain(`${name} ${words.join(' ')}`)}`, ...exitLines(command.exits)],
    ),
    '',
  ].join('\n');
}
