import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostRecord } from '#shared/decision.ts';
import { forgetful } from '../directory/sssd-conf.ts';
import { ANSIBLE_PLAYBOOK, installAnsible } from '../harness/ansible.ts';
import { AUTOMATION_SUDOS, type AutomationWorld, openAutomationWorld, writeSshConfig } from '../harness/automation.ts';
import { type DirectoryWorld, group, openDirectoryWorld, SERVICE, startSssd, user } from '../harness/directory.ts';
import { readExamples } from '../harness/examples.ts';
import type { Host } from '../harness/lab.ts';
import { granted, pendingCode } from '../harness/person.ts';
import { must, type RunResult, run, until } from '../harness/run.ts';
import { agentReady, skip as noLab, type World } from '../harness/world.ts';

const examples = await readExamples('docs/automation.md');
const skip = noLab || ((await installAnsible()) ?? false);

/** Writes what a playbook needs, as the page has it. */
async function layOutPlaybook(world: World): Promise<string> {
  const folder = join(world.lab.dir, 'playbook');
  await mkdir(folder);
  for (const [file, name] of [
    ['ansible.cfg', 'ansible-cfg'],
    ['hosts.ini', 'ansible-inventory'],
    ['site.yml', 'ansible-playbook'],
  ] as const)
    await writeFile(join(folder, file), examples.text(name));
  return folder;
}

function playbook(folder: string, sshConfig: string): Promise<RunResult> {
  const [command, ...args] = examples.text('ansible-run').trim().split(' ');
  assert.equal(command, 'ansible-playbook');
  const [program, ...first] = ANSIBLE_PLAYBOOK;
  return run(program!, [...first, ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH ?? '/usr/bin:/bin',
      HOME: folder,
      LANG: 'C.UTF-8',
      // Only how the lab's host is reached.
      ANSIBLE_SSH_ARGS: `-F ${sshConfig}`,
    },
  });
}

/** The code of the first request of a playbook; fails when it ends without one. */
const firstCode = (world: World, running: Promise<RunResult>, by: string): Promise<string> =>
  Promise.race([
    pendingCode(world.server, by),
    running.then((early) => assert.fail(`ended without a request: ${early.stdout}${early.stderr}`)),
  ]);

for (const [version, , debian] of AUTOMATION_SUDOS)
  describe(`Ansible with the documented settings, sudo ${version}`, { concurrency: false }, () => {
    let lab: AutomationWorld;
    let folder: string;
    before(async () => {
      if (skip) return;
      lab = await openAutomationWorld({ people: ['alice'], debian });
      folder = await layOutPlaybook(lab.world);
    });
    after(() => lab?.world.close());

    const play = () => playbook(folder, lab.sshConfig);
    const requests = (): number => lab.world.server.data.challenges().length;

    test('become fails at once where sudo -n may not wait', { skip }, async () => {
      const result = await play();
      assert.notEqual(result.code, 0);
      assert.match(`${result.stdout}${result.stderr}`.replace(/\s+/g, ' '), /sudo -n does not wait/);
      assert.equal(requests(), 0);
    });

    /** Approves every request of a playbook until it ends, and gives how many there were. */
    async function approving(running: Promise<RunResult>, code: string): Promise<[RunResult, number]> {
      const before = requests() - 1;
      let ended = false;
      const result = running.finally(() => {
        ended = true;
      });
      granted(await lab.world.person('alice').approve(code));
      await until('the end of the playbook', async () => {
        const next = lab.world.server.data.challenges().find(({ status }) => status === 'pending');
        if (next) granted(await lab.world.person('alice').approve(next.user_code));
        return ended;
      });
      return [await result, requests() - before];
    }

    test('become waits for the approval, and the task is done', { skip }, async () => {
      await lab.host.sh(examples.text('host-ask'));
      await agentReady(lab.host);
      const running = play();
      const code = await firstCode(lab.world, running, 'alice');
      // Longer than Ansible waits by itself: ten seconds, and two.
      const asked = lab.world.server.data.challenge(code)!.created_at;
      await until('a wait that Ansible would not have had by itself', () => Date.now() - asked > 15_000);
      assert.equal(await lab.host.exec(['grep', '-c', 'Served', '/etc/motd']).then(({ stdout }) => stdout), '0\n');
      const [result, count] = await approving(running, code);
      assert.equal(result.code, 0, result.stdout + result.stderr);
      assert.match(result.stdout, /changed=1 .*failed=0/);
      assert.doesNotMatch(
        result.stdout + result.stderr,
        /approve\//,
        'the link is for the console only, as the page says',
      );
      assert.match(await lab.host.read('/etc/motd'), /^Served by identree$/m);
      assert.equal(count, 1);
    });

    test('copy is two requests, as the page says', { skip }, async () => {
      const task = '- hosts: web\n  gather_facts: false\n  tasks:\n    - ansible.builtin.copy:\n';
      const values = '        content: copied\n        dest: /srv/copied\n      become: true\n';
      await writeFile(join(folder, 'site.yml'), task + values);
      const running = play();
      const [result, count] = await approving(running, await firstCode(lab.world, running, 'alice'));
      assert.equal(result.code, 0, result.stdout + result.stderr);
      assert.equal(await lab.host.read('/srv/copied'), 'copied');
      assert.equal(count, 2);
    });
  });

describe('Ansible under the PAM stage, where the rule of the directory carries noninteractive_auth', () => {
  let world: DirectoryWorld;
  let host: Host;
  let play: () => Promise<RunResult>;
  before(async () => {
    if (skip) return;
    world = await openDirectoryWorld({
      hosts: [],
      people: ['bea'],
      sudo: 'pam',
      content: {
        users: [user('bea')],
        groups: [group('deployers', ['bea'], { sudoCommands: 'ALL', sudoOptions: 'noninteractive_auth' })],
      },
      env: {
        IDENTREE_LDAP_BIND_DN: SERVICE.dn,
        IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
        IDENTREE_LDAP_ACCESS_DEFAULT: 'allow',
      },
    });
    host = await world.addHost('web1');
    await startSssd(host, forgetful());
    const key = join(world.lab.dir, 'key');
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await host.write('/home/bea/.ssh/authorized_keys', await readFile(`${key}.pub`, 'utf8'), 0o600);
    await host.sh('chmod 700 /home/bea/.ssh; chown -R bea: /home/bea');
    const folder = await layOutPlaybook(world);
    const sshConfig = await writeSshConfig(world, host, 'bea');
    play = () => playbook(folder, sshConfig);
  });
  after(() => world?.close());

  test('become waits for the approval, and the task is done', { skip }, async () => {
    const running = play();
    const code = await firstCode(world, running, 'bea');
    assert.equal(world.server.data.challenge(code)?.status, 'pending');
    assert.doesNotMatch(await host.read('/etc/motd'), /Served by identree/);
    granted(await world.person('bea').approve(code));
    const result = await running;
    assert.equal(result.code, 0, result.stdout + result.stderr);
    assert.match(result.stdout, /changed=1 .*failed=0/);
    assert.match(await host.read('/etc/motd'), /^Served by identree$/m);
    const records = world.server.data.challenges().map(({ record }) => hostRecord.parse(JSON.parse(record)));
    assert.deepEqual(
      records.map(({ user: name, gate }) => [name, gate]),
      [['bea', 'pam']],
    );
  });
});
