import type { Config } from '../config/config.ts';

/** What a command is run with; tests hand in their own. */
export interface CommandIo {
  argv: string[];
  env: NodeJS.ProcessEnv;
  readFile: (path: string) => string;
  out: (text: string) => void;
  err: (text: string) => void;
  /** Resolves on SIGTERM or SIGINT. */
  untilStopped: () => Promise<void>;
  /** Calls back on each SIGHUP. */
  onHangUp: (callback: () => void) => void;
}

export interface Command extends CommandIo {
  config: Config;
  flags: {
    json?: boolean | undefined;
    merge?: boolean | undefined;
    yes?: boolean | undefined;
    'dry-run'?: boolean | undefined;
    /** Of an export. */
    format?: string | undefined;
  };
}

/** 0 done, 1 failed, 2 wrong use, 6 configuration. */
export const EXIT = { ok: 0, failed: 1, usage: 2, configuration: 6 } as const;
