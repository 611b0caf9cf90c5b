import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where groups of version 2 are mounted; null: nowhere. Groups of version 1 are handed over to nobody. */
function groupsAt(mountinfo: string): string | null {
  for (const line of mountinfo.split('\n')) {
    const [mount = '', filesystem = ''] = line.split(' - ');
    if (filesystem.startsWith('cgroup2 ')) return mount.split(' ')[4] ?? null;
  }
  return null;
}

/** Of the service manager itself, where there is one; else that of everything. */
const GROUPS_OF_ROOT = ['init.scope', '.'];

/**
 * Leaves the control group of whoever started this process. systemd hands over groups to an account (`user@.service`), and
 * who has one may freeze all that is in it, whoever's process that is, or leave it a thousandth of a processor: what has a
 * lock then keeps it from the whole host. Does nothing where that cannot be done.
 */
export function leaveCallersGroup(): void {
  let at: string | null;
  try {
    at = groupsAt(readFileSync('/proc/self/mountinfo', 'latin1'));
  } catch {
    return;
  }
  for (const group of at === null ? [] : GROUPS_OF_ROOT) {
    try {
      writeFileSync(join(at!, group, 'cgroup.procs'), '0');
      return;
    } catch {
      // There is no such group, or none may be in it that has groups of its own (in a container).
    }
  }
}
