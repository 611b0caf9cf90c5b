import { readdir, readFile } from 'node:fs/promises';
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

/** What every login of one start of the machine that began before is not beyond. */
export const moment = z.strictObject({
  /** The highest number of a login that anything runs in; 0: none. */
  audit: z.int(),
  /** When the youngest process started, clock ticks since the machine did. */
  start: z.int(),
});
export type Moment = z.infer<typeof moment>;

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
    // What listens has started every login, and what asked for a name on the console may have done so for months.
    if (!(stat.parent === 1 && /^(sshd(-listen.*)?|dropbear|login)$/.test(stat.name)))
      processes.push(`${next}:${stat.start}`);
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

/** Now. @param proc as of {@link sessionOf} */
export async function momentOf(proc = '/proc'): Promise<Moment> {
  const now: Moment = { audit: 0, start: 0 };
  for (const pid of (await readdir(proc)).filter((name) => /^\d+$/.test(name))) {
    const number = await read(join(proc, pid, 'sessionid'));
    if (number !== UNSET) now.audit = Math.max(now.audit, Number(number));
    now.start = Math.max(now.start, Number(parseStat(await read(join(proc, pid, 'stat')))?.start ?? 0));
  }
  return now;
}

/**
 * Whether a login is one that began after this moment. Another shell that was open before shows no more than the first:
 * the kernel numbers logins upwards, and where it does not, nothing that a new one consists of is older than it is.
 */
export function hasBegunSince(own: Session, { boot, ...then }: Moment & { boot: string }): boolean {
  if (own.boot !== boot) return true;
  if (own.audit !== null) return Number(own.audit) > then.audit;
  return Number(own.processes.at(-1)?.split(':')[1] ?? 0) > then.start;
}
