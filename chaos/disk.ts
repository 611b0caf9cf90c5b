import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from './fault.ts';

/** Why there can be no disk of its own here; null when there can. */
export const whyNoDisk = (): string | null => (process.getuid?.() === 0 ? null : 'only root may mount a small disk');

/**
 * A disk of its own with room for so many megabytes.
 *
 * @param owner whose it is; root's unless it is said
 */
export function makeDisk(
  scope: Pick<Scope, 'after'>,
  megabytes: number,
  { uid, gid }: { uid: number; gid: number } = { uid: 0, gid: 0 },
): string {
  const folder = mkdtempSync(join(tmpdir(), 'identree-disk-'));
  const options = `size=${megabytes}m,mode=0700,uid=${uid},gid=${gid}`;
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { encoding: 'utf8' });
  if (mounted.status !== 0) throw new Error(`no small disk could be mounted: ${mounted.stderr}`);
  scope.after(() => {
    spawnSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Writes until there is no room left. */
export async function fill(path: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const size of [65_536, 4096, 512])
      for (;;) if (!(await file.write(Buffer.alloc(size)).catch(() => null))) break;
  } finally {
    await file.close();
  }
}
