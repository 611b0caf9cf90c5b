import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AUTOMATION_SUDOS, type AutomationWorld, openAutomationWorld } from '../harness/automation.ts';
import { readExamples } from '../harness/examples.ts';
import { granted, pendingCode } from '../harness/person.ts';
import type { RunResult } from '../harness/run.ts';
import type { PolicyRuleInput } from '../harness/server.ts';
import { agentReady, skip } from '../harness/world.ts';

const examples = await readExamples('docs/automation.md');

/** How often cron has been restarted: a restart is what the examples ask for. */
const RESTARTS = ['systemctl', 'show', '--property=MainPID', '--value', 'cron'];

for (const [version, , debian] of AUTOMATION_SUDOS)
  describe(`the page about automation, as printed, sudo ${version}`, { concurrency: false }, () => {
    let lab: AutomationWorld;
    before(async () => {
      if (skip) return;
      const { policies } = JSON.parse(examples.text('robot-policy')) as { policies: PolicyRuleInput[] };
      lab = await openAutomationWorld({ people: ['alice'], policy: policies, debian });
      await lab.host.write('/etc/sudoers.d/deploy', examples.text('robot-sudoers'), 0o440);
    });
    after(() => lab?.world.close());

    const byAlice = (script: string, cwd = '/home/alice'): Promise<RunResult> =>
      lab.desk.as('alice', ['bash', '-ec', script], { cwd });
    const requests = (): number => lab.world.server.data.challenges().length;
    const cronPid = async (): Promise<string> => (await lab.host.exec(RESTARTS)).stdout;

    /** Runs an example and approves the one request that mentions `word`. */
    async function approved(name: string, word: string, cwd?: string): Promise<RunResult> {
      const before = requests();
      const running = byAlice(examples.text(name), cwd);
      const code = await Promise.race([
        pendingCode(lab.world.server, 'alice', word),
        running.then((early) => assert.fail(`ended without a request: ${early.code} ${early.stderr}`)),
      ]);
      granted(await lab.world.person('alice').approve(code));
      const result = await running;
      assert.equal(result.code, 0, result.stderr);
      assert.equal(requests(), before + 1, 'one request for the whole of it');
      assert.match(result.stderr, new RegExp(`approve/${code}`), 'the link reaches whoever waits');
      return result;
    }

    test('output over ssh holds the command’s bytes alone', { skip }, async () => {
      const { stdout } = await approved('output', 'tar');
      assert.equal(stdout, '');
      assert.match(await lab.desk.sh('tar tzf /home/alice/ssh.tgz'), /^ssh\/sshd_config$/m);
    });

    test('rsync writes as root what was there, byte for byte', { skip }, async () => {
      await lab.host.sh('mkdir -p /srv/www');
      await byAlice('mkdir -p site/deep; head -c 3000000 /dev/urandom > site/deep/blob; printf "a\\0b" > site/index');
      await approved('rsync', 'rsync');
      const sums = 'cd "$0" && find . -type f -exec sha256sum {} + | sort';
      const [sent, came] = await Promise.all([
        lab.desk.exec(['sh', '-c', sums, '/home/alice/site']),
        lab.host.exec(['sh', '-c', sums, '/srv/www']),
      ]);
      assert.equal(came.stdout, sent.stdout);
      assert.equal(sent.stdout.split('\n').length, 3);
    });

    test('git clones, commits and pushes over ssh with sudo', { skip }, async () => {
      await lab.host.sh(`export HOME=/root; git init --quiet --bare /srv/config.git; git clone --quiet /srv/config.git /root/first
      cd /root/first; echo first > settings; git add settings
      git -c user.name=root -c user.email=root@example.com commit --quiet -m first; git push --quiet origin HEAD
      chmod -R go= /srv/config.git`);
      await approved('git-clone', 'git-upload-pack');
      await approved('git-push', 'git-receive-pack');
      const log = await lab.host.sh(
        'git -C /srv/config.git log --format=%s; git -C /srv/config.git show HEAD:settings',
      );
      assert.equal(log, 'More connections\nfirst\nfirst\nmax_connections = 200\n');
    });

    test('sudo -n in a script fails at once, says why, and asks nobody', { skip }, async () => {
      const [before, pid] = [requests(), await cronPid()];
      const result = await lab.host.as('alice', ['bash', '-ec', examples.text('script')]);
      assert.equal(result.code, 75);
      assert.match(result.stderr.replace(/\s+/g, ' '), /sudo -n does not wait.* not restarted/);
      assert.equal(result.stdout, '');
      assert.equal(requests(), before);
      assert.equal(await cronPid(), pid);
    });

    test('[W-22] [E-P7] a robot does by itself the one thing that it may, and nothing else', { skip }, async () => {
      const pid = await cronPid();
      const result = await byAlice(examples.text('robot-ci'));
      assert.equal(result.code, 0, result.stderr);
      assert.notEqual(await cronPid(), pid);
      const before = requests();
      for (const command of ['/usr/bin/systemctl stop cron', '/usr/bin/id', '-i']) {
        const other = await byAlice(`ssh deploy@web1.example.com sudo -n ${command}`);
        assert.equal(other.code, 1, command);
        assert.doesNotMatch(other.stdout, /uid=0/);
      }
      assert.equal(requests(), before, 'what sudoers refuses is no request');
      const noted = lab.world.server.data.events().filter(({ username }) => username === 'deploy');
      assert.ok(noted.length > 0, 'what ran without a person is in the log');
    });

    test('the line for cron, run as cron runs it', { skip }, async () => {
      const line = /^(?:\S+ ){5}(\S+) (.*)$/m.exec(examples.text('robot-cron'));
      assert.ok(line);
      const [, account = '', command = ''] = line;
      const pid = await cronPid();
      // No terminal, a session of its own, and hardly any environment.
      const result = await lab.host.exec([
        ...['setsid', '--wait', 'env', '-i', 'PATH=/usr/bin:/bin', 'SHELL=/bin/sh', `LOGNAME=${account}`],
        ...['setpriv', `--reuid=${account}`, `--regid=${account}`, '--init-groups', '/bin/sh', '-c', command],
      ]);
      assert.equal(result.code, 0, result.stderr);
      assert.equal(result.stdout + result.stderr, '', 'cron would send it by mail');
      assert.notEqual(await cronPid(), pid);
      assert.match(await lab.host.sh('journalctl --sync; journalctl --no-pager -t deploy'), /Approved by policy/);
    });

    test('a host that wants passkeys refuses what only a policy has approved', { skip }, async () => {
      const settings = await lab.host.read('/etc/identree/client.conf');
      const set = async (text: string): Promise<void> => {
        await lab.host.write('/etc/identree/client.conf', text, 0o600);
        await lab.host.sh('systemctl restart identree-agent');
        await agentReady(lab.host);
      };
      const pid = await cronPid();
      await set(`${settings}IDENTREE_MINIMUM_CLASS=passkey\n`);
      const result = await byAlice(examples.text('robot-ci'));
      assert.equal(result.code, 1, result.stderr);
      assert.equal(await cronPid(), pid);
      await set(settings);
    });

    test('a host that lets sudo -n wait: it waits for the approval', { skip }, async () => {
      await lab.host.sh(examples.text('host-ask'));
      await agentReady(lab.host);
      const pid = await cronPid();
      const running = lab.host.as('alice', ['bash', '-ec', examples.text('script')]);
      const code = await pendingCode(lab.world.server, 'alice', 'systemctl');
      assert.equal(await cronPid(), pid);
      granted(await lab.world.person('alice').approve(code));
      const result = await running;
      assert.equal(result.code, 0, result.stderr);
      assert.notEqual(await cronPid(), pid);
    });
  });

describe('the page about automation, under the PAM stage', { concurrency: false }, () => {
  let lab: AutomationWorld;
  before(async () => {
    if (!skip) lab = await openAutomationWorld({ people: ['alice'], sudo: 'pam' });
  });
  after(() => lab?.world.close());

  test('sudo -n is refused by sudo itself, until sudoers lets it come as far as the stage', { skip }, async () => {
    const command = ['sudo', '-n', 'id', '-u'];
    const refused = await lab.host.as('alice', command);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /a password is required/);
    await lab.host.write('/etc/sudoers.d/robots', examples.text('pam-noninteractive'), 0o440);
    const running = lab.host.as('alice', command);
    const code = await pendingCode(lab.world.server, 'alice', 'id');
    granted(await lab.world.person('alice').approve(code));
    const result = await running;
    assert.deepEqual([result.code, result.stdout], [0, '0\n'], result.stderr);
  });

  test('a rule with NOPASSWD runs without a request', { skip }, async () => {
    await lab.host.write('/etc/sudoers.d/robots', 'deploy ALL=(root) NOPASSWD: /usr/bin/id\n', 0o440);
    const before = lab.world.server.data.challenges().length;
    const result = await lab.desk.as('alice', ['ssh', 'deploy@web1.example.com', 'sudo id -u']);
    assert.deepEqual([result.code, result.stdout], [0, '0\n'], result.stderr);
    assert.equal(lab.world.server.data.challenges().length, before);
  });
});

test('no example of the page is left out', { skip }, () => {
  assert.deepEqual(
    examples.untried().filter((name) => !name.startsWith('ansible-')),
    [],
  );
});
