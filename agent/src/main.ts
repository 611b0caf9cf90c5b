import { resolve } from '#shared/command-line/resolve.ts';
import { standardError, standardOutput } from '#shared/command-line/standard-output.ts';
import { systemErrorText } from '#shared/system-error.ts';
import type { AgentContext } from './commands/context.ts';
import { PROGRAM } from './commands/program.ts';
import { ConfigError } from './config/client-conf.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { createLog } from './platform/log.ts';
import { SocketError } from './service/socket-server.ts';
import { NotEnrolled } from './state/identity.ts';
import { UntrustedFile } from './state/trusted-file.ts';

/** What a command was to tell could not be written. */
let lost = false;
const output = () =>
  standardOutput((text) => {
    lost = true;
    standardError().write(`identree: ${text}\n`);
  });

const context: AgentContext = {
  // Opened by the command that writes to it: the gate has no reader there.
  get out() {
    return output();
  },
  print: (line) => output().write(`${line}\n`),
  log: createLog((line) => standardError().write(line), process.env.JOURNAL_STREAM !== undefined),
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
    output().write(asked.text);
    return EXIT.ok;
  }
  if (asked.kind === 'refused') {
    standardError().write(asked.text);
    return asked.command?.failure ?? EXIT.usage;
  }
  const { command, given } = asked;
  try {
    return await command.run(context, given, PROGRAM);
  } catch (error) {
    const said = systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));
    standardError().write(`identree: ${said}\n`);
    return command.failure ?? codeOf(error);
  }
}

// Not by running dry: a report that is tried again in 15 s must not keep the person waiting.
void run(process.argv.slice(2)).then((code) => {
  // A turn later: that something could not be written is told after it was.
  setImmediate(() => process.exit(lost && code === EXIT.ok ? EXIT.failed : code));
});
