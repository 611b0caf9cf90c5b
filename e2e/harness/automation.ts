import { writeFile } from 'node:fs/promises';
import { CLASSIC_SUDOS } from './classic-sudos.ts';
import type { Host } from './lab.ts';
import { must, until } from './run.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

/** A gated host `web1.example.com` and a machine from which Alice reaches it with a key, as in docs/automation.md. */
export interface AutomationWorld {
  world: World;
  /** The gated host. */
  host: Host;
  /** Where Alice sits: neither enrolled nor gated. */
  desk: Host;
  /** Files on the machine of the tests: a configuration for ssh that reaches the host as Alice. */
  sshConfig: string;
}

const SSH = `mkdir -p /home/alice/.ssh
ssh-keygen -q -t ed25519 -N '' -f /home/alice/.ssh/id_ed25519
chown -R alice:alice /home/alice/.ssh`;

/** Where the pages about automation are tried: on Debian 12, and on Debian 13 too in the long form. */
export const AUTOMATION_SUDOS = CLASSIC_SUDOS.filter(
  ([, , debian]) => debian === 'bookworm' || process.env.IDENTREE_LONG === '1',
);

/** Boots both; the account `deploy` on the host accepts Alice's key too, as one of a CI job. */
export async function openAutomationWorld({
  debian = 'bookworm',
  ...options
}: WorldOptions & { debian?: 'bookworm' | 'trixie' }): Promise<AutomationWorld> {
  const world = await openWorld({ ...options, hosts: [], sudo: options.sudo ?? 'plugin' });
  try {
    const host = await world.addHost('web1', { suite: debian });
    const desk = await world.lab.up('desk', { suite: debian });
    await desk.sh(SSH);
    const key = await desk.read('/home/alice/.ssh/id_ed25519.pub');
    await host.sh('useradd --create-home --shell /bin/bash deploy');
    for (const account of ['alice', 'deploy']) {
      await host.write(`/home/${account}/.ssh/authorized_keys`, key, 0o600);
      await host.sh(`chmod 700 /home/${account}/.ssh; chown -R ${account}:${account} /home/${account}/.ssh`);
    }
    await desk.write('/etc/hosts', `${await desk.read('/etc/hosts')}${host.address} web1.example.com\n`);
    const known = await until('sshd', async () => {
      return (await desk.exec(['ssh-keyscan', '-t', 'ed25519', 'web1.example.com'])).stdout;
    });
    await desk.write('/etc/ssh/ssh_known_hosts', known);
    await must('install', ['-m', '600', `${desk.root}/home/alice/.ssh/id_ed25519`, `${world.lab.dir}/key`]);
    return { world, host, desk, sshConfig: await writeSshConfig(world, host, 'alice') };
  } catch (error) {
    await world.close();
    throw error;
  }
}

/** A configuration for ssh on the machine of the tests, which reaches a host as `web1.example.com` with the key in the lab's folder. */
export async function writeSshConfig(world: World, host: Host, account: string): Promise<string> {
  const file = `${world.lab.dir}/ssh_config`;
  const lines = [
    'Host web1.example.com',
    `HostName ${host.address}`,
    `User ${account}`,
    `IdentityFile ${world.lab.dir}/key`,
    'IdentitiesOnly yes',
    'StrictHostKeyChecking no',
    'UserKnownHostsFile /dev/null',
    'LogLevel ERROR',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}
