import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** What tells one login from another. */
export const session = z.strictObject({
  /** Which start of the machine. */
  boot: z.string(),
  /** The kernel's number of this login, which everything that is started from it keeps; null where there is none. */
  audit: z.string().nullable(),
  /** The process and all that it was started by, as number and start time; without what starts every login. */
  processes: z.array(z.string()),
});
export type Session = z.infer<typeof session>;

const UNSET = '4294967295';
const MAX_DEPTH = 64;

const read = (path: string): Promise<string> =>
  readFile(path, 'latin1').then(
    (text) => text.trim(),
    () => '',
  );

/** Name, parent and start time; null when there is no such process. The name in parentheses may hold anything. */
function parseStat(text: string): { name: string; parent: number; start: string } | null {
  const end = text.lastIndexOf(')');
  if (end === -1) return null;
  const fields = text.slice(end + 2).split(' ');
  return { name: text.slice(text.indexOf('(') + 1, end), parent: Number(fields[1]), start: fields[19] ?? '' };
}

/** The session of a process. @param proc where the kernel tells of processes; tests hand in a tree of their own. */
export async function sessionOf(pid: number, proc = '/proc'): Promise<Session> {
  const processes: string[] = [];
  for (let next = pid, depth = 0; next > 1 && depth < MAX_DEPTH; depth += 1) {
    const stat = parseStat(await read(join(proc, String(next), 'stat')));
    if (stat === null) break;
    // The one sshd that listens has started every login by ssh.
    if (!(stat.parent === 1 && /^sshd(-listen.*)?$/.test(stat.name))) processes.push(`${next}:${stat.start}`);
    next = stat.parent;
  }
  const [own, first] = await Promise.all(
    [pid, 1].map((one) => read(join(proc, String(one), 'sessionid')).then((id) => (id === UNSET ? '' : id))),
  );
  return {
    boot: await read(join(proc, 'sys/kernel/random/boot_id')),
    // A container inherits the number of whoever started it: that is no login of its own.
    audit: own === '' || own === first ? null : own!,
    processes,
  };
}

/**
 * Whether two processes belong to one login: then what the second shows is only that an open door is still open. A shell
 * of `su` or `sudo -i`, and a window of a terminal multiplexer that was started before, belong to the login they are from.
 */
export function sameSession(a: Session, b: Session): boolean {
  if (a.boot !== b.boot) return false;
  if (a.audit !== null && b.audit !== null) return a.audit === b.audit;
  return a.processes.some((one) => b.processes.includes(one));
}
