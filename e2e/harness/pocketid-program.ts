import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The newest release. Go knows no version of it, because the module's path bears no /v2: a commit names it. */
const RELEASE = { version: '2.14.0', commit: '5521266227205dccb57ba58d820c833a5701346d' };
const MODULE = 'github.com/pocket-id/pocket-id/backend';

const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'identree-pocketid');
const built = join(folder, `pocket-id-${RELEASE.version}`);

/**
 * The program of a real PocketID 2.x: the one that POCKETID_BINARY names, or else what `buildPocketId` made of the newest
 * release; null when there is neither. Whoever gives a wrong path hears of it when it is started.
 */
export function findPocketId(): string | null {
  if (process.env.POCKETID_BINARY) return resolve(process.env.POCKETID_BINARY);
  return existsSync(built) ? built : null;
}

/**
 * Builds the newest release from the Go module proxy, without its pages, unless there is a program already. Minutes the
 * first time. Null when there is one afterwards, or else why there is none.
 */
export async function buildPocketId(): Promise<string | null> {
  if (findPocketId() !== null) return null;
  const has = spawnSync('go', ['version'], { encoding: 'utf8' });
  if (has.status !== 0) return 'there is no Go to build PocketID with';
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, '.build-'));
  try {
    const go = (args: string[], cwd: string, minutes: number) =>
      spawnSync('go', args, { cwd, encoding: 'utf8', timeout: minutes * 60_000, killSignal: 'SIGKILL' });
    const download = go(['mod', 'download', '-json', `${MODULE}@${RELEASE.commit}`], work, 3);
    const answer = JSON.parse(download.stdout || '{}') as { Dir?: string; Error?: string };
    if (!answer.Dir) return `the Go module proxy gave no PocketID: ${answer.Error ?? download.stderr.trim()}`;
    const source = join(work, 'source');
    await cp(answer.Dir, source, { recursive: true });
    // Modules are kept read-only.
    spawnSync('chmod', ['-R', 'u+w', source]);
    const stamp = `-X ${MODULE}/internal/common.Version=${RELEASE.version}`;
    const program = join(work, 'pocket-id');
    const build = go(['build', '-tags', 'exclude_frontend', '-ldflags', stamp, '-o', program, './cmd'], source, 15);
    if (build.status !== 0) return `PocketID could not be built: ${build.stderr.trim().slice(-2000)}`;
    await rename(program, built);
    return null;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
