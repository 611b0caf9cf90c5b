import { type DestinationStream, type Logger, pino } from 'pino';

const IS_TOLD = Symbol('whether an error was told already');

/** Leaves out of a log, and of all that were derived from it, what is about an error that was told already. */
export function leaveOut(log: Logger, isTold: (error: unknown) => boolean): void {
  Object.assign(log, { [IS_TOLD]: isTold });
}

const errorOf = (first: unknown): unknown =>
  typeof first === 'object' && first !== null && 'err' in first ? first.err : undefined;

/**
 * Structured log with secrets cut out.
 *
 * @param to standard error unless it says otherwise: commands keep standard output for their answer
 */
export function createLogger(
  level: 'debug' | 'info' | 'warn' | 'error',
  to: DestinationStream = pino.destination({ fd: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      hooks: {
        logMethod(args, method) {
          const isTold = (this as { [IS_TOLD]?: (error: unknown) => boolean })[IS_TOLD];
          const error = errorOf(args[0]);
          if (error !== undefined && isTold?.(error)) return;
          method.apply(this, args);
        },
      },
      redact: {
        paths: ['req.headers', 'headers', '*.authorization', '*.cookie', '*.password', '*.token', '*.secret'],
        censor: '[removed]',
      },
    },
    to,
  );
}
