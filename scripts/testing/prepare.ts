import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Purpose, setUp, systemSetup } from './setup.ts';

/** What has to be what is in the tree before a server or a host is started from it. */
const BUILDS = {
  'what browsers load': ['build.ts', '--if-stale'],
  'the agent and its hook': ['build-agent.mjs', '--if-stale'],
  "the image of the lab's hosts, which takes some minutes the first time": ['lab-image.ts'],
} as const;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Does before a program begins what `npm test` does for its stages: installs what this machine lacks, or says what to
 * install. Standard output stays the program's own.
 */
export const installFor = (purpose: Purpose): void => setUp([purpose], false, { ...systemSetup, print: say });

/** Builds what a server and a lab host run, if it is stale. False when something could not be built; it has been said. */
export function buildForLab(): boolean {
  return Object.entries(BUILDS).every(([what, [file, ...args]]) => {
    say(`set-up: building ${what} ...`);
    const { status } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '..', file), ...args],
      { stdio: ['ignore', 2, 2] },
    );
    if (status !== 0) say(`set-up: ${file} failed`);
    return status === 0;
  });
}
