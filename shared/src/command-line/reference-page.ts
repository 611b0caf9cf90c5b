import { commandsOf, type NamedCommand, optionHelp, optionText, type Program } from './command.ts';
import { ownOptions, synopsis } from './usage.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

const exitTable = (exits: Program<never>['exits']): string[] => [
  '| Exit code | Meaning |',
  '|---|---|',
  ...Object.entries(exits).map(([code, meaning]) => `| ${code} | ${cell(meaning)} |`),
];

function section(program: Program<never>, named: NamedCommand<never>): string[] {
  const { words, command } = named;
  const aliases = (command.aliases ?? []).map((alias) => `\`${program.name} ${alias}\``);
  const options = Object.entries(ownOptions(program, command));
  const common = Object.keys(command.options ?? {}).filter((name) => Object.hasOwn(program.common, name));
  return [
    `### ${program.name} ${words.join(' ')}`,
    '',
    `${sentence(command.help)}${aliases.length > 0 ? ` Also: ${aliases.join(', ')}.` : ''}`,
    '',
    `    ${synopsis(program, named)}`,
    '',
    ...(options.length === 0
      ? []
      : [
          '| Option | What it does |',
          '|---|---|',
          ...options.map(([name, option]) => `| \`${optionText(name, option)}\` | ${cell(optionHelp(option))} |`),
          '',
        ]),
    ...(command.exits === undefined ? [] : [...exitTable(command.exits), '']),
    ...(common.length === 0 ? [] : [`Options in common: ${common.map((name) => `\`--${name}\``).join(', ')}.`, '']),
  ];
}

/** A chapter of the reference page, in Markdown. */
export function referenceChapter(program: Program<never>): string[] {
  const common = Object.entries(program.common);
  return [
    `## ${program.name}`,
    '',
    `${program.name}: ${program.title}. ${program.configuration}`,
    '',
    ...(common.length === 0
      ? []
      : [
          '| Options in common | What they do |',
          '|---|---|',
          ...common.map(([name, option]) => `| \`${optionText(name, option)}\` | ${cell(optionHelp(option))} |`),
          '',
        ]),
    ...exitTable(program.exits),
    '',
    ...commandsOf(program).flatMap((named) => section(program, named)),
  ];
}
