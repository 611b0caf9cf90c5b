import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { becomes, viewOf } from '../directory/host-view.ts';
import { forgetful } from '../directory/sssd-conf.ts';
import { type DirectoryWorld, openDirectoryWorld, SERVICE, startSssd } from '../harness/directory.ts';
import type { Host } from '../harness/lab.ts';
import { type PocketId, startPocketId, whyNoPocketId } from '../harness/pocketid.ts';
import { until } from '../harness/run.ts';
import { skip as noLab } from '../harness/world.ts';

const skip: string | false = whyNoPocketId() ?? noLab;
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Xx0kq0Pq3Yk0bW8cK0y7T9m3Zl3vG5o1n2p4q6r8s';

/** What is edited in a real PocketID, as a host sees it through sssd. Each test goes on where the last ended. */
describe('people of a real PocketID on a host', () => {
  let pocketId: PocketId;
  let world: DirectoryWorld;
  let host: Host;
  const ids = new Map<string, string>();
  const idOf = (name: string): string => ids.get(name)!;

  before(async () => {
    if (skip) return;
    pocketId = await startPocketId();
    for (const username of ['ada', 'barbara', 'grace', 'linus', 'margaret']) {
      const firstName = `${username[0]!.toUpperCase()}${username.slice(1)}`;
      ids.set(username, await pocketId.createUser({ username, firstName, lastName: 'Sample' }));
    }
    for (const name of ['ops', 'developers']) ids.set(name, await pocketId.createGroup(name));
    await pocketId.setMembers(idOf('ops'), ['ada', 'barbara', 'grace'].map(idOf));
    await pocketId.setMembers(idOf('developers'), ['ada', 'grace', 'linus'].map(idOf));
    await pocketId.setClaims('user-group', idOf('ops'), [{ key: 'sudoCommands', value: 'ALL' }]);
    await pocketId.setClaims('user', idOf('ada'), [
      { key: 'sshPublicKey', value: KEY },
      { key: 'loginShell', value: '/bin/sh' },
    ]);
    world = await openDirectoryWorld({
      content: { users: [], groups: [] },
      env: {
        IDENTREE_DIRECTORY_SOURCE: 'pocketid',
        IDENTREE_POCKETID_API_URL: pocketId.url,
        IDENTREE_POCKETID_API_KEY: pocketId.apiKey,
        IDENTREE_LDAP_BIND_DN: SERVICE.dn,
        IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
        IDENTREE_LDAP_ACCESS_DEFAULT: 'allow',
      },
    });
    host = world.host();
    await startSssd(host, forgetful());
  });
  after(async () => {
    await world?.close();
    await pocketId?.close();
  });

  const { out, passwd, uidOf, members, sudoListing, keysOf } = viewOf(() => host);
  const show = async (group: string): Promise<string> => (await members(group)).join();
  const shows = (what: string, look: () => Promise<string>, right: RegExp): Promise<void> =>
    becomes(what, look, (text) => right.test(text));

  test('users, groups and claims are there', { skip }, async () => {
    assert.match(await passwd('ada'), /^ada:\*:\d+:\d+:Ada Sample:\/home\/ada:\/bin\/sh$/);
    assert.match(await out('id', 'ada'), /\(ops\)/);
    assert.equal(await show('developers'), 'ada,grace,linus');
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
    assert.match(await sudoListing('linus'), /not allowed to run sudo/);
    assert.match(await keysOf('ada'), new RegExp(`^${KEY.replaceAll('+', '\\+')}`));
  });

  test('renamed: an operator agrees, the uid stays, the old name is nobody', { skip }, async () => {
    const uid = await uidOf('barbara');
    await pocketId.updateUser(idOf('barbara'), { username: 'babs', firstName: 'Barbara', lastName: 'Sample' });
    await world.webhook();
    await world.confirm('binding', /account babs/);
    await shows('the new name', () => passwd('babs'), new RegExp(`^babs:\\*:${uid}:`));
    // What sssd keeps in memory of a name that it has deleted only goes when another name is forgotten.
    assert.equal(await uidOf('babs'), uid);
    await shows('the old name', () => passwd('barbara'), /^$/);
    await shows('her group', () => show('ops'), /^ada,babs,grace$/);
    await shows('her rule', () => sudoListing('babs'), /\(root\) ALL/);
  });

  test('disabled: the name stays, groups and rules are gone', { skip }, async () => {
    const line = await passwd('grace');
    await pocketId.updateUser(idOf('grace'), {
      username: 'grace',
      firstName: 'Grace',
      lastName: 'Sample',
      disabled: true,
    });
    await world.webhook();
    await shows('her group', () => show('developers'), /^ada,linus$/);
    await shows('the other one', () => show('ops'), /^ada,babs$/);
    assert.equal(await passwd('grace'), line);
    await shows('her rule', () => sudoListing('grace'), /not allowed to run sudo/);
  });

  test('deleted and made again: another person, another uid, none of the rights', { skip }, async () => {
    const uid = await uidOf('margaret');
    await pocketId.setMembers(idOf('developers'), ['ada', 'linus', 'margaret'].map(idOf));
    await world.webhook();
    await shows('her group', () => show('developers'), /^ada,linus,margaret$/);
    await pocketId.deleteUser(idOf('margaret'));
    await world.webhook();
    await shows('her to be gone', () => passwd('margaret'), /^$/);
    await shows('her group without her', () => show('developers'), /^ada,linus$/);

    await pocketId.createUser({ username: 'margaret', firstName: 'Margaret', lastName: 'Other' });
    await world.webhook();
    await world.confirm('binding', /account margaret/);
    await shows('somebody else', () => passwd('margaret'), /:Margaret Other:/);
    assert.notEqual(await uidOf('margaret'), uid);
    assert.equal(await show('developers'), 'ada,linus');
  });

  test('PocketID is away: hosts are answered as before', { skip }, async () => {
    await pocketId.stop();
    await world.webhook();
    await until('the server to notice', async () => (await world.status()).problem !== null);
    assert.match(await passwd('ada'), /^ada:/);
    assert.match(await sudoListing('ada'), /\(root\) ALL/);
  });
});
