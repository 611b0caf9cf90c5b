import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Host, type Lab, localTerminal } from './lab.ts';
import type { Terminal } from './pty.ts';
import { must } from './run.ts';

/**
 * Has sshd of a host let bob in by a key of his, and ask PAM besides.
 *
 * @returns runs a command as bob over ssh, on a terminal
 */
export async function letBobIn(lab: Lab, host: Host): Promise<(command: string) => Promise<Terminal>> {
  const key = join(lab.dir, `${host.name}-key`);
  await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  await host.write('/home/bob/.ssh/authorized_keys', await readFile(`${key}.pub`, 'utf8'), 0o600);
  await host.write(
    '/etc/ssh/sshd_config.d/10-lab.conf',
    'Match User bob\n  AuthenticationMethods publickey,keyboard-interactive:pam\n',
  );
  await host.sh('chown -R bob:bob /home/bob/.ssh; chmod 700 /home/bob/.ssh; sshd -t; systemctl reload ssh');
  return (command) =>
    localTerminal([
      'ssh',
      ...['-tt', '-F', 'none', '-i', key, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      ...['-o', 'LogLevel=ERROR', '-o', 'IdentitiesOnly=yes', '-o', 'NumberOfPasswordPrompts=1'],
      ...[`bob@${host.address}`, command],
    ]);
}
