import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { packageAgent } from '../../scripts/package-agent.ts';
import type { Examples } from './examples.ts';
import type { Lab } from './lab.ts';
import { otherBuild } from './other-build.ts';
import { must } from './run.ts';
import { repository } from './world.ts';

/** Where people sign, below the scratch folder of the lab. */
const SIGNING = 'signing';
const FOLDER = join(SIGNING, 'dist/packages');

/** What a server is told of the release that it hands out. */
export const releaseSettings = (lab: Pick<Lab, 'dir'>): Record<string, string> => ({
  IDENTREE_INSTALL_DIR: join(lab.dir, FOLDER),
  IDENTREE_INSTALL_VERIFY_KEY: join(lab.dir, SIGNING, 'install-sign.pub'),
});

/** Packages of this tree, and of another build under a lower number: agent and plugin of one take none of the other. */
export async function buildDebs(lab: Lab): Promise<{ older: string; newer: string }> {
  const out = join(lab.dir, 'packages');
  const made = (from?: string, version?: string) =>
    packageAgent({ out, from, formats: ['deb'], compression: 'quick', version });
  const other = await otherBuild(join(lab.dir, 'other'));
  const [older, newer] = await Promise.all([made(other, '0.0.1'), made()]);
  return { older: older.deb!, newer: newer.deb! };
}

/** What a server hands out to hosts, signed as docs/install.md says. */
export interface Release {
  /** The folder where people sign. */
  readonly signing: string;
  /** The folder that the server hands out. */
  readonly folder: string;
  /** Puts a package and the installer there, instead of what was there, and signs them. */
  publish(deb: string): Promise<void>;
  file(name: string): Promise<Buffer>;
  publicKey(): Promise<Buffer>;
}

/** @param examples those of docs/install.md */
export function createRelease(lab: Lab, examples: Examples): Release {
  const signing = join(lab.dir, SIGNING);
  const folder = join(lab.dir, FOLDER);
  const here = (name: string): Promise<string> =>
    must('bash', ['-ec', examples.text(name)], {
      cwd: signing,
      env: { PATH: `${join(repository, 'dist/agent')}:${process.env.PATH}` },
    });
  return {
    signing,
    folder,
    async publish(deb) {
      await mkdir(folder, { recursive: true });
      const isFirst = (await readdir(folder)).length === 0;
      for (const name of await readdir(folder)) await rm(join(folder, name));
      for (const file of [deb, join(dirname(deb), 'install.sh')]) await copyFile(file, join(folder, basename(file)));
      if (isFirst) await here('key');
      await here('sign');
    },
    file: (name) => readFile(join(folder, name)),
    publicKey: () => readFile(join(signing, 'install-sign.pub')),
  };
}
