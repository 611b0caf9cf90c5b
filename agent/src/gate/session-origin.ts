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
  const session = /\/session-([A-Za-z0-9]{1,32})\.scope(?:\/|$)/m.exec(cgroup)?.[1];
  if (session === undefined) return null;
  const facts = textOf(`${paths.sessions}/${session}`);
  const host = /^REMOTE_HOST=(.+)$/m.exec(facts)?.[1];
  return host === undefined ? null : visibleText(host.replace(/^"(.*)"$/, '$1')).slice(0, 256);
}
