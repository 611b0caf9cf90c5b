import type { Command, Given, Operands, Options } from '#shared/command-line/command.ts';
import type { Core } from '../app/core.ts';
import type { Config } from '../config/config.ts';

/** What a command is run with; tests hand in their own. */
export interface CommandIo {
  env: NodeJS.ProcessEnv;
  readFile: (path: string) => string;
  out: (text: string) => void;
  err: (text: string) => void;
  /** Resolves on SIGTERM or SIGINT. */
  untilStopped: () => Promise<void>;
  /** Calls back on each SIGHUP. */
  onHangUp: (callback: () => void) => void;
}

export interface WithConfig extends CommandIo {
  config: Config;
  /** What is odd about it, a sentence each. */
  warnings: readonly string[];
}

export interface WithCore extends WithConfig {
  core: Core;
}

export const EXIT = { ok: 0, failed: 1, usage: 2, configuration: 6 } as const;

export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done',
  failed: 'failed; standard error says why',
  usage: 'wrong use',
  configuration: 'the configuration has errors; standard error lists them all',
};

/** How changes that the command line makes are signed in the history. */
export const ACTOR = 'identree-server';

/** A command whose work needs more than what it is started with. */
type Declared<Context, O extends Options, P extends Operands> = Omit<Command<never, O, P>, 'run'> & {
  /** It tells in its own log what the configuration is warned of, which others print. */
  logsWarnings?: boolean;
  run(context: Context, given: Given<O, P>): Promise<number>;
};

/** Null after it has told what is wrong, all at once. */
async function readConfig({ env, readFile, err }: CommandIo, printsWarnings: boolean) {
  const { loadConfig } = await import('../config/load-config.ts');
  const loaded = loadConfig({ env, readFile });
  const warnings = loaded.warnings.map(({ setting, problem, fix }) => `${setting}: ${problem}. ${fix}`);
  if (printsWarnings || !loaded.ok) for (const warning of warnings) err(`warning: ${warning}\n`);
  if (loaded.ok) return { config: loaded.config, warnings };
  err(`The configuration has ${loaded.errors.length === 1 ? 'an error' : `${loaded.errors.length} errors`}:\n`);
  for (const { setting, problem, fix } of loaded.errors) err(`  ${setting}: ${problem}${fix ? `. ${fix}` : ''}\n`);
  return null;
}

/** A command that works with the server's own configuration. */
export const configCommand = <const O extends Options, const P extends Operands>({
  logsWarnings = false,
  ...declared
}: Declared<WithConfig, O, P>): Command<CommandIo, O, P> => ({
  ...declared,
  async run(io, given) {
    const read = await readConfig(io, !logsWarnings);
    if (read === null) return EXIT.configuration;
    try {
      return await declared.run({ ...io, ...read }, given);
    } catch (error) {
      const { withPlace } = await import('../db/where-it-is.ts');
      throw withPlace(error, read.config.database);
    }
  },
});

/** A command that works beside a running server, on the same database. */
export const coreCommand = <const O extends Options, const P extends Operands>(
  declared: Declared<WithCore, O, P>,
): Command<CommandIo, O, P> =>
  configCommand({
    ...declared,
    async run(context, given) {
      const { createCore } = await import('../app/core.ts');
      const core = await createCore(context.config);
      try {
        return await declared.run({ ...context, core }, given);
      } finally {
        await core.close();
      }
    },
  });
