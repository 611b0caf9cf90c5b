import { type DestinationStream, type Logger, pino } from 'pino';

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
      redact: {
        paths: ['req.headers', 'headers', '*.authorization', '*.cookie', '*.password', '*.token', '*.secret'],
        censor: '[removed]',
      },
    },
    to,
  );
}
