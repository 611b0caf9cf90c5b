import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileSystem, makeBare } from '../harness/bare-host.ts';
import { readExamples } from '../harness/examples.ts';
import type { Host } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import { must, type RunResult, until } from '../harness/run.ts';
import { ask, gate, mark, openWorld, repository, skip, type World } from '../harness/world.ts';

const examples = await readExamples('docs/hosts.md');

/** Takes rules, lists and tells as auditctl does, in place of a kernel. */
const AUDITCTL = ['#!/bin/sh', 'case $1 in -R) cp "$2" /run/rules ;; -l) cat /run/rules ;; -s) echo enabled 1 ;; esac']
  .map((line) => `'${line}'`)
  .join(' ');

/** What setup may write, byte for byte. */
const files = (host: Host): Promise<string> =>
  host.sh(
    'for f in /etc/sudo.conf /etc/sudoers /etc/sudoers.d/* /etc/pam.d/sudo /etc/pam.d/sudo-i; do echo "$f"; cat "$f"; done 2>&1',
  );

describe('the page about hosts, from the first line to the way back', { concurrency: false }, () => {
  let world: World;
  let host: Host;
  let original: string;
  let untouched: string[];
  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: [], people: ['alice', 'olga'], env: { IDENTREE_CLIENT_TIMEOUT: '10m' } });
    host = await world.lab.up('web1');
    await makeBare(host);
    await host.write('/etc/sudoers.d/cloud', 'carol ALL=(ALL) NOPASSWD:ALL\n', 0o440);
    original = await files(host);
    untouched = await fileSystem(host);
  });
  after(() => world?.close());

  const asRoot = (name: string, more = ''): Promise<RunResult> =>
    host.exec(['bash', '-c', `${examples.text(name).trimEnd()}${more}`]);

  test('installed from what the page packs, and enrolled under the name that it says', { skip }, async () => {
    const archive = join(world.lab.dir, 'identree.tgz');
    await must('bash', ['-ec', examples.text('pack').replace('identree.tgz', archive)], { cwd: repository });
    await host.write('/root/new/identree.tgz', await readFile(archive));
    assert.ok(examples.text('install').includes(`IDENTREE_SERVER_URL=${world.server.url} `), 'the server of the lab');
    await host.sh(`cd /root/new; ${examples.text('install')}`);
    const [, words = ''] = /^npm run --silent server -- (.*)$/m.exec(examples.text('token')) ?? [];
    const { stdout } = await world.server.cli(words.split(' '));
    const short = await host.exec(['identree', 'enroll'], { input: stdout });
    assert.notEqual(short.code, 0, 'the short name is another one');
    const enrolled = await host.exec(['bash', '-ec', examples.text('enroll')], { input: stdout });
    assert.equal(enrolled.code, 0, enrolled.stdout + enrolled.stderr);
    assert.match(enrolled.stdout, /Enrolled as web1\.example\.com/);
    await until('a doctor without a complaint', async () => (await asRoot('doctor')).code === 0);
  });

  test('--dry-run shows the lines and changes nothing', { skip }, async () => {
    const result = await asRoot('setup', ' --dry-run');
    assert.equal(result.code, 0, result.stdout + result.stderr);
    assert.match(result.stdout, /\+ Plugin identree_audit/);
    assert.equal(await files(host), original);
  });

  test('setup takes the plugin and says why, and what it writes is what the page says', { skip }, async () => {
    const result = await asRoot('setup');
    assert.equal(result.code, 0, result.stdout + result.stderr);
    assert.match(result.stdout, /The plugin in sudo asks: sudo 1\.9\.\S+ says itself what it will run\./);
    const sudoers = await host.read('/etc/sudoers.d/identree');
    assert.match(sudoers, /^Defaults timestamp_timeout=0, passwd_tries=1\nDefaults noninteractive_auth$/m);
    assert.equal((await host.read('/etc/sudo.conf')).match(/^Plugin identree_/gm)?.length, 2);
    for (const service of ['sudo', 'sudo-i'])
      assert.match(await host.read(`/etc/pam.d/${service}`), /pam_identree\.so sudo$/m);
    const again = await asRoot('setup');
    assert.match(again.stdout, /nothing changes/);
  });

  test('who comes in anew confirms it', { skip }, async () => {
    assert.match((await asRoot('doctor')).stdout, /^Setup +waits to be confirmed\n +At .* is put back/m);
    const result = await asRoot('confirm');
    assert.equal(result.code, 0, result.stdout + result.stderr);
    assert.equal((await asRoot('doctor')).code, 0);
  });

  test('rules of auditd that the kernel does not take are taken back; those that it takes stay', { skip }, async () => {
    const audit = () => host.sh('find /etc/audit -type f -exec sha256sum {} + | sort -k2');
    const before = await audit();
    // The kernel lets no container set rules.
    const refused = await asRoot('auditd');
    assert.equal(refused.code, 1, refused.stdout + refused.stderr);
    assert.match(refused.stdout, /augenrules does not load the rules|auditd did not take the rules/);
    assert.equal(await audit(), before);
    await host.sh(`printf '%s\\n' ${AUDITCTL} >/run/auditctl; chmod 755 /run/auditctl
      mount --bind /run/auditctl "$(readlink -f /sbin/auditctl)"`);
    const taken = await asRoot('auditd');
    assert.equal(taken.code, 0, taken.stdout + taken.stderr);
    assert.match(await host.sh('cat /run/rules'), /^-a always,exit -F path=\/etc\/identree-breakglass -F perm=r /m);
    assert.match((await asRoot('auditd')).stdout, /nothing changes/);
  });

  test('a script that is meant for another host does nothing', { skip }, async () => {
    const before = await files(host);
    const other = await asRoot('setup', ' --hostname web2.example.com');
    assert.equal(other.code, 1);
    assert.match(other.stderr, /enrolled as web1\.example\.com, not as web2\.example\.com\. Nothing is changed/);
    assert.equal(await files(host), before);
  });

  test('from one gate to the other and back', { skip }, async () => {
    const before = await files(host);
    const pam = await asRoot('setup', ' --sudo pam --no-confirm');
    assert.equal(pam.code, 0, pam.stdout + pam.stderr);
    assert.match(pam.stdout, /The PAM stage asks for sudo, as --sudo pam says/);
    assert.equal((await asRoot('version')).stdout, '');
    assert.doesNotMatch(await host.read('/etc/sudoers.d/identree'), /noninteractive_auth/);
    assert.match((await asRoot('doctor')).stdout, /the PAM stage asks/);
    const plugin = await asRoot('setup', ' --sudo plugin --no-confirm');
    assert.equal(plugin.code, 0, plugin.stdout + plugin.stderr);
    assert.equal(await files(host), before);
  });

  test('sudo -V names the plugin as the page does', { skip }, async () => {
    const shown = (await asRoot('version')).stdout.replace(/build [0-9a-f]{8,}$/gm, 'build …');
    assert.equal(shown, examples.text('version-shows'));
  });

  test('identree doctor says who asks, and what is missing', { skip }, async () => {
    const good = await asRoot('doctor');
    assert.equal(good.code, 0, good.stdout + good.stderr);
    const lines = (text: string): string[] => text.split('\n').map((one) => one.trim().replace(/\s+/g, ' '));
    for (const example of ['doctor-shows', 'settings-show'])
      for (const line of lines(examples.text(example).trim()))
        assert.ok(lines(good.stdout).includes(line), good.stdout);
    const conf = await host.read('/etc/sudo.conf');
    await host.write('/etc/sudo.conf', conf.replace(/^Plugin identree_approval.*\n/m, ''));
    const bad = await asRoot('doctor');
    assert.equal(bad.code, 1);
    assert.match(bad.stdout, /sudo\.conf lacks: Plugin identree_approval/);
    await host.write('/etc/sudo.conf', conf);
  });

  test('NOPASSWD is found as the page says, and is asked for under the plugin', { skip }, async () => {
    assert.match((await asRoot('nopasswd')).stdout, /^\/etc\/sudoers\.d\/cloud:1:carol/m);
    const file = mark();
    const request = await ask(world, host, 'carol', ['sudo', 'touch', file]);
    assert.equal(host.exists(file), false);
    granted(await world.person('olga').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    assert.equal(host.exists(file), true);
  });

  test('a host whose plugin is gone refuses every sudo, and undo mends it without server or agent', {
    skip,
  }, async () => {
    await host.sh('systemctl stop identree-agent; mv /usr/lib/identree/identree_sudo.so /root/');
    const refused = await host.as('carol', ['sudo', 'id', '-u']);
    assert.notEqual(refused.code, 0);
    assert.equal(refused.stdout, '');
    const result = await asRoot('undo');
    assert.equal(result.code, 0, result.stdout + result.stderr);
    assert.equal(await files(host), original);
    const { code, stdout } = await host.as('carol', ['sudo', 'id', '-u']);
    assert.deepEqual([code, stdout], [0, '0\n'], 'the rule counts as it did before');
  });

  test('uninstall takes everything away: the file system is as it was before identree', { skip }, async () => {
    await host.sh('mv /root/identree_sudo.so /usr/lib/identree/');
    await host.sh('systemctl start identree-agent');
    await gate(host, 'sudo,sudo-i', 'plugin');
    assert.equal((await asRoot('auditd')).code, 0);
    assert.equal((await asRoot('setup', ' --sudo pam')).code, 0, 'and a change that waits to be confirmed');
    const dry = await asRoot('uninstall', ' --dry-run');
    assert.equal(dry.code, 0, dry.stdout + dry.stderr);
    assert.equal(host.exists('/usr/bin/identree'), true);
    const result = await asRoot('uninstall');
    assert.equal(result.code, 0, result.stdout + result.stderr);
    await host.sh('umount "$(readlink -f /sbin/auditctl)"');
    const left = await fileSystem(host);
    const [now, then] = [new Set(left), new Set(untouched)];
    assert.deepEqual(
      { gone: untouched.filter((line) => !now.has(line)), new: left.filter((line) => !then.has(line)) },
      { gone: [], new: [] },
    );
  });

  test('no example of the page is left out', { skip }, () => assert.deepEqual(examples.untried(), []));
});
