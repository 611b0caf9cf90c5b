import { run } from 'node:test';
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
  },
});

run({
  files: positionals,
  concurrency: Number(values.concurrency),
  timeout: Number(values.timeout),
  execArgv: ['--disable-warning=ExperimentalWarning'],
})
  .on('test:fail', ({ todo }) => {
    if (todo === undefined || todo === false) process.exitCode = 1;
  })
  .compose(report)
  .pipe(process.stdout);
