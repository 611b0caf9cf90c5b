import { chmod, chown, lstat } from 'node:fs/promises';
import type { Run } from '../platform/run.ts';

/**
 * Lets sssd read the key where a distribution runs it as an account of its own (RHEL 10, Fedora): the folder gets its
 * group and the setgid bit, so that all that the agent makes there later belongs to that group too.
 *
 * @returns true when that is new, so that what is there has to be written again.
 */
export async function shareWithSssd(folder: string, run: Run): Promise<boolean> {
  const unit = await run('systemctl', ['show', '--property=User', '--value', 'sssd.service']);
  const user = unit.code === 0 ? unit.output.trim() : '';
  const { gid, mode } = await lstat(folder);
  const group = user === '' || user === 'root' ? 0 : Number((await run('id', ['-g', user])).output);
  if (!Number.isSafeInteger(group)) return false;
  const isShared = (mode & 0o2000) !== 0;
  if (group === 0 ? !isShared : isShared && gid === group) return false;
  await chown(folder, 0, group);
  await chmod(folder, group === 0 ? 0o755 : 0o2755);
  return true;
}
