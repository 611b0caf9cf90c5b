import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What the page about automation says that it was tried with. */
const VERSION = '2.19.14';

const run = promisify(execFile);
const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'identree-ansible');
const installed = join(folder, VERSION);

/** How a playbook is started: the interpreter by its path, since the scripts beside it name the folder they were made in. */
export const ANSIBLE_PLAYBOOK: readonly string[] = [join(installed, 'bin/python3'), '-I', '-m', 'ansible.cli.playbook'];

/**
 * Installs ansible-core from the Python package index, once, into a folder of its own in the user's cache.
 *
 * @returns why there is none; null when it can be run
 */
export async function installAnsible(): Promise<string | null> {
  if (existsSync(installed)) return null;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, '.new-'));
  try {
    await run('python3', ['-m', 'venv', work], { timeout: 60_000 });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `ansible-core==${VERSION}`];
    await run(join(work, 'bin/python3'), pip, { timeout: 240_000 });
    await rename(work, installed);
    return null;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const why = (stderr?.trim() || String(error)).split('\n').at(-1);
    return `ansible-core is needed: Python 3.11 or later and a package index that has it (${why})`;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
