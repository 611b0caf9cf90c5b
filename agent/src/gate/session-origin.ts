import { readFileSync } from 'node:fs';
import { visibleText } from '#shared/visible-text.ts';

// Read at once: the kernel and the service manager have both in memory, and only root makes them.
const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/**
 * The session of a process from the line of a hierarchy: a scope that the service manager makes right below the slice of an
 * account. What lies below that account's own service manager it calls as it likes, also like the session of another.
 * Before the first of these slices stands what a container is in.
 */
const SESSION =
  /^\d+:[^:\n]*:(?:\/(?!user\.slice\/)[^/\n]+)*\/user\.slice\/user-\d+\.slice\/session-([A-Za-z0-9]{1,32})\.scope(?:\/|$)/m;

/**
 * Where the login session of a process comes from, by the word of systemd-logind. The process's own SSH_CONNECTION
 * would say the same on a good day and whatever its owner likes on another.
 *
 * @returns a host or address; null for a local session, and for processes outside of any.
 */
export async function sessionOrigin(
  pid: number,
  paths = { proc: '/proc', sessions: '/run/systemd/sessions' },
): Promise<string | null> {
  const cgroup = textOf(`${paths.proc}/${pid}/cgroup`);
  const session = SESSION.exec(cgroup)?.[1];
  if (session === undefined) return null;
  const facts = textOf(`${paths.sessions}/${session}`);
  const host = /^REMOTE_HOST=(.+)$/m.exec(facts)?.[1];
  return host === undefined ? null : visibleText(host.replace(/^"(.*)"$/, '$1')).slice(0, 256);
}
