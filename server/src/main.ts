import { readFileSync } from 'node:fs';
import { runCommand } from './commands/run.ts';

// Whatever this process writes, its database above all, is for its own eyes.
process.umask(0o077);

process.exitCode = await runCommand({
  argv: process.argv.slice(2),
  env: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  untilStopped: () =>
    new Promise((resolve) => {
      process.once('SIGTERM', () => resolve());
      process.once('SIGINT', () => resolve());
    }),
  onHangUp: (callback) => void process.on('SIGHUP', callback),
});

/** What is left open by mistake keeps no process alive that has said what it had to say, milliseconds. */
const PATIENCE_MS = 1000;
setTimeout(() => process.exit(), PATIENCE_MS).unref();
