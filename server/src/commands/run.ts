import { resolve } from '#shared/command-line/resolve.ts';
import { systemErrorText } from '#shared/system-error.ts';
import { type CommandIo, EXIT } from './command.ts';
import { PROGRAM } from './program.ts';

/** The one place in which what the operating system says becomes words, for all commands. */
const textOf = (error: unknown): string =>
  systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));

/** Runs one command of `identree-server`. @returns the exit code. */
export async function runCommand({ argv, ...io }: CommandIo & { argv: readonly string[] }): Promise<number> {
  const asked = resolve(PROGRAM, argv);
  if (asked.kind === 'told') {
    io.out(asked.text);
    return EXIT.ok;
  }
  if (asked.kind === 'refused') {
    io.err(asked.text);
    return EXIT.usage;
  }
  try {
    return await asked.command.run(io, asked.given, PROGRAM);
  } catch (error) {
    const said = textOf(error);
    io.err(`identree-server: ${said}\n`);
    const cause = error instanceof Error && error.cause instanceof Error ? textOf(error.cause) : '';
    if (!said.includes(cause)) io.err(`  because: ${cause}\n`);
    return EXIT.failed;
  }
}
