import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder that looks like the root of a host, with these files in it. */
export async function createHostTree(files: Readonly<Record<string, string>>) {
  const root = await mkdtemp(join(tmpdir(), 'identree-host-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    await writeFile(join(root, path), text);
    await chmod(join(root, path), 0o644);
  }
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}
