import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { planStamps, type Stamp, usnAtBoot } from '../publish/plan-stamps.ts';
import type { BareEntry } from './model.ts';
import { testTree } from './test-tree.ts';

const NOW = 1_800_000_000_000;

/** An SSH key in OpenSSH's form. */
function sshKey(type: 'ssh-ed25519' | 'ssh-rsa', bits = 2048): string {
  const string = (bytes: Buffer) =>
    Buffer.concat([Buffer.from(new Uint32Array([bytes.length]).buffer).reverse(), bytes]);
  const mpint = (bytes: Buffer) => string(bytes[0]! & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
  if (type === 'ssh-rsa') {
    const jwk = generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ format: 'jwk' });
    const blob = [
      string(Buffer.from(type)),
      mpint(Buffer.from(jwk.e!, 'base64url')),
      mpint(Buffer.from(jwk.n!, 'base64url')),
    ];
    return `${type} ${Buffer.concat(blob).toString('base64')}`;
  }
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  return `${type} ${Buffer.concat([string(Buffer.from(type)), string(Buffer.from(x!, 'base64url'))]).toString('base64')}`;
}

test('a person has what getent, shadow and sshd ask for', async () => {
  const key = sshKey('ssh-ed25519');
  const { at } = await testTree(
    [
      {
        id: '6f0c1a52-6c66-4f55-9d42-000000000001',
        username: 'alice',
        firstName: 'Älice',
        lastName: 'Lid:dell',
        displayName: 'Alice L',
        email: 'alice@example.com',
        claims: { loginShell: '/bin/zsh', sshPublicKey: `${key} laptop` },
      },
    ],
    [{ name: 'ops', friendlyName: 'Operations', members: ['alice'], claims: { accessHosts: 'web1, DB.example.com' } }],
  );
  const alice = at('uid=alice,ou=people')!;
  assert.equal(alice.entryUUID, '6f0c1a52-6c66-4f55-9d42-000000000001');
  assert.deepEqual(alice.objectClass, [
    'top',
    'person',
    'organizationalPerson',
    'inetOrgPerson',
    'posixAccount',
    'shadowAccount',
    'identreeAccount',
    'ldapPublicKey',
    'hostObject',
  ]);
  assert.deepEqual(Object.fromEntries(alice.attributes), {
    uid: ['alice'],
    cn: ['Älice Lid:dell'],
    sn: ['Lid:dell'],
    givenName: ['Älice'],
    displayName: ['Alice L'],
    mail: ['alice@example.com'],
    uidNumber: ['200000'],
    gidNumber: ['200000'],
    gecos: ['Alice Lid dell'],
    homeDirectory: ['/home/alice'],
    loginShell: ['/bin/zsh'],
    sshPublicKey: [`${key} laptop`],
    host: ['db.example.com', 'web1'],
    shadowLastChange: ['1'],
    shadowMin: ['0'],
    shadowMax: ['99999'],
    shadowWarning: ['7'],
    accountStatus: ['active'],
    memberOf: ['cn=ops,ou=groups,dc=example,dc=com', 'cn=alice,ou=groups,dc=example,dc=com'],
  });
  assert.deepEqual(Object.fromEntries(at('cn=ops,ou=groups')!.attributes), {
    cn: ['ops'],
    gidNumber: ['200001'],
    description: ['Operations'],
    memberUid: ['alice'],
    member: ['uid=alice,ou=people,dc=example,dc=com'],
  });
  assert.deepEqual(Object.fromEntries(at('cn=alice,ou=groups')!.attributes).memberUid, ['alice']);
  assert.notEqual(at('cn=alice,ou=groups')!.entryUUID, alice.entryUUID);
});

test('a disabled person keeps name and numbers, and loses groups, sudo and keys', async () => {
  const { at, values } = await testTree(
    [{ username: 'alice', disabled: true, claims: { sshPublicKey: sshKey('ssh-ed25519') } }, { username: 'bob' }],
    [
      { name: 'ops', members: ['alice', 'bob'], claims: { sudoCommands: 'ALL' } },
      { name: 'gone', members: ['alice'], claims: { sudoCommands: 'ALL' } },
    ],
  );
  assert.deepEqual(values('uid=alice,ou=people', 'shadowExpire'), ['1']);
  assert.deepEqual(values('uid=alice,ou=people', 'nsAccountLock'), ['TRUE']);
  assert.equal(values('uid=alice,ou=people', 'sshPublicKey'), undefined);
  assert.equal(values('uid=alice,ou=people', 'memberOf'), undefined);
  assert.deepEqual(values('cn=ops,ou=groups', 'memberUid'), ['bob']);
  assert.deepEqual(values('cn=ops,ou=sudoers', 'sudoUser'), ['bob']);
  assert.equal(values('cn=alice,ou=groups', 'memberUid'), undefined);
  assert.ok(at('cn=alice,ou=groups'));
  assert.equal(at('cn=gone,ou=sudoers'), undefined, 'a rule for nobody is not served');
});

test('claims cannot make somebody’s home the system’s or their shell anything but a path', async () => {
  const bad = [
    '/',
    '/root',
    '//etc',
    '/etc/x',
    '/./root',
    '/home/../root',
    'home',
    '/home/a b',
    '/home/a:b',
    '/dev/shm',
    `/${'x'.repeat(255)}`,
  ];
  for (const homeDirectory of bad) {
    const { values, lints } = await testTree([{ username: 'eve', claims: { homeDirectory } }]);
    assert.deepEqual(values('uid=eve,ou=people', 'homeDirectory'), ['/home/eve'], homeDirectory);
    assert.deepEqual(
      lints.map(({ code }) => code),
      ['home_rejected'],
    );
  }
  for (const loginShell of ['sh', '/bin/sh -c x', '/bin/../sh', '/bin/sh\n', '/']) {
    const { values } = await testTree([{ username: 'eve', claims: { loginShell } }]);
    assert.match(
      values('uid=eve,ou=people', 'loginShell')![0]!,
      loginShell === '/bin/sh\n' ? /^\/bin\/sh$/ : /^\/bin\/bash$/,
      loginShell,
    );
  }
  const listed = { accounts: { allowedShells: ['/bin/sh'] } };
  const { values } = await testTree([{ username: 'eve', claims: { loginShell: '/bin/zsh' } }], [], listed);
  assert.deepEqual(values('uid=eve,ou=people', 'loginShell'), ['/bin/bash']);
});

test('SSH keys with options, DSA keys, short RSA keys and keys of another type than they say are not served', async () => {
  const good = sshKey('ssh-rsa');
  const short = sshKey('ssh-rsa', 1024);
  const ed = sshKey('ssh-ed25519');
  const { values, lints } = await testTree([
    {
      username: 'eve',
      claims: {
        sshPublicKey: `command="id" ${ed}`,
        sshPublicKey2: short,
        sshPublicKey3: ed.replace('ssh-ed25519', 'ssh-rsa'),
        sshPublicKey4: 'ssh-dss AAAAB3NzaC1kc3MAAACBAP',
        sshPublicKey10: `${good} twice`,
        sshPublicKey9: `${good} first`,
        sshPublicKey11: `${ed}\n${ed}`,
        sshPublicKeyX: ed,
      },
    },
  ]);
  assert.deepEqual(values('uid=eve,ou=people', 'sshPublicKey'), [`${good} first`]);
  assert.deepEqual(new Set(lints.map(({ code }) => code)), new Set(['ssh_key_rejected']));
  assert.equal(lints.length, 5);
});

test('host access: everywhere only where it is allowed, and a list that cannot be read is no access', async () => {
  const hosts = async (accessHosts: string | undefined, access = {}) => {
    const claims: Record<string, string> = accessHosts === undefined ? {} : { accessHosts };
    const enrolled = [{ id: 'h1', hostname: 'db1', group: 'db' }];
    const { values } = await testTree(
      [{ username: 'eve' }],
      [{ name: 'g', members: ['eve'], claims }],
      { access },
      { hosts: enrolled },
    );
    return values('uid=eve,ou=people', 'host');
  };
  assert.deepEqual(await hosts('!web2,web1,WEB1,%db,%none'), ['!web2', 'db1', 'web1']);
  assert.equal(await hosts('ALL,.example.com'), undefined);
  assert.equal(await hosts('*'), undefined);
  assert.deepEqual(await hosts('ALL', { allowAll: true }), ['*']);
  assert.deepEqual(await hosts(undefined, { byDefault: 'allow' }), ['*']);
  assert.equal(await hosts('[broken', { byDefault: 'allow' }), undefined);
});

test('names that sudo or the system would read differently are served nowhere', async () => {
  const { entries, values } = await testTree(
    [{ username: 'ALL' }, { username: 'Root' }, { username: 'a,b' }, { username: 'ok' }],
    [
      { name: 'ops', members: ['ALL', 'Root', 'a,b', 'ok'], claims: { sudoCommands: 'ALL' } },
      { name: 'docker', members: ['ok'] },
    ],
  );
  assert.deepEqual(values('cn=ops,ou=sudoers', 'sudoUser'), ['ok']);
  assert.deepEqual(values('cn=ops,ou=groups', 'memberUid'), ['ok']);
  assert.deepEqual(
    entries.map(({ dn }) => dn.split(',')[0]).filter((rdn) => /all|root|docker|a\\/i.test(rdn!)),
    [],
  );
});

test('the tree is complete: every parent is there before its children, every DN and entryUUID once', async () => {
  const { entries } = await testTree(
    [{ username: 'alice' }, { username: 'bob' }],
    [{ name: 'ops', members: ['alice'], claims: { sudoCommands: 'ALL' } }],
    { hostIdentities: true, netgroups: true },
    { hosts: [{ id: 'h1', hostname: 'web1', group: 'web' }] },
  );
  const seen = new Set<string>();
  for (const { dn } of entries) {
    if (seen.size > 0) assert.ok(seen.has(dn.slice(dn.indexOf(',') + 1)), dn);
    assert.ok(!seen.has(dn), dn);
    seen.add(dn);
  }
  assert.equal(new Set(entries.map(({ entryUUID }) => entryUUID)).size, entries.length);
  const host = entries.find(({ dn }) => dn.startsWith('uid=web1,ou=identree-hosts'));
  assert.equal(host?.audience, 'self');
  const netgroup = entries.find(({ dn }) => dn.startsWith('cn=web,ou=netgroups'));
  assert.deepEqual(netgroup?.attributes[1], ['nisNetgroupTriple', ['(web1,,)']]);
});

test('bridge mode serves sudo rules and nothing else', async () => {
  const { entries } = await testTree([{ username: 'alice' }], [], { people: false, sudoSource: 'store' });
  assert.deepEqual(
    entries.map(({ dn }) => dn),
    ['dc=example,dc=com', 'ou=sudoers,dc=example,dc=com', 'cn=defaults,ou=sudoers,dc=example,dc=com'],
  );
});

test('without rfc2307bis there is neither member nor memberOf', async () => {
  const { entries } = await testTree([{ username: 'a' }], [{ name: 'g', members: ['a'] }], { rfc2307bis: false });
  const names = new Set(entries.flatMap(({ attributes }) => attributes.map(([name]) => name)));
  assert.ok(names.has('memberUid') && !names.has('member') && !names.has('memberOf'));
});

test('rules outside their time are not served, and the next change of that is known', async () => {
  const rule = (sudoNotBefore: string, sudoNotAfter: string) => ({
    sudoCommands: '/bin/id',
    sudoNotBefore,
    sudoNotAfter,
  });
  const groups = [
    { name: 'past', members: ['a'], claims: rule('2020-01-01T00:00:00Z', '2021-01-01T00:00:00Z') },
    { name: 'now', members: ['a'], claims: rule('2020-01-01T00:00:00Z', '20300101000000Z') },
    { name: 'soon', members: ['a'], claims: rule('2029-01-01T00:00:00Z', '2031-01-01T00:00:00Z') },
    { name: 'mad', members: ['a'], claims: rule('2029-01-01T00:00:00Z', '2028-01-01T00:00:00Z') },
    { name: 'typo', members: ['a'], claims: rule('2020-01-01T00:00:00Z', '2030-02-31T00:00:00Z') },
  ];
  const { rules, nextBoundary, values } = await testTree([{ username: 'a' }], groups, {}, { now: NOW });
  assert.deepEqual(
    rules.map(({ cn }) => cn),
    ['now'],
  );
  assert.deepEqual(values('cn=now,ou=sudoers', 'sudoNotAfter'), ['20300101000000Z']);
  assert.equal(nextBoundary, Date.parse('2029-01-01T00:00:00Z'));
});

test('a member list is in the same order whatever order the source has', async () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{2,8}$/), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(names, async (list) => {
      const users = list.map((username) => ({ username: `u${username}` }));
      const build = async (of: typeof users) =>
        JSON.stringify(
          (await testTree(of, [{ name: 'everybody', members: of.map(({ username }) => username) }])).entries,
        );
      assert.equal(await build(users), await build([...users].reverse()));
    }),
    { numRuns: 30 },
  );
});

// Stamps

const entry = (name: string, value: string): BareEntry => ({
  dn: `cn=${name},dc=x`,
  objectClass: ['top'],
  attributes: [['cn', [value]]],
  entryUUID: `uuid-${name}`,
});
const root: BareEntry = { dn: 'dc=x', objectClass: ['top'], attributes: [['dc', ['x']]], entryUUID: 'uuid-root' };

test('modifyTimestamp and entryUSN change exactly when an entry changes, whatever the clock does', async () => {
  const step = fc.record({
    values: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2')),
    ms: fc.integer({ min: -5000, max: 5000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      let stamps = new Map<string, Stamp>();
      let parents = new Map<string, string>();
      let usn = 7;
      let now = NOW;
      let before = new Map<string, { value: string; usn: number; time: string }>();
      for (const { values, ms } of steps) {
        now += ms;
        const bare = [root, ...Object.entries(values).map(([name, value]) => entry(name, value))];
        const plan = await planStamps(bare, stamps, usn, now, parents);
        const after = new Map<string, { value: string; usn: number; time: string }>();
        for (const { dn, attributes, operational } of plan.entries) {
          if (dn === 'dc=x') continue;
          const value = attributes[0]![1][0]!;
          after.set(dn, { value, usn: operational.entryUSN, time: operational.modifyTimestamp });
          const old = before.get(dn);
          if (!old) continue;
          assert.equal(old.value === value, old.usn === operational.entryUSN);
          assert.equal(old.value === value, old.time === operational.modifyTimestamp);
          assert.ok(operational.modifyTimestamp >= old.time);
        }
        const numbers = plan.entries.map(({ operational }) => operational.entryUSN);
        assert.equal(new Set(numbers).size, numbers.length);
        for (const dn of before.keys()) {
          if (after.has(dn)) continue;
          const parent = plan.changed.find(({ uuid }) => uuid === 'uuid-root');
          assert.ok(parent && parent.usn > usn, 'a deletion bumps the parent');
        }
        assert.ok(plan.usn >= usn);
        stamps = new Map([...stamps].filter(([uuid]) => !plan.removed.includes(uuid)));
        for (const stamp of plan.changed) stamps.set(stamp.uuid, stamp);
        ({ usn, parents } = plan);
        before = after;
      }
    }),
    { numRuns: 300 },
  );
});

test('a host that waits is meant by no pattern and no netgroup, but binds and reads as itself', async () => {
  const group = { name: 'ops', members: ['eve'], claims: { sudoCommands: '/bin/id', sudoHosts: 'web*' } };
  const hosts = [
    { id: '1', hostname: 'web1', group: 'fleet' },
    { id: '2', hostname: 'web2', group: 'fleet', apart: true },
  ];
  const { values } = await testTree(
    [{ username: 'eve' }],
    [group],
    { netgroups: true, hostIdentities: true },
    { hosts },
  );
  assert.deepEqual(values('cn=ops,ou=sudoers', 'sudoHost'), ['web1']);
  assert.deepEqual(values('cn=fleet,ou=netgroups', 'nisNetgroupTriple'), ['(web1,,)']);
  assert.deepEqual(values('uid=web2,ou=identree-hosts', 'host'), ['web2']);
});

test('after a boot the counter is above what was given out, also when the database was lost', () => {
  assert.equal(usnAtBoot(0, NOW), 200_000_001);
  assert.equal(usnAtBoot(300_000_000, NOW), 300_000_001);
});

test('who has rules with and without approval is said, with the rule that wins', async () => {
  const free = { sudoCommands: '/bin/id', sudoOptions: '!authenticate' };
  const group = (name: string, members: string[], claims: Record<string, string>) => ({ name, members, claims });
  const overlaps = async (...groups: ReturnType<typeof group>[]) =>
    (await testTree([{ username: 'ada' }, { username: 'bob' }], groups, { sudo: { noAuthenticate: 'claims' } })).lints
      .filter(({ code }) => code === 'sudo_overlap_auth')
      .map(({ subject, detail }) => `${subject} ${detail}`);
  assert.deepEqual(
    await overlaps(
      group('asked', ['ada'], { sudoCommands: 'ALL', sudoOrder: '9' }),
      group('free', ['ada', 'bob'], { ...free, sudoOrder: '5' }),
      group('later', ['bob'], { sudoCommands: 'ALL', sudoOrder: '1' }),
    ),
    ['rule free overlaps with asked; asked has the higher order'],
  );
  assert.deepEqual(
    await overlaps(group('free', ['ada'], free), group('asked', ['bob'], { sudoCommands: 'ALL' })),
    [],
    'nobody has both',
  );
});
