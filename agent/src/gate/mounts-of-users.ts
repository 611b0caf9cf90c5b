import { readFileSync } from 'node:fs';

/** `\040` and the like, as the kernel and mount(8) write bytes that end a field. */
const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * Where file systems are mounted of which nothing is known by looking. Those that an ordinary account answers for: a
 * program of its own (FUSE), which may give another content to each who reads and let them wait for ever, or a medium or
 * image that it had mounted. What they say of owners and modes is what that account likes. And proc, wherever it is, as in a
 * folder that is made into a root: its links lead each who follows them somewhere else.
 *
 * @param mountinfo proc_pid_mountinfo(5), bytes as latin1.
 * @param utab what mount(8) keeps beside it in /run/mount/utab: options of user space, as of udisks.
 */
export function mountsOfUsers(mountinfo: string, utab: string): Set<string> {
  const points = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const [mount = '', filesystem = ''] = line.split(' - ');
    const [type = '', , options = ''] = filesystem.split(' ');
    const by = /^fuse(blk|\.|$)/.test(type) ? /(?:^|,)user_id=(\d+)/.exec(options)?.[1] : '0';
    if (by !== '0' || type === 'proc') points.add(unescaped(mount.split(' ')[4] ?? ''));
  }
  for (const line of utab.split('\n')) {
    const target = /(?:^| )TARGET=(\S+)/.exec(line)?.[1];
    if (target !== undefined && /(?:^| )OPTS=(?:\S*,)?(?:user|uhelper)=/.test(line)) points.add(unescaped(target));
  }
  return points;
}

const textOf = (path: string): string => readFileSync(path, 'latin1');

/**
 * Whether such a file system is mounted at a path.
 *
 * @param root prefix under which the asking process sees its files, and a root within them; '' for our own.
 * @returns for everything true when that cannot be known.
 */
export function readMountsOfUsers(root: string): (real: string) => boolean {
  const [, base = '', process = '/proc/self', within = root] = /^((\/proc\/\d+)\/root)(.*)$/.exec(root) ?? [];
  try {
    const mountinfo = textOf(`${process}/mountinfo`);
    let utab = '';
    try {
      utab = textOf(`${base}/run/mount/utab`);
    } catch {
      // There is none before an option of user space is used.
    }
    const points = mountsOfUsers(mountinfo, utab);
    return (real) => points.has(`${within}${real}`);
  } catch {
    return () => true;
  }
}

/** Whether a path leads into such a file system, as far as the path alone says. Bytes as latin1; root as for the former. */
export function leadsToUsers(root: string, path: string): boolean {
  const isOfUsers = readMountsOfUsers(root);
  const names = path.split('/').filter((name) => name !== '');
  return names.some((_, index) => isOfUsers(`/${names.slice(0, index + 1).join('/')}`));
}
