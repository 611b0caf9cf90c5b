import { uptime } from 'node:os';

/**
 * Milliseconds since this machine started, with the time in which it slept, which CLOCK_MONOTONIC leaves out. Nobody can
 * set it. Null where it cannot be read.
 */
export function sinceBoot(): number | null {
  try {
    return uptime() * 1000;
  } catch {
    return null;
  }
}
