import type { Command, Operands, Options } from '#shared/command-line/command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { DEFAULT_PATHS, type Paths } from '../paths.ts';
import type { Log } from '../platform/log.ts';

/** What every command of `identree` is run with. */
export interface AgentContext {
  /** Standard output. A terminal also says how large it is. */
  out: { write(text: string): unknown; columns?: number; rows?: number; isTTY?: boolean };
  /** One line on standard output. */
  print(line: string): void;
  log: Log;
  /** Aborted by SIGTERM and SIGINT. Without a call of it these end the process. */
  stopSignal(): AbortSignal;
}

/** Where the files of this host are. */
export const PATH_OPTIONS = {
  config: { value: 'FILE', help: 'the settings of this host', default: DEFAULT_PATHS.config },
  state: { value: 'DIR', help: 'keys and everything else that this host keeps', default: DEFAULT_PATHS.state },
  socket: { value: 'FILE', help: 'where the agent listens', default: DEFAULT_PATHS.socket },
} as const satisfies Record<keyof Paths, Options[string]>;

/** Lets the types of options and operands follow from what a command says about them. */
export const command = <const O extends Options, const P extends Operands>(
  declared: Command<AgentContext, O, P>,
): Command<AgentContext, O, P> => declared;

export function needRoot(): void {
  if (process.geteuid?.() !== 0)
    throw new CommandError(EXIT.notRoot, 'This needs root. Run it with sudo or in a root shell.');
}

/** With folders of one's own (`--state`), root is not needed. */
export function needRootFor(paths: Paths): void {
  if (paths.state === DEFAULT_PATHS.state) needRoot();
}
