import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from 'ldapts';
import type { FileContent } from '../../server/src/testing/directory-file.ts';
import {
  BASE_DN,
  type DirectoryWorld,
  group,
  OPERATOR,
  openDirectoryWorld,
  SERVICE,
  startSssd,
  user,
} from '../harness/directory.ts';
import type { Host } from '../harness/lab.ts';
import { type ApiResult, CODE, createPerson, granted, type Person } from '../harness/person.ts';
import { must, type RunResult, run, until } from '../harness/run.ts';
import { skip } from '../harness/world.ts';
import { becomes, viewOf } from './host-view.ts';
import { FILTERS } from './seen.ts';
import { forgetful } from './sssd-conf.ts';

const named = (content: FileContent, name: string) => content.users.find(({ username }) => username === name)!;
const groupOf = (content: FileContent, name: string) => content.groups.find((one) => one.name === name)!;

/** They sign in under names that accounts have, or had, or have in other letters, and are nobody whom the source knows. */
const STRANGERS = ['babs', 'nik', 'ADA', 'ａｄａ'];

/** What becomes of people, as a host sees it through sssd. One after the other: each test goes on where the last ended. */
describe('people come, change and go', () => {
  let world: DirectoryWorld;
  let host: Host;
  let key: string;
  before(async () => {
    if (skip) return;
    world = await openDirectoryWorld({
      content: {
        users: [
          ...['ada', 'barbara', 'dennis', 'edsger', 'frances', 'grace', 'linus', 'margaret'],
          ...['niklaus', 'radia', 'shafi', 'tony', 'whitfield'],
        ].map((name) => user(name)),
        groups: [
          group('ops', ['ada', 'barbara', 'grace'], { sudoCommands: 'ALL' }),
          group('developers', ['ada', 'linus', 'grace']),
        ],
      },
      strangers: STRANGERS,
      env: {
        IDENTREE_LDAP_BIND_DN: SERVICE.dn,
        IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
        IDENTREE_LDAP_ACCESS_DEFAULT: 'allow',
        IDENTREE_SUDO_SOURCE: 'both',
      },
    });
    host = world.host();
    key = join(world.lab.dir, 'id');
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key]);
    await host.write(
      '/etc/ssh/sshd_config.d/10-directory.conf',
      'AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys %u\nAuthorizedKeysCommandUser nobody\n',
    );
    await host.sh('sshd -t; systemctl reload ssh');
    await startSssd(host, forgetful());
  });
  after(() => world?.close());

  const { out, passwd, uidOf, members, sudoListing, keysOf } = viewOf(() => host);
  const ssh = (name: string): Promise<RunResult> =>
    run('ssh', [
      ...['-F', 'none', '-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      ...[`${name}@${host.address}`, 'id', '-un'],
    ]);
  const access = (name: string): Promise<string> => out('sssctl', 'user-checks', name, '-a', 'acct', '-s', 'sshd');

  test('SSH keys: sss_ssh_authorizedkeys prints them, and sshd lets their owner in', { skip }, async () => {
    const [type, blob] = (await readFile(`${key}.pub`, 'utf8')).split(' ');
    await world.change((content) => {
      for (const name of ['ada', 'grace']) {
        const one = named(content, name);
        const value = `${type} ${blob?.trim()} laptop`;
        one.customClaims = [...(one.customClaims ?? []), { key: 'sshPublicKey', value }];
      }
    });
    await becomes(
      'the key',
      () => keysOf('ada'),
      (text) => text.startsWith(`${type} ${blob?.trim()}`),
    );
    assert.equal(await keysOf('linus'), '');
    const login = await ssh('ada');
    assert.equal(login.stdout.trim(), 'ada', login.stderr);
    assert.notEqual((await ssh('linus')).code, 0, 'whose key it is not');
  });

  test('disabled: the name stays; groups, rules, keys and access are gone', { skip }, async () => {
    const line = await passwd('grace');
    assert.match(await access('grace'), /pam_acct_mgmt: Success/);
    assert.match(await sudoListing('grace'), /\(root\) ALL/);
    assert.equal((await ssh('grace')).code, 0);
    // A key that the directory does not know of, so that only the account can be what keeps her out.
    await host.write('/home/grace/.ssh/authorized_keys', await readFile(`${key}.pub`, 'utf8'));

    await world.change((content) => {
      named(content, 'grace').disabled = true;
    });
    await becomes(
      'the group',
      () => members('developers'),
      (now) => now.join() === 'ada,linus',
    );
    assert.deepEqual(await members('ops'), ['ada', 'barbara']);
    assert.deepEqual(await members('grace'), [], 'her private group is there and empty');
    assert.equal(await passwd('grace'), line, 'files go on showing a name');
    assert.equal(await keysOf('grace'), '');
    await becomes(
      'the rule',
      () => sudoListing('grace'),
      (text) => /not allowed to run sudo/.test(text),
    );
    assert.match(await access('grace'), /pam_acct_mgmt: (Permission denied|User account has expired)/);
    assert.notEqual((await ssh('grace')).code, 0);
    const shadow = await out(
      ...['ldapsearch', '-x', '-LLL', '-H', 'ldap://identree.example.com', '-D', SERVICE.dn, '-w', SERVICE.password],
      ...['-b', BASE_DN, '(uid=grace)', 'shadowExpire', 'sshPublicKey', 'accountStatus'],
    );
    assert.match(shadow, /^shadowExpire: 1$/m);
    assert.match(shadow, /^accountStatus: inactive$/m);
    assert.doesNotMatch(shadow, /sshPublicKey/);
  });

  test('a rename waits for an operator; then the uid is the same and the old name is nobody', { skip }, async () => {
    const uid = await uidOf('barbara');
    await world.change((content) => {
      named(content, 'barbara').username = 'babs';
    });
    await becomes('the question', world.holds, (holds) => holds.some(({ kind }) => kind === 'binding'));
    assert.equal(await passwd('babs'), '', 'not before somebody agreed');
    assert.equal(await uidOf('barbara'), uid);

    await world.confirm('binding', /account babs/);
    await becomes(
      'the new name',
      () => passwd('babs'),
      (line) => line !== '',
    );
    assert.equal(await uidOf('babs'), uid);
    assert.match(await out('id', 'babs'), new RegExp(`^uid=${uid}\\(babs\\) gid=\\d+\\(babs\\) .*\\(ops\\)`));
    assert.equal(await passwd('barbara'), '');
    await becomes(
      'her rule',
      () => sudoListing('babs'),
      (text) => /\(root\) ALL/.test(text),
    );
    assert.deepEqual(await members('ops'), ['ada', 'babs']);
  });

  test('the name that was left is given to nobody else unasked, least of all its rights', { skip }, async () => {
    const uid = await uidOf('babs');
    await world.change((content) => {
      content.users.push({ ...user('barbara'), id: 'sub-somebody-else', lastName: 'Otherwise' });
    });
    await becomes('the question', world.holds, (holds) =>
      holds.some(({ kind, subject }) => kind === 'binding' && subject === 'account barbara'),
    );
    assert.equal(await passwd('barbara'), '');
    await world.confirm('binding', /account barbara/);
    await becomes(
      'somebody else',
      () => passwd('barbara'),
      (line) => line !== '',
    );
    assert.notEqual(await uidOf('barbara'), uid);
    assert.equal(await uidOf('babs'), uid);
    assert.match(await sudoListing('barbara'), /not allowed to run sudo/);
  });

  test('deleted and made again: another person with another uid; the same one gets theirs back', { skip }, async () => {
    const uid = await uidOf('margaret');
    const margaret = named(world.content, 'margaret');
    await world.change((content) => {
      content.users.splice(content.users.indexOf(margaret), 1);
    });
    await becomes(
      'her to be gone',
      () => passwd('margaret'),
      (line) => line === '',
    );
    assert.equal((await host.exec(['getent', 'group', 'margaret'])).code, 2);

    await world.change((content) => {
      content.users.push({ ...margaret, id: 'sub-margaret-2' });
    });
    await world.confirm('binding', /account margaret/);
    await becomes(
      'the second',
      () => passwd('margaret'),
      (line) => line !== '',
    );
    assert.notEqual(await uidOf('margaret'), uid, 'files of the first are not hers');

    await world.change((content) => {
      content.users.pop();
    });
    await becomes(
      'the second to be gone',
      () => passwd('margaret'),
      (line) => line === '',
    );
    await world.change((content) => {
      content.users.push(margaret);
    });
    await world.confirm('binding', /account margaret/);
    await becomes(
      'the first',
      () => passwd('margaret'),
      (line) => line !== '',
    );
    assert.equal(await uidOf('margaret'), uid);
  });

  test('gone and back under another name: nobody has the uid and its files before an operator agreed', {
    skip,
  }, async () => {
    const uid = await uidOf('niklaus');
    const niklaus = named(world.content, 'niklaus');
    await world.change((content) => {
      content.users.splice(content.users.indexOf(niklaus), 1);
    });
    await becomes(
      'him to be gone',
      () => passwd('niklaus'),
      (line) => line === '',
    );
    await world.change((content) => {
      content.users.push({ ...niklaus, username: 'nik' });
    });
    await becomes('the question', world.holds, (holds) =>
      holds.some(({ kind, subject }) => kind === 'binding' && subject === 'account nik'),
    );
    assert.deepEqual([await passwd('nik'), (await host.exec(['getent', 'passwd', String(uid)])).code], ['', 2]);
    await world.confirm('binding', /account nik/);
    await becomes(
      'the new name',
      () => passwd('nik'),
      (line) => line !== '',
    );
    assert.equal(await uidOf('nik'), uid);
  });

  test('who signs in has the accounts that the host knows them by, and sees and decides no request of others', {
    skip,
  }, async () => {
    const people = new Map<string, Person>();
    for (const name of ['ada', 'barbara', 'margaret', 'niklaus', ...STRANGERS]) {
      const person = createPerson(world.server, name);
      await person.signIn();
      people.set(name, person);
    }
    const ownersOf = async (account: string): Promise<string[]> => {
      const owners: string[] = [];
      for (const [name, person] of people) {
        const { accounts } = granted(await person.query<{ accounts: string[] }>('me.get'));
        if (accounts.includes(account)) owners.push(name);
      }
      return owners;
    };
    for (const account of ['ada', 'babs', 'barbara', 'margaret', 'nik']) {
      // The host's own word: whose record it has under that name.
      const shown = (await passwd(account)).split(':')[4];
      assert.match(await out('id', '-un', account), new RegExp(`^${account}$`));
      const { id } = world.content.users.find(({ firstName, lastName }) => `${firstName} ${lastName}` === shown)!;
      const name = id.replace('sub-', '');
      assert.deepEqual(await ownersOf(account), people.has(name) ? [name] : [], `${account} is of ${shown}`);
    }

    const terminal = host.terminal('root', ['runuser', '-u', 'babs', '--', 'sudo', 'id']);
    const [code] = await terminal.see(CODE);
    const barbara = people.get('barbara')!;
    const { view } = await barbara.open(code);
    for (const [name, person] of people) {
      if (person === barbara) continue;
      assert.deepEqual(granted(await person.query<unknown[]>('challenges.inbox')), [], name);
      const refused = [
        await person.query('challenges.get', { code }),
        await person.mutate('challenges.approve', { challengeId: view.id, confirmTruncated: false }),
        await person.mutate('challenges.deny', { challengeId: view.id, reason: null }),
      ];
      for (const answer of refused) assert.equal(answer.ok || answer.reason, 'not_found', name);
    }
    granted(await barbara.deny(code));
    await terminal.exit;
    for (const { web } of people.values()) web.close();
  });

  test('a new member of a group that makes root waits for an operator', { skip }, async () => {
    await world.change((content) => {
      groupOf(content, 'ops').userIds.push('sub-linus');
    });
    await becomes('the question', world.holds, (holds) => holds.some(({ kind }) => kind === 'power_member'));
    assert.match(await sudoListing('linus'), /not allowed to run sudo/);
    assert.deepEqual(await members('ops'), ['ada', 'babs']);
    await world.confirm('power_member', /group ops/);
    await becomes(
      'the rule',
      () => sudoListing('linus'),
      (text) => /\(root\) ALL/.test(text),
    );
    assert.deepEqual(await members('ops'), ['ada', 'babs', 'linus']);
  });

  test('a rule that waits for a group, or for a user, gives nothing to whoever comes under that name', {
    skip,
  }, async () => {
    const olga = world.person(OPERATOR);
    for (const whom of [{ group: 'dbas' }, { users: ['zoe'] }]) {
      const rule = { ...whom, commands: ['/usr/bin/id'] };
      granted((await olga.mutate('sudoRules.create', { rule, acknowledged: true })) as ApiResult);
    }
    await world.change((content) => {
      content.users.push(user('dbas'), user('zoe'));
    });
    const waiting = async () =>
      (await world.holds()).flatMap(({ kind, subject }) => (kind === 'power_name' ? subject : []));
    await becomes('the questions', waiting, (now) => now.length === 2);
    assert.deepEqual((await waiting()).sort(), ['account dbas', 'account zoe']);
    assert.deepEqual([await passwd('dbas'), await passwd('zoe')], ['', '']);

    await world.confirm('power_name', /account zoe/);
    await becomes(
      'her account',
      () => passwd('zoe'),
      (line) => line !== '',
    );
    await becomes(
      'her rule',
      () => sudoListing('zoe'),
      (text) => /\(root\) \/usr\/bin\/id/.test(text),
    );
    assert.equal(await passwd('dbas'), '', 'whose private group the other rule is for');
    await world.confirm('power_name', /account dbas/);
    await becomes(
      'his rule, by his private group',
      () => sudoListing('dbas'),
      (text) => /\(root\) \/usr\/bin\/id/.test(text),
    );
  });

  test('a sudoers file of an image names a group: whoever is put into one of that name gets nothing unasked', {
    skip,
  }, async () => {
    await host.write('/etc/sudoers.d/google_sudoers', '%google-sudoers ALL=(ALL:ALL) NOPASSWD:ALL\n', 0o440);
    await host.write('/etc/sudoers.d/fleet', '# of an image\n%fleet ALL=(ALL:ALL) NOPASSWD:ALL\n', 0o440);
    type Listed = { hosts: { report: { grants: { name: string; line: number }[] } | null }[] };
    const reported = async () => {
      const { hosts } = granted(await world.person(OPERATOR).query<Listed>('hosts.list'));
      return hosts.flatMap(({ report }) => report?.grants ?? []).map(({ name, line }) => `${name}:${line}`);
    };
    // A host says what is new with a heartbeat, and its agent begins with one; not again within ten seconds.
    let restartedAt = 0;
    await until('the report', async () => {
      if (Date.now() - restartedAt > 15_000) {
        await host.sh('systemctl restart identree-agent');
        restartedAt = Date.now();
      }
      return (await reported()).includes('fleet:2');
    });
    assert.ok((await reported()).includes('google-sudoers:1'));

    await world.change((content) => {
      content.groups.push(group('google-sudoers', ['tony']), group('fleet', ['tony']));
    });
    await becomes('the question', world.holds, (holds) => holds.some(({ subject }) => subject === 'group fleet'));
    const [hold] = (await world.holds()).filter(({ subject }) => subject === 'group fleet');
    const [local] = hold!.detail.local as { host: string; file: string; line: number }[];
    assert.deepEqual([hold!.kind, local?.file, local?.line], ['power_member', '/etc/sudoers.d/fleet', 2]);
    const sudo = () => host.exec(['runuser', '-u', 'tony', '--', 'sudo', '-n', 'id', '-u']);
    assert.notEqual((await sudo()).code, 0);
    assert.equal((await host.exec(['getent', 'group', 'google-sudoers'])).code, 2, 'never served at all');

    await world.confirm('power_member', /group fleet/);
    await becomes(
      'him in it',
      () => members('fleet'),
      (now) => now.join() === 'tony',
    );
    await becomes(
      'what the file gives',
      async () => {
        await passwd('tony');
        const { stdout, stderr } = await sudo();
        return `${stdout}${stderr}`.trim();
      },
      (said) => said === '0',
    );
    await host.remove('/etc/sudoers.d/fleet');
  });

  test('most people vanish at once: nothing changes until an operator has looked', { skip }, async () => {
    const everybody = structuredClone(world.content) as FileContent;
    await world.change((content) => {
      content.users.splice(3);
      for (const one of content.groups) one.userIds = [];
    });
    await becomes('the question', world.holds, (holds) => holds.some(({ kind }) => kind === 'mass_change'));
    assert.notEqual(await passwd('tony'), '');
    assert.notEqual(await passwd('whitfield'), '');
    assert.deepEqual(await members('developers'), ['ada', 'linus']);
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
    await world.change((content) => {
      content.users.splice(0, content.users.length, ...everybody.users);
      content.groups.splice(0, content.groups.length, ...everybody.groups);
    });
    await becomes('nothing to ask', world.holds, (holds) => !holds.some(({ kind }) => kind === 'mass_change'));
    assert.notEqual(await passwd('tony'), '');
  });

  test('a change with a webhook is answered on the LDAP port within two seconds', { skip }, async (t) => {
    const client = new Client({ url: `ldap://${world.ldap.host}:${world.ldap.port}` });
    await client.bind(SERVICE.dn, SERVICE.password);
    const shellOf = async (): Promise<unknown> => {
      const found = await client.search(BASE_DN, { filter: '(uid=edsger)', attributes: ['loginShell'] });
      return found.searchEntries[0]?.loginShell;
    };
    const tries: number[] = [];
    for (const shell of ['/bin/dash', '/bin/sh', '/usr/bin/zsh']) {
      named(world.content, 'edsger').customClaims = [{ key: 'loginShell', value: shell }];
      await world.write();
      const called = performance.now();
      await world.webhook();
      await until(`the shell ${shell}`, async () => (await shellOf()) === shell);
      tries.push(Math.round(performance.now() - called));
    }
    t.diagnostic(`${tries} ms from the call of the webhook to the first new answer`);
    // What else the machine does meanwhile may keep one of them waiting.
    assert.ok(Math.min(...tries) <= 2000, `${tries} ms`);
    await client.unbind();
    assert.match(await passwd('edsger'), /:\/usr\/bin\/zsh$/);
  });

  test('LDAP is away: what was asked before is still answered; when it is back, everything is', { skip }, async () => {
    const line = await passwd('ada');
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
    await world.tap.down();
    assert.equal((await host.exec(['getent', 'passwd', 'shafi'])).code, 2, 'nobody has asked for her yet');
    assert.equal((await host.exec(['getent', 'passwd', 'ada'])).stdout.trim(), line);
    assert.match(await out('id', 'ada'), /\(ops\)/);
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
    assert.match(await out('sssctl', 'domain-status', 'IDENTREE', '--online'), /Offline/);

    await world.tap.up();
    await until('sssd to be back', async () => (await host.exec(['getent', 'passwd', 'shafi'])).code === 0);
    assert.match(await out('sssctl', 'domain-status', 'IDENTREE', '--online'), /Online/);
  });

  test('the server starts while its source is away: it answers from what it published last', { skip }, async () => {
    const uid = await uidOf('ada');
    await world.removeFile();
    await world.server.stop();
    await world.server.start();
    await until('sssd to be back', async () => (await host.exec(['getent', 'passwd', 'radia'])).code === 0);
    const since = world.tap.seen.length;
    assert.equal(await uidOf('ada'), uid);
    const search = await world.tap.sees('her', ({ filter }) => filter === FILTERS.userByName('ada'), { since });
    assert.deepEqual(search.answer, { resultCode: 0, entries: 1 });
    assert.match((await world.status()).problem ?? '', /ENOENT/);
    assert.deepEqual(await members('ops'), ['ada', 'babs', 'linus']);

    await world.change((content) => {
      named(content, 'ada').lastName = 'Returned';
    });
    await becomes(
      'the source',
      () => passwd('ada'),
      (line) => line.includes('Ada Returned'),
    );
    assert.equal((await world.status()).problem, null);
    assert.equal(await uidOf('ada'), uid);
  });
});
