import { resolve } from '#shared/command-line/resolve.ts';
import { type CommandIo, EXIT } from './command.ts';
import { PROGRAM } from './program.ts';

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
    io.err(`identree-server: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof Error && error.cause instanceof Error) io.err(`  because: ${error.cause.message}\n`);
    return EXIT.failed;
  }
}
