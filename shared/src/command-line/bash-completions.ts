import { type Command, type CommandGroup, commandsOf, type Program } from './command.ts';

/** What a value stands for says how it is completed; nothing is offered for what only a person can know. */
const VALUES: Readonly<Record<string, string>> = {
  FILE: 'compopt -o default',
  DIR: `COMPREPLY=($(compgen -d -- "$current"))`,
  FOLDER: `COMPREPLY=($(compgen -d -- "$current"))`,
};

const offer = (words: readonly string[]): string => `COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current"))`;

const namesOf = ({ name, aliases = [] }: Pick<Command<never>, 'name' | 'aliases'>): readonly string[] => [
  name,
  ...aliases,
];

/** A pattern of `case` for a command under each of its names. */
function pattern(words: readonly string[], command: Command<never>, suffix = ''): string {
  const before = words.slice(0, -1).map((word) => `${word} `);
  return namesOf(command)
    .map((name) => `'${before.join('')}${name}${suffix}'`)
    .join('|');
}

function operandAction({ options = {}, operands = {}, rest }: Command<never>): string {
  if (rest !== undefined) return `compopt -o default; COMPREPLY=($(compgen -c -- "$current"))`;
  const [first] = Object.entries(operands);
  if (first === undefined) return offer(Object.keys(options).map((option) => `--${option}`));
  const [name, { choices }] = first;
  return choices === undefined ? (VALUES[name.toUpperCase()] ?? ':') : offer(choices);
}

/** A script for bash, to be read with `source` or put where bash looks for completions. */
export function bashCompletions(program: Program<never>): string {
  const groups = program.commands.filter((entry): entry is CommandGroup<never> => 'commands' in entry);
  const commands = commandsOf(program);
  const first = program.commands.flatMap((entry) => ('commands' in entry ? [entry.name] : namesOf(entry)));
  const values = commands.flatMap(({ words, command }) =>
    Object.entries(command.options ?? {}).flatMap(([option, { value, choices }]) => {
      if (value === undefined) return [];
      const action = choices === undefined ? (VALUES[value] ?? ':') : offer(choices);
      return [`    ${pattern(words, command, ` --${option}`)}) ${action}; return ;;`];
    }),
  );
  const options = commands.map(({ words, command }) => {
    const names = Object.keys(command.options ?? {}).map((option) => `--${option}`);
    // Behind the first word of another command, options are that command's.
    const own = command.rest === undefined ? '' : '[ "$COMP_CWORD" -eq 2 ] && ';
    return `        ${pattern(words, command)}) ${own}${offer([...names, '--help'])} ;;`;
  });
  const operands = commands.map(({ words, command }) => `    ${pattern(words, command)}) ${operandAction(command)} ;;`);
  const name = `_${program.name.replaceAll('-', '_')}`;
  return [
    `# Completions of ${program.name} for bash, made by: ${program.name} completions bash`,
    `${name}() {`,
    '  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}',
    '  COMPREPLY=()',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    ${offer([...first, 'help', '--help', '--version'])}`,
    '    return',
    '  fi',
    ...groups.flatMap((group) => [
      `  if [ "$command" = ${group.name} ]; then`,
      '    if [ "$COMP_CWORD" -eq 2 ]; then',
      `      ${offer([...group.commands.flatMap(namesOf), '--help'])}`,
      '      return',
      '    fi',
      '    command="$command ${COMP_WORDS[2]}"',
      '  fi',
    ]),
    ...(values.length > 0 ? ['  case "$command $previous" in', ...values, '  esac'] : []),
    '  case $current in',
    '    -*)',
    '      case $command in',
    ...options,
    '      esac',
    '      return ;;',
    '  esac',
    '  case $command in',
    ...operands,
    '  esac',
    '}',
    `complete -F ${name} ${program.name}`,
    '',
  ].join('\n');
}
