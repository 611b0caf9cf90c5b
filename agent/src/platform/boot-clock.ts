import { readFileSync } from 'node:fs';

/**
 * Milliseconds since this machine started, with the time in which it slept, which CLOCK_MONOTONIC leaves out. Nobody can
 * set it. Null where it cannot be read.
 */
export function sinceBoot(): number | null {
  try {
    const seconds = /^(\d+\.\d+) /.exec(readFileSync('/proc/uptime', 'latin1'))?.[1];
    return seconds === undefined ? null : Number(seconds) * 1000;
  } catch {
    return null;
  }
}
