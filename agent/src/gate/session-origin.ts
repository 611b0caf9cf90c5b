import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { visibleText } from '#shared/visible-text.ts';

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
  const cgroup = await readFile(join(paths.proc, String(pid), 'cgroup'), 'utf8').catch(() => '');
  const session = /\/session-([A-Za-z0-9]{1,32})\.scope(?:\/|$)/m.exec(cgroup)?.[1];
  if (session === undefined) return null;
  const facts = await readFile(join(paths.sessions, session), 'utf8').catch(() => '');
  const host = /^REMOTE_HOST=(.+)$/m.exec(facts)?.[1];
  return host === undefined ? null : visibleText(host.replace(/^"(.*)"$/, '$1')).slice(0, 256);
}
