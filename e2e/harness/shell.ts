import assert from 'node:assert/strict';
import type { Host, LabUser } from './lab.ts';
import type { Terminal } from './pty.ts';
import { until } from './run.ts';
import { type Asked, eventsBecome } from './world.ts';

/** A shell with jobs that says nothing of its own. */
export const SHELL = ['bash', '--norc', '--noprofile', '-i'] as const;

/** Process ids of the sudo that was started with these words. @param sudo the name that was typed */
export async function sudoPids(host: Host, words: string, sudo = 'sudo'): Promise<string[]> {
  const found = await host.exec(['pgrep', '-x', '-f', `${sudo} ${words}`]);
  return found.stdout.split('\n').filter((pid) => pid !== '');
}

/** The request is over on the server, and nobody on the host works on it any more: not `sudo touch <file>` either. */
export async function gone(request: Asked, host: Host, file: string, sudo = 'sudo'): Promise<void> {
  await eventsBecome(request, ['challenge_created', 'challenge_cancelled']);
  assert.equal(request.row().status, 'cancelled');
  await until('the end of sudo', async () => (await sudoPids(host, `touch ${file}`, sudo)).length === 0);
  assert.equal(host.exists(file), false);
}

/** The program in the foreground gets what is typed, also the key that would cancel a sudo there. */
export async function foregroundReadsKeys(terminal: Terminal, host: Host, user: LabUser): Promise<void> {
  terminal.type('cat\r');
  await until('cat', async () => (await host.exec(['pgrep', '-u', user, '-x', 'cat'])).code === 0);
  terminal.type('typed for cat\r');
  await terminal.see(/typed for cat\s+typed for cat/);
  terminal.type('\x03');
  await terminal.see(/\^C\s+\S*\$ $/);
}
