import { resolve } from '#shared/command-line/resolve.ts';
import type { AgentContext } from './commands/context.ts';
import { PROGRAM } from './commands/program.ts';
import { ConfigError } from './config/client-conf.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { createLog } from './platform/log.ts';
import { SocketError } from './service/socket-server.ts';
import { NotEnrolled } from './state/identity.ts';
import { UntrustedFile } from './state/trusted-file.ts';

const context: AgentContext = {
  // Opened by the command that writes to it: the gate has no reader there.
  get out() {
    return process.stdout;
  },
  print: (line) => process.stdout.write(`${line}\n`),
  log: createLog((line) => process.stderr.write(line), process.env.JOURNAL_STREAM !== undefined),
  stopSignal() {
    const stop = new AbortController();
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
    return stop.signal;
  },
};

function codeOf(error: unknown): number {
  if (error instanceof CommandError) return error.code;
  if (error instanceof ConfigError || error instanceof UntrustedFile || error instanceof NotEnrolled)
    return EXIT.config;
  return error instanceof SocketError ? EXIT.busy : EXIT.failed;
}

async function run(argv: readonly string[]): Promise<number> {
  const asked = resolve(PROGRAM, argv);
  if (asked.kind === 'told') {
    process.stdout.write(asked.text);
    return EXIT.ok;
  }
  if (asked.kind === 'refused') {
    process.stderr.write(asked.text);
    return asked.command?.failure ?? EXIT.usage;
  }
  const { command, given } = asked;
  try {
    return await command.run(context, given, PROGRAM);
  } catch (error) {
    process.stderr.write(`identree: ${error instanceof Error ? error.message : String(error)}\n`);
    return command.failure ?? codeOf(error);
  }
}

// Not by running dry: a report that is tried again in 15 s must not keep the person waiting.
void run(process.argv.slice(2)).then((code) => process.exit(code));
