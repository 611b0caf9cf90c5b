import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A package of the Python package index that tests run. */
export interface PythonPackage {
  /** Its interpreter. Scripts beside it know only the folder that they were made in, so nothing else is started. */
  readonly python: string;
  /**
   * Installs it, once, into a folder of its own in the user's cache.
   *
   * @returns why there is none; null when it can be run
   */
  install(): Promise<string | null>;
}

/**
 * @param requirement as pip reads it, without the version: `name` or `name[extra]`
 * @param needs the Python that it runs on, as a person would say it
 */
export function pythonPackage(requirement: string, version: string, needs: string): PythonPackage {
  const name = requirement.replace(/\[.*/, '');
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const installed = join(cache, `identree-${name}`, version);
  return {
    python: join(installed, 'bin/python3'),
    async install() {
      if (existsSync(installed)) return null;
      await mkdir(dirname(installed), { recursive: true });
      const work = await mkdtemp(join(dirname(installed), '.new-'));
      try {
        await run('python3', ['-m', 'venv', work], { timeout: 60_000 });
        const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `${requirement}==${version}`];
        await run(join(work, 'bin/python3'), pip, { timeout: 240_000 });
        // Whole or not at all: what was installed halfway is never run.
        await rename(work, installed);
        return null;
      } catch (error) {
        const { stderr } = error as { stderr?: string };
        const why = (stderr?.trim() || String(error)).split('\n').at(-1);
        return `${name} is needed: ${needs} and a package index that has it (${why})`;
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  };
}
