import { after } from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { formatResult } from './results.ts';

/**
 * Loaded before each file of tests (`--import`, with `?linger=` milliseconds): ends it, and says what holds it, when it goes
 * on after its last test. The limit of a test says nothing about what comes after it: something left open would hold the
 * whole run, up to the limit of its stage.
 */

const linger = Number(new URL(import.meta.url).searchParams.get('linger'));

function end(): void {
  const held = [...new Set(process.getActiveResourcesInfo())].join(', ');
  const seconds = linger / 1000;
  const detail = `${seconds} s after its last test it was ended; what it left open: ${held}`;
  const file = process.argv[1] ?? null;
  process.stdout.write(
    formatResult({ name: ['a file of tests ends by itself'], file, status: 'failed', durationMs: linger, detail }),
    () => process.exit(1),
  );
}

if (isMainThread) after(() => void setTimeout(end, linger).unref());
