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
      content: { users: [user('ada')], groups: [group('ops', ['ada'], { sudoCommands: 'ALL' })] },
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
});
