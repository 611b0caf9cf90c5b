import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { SUITES, whyNoLab } from '../e2e/harness/lab.ts';

/** Builds the images of the lab's hosts, which takes minutes the first time, so that no test waits for them. */

const reason = whyNoLab();
// The tests say so themselves when they are skipped.
if (reason !== null) process.stdout.write(`${reason}\n`);
else {
  for (const [suite, settings] of Object.entries(SUITES)) {
    const env = { ...process.env, ...settings };
    const build = spawnSync(join(import.meta.dirname, '../e2e/lab/mkhost.sh'), ['build'], { stdio: 'inherit', env });
    // Most tests run on the first; those that need another one fail by themselves where there is none.
    if (build.status !== 0) process.stdout.write(`there is no image of ${suite}\n`);
    if (suite === 'bookworm') process.exitCode = build.status ?? 1;
  }
}
