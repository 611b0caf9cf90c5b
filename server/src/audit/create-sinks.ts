import type { Config } from '../config/config.ts';
import type { AuditSink } from './sink.ts';
import { createJsonLines } from './sinks/json-lines.ts';
import { createStandardOutput, type Output } from './sinks/standard-output.ts';

const DEFAULT_FILES = 5;
const DEFAULT_BUFFER = 4096;

/** As it is configured: what makes no sense was always read as the default. */
export const bufferSizeOf = ({ bufferSize }: Config['audit']): number => (bufferSize > 0 ? bufferSize : DEFAULT_BUFFER);

/** The sinks that are configured. */
export function createSinks(
  config: Config['audit'],
  deps: {
    output: Output;
    /** Milliseconds of a clock that nobody sets. */
    now: () => number;
  },
): AuditSink[] {
  const { log, logMaxSize, logMaxFiles } = config;
  const sinks: AuditSink[] = [];
  if (log?.to === 'stdout') sinks.push(createStandardOutput(deps));
  if (log?.to === 'file') {
    const maxFiles = logMaxFiles > 0 ? logMaxFiles : DEFAULT_FILES;
    sinks.push(createJsonLines({ path: log.path, maxSize: logMaxSize, maxFiles, now: deps.now }));
  }
  return sinks;
}
