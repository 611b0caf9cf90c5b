import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const PLUGIN = 'dist/native/identree_sudo.so';
const AGENT = 'dist/agent/identree';

/** Puts one text in the place of another of the same length, wherever it stands. */
function replaceAll(bytes: Buffer, from: string, to: string): void {
  if (bytes.indexOf(from) === -1) throw new Error(`${from} is not there`);
  for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from, at + 1)) bytes.write(to, at, 'latin1');
}

/**
 * A tree for `packageAgent` in which agent and plugin are as of other sources: of each other they know the build and the
 * bytes, and nothing of those of this tree.
 */
export async function otherBuild(folder: string): Promise<string> {
  for (const path of [
    'agent/packaging',
    'docs/man/identree.8',
    'dist/native/identree-pam',
    'dist/native/pam_identree.so',
  ])
    await cp(join(ROOT, path), join(folder, path), { recursive: true });
  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const [plugin, agent] = await Promise.all([PLUGIN, AGENT].map((path) => readFile(join(ROOT, path))));
  const [, build = ''] = /identree plugin, build ([0-9a-f]{32})\n/.exec(plugin!.toString('latin1')) ?? [];
  const before = sha256(plugin!);
  const other = sha256(Buffer.from(build)).slice(0, 32);
  replaceAll(plugin!, build, other);
  replaceAll(agent!, build, other);
  replaceAll(agent!, before, sha256(plugin!));
  await mkdir(join(folder, 'dist/agent'), { recursive: true });
  for (const [path, bytes] of [
    [PLUGIN, plugin!],
    [AGENT, agent!],
  ] as const) {
    await writeFile(join(folder, path), bytes);
    await chmod(join(folder, path), 0o755);
  }
  return folder;
}
