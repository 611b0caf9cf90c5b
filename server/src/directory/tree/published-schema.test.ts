import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OP } from '../../ldap/protocol/operation.ts';
import { snapshotOf } from '../../ldap/testing/entries.ts';
import { type Answer, bind, search } from '../../ldap/testing/messages.ts';
import { createTestServer, SERVICE_DN, type TestConnection } from '../../ldap/testing/session-harness.ts';
import { problemsOf, readSchema } from '../../ldap/testing/validate.ts';
import { BASE, type SettingsOver, type TestGroup, type TestUser, testTree } from './test-tree.ts';

const KEY = `ssh-ed25519 ${Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), Buffer.alloc(32, 7)]).toString('base64')}`;

/** People and groups of every make: with and without address, names, keys, rules and access, some of them disabled. */
function population(): { users: TestUser[]; groups: TestGroup[] } {
  const users = Array.from({ length: 1000 }, (_, i): TestUser => {
    const claims = { ...(i % 3 === 0 ? { sshPublicKey: KEY } : {}), ...(i % 7 === 0 ? { loginShell: '/bin/sh' } : {}) };
    return {
      username: `person${i}`,
      claims,
      disabled: i % 5 === 0,
      firstName: i % 2 === 0 ? 'Zoë' : '',
      lastName: i % 4 === 0 ? 'Müller' : '',
      displayName: i % 6 === 0 ? 'Zoë M.' : '',
      email: ['', `person${i}@example.com`, 'zoë@example.com'][i % 3]!,
    };
  });
  const groups = Array.from(
    { length: 80 },
    (_, i): TestGroup => ({
      name: `team${i}`,
      friendlyName: i % 2 === 0 ? `Team ${i}` : '',
      members: users.filter((_user, at) => at % 80 === i && i % 9 !== 0).map(({ username }) => username),
      claims: {
        ...(i % 4 === 0
          ? {
              sudoCommands: 'ALL',
              sudoHosts: 'web1, 10.0.0.0/8',
              sudoRunAsGroup: 'adm',
              sudoNotAfter: '2100-01-01T00:00:00Z',
            }
          : {}),
        ...(i % 5 === 0 ? { accessHosts: 'web1' } : {}),
      },
    }),
  );
  return { users, groups };
}

const ask = async (connection: TestConnection, message: Uint8Array): Promise<Answer[]> => {
  connection.send(message);
  return (await connection.answers()).filter(({ tag }) => tag === OP.searchEntry);
};

const SHAPES: [string, SettingsOver][] = [
  ['rfc2307', {}],
  ['rfc2307bis, with host groups and host accounts', { rfc2307bis: true, netgroups: true, hostIdentities: true }],
];
for (const [name, over] of SHAPES) {
  test(`every entry is valid by the schema that is published: ${name}`, async () => {
    const { users, groups } = population();
    const hosts = [{ id: 'h1', hostname: 'web1.example.com', group: 'web' }];
    const tree = await testTree(users, groups, over, { hosts });
    const snapshot = snapshotOf(
      tree.entries.map((entry, i) => ({
        ...entry,
        operational: {
          entryUUID: entry.entryUUID,
          createTimestamp: '20260101000000Z',
          modifyTimestamp: '20260101000000Z',
          entryUSN: i + 1,
        },
      })),
    );
    const connection = createTestServer({ snapshot }).connect();
    connection.send(bind(1, SERVICE_DN, 'secret'));
    const [subschema] = await ask(connection, search(2, { base: 'cn=subschema', scope: 0, attributes: ['*', '+'] }));
    const schema = readSchema(subschema!);
    assert.ok(schema.classes.size > 30 && schema.types.size > 100, 'the schema was not read');
    const entries = [
      subschema!,
      ...(await ask(connection, search(3, { base: '', scope: 0, attributes: ['*', '+'] }))),
      ...(await ask(connection, search(4, { base: BASE, attributes: ['*', '+'] }))),
    ];
    assert.ok(entries.length > 2000, `${entries.length} entries`);
    const problems = entries.flatMap((entry) => problemsOf(entry, schema).map((problem) => `${entry.dn}: ${problem}`));
    assert.deepEqual(problems.slice(0, 5), [], `${problems.length} problems`);
  });
}
