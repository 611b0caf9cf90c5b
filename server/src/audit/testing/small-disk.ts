import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Why there can be no disk of its own here; null when there can. */
export function whyNoSmallDisk(): string | null {
  // Of a mount namespace of its own, so that looking leaves nothing behind.
  const { status } = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
  return status === 0 ? null : 'who runs this may not mount a small disk';
}

/** A disk with room for so many kilobytes, that can be made read-only. */
export function smallDisk(t: Pick<TestContext, 'after'>, kilobytes: number) {
  const folder = mkdtempSync(join(tmpdir(), 'identree-disk-'));
  const mount = (...options: string[]) => {
    const { status, stderr } = spawnSync('mount', [...options, folder], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`mount: ${stderr}`);
  };
  mount('-t', 'tmpfs', '-o', `size=${kilobytes}k,mode=0700`, 'tmpfs');
  t.after(() => {
    spawnSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    readOnly: () => mount('-o', 'remount,ro'),
    writable: () => mount('-o', 'remount,rw'),
  };
}
