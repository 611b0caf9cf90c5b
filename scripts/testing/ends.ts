import { realpathSync } from 'node:fs';
import { after, afterEach, beforeEach } from 'node:test';
import { pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { formatResult } from './results.ts';

/**
 * Loaded before each file of tests (`--import`, with `?linger=` milliseconds): ends it, and says what holds it, when it goes
 * on after its last test. The limit of a test says nothing about what comes after it: something left open would hold the
 * whole run, up to the limit of its stage.
 */

const linger = Number(new URL(import.meta.url).searchParams.get('linger'));

function end(file: string): void {
  const held = [...new Set(process.getActiveResourcesInfo())].join(', ');
  const detail = `${linger / 1000} s after its last test it was ended; what it left open: ${held}`;
  process.stdout.write(
    formatResult({ name: ['a file of tests ends by itself'], file, status: 'failed', durationMs: linger, detail }),
    () => process.exit(1),
  );
}

function watch(file: string): void {
  let running = 0;
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    clearTimeout(timer);
    if (isOver && running === 0) timer = setTimeout(end, linger, file).unref();
  };
  beforeEach(() => {
    running += 1;
    look();
  });
  afterEach(() => {
    running -= 1;
    look();
  });
  after(() => {
    // Of a file that waits for something between two tests, Node.js takes the first for the last.
    void import(pathToFileURL(realpathSync(file)).href).then(() => {
      isOver = true;
      look();
    });
  });
}

const [, file] = process.argv;
if (isMainThread && file !== undefined) watch(file);
