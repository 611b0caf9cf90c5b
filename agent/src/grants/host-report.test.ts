import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostReport, MAX_REPORT_BYTES } from '#shared/host-api.ts';
import { createHostTree } from '../testing/host-tree.ts';
import { readHostReport } from './host-report.ts';

async function reported(files: Record<string, string>) {
  await using host = await createHostTree(files);
  const report = await readHostReport(host.root, []);
  assert.deepEqual(hostReport.parse(report), report, 'as the server reads it');
  assert.deepEqual(await readHostReport(host.root, []), report, 'the same files, the same report');
  return report;
}

describe('what a host says of itself', () => {
  it('names and numbers that its files give power to, wherever they stand, with file and line', async () => {
    const { grants, cut } = await reported({
      '/etc/sudoers': '@includedir /etc/sudoers.d\n',
      '/etc/sudoers.d/google_sudoers': '# made by the guest agent\n%google-sudoers ALL=(ALL:ALL) NOPASSWD:ALL\n',
      '/etc/sudoers.d/z': 'User_Alias OPS = ann, #1234, %#77\nOPS ALL=(root) /bin/id\nALL ALL=(root) /bin/true\n',
      '/etc/doas.conf': 'permit nopass :fleet\n',
      '/etc/pam.d/su': 'auth sufficient pam_wheel.so trust group=staffers\n',
      '/etc/group': 'root:x:0:\ndocker:x:999:\nusers:x:100:\n',
    });
    const said = grants.map(({ type, name, file, line }) => `${type} ${name} ${file}:${line}`).sort();
    assert.deepEqual(said, [
      'gid 77 /etc/sudoers.d/z:2',
      'group docker /etc/group:2',
      'group fleet /etc/doas.conf:1',
      'group google-sudoers /etc/sudoers.d/google_sudoers:2',
      'group staffers /etc/pam.d/su:1',
      'uid 1234 /etc/sudoers.d/z:2',
      'user ann /etc/sudoers.d/z:2',
    ]);
    assert.equal(cut, false);
  });

  it('local accounts but root, what could not be read, and what is odd at the gate', async () => {
    const report = await reported({
      '/etc/passwd': 'root:x:0:0::/root:/bin/sh\ndeploy:x:1000:1000::/home/deploy:/bin/sh\n\nbroken\n+::::::\n',
      '/etc/sudoers': 'this is no rule of any kind (\n',
      '/etc/sudo.conf': 'Plugin identree_approval /usr/lib/identree/identree_sudo.so\n',
    });
    assert.deepEqual(report.accounts, [['deploy', 1000, 1000]]);
    assert.equal(report.unread, 1);
    assert.ok(report.drift.some((line) => line.includes('lacks: Plugin identree_audit')));
  });

  it('lines of sudoers that lead past the gate: the last one for everybody, and each one for some', async () => {
    const gated = { '/etc/pam.d/sudo': 'auth [success=done default=ignore] /usr/lib/identree/pam_identree.so sudo\n' };
    const drift = async (sudoers: string, files: Record<string, string> = gated) =>
      (await reported({ ...files, '/usr/lib/identree/pam_identree.so': '', '/etc/sudoers': sudoers })).drift;
    const ours = 'Defaults timestamp_timeout=0, passwd_tries=1\n';
    assert.deepEqual(await drift(ours), []);
    assert.deepEqual(await drift(`Defaults timestamp_timeout=15\n${ours}`), [], 'ours is read later');
    assert.deepEqual(await drift(`${ours}Defaults timestamp_timeout=15\n`), [
      '/etc/sudoers:2 sets timestamp_timeout: sudo keeps a ticket, and asks PAM for nothing meanwhile',
    ]);
    assert.match((await drift(`Defaults:alice timestamp_timeout=-1\n${ours}`)).join(), /^\/etc\/sudoers:1 sets/);
    assert.deepEqual(await drift(`${ours}Defaults !timestamp_timeout, pam_service=sudo-i\n`), []);
    assert.deepEqual(await drift(`${ours}Defaults pam_service=other\n`), [
      '/etc/sudoers:2 sets pam_service: sudo asks PAM as "other", for which identree does not decide',
    ]);
    assert.match((await drift(`${ours}Defaults!/bin/id pam_login_service="su-l"\n`)).join(), /as "su-l"/);
    assert.deepEqual(await drift('Defaults pam_service=other\n', {}), [], 'identree has no gate here');
  });

  it('fits into a request, and says when it had to leave something out', async () => {
    const accounts = Array.from(
      { length: 2000 },
      (_, n) => `account-with-a-long-name-${n}:x:${n + 1000}:1000::/:/bin/sh`,
    );
    const rules = Array.from({ length: 60 }, (_, n) => `user${n} ALL=(ALL) ALL`);
    const report = await reported({ '/etc/passwd': accounts.join('\n'), '/etc/sudoers': `${rules.join('\n')}\n` });
    assert.ok(Buffer.byteLength(JSON.stringify(report)) <= MAX_REPORT_BYTES);
    assert.deepEqual([report.grants.length, report.cut], [60, true], 'accounts give way first');
    const passwd = (count: number) =>
      Array.from({ length: count }, (_, n) => `u${n}:x:${n + 1}:1::/:/bin/sh`).join('\n');
    const cutAt = async (count: number) => (await reported({ '/etc/passwd': passwd(count) })).cut;
    assert.deepEqual([await cutAt(1000), await cutAt(1001)], [false, true], 'accounts that are short but many, too');
  });

  it('leaves out what is said of one name again, and local accounts, before a name that nobody has yet', async () => {
    const local = Array.from({ length: 200 }, (_, n) => `svc${n}`);
    const { grants, cut } = await reported({
      '/etc/passwd': local.map((name, n) => `${name}:x:${1000 + n}:${1000 + n}::/:/bin/sh\n`).join(''),
      '/etc/sudoers': [
        ...local.map((name) => `${name} ALL=(root) NOPASSWD: /bin/a\n`),
        ...local.map((name) => `${name} ALL=(root) NOPASSWD: /bin/b\n`),
        '%late ALL=(ALL) ALL\n',
      ].join(''),
      '/etc/group': 'docker:x:999:\n',
    });
    assert.deepEqual(
      [cut, ...grants.filter(({ type }) => type === 'group').map(({ name }) => name)],
      [true, 'late', 'docker'],
    );
  });

  it('both groups of a rule that asks for both: who has the one gets power by joining the other', async () => {
    const { grants } = await reported({
      '/etc/polkit-1/rules.d/50-x.rules':
        'polkit.addRule(function(action, subject) {\n  if (subject.isInGroup("staff") && subject.isInGroup("late")) return polkit.Result.YES;\n});\n',
    });
    assert.deepEqual(
      grants.map(({ name, gives }) => `${name}: ${gives}`),
      [
        'late: every action of polkit, who are also group staff',
        'staff: every action of polkit, who are also group late',
      ],
    );
  });

  it('what a vendor puts elsewhere than into /etc', async () => {
    const { grants } = await reported({
      '/usr/etc/sudoers': '@includedir /usr/etc/sudoers.d\n',
      '/usr/etc/sudoers.d/image': '%late ALL=(ALL) ALL\n',
      '/usr/lib/pam.d/su': 'auth include system-auth\n',
      '/etc/pam.d/system-auth': 'auth sufficient pam_wheel.so trust group=old group=trusted\n',
    });
    assert.deepEqual(
      grants.map(({ name, file }) => `${name} ${file}`),
      ['trusted /etc/pam.d/system-auth', 'late /usr/etc/sudoers.d/image'],
    );
  });
});
