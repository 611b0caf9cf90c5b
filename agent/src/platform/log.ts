import { visibleText } from '#shared/visible-text.ts';

/** One line per fact on standard error: journald adds time, unit and pid. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Writes lines; for journald with the priority prefixes of sd-daemon(3). */
export function createLog(write: (line: string) => void, journal: boolean): Log {
  const line = (priority: number) => (message: string) =>
    write(`${journal ? `<${priority}>` : ''}${visibleText(message)}\n`);
  return { info: line(6), warn: line(4), error: line(3) };
}

export const silentLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
