import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { whyNoLab } from '../e2e/harness/lab.ts';

/** Builds the image of the lab's hosts, which takes a minute or more the first time, so that no test waits for it. */

const reason = whyNoLab();
// The tests say so themselves when they are skipped.
if (reason !== null) process.stdout.write(`${reason}\n`);
else {
  const build = spawnSync(join(import.meta.dirname, '../e2e/lab/mkhost.sh'), ['build'], { stdio: 'inherit' });
  process.exitCode = build.status ?? 1;
}
