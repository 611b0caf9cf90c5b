import { type Logger, pino } from 'pino';

/** Structured log on standard error, so that commands keep standard output for their answer. Secrets are cut out. */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error'): Logger {
  return pino(
    {
      level,
      redact: {
        paths: ['req.headers', 'headers', '*.authorization', '*.cookie', '*.password', '*.token', '*.secret'],
        censor: '[removed]',
      },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
