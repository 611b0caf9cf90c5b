import { join } from 'node:path';
import { run } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import report from './node-reporter.ts';

/**
 * `node --test` for files in the order in which they are named: it sorts them, so that one that takes long and stands
 * late in the alphabet has the last minute to itself. Prints results as node-reporter.ts does; exit code 1 when a test
 * failed.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** How many files run at a time. */
    concurrency: { type: 'string' },
    /** Milliseconds that a test may take. */
    timeout: { type: 'string' },
    /** Milliseconds for which a file may go on after its last test. */
    linger: { type: 'string', default: '60000' },
  },
});

const ends = pathToFileURL(join(import.meta.dirname, 'ends.ts'));
ends.searchParams.set('linger', values.linger);

run({
  files: positionals,
  concurrency: Number(values.concurrency),
  timeout: Number(values.timeout),
  execArgv: ['--disable-warning=ExperimentalWarning', `--import=${ends}`],
})
  .on('test:fail', ({ todo }) => {
    if (todo === undefined || todo === false) process.exitCode = 1;
  })
  .compose(report)
  .pipe(process.stdout);
