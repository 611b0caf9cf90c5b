import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { hostRecord } from '#shared/decision.ts';
import { forgetful } from '../directory/sssd-conf.ts';
import { type DirectoryWorld, group, openDirectoryWorld, SERVICE, startSssd, user } from '../harness/directory.ts';
import type { Host } from '../harness/lab.ts';
import { agentReady, skip } from '../harness/world.ts';

describe('the PAM gate where people and rules come from the directory', () => {
  let world: DirectoryWorld;
  let host: Host;
  before(async () => {
    if (skip) return;
    world = await openDirectoryWorld({
      content: {
        users: [user('ada'), user('bea'), user('cleo')],
        groups: [
          group('ops', ['ada'], { sudoCommands: 'ALL' }),
          group('robots', ['bea'], { sudoCommands: '/usr/bin/id', sudoOptions: 'noninteractive_auth' }),
          group('people', ['cleo'], { sudoCommands: '/usr/bin/id', sudoOptions: '!noninteractive_auth' }),
        ],
      },
      policy: [{ name: 'default', approval: 'none' }],
      env: {
        IDENTREE_LDAP_BIND_DN: SERVICE.dn,
        IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
        IDENTREE_LDAP_ACCESS_DEFAULT: 'allow',
      },
    });
    host = world.host();
    await startSssd(host, forgetful());
    await host.sh('echo IDENTREE_MINIMUM_CLASS=policy >> /etc/identree/client.conf; systemctl restart identree-agent');
    await agentReady(host);
  });
  after(() => world?.close());

  test('sudo is asked for the rules of sssd as well, so what it will run is known', { skip }, async () => {
    assert.match(await host.read('/etc/nsswitch.conf'), /^sudoers:.*sss/m);
    assert.equal((await host.sh('runuser -u ada -- sudo id -u')).trim(), '0');
    const record = hostRecord.parse(JSON.parse(world.server.data.challenges().at(-1)!.record));
    assert.deepEqual([record.user, record.mode, record.target?.path], ['ada', 'command', '/usr/bin/id']);
    assert.deepEqual(record.unrestricted, []);
  });

  const requests = (): number => world.server.data.challenges().length;

  test('a rule with noninteractive_auth: sudo -n is asked by the stage, and is refused by sudo itself without it', {
    skip,
  }, async () => {
    const before = requests();
    const refused = await host.exec(['runuser', '-u', 'ada', '--', 'sudo', '-n', 'id', '-u']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /a password is required/);
    assert.equal(requests(), before);
    assert.equal((await host.sh('runuser -u bea -- sudo -n id -u')).trim(), '0');
    assert.equal(requests(), before + 1, 'nothing ran unasked');
    const record = hostRecord.parse(JSON.parse(world.server.data.challenges().at(-1)!.record));
    assert.deepEqual([record.user, record.gate, record.target?.path], ['bea', 'pam', '/usr/bin/id']);
    // It holds for what the rule allows, and for no more than that.
    assert.notEqual((await host.exec(['runuser', '-u', 'bea', '--', 'sudo', '-n', 'true'])).code, 0);
  });

  test('a rule with !noninteractive_auth takes it away where a file of the host gives it to all', {
    skip,
  }, async () => {
    await host.write('/etc/sudoers.d/robots', 'Defaults noninteractive_auth\n', 0o440);
    const before = requests();
    const refused = await host.exec(['runuser', '-u', 'cleo', '--', 'sudo', '-n', 'id', '-u']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /a password is required/);
    assert.equal(requests(), before);
    assert.equal((await host.sh('runuser -u ada -- sudo -n id -u')).trim(), '0');
    assert.equal(requests(), before + 1);
  });
});
