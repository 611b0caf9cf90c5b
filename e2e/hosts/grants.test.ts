import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { parseSudoers } from '../../agent/src/grants/sudoers/parse.ts';
import { rowsOfEntries, rowsOfSudo, sudoersFile } from '../../agent/src/testing/sudoers-oracle.ts';
import { type Host, type Lab, openLab } from '../harness/lab.ts';
import { skip } from '../harness/world.ts';

const doctor = async (host: Host): Promise<string> => {
  const { stdout } = await host.exec(['identree', 'doctor'], { timeoutMs: 60_000 });
  return stdout.slice(stdout.indexOf('What this host grants besides'));
};

/** What `sudo -n` comes to: it never asks, so it runs only what needs no password. */
const runsUnasked = async (host: Host, user: 'alice' | 'bob' | 'carol' | 'dave'): Promise<boolean> =>
  (await host.as(user, ['sudo', '-n', 'true'])).code === 0;

describe('what a real host grants besides', () => {
  let lab: Lab;
  let host: Host;
  before(async () => {
    if (skip) return;
    lab = await openLab();
    host = await lab.up('web1');
  });
  after(() => lab?.close());

  test('files made at random: who, what and with which password as the host’s own cvtsudoers says', {
    skip,
  }, async () => {
    const samples = fc.sample(sudoersFile, 60);
    for (const [index, text] of samples.entries()) await host.write(`/srv/sudoers/${index}`, text, 0o440);
    const printed = await host.sh(
      'cd /srv/sudoers; for file in $(ls | sort -n); do cvtsudoers -f json "$file" 2>/dev/null; printf "\\036"; done',
    );
    const said = printed.split('\x1e').slice(0, -1);
    assert.equal(said.length, samples.length);
    for (const [index, text] of samples.entries())
      assert.deepEqual(rowsOfEntries(parseSudoers(text)), rowsOfSudo(said[index]!), text);
  });

  test('only the rules that the lab made, and nobody without a password', { skip }, async () => {
    const said = await doctor(host);
    for (const person of ['alice', 'bob', 'dave'])
      assert.match(
        said,
        new RegExp(`^ {6}${person}: any command as any user \\(sudo, /etc/sudoers\\.d/lab-people:\\d\\)$`, 'm'),
      );
    assert.doesNotMatch(said, /^ {4}! (alice|bob|carol|dave)/m);
    assert.doesNotMatch(said, /^ {4}\?/m, 'nothing that the distribution ships is unreadable');
    assert.doesNotMatch(said, /carol/);
    for (const person of ['alice', 'bob', 'carol', 'dave'] as const)
      assert.equal(await runsUnasked(host, person), false);
  });

  test('whom sudo asks nothing is whom doctor marks, with file and line', { skip }, async () => {
    await host.write(
      '/etc/sudoers.d/zy-cloud-init-users',
      '# made by cloud-init\n\nbob ALL=(ALL) NOPASSWD:ALL\n',
      0o440,
    );
    await host.write('/etc/sudoers.d/dave.conf', 'carol ALL=(ALL) NOPASSWD:ALL\n', 0o440);
    await host.write('/etc/sudoers.d/dave', 'User_Alias OPS = \\\n  dave\nDefaults:OPS !authenticate\n', 0o440);
    await host.write('/etc/sudoers.d/zz-broken', 'alice ALL=(ALL NOPASSWD:ALL\n', 0o440);
    const said = await doctor(host);
    assert.match(said, /^ {4}! bob: any command as any user \(sudo, \/etc\/sudoers\.d\/zy-cloud-init-users:3\)$/m);
    assert.match(said, /^ {4}! dave: what sudo rules allow them \(sudo, \/etc\/sudoers\.d\/dave:3\)$/m);
    assert.match(said, /^ {4}! dave: any command as any user \(sudo, \/etc\/sudoers\.d\/lab-people:\d\)$/m);
    assert.match(said, /^ {4}\? \/etc\/sudoers\.d\/zz-broken:1: Not a sudoers entry\. .*sudo -l/m);
    assert.doesNotMatch(said, /carol/, 'a file with a dot in its name sudo leaves out');
    const unasked = { alice: false, bob: true, carol: false, dave: true } as const;
    for (const [person, runs] of Object.entries(unasked))
      assert.equal(await runsUnasked(host, person as keyof typeof unasked), runs, person);
  });

  test('which gate it has changes what is said of NOPASSWD', { skip }, async () => {
    assert.match(await doctor(host), /Without a password, and with no request to identree/);
    await host.write('/etc/sudo.conf', 'Plugin identree_approval /usr/lib/identree/identree_sudo.so\n', 0o644);
    assert.match(await doctor(host), /Without a password, and asked by identree all the same/);
    await host.remove('/etc/sudo.conf');
  });

  test('su that trusts a group, and a member of docker', { skip }, async () => {
    await host.sh('groupadd -f docker; usermod -aG docker carol; groupadd -f trusted; usermod -aG trusted alice');
    await host.sh('sed -i "1i auth sufficient pam_wheel.so trust group=trusted" /etc/pam.d/su');
    const said = await doctor(host);
    assert.match(said, /^ {4}! carol: root on this host, through a container.* \(\/etc\/group:\d+\)$/m);
    assert.match(said, /^ {4}! group trusted: becomes any user with su \(\/etc\/pam\.d\/su:1\)$/m);
    assert.equal((await host.as('alice', ['su', '-c', 'id -u'])).stdout, '0\n', 'and su asks nothing');
    assert.notEqual((await host.as('bob', ['su', '-c', 'id -u'])).code, 0);
  });
});
