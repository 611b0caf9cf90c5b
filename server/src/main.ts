import { standardError, standardOutput } from '#shared/command-line/standard-output.ts';
import { EXIT } from './commands/command.ts';
import { runCommand } from './commands/run.ts';
import { readTextSync } from './platform/key-files.ts';

// Whatever this process writes, its database above all, is for its own eyes.
process.umask(0o077);

/** What was to be told is not: then a command has not done what it was for. A server goes on all the same. */
let lost = false;
let serves = false;
const onLost = (text: string): void => {
  standardError().write(`identree-server: ${text}\n`);
  lost = true;
  if (!serves) process.exitCode ||= EXIT.failed;
};

const code = await runCommand({
  argv: process.argv.slice(2),
  env: process.env,
  readFile: readTextSync,
  out: (text) => void standardOutput(onLost).write(text),
  err: (text) => void standardError().write(text),
  untilStopped: () => {
    serves = true;
    return new Promise((resolve) => {
      process.once('SIGTERM', () => resolve());
      process.once('SIGINT', () => resolve());
    });
  },
  onHangUp: (callback) => void process.on('SIGHUP', callback),
});
process.exitCode = code === EXIT.ok && lost && !serves ? EXIT.failed : code;

/** What is left open by mistake keeps no process alive that has said what it had to say, milliseconds. */
const PATIENCE_MS = 1000;
setTimeout(() => process.exit(), PATIENCE_MS).unref();
