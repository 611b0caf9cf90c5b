import { rmSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findRunning, kindOfFolder } from '../server/src/evaluation/state-folder.ts';

/** `npm run reset`: deletes what `npm start` keeps. Stops nothing. */

const { values } = parseArgs({ options: { dir: { type: 'string', default: '.identree' } } });
const folder = resolve(values.dir);
const near = relative(process.cwd(), folder);
const name = near.startsWith('..') ? folder : `./${near}`;
const running = findRunning(folder);
const there = kindOfFolder(folder);

if (running) {
  process.stderr.write(
    `identree is running at ${running.url} (process ${running.pid}). Stop it first with Ctrl-C in its terminal.\n`,
  );
  process.exitCode = 1;
} else if (there === 'foreign') {
  process.stderr.write(`${name} holds something that is not an evaluation of identree. Nothing was deleted.\n`);
  process.exitCode = 1;
} else if (there === 'nothing') {
  process.stdout.write(`There is nothing to delete in ${name}.\n`);
} else {
  process.stdout.write(`Deleting ${name}: database, keys, demo host and sign-in code of the evaluation.\n`);
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write(
    'Done. The next npm start begins anew; passkeys that were made here can be removed from your browser.\n',
  );
}
