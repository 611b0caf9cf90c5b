import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunResult, run } from './run.ts';

// A folder that others may enter, seen in this mount namespace alone, with the project and the runtime in it: the folders
// above the project may be closed to others, as root's own home is.
const ENTER = `
set -eu
mount -t tmpfs -o mode=755 tmpfs "$PLACE"
mkdir "$PLACE/project"
touch "$PLACE/node"
mount --rbind "$ROOT" "$PLACE/project"
mount --bind "$NODE" "$PLACE/node"
cd "$PLACE/project"
exec env -i PATH=/usr/bin:/bin setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs -- "$PLACE/node" "$@"
`;

/**
 * Runs a program of the project as `nobody`, who may read the project and nothing else of who runs the tests. Needs root.
 *
 * @param args of Node; paths from the root of the project
 */
export async function runAsNobody(root: string, args: readonly string[]): Promise<RunResult> {
  const place = await mkdtemp(join(tmpdir(), 'identree-nobody-'));
  try {
    return await run('unshare', ['--mount', 'sh', '-c', ENTER, 'sh', ...args], {
      env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, PLACE: place, ROOT: root, NODE: process.execPath },
    });
  } finally {
    await rmdir(place);
  }
}
