import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

/** Checks that people of the Python SCIM projects wrote against RFC 7643 and 7644; a client that nobody here wrote. */
const PACKAGE = 'scim2-tester[httpx2]==0.5.2';

const run = promisify(execFile);
const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'identree-scim2-tester');
const installed = join(folder, '0.5.2');

const PROGRAM = `
import json, sys
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

url, token = sys.argv[1:3]
client = SyncSCIMClient(Client(base_url=url, headers={"Authorization": "Bearer " + token}))
print(json.dumps([
    {"status": r.status.name, "check": r.title, "resource": r.resource_type, "reason": r.reason}
    for r in check_server(client)
]))
`;

const results = z.array(
  z.object({ status: z.string(), check: z.string(), resource: z.string().nullable(), reason: z.string().nullable() }),
);
export type CheckResult = z.infer<typeof results>[number];

/**
 * Installs the checks from the Python package index, once, into a folder of their own in the user's cache.
 *
 * @returns why there are none; null when they can be run
 */
export async function installScimTester(): Promise<string | null> {
  if (existsSync(installed)) return null;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, '.new-'));
  try {
    await run('python3', ['-m', 'venv', work], { timeout: 60_000 });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PACKAGE];
    await run(join(work, 'bin/python3'), pip, { timeout: 180_000 });
    await rename(work, installed);
    return null;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const why = (stderr?.trim() || String(error)).split('\n').at(-1);
    return `scim2-tester is needed: Python 3.10 or later and a package index that has it (${why})`;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Runs all checks. @param url address of a SCIM server */
export async function runScimTester(url: string, token: string): Promise<CheckResult[]> {
  const python = join(installed, 'bin/python3');
  const { stdout } = await run(python, ['-I', '-c', PROGRAM, url, token], { timeout: 240_000, maxBuffer: 1 << 26 });
  return results.parse(JSON.parse(stdout));
}
