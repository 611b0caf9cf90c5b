import { realpathSync } from 'node:fs';
import { after, afterEach, beforeEach } from 'node:test';
import { pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

/**
 * Loaded before each file of tests (`--import`, with `?linger=` milliseconds): ends it when it goes on after its last test,
 * and says in the log of its stage what held it. The limit of a test says nothing about what comes after it: something left
 * open, as a connection to a host that is gone, would hold the whole run. The tests themselves are over and told.
 */

const linger = Number(new URL(import.meta.url).searchParams.get('linger'));

function end(file: string): void {
  const held = [...new Set(process.getActiveResourcesInfo())].join(', ');
  process.stdout.write(`${file}: ended ${linger / 1000} s after its last test; what it left open: ${held}\n`, () =>
    process.exit(),
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
