import type { Command } from './command.ts';

const operands = { shell: { choices: ['bash'] } } as const;

/** `completions SHELL`, the same in every program. `write` is standard output. */
export const completionsCommand = <Context>(
  write: (context: Context, text: string) => void,
): Command<Context, Record<never, never>, typeof operands> => ({
  name: 'completions',
  help: 'print what a shell needs to complete commands, to be read with source',
  operands,
  async run(context, _given, program) {
    const { bashCompletions } = await import('./bash-completions.ts');
    write(context, bashCompletions(program));
    return 0;
  },
});
