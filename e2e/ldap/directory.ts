import { type TestGroup, testTree } from '../../server/src/directory/tree/test-tree.ts';
import type { Entry } from '../../server/src/ldap/entry.ts';
import { BASE, timestamp } from '../../server/src/ldap/testing/sample-entries.ts';

/**
 * The directory that our server and slapd both serve in the differential test: what the product makes of people, groups,
 * claims and hosts, and below `ou=odd` everything that names and values can be.
 */

type Values = Record<string, string | readonly string[]>;
type Bare = Omit<Entry, 'operational'>;

const bare = (dn: string, objectClass: readonly string[], values: Values): Bare => ({
  dn,
  objectClass: ['top', ...objectClass],
  attributes: Object.entries(values).map(([name, value]) => [name, typeof value === 'string' ? [value] : value]),
});

const ED25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI';
const sshKey = (letter: string, comment: string): string => `${ED25519}${letter.repeat(42)}A ${comment}`;

async function served(): Promise<Bare[]> {
  const people = [
    {
      username: 'alice',
      firstName: 'Alice',
      lastName: 'Ahlberg',
      email: 'alice@example.com',
      displayName: 'Alice A.',
      claims: {
        loginShell: '/bin/zsh',
        homeDirectory: '/srv/home/alice',
        sshPublicKey: sshKey('a', 'alice@laptop'),
        sshPublicKey2: sshKey('b', 'alice@phone'),
      },
    },
    { username: 'Bob', firstName: 'Bób', lastName: 'Ünal', displayName: 'Bób  Ünal', email: 'BOB@Example.COM' },
    { username: 'carol', firstName: 'Carol', lastName: 'Smith, Jr. (ops)', disabled: true, email: 'carol@example.com' },
    { username: 'dave', firstName: 'Дейв', lastName: 'Жуков', displayName: '大輔 *', email: 'dave@exämple.com' },
    { username: 'erin.o-neil_2', lastName: 'O’Neil\\x', email: 'erin+test@example.com' },
    { username: '7of9', displayName: 'Seven of Nine', email: '7of9@example.com' },
    ...Array.from({ length: 24 }, (_, n) => ({
      username: `user${n}`,
      firstName: n % 3 === 0 ? 'Same' : `First${n}`,
      lastName: n % 2 === 0 ? 'Name' : `Last  ${n}`,
      email: `user${n}@${n % 4 === 0 ? 'mail.' : ''}example.com`,
      disabled: n % 9 === 8,
    })),
  ];
  const groups: TestGroup[] = [
    {
      name: 'ops',
      friendlyName: 'Operations (EU)',
      members: ['alice', 'Bob', 'carol'],
      claims: { accessHosts: 'web1' },
    },
    { name: 'empty', friendlyName: 'Nobody' },
    { name: 'all-users', members: people.map(({ username }) => username) },
    {
      name: 'web',
      members: ['alice', 'dave', '7of9'],
      claims: {
        sudoCommands: '/usr/bin/systemctl restart nginx, /usr/bin/tail -f /var/log/nginx/*, /bin/ls /tmp/a\\,b',
        sudoHosts: 'web1, WEB2.example.com, 10.77.0.0/24, +frontends, !web9',
        sudoRunAsUser: 'www-data, root',
        sudoRunAsGroup: 'www-data',
        sudoOptions: '!authenticate, use_pty, umask=0022',
        sudoOrder: '42',
        sudoNotBefore: '2020-01-01T00:00:00Z',
        sudoNotAfter: '2030-06-30T23:59:59Z',
      },
    },
    { name: 'dba', members: ['Bob'], claims: { sudoCommands: 'ALL', sudoRunAsUser: 'postgres', sudoHosts: '!db9' } },
    { name: 'everywhere', members: ['alice'], claims: { sudoCommands: 'ALL', sudoOrder: '0' } },
    ...Array.from({ length: 8 }, (_, n) => ({
      name: `team${n}`,
      members: people.filter((_person, i) => i % 8 === n).map(({ username }) => username),
      claims: { sudoCommands: `/usr/bin/tool${n}`, sudoHosts: `host${n}, host${n}.example.com` },
    })),
  ];
  const tree = await testTree(
    people,
    groups,
    { hostIdentities: true, netgroups: true, sudo: { noAuthenticate: 'claims' } },
    {
      hosts: [
        { id: 'h1', hostname: 'web1.example.com', group: 'frontends' },
        { id: 'h2', hostname: 'web2.example.com', group: 'frontends' },
        { id: 'h3', hostname: 'db1', group: 'databases' },
        { id: 'h4', hostname: 'lonely', group: null },
      ],
    },
  );
  return tree.entries.map(({ entryUUID: _, ...entry }) => entry);
}

const ODD = `ou=odd,${BASE}`;
const ALICE = `uid=alice,ou=people,${BASE}`;

/** Names that need escapes, and the values that RFC 4517 has syntaxes for. */
function odd(): Bare[] {
  const unit = (dn: string, ou: string, more: Values = {}): Bare => bare(dn, ['organizationalUnit'], { ou, ...more });
  const device = (rdn: string, cn: string | readonly string[], more: Values = {}): Bare =>
    bare(`${rdn},${ODD}`, ['device'], { cn, ...more });
  return [
    unit(ODD, 'odd', { description: ['', ' leading', 'trailing ', 'in  the   middle'].slice(1) }),
    device('cn=Smith\\, John', 'Smith, John', { description: 'a comma' }),
    device('cn=\\#hash', '#hash'),
    device('cn=\\ lead', ' lead'),
    device('cn=trail\\ ', 'trail '),
    device('cn=plus\\+and\\\\back\\"quote\\"', 'plus+and\\back"quote"'),
    device('cn=\\<less\\>\\;semi\\=equals', '<less>;semi=equals'),
    device('cn=Größe 日本語 🦊', ['Größe 日本語 🦊', 'GROESSE']),
    device('cn=e\u0301tude', ['e\u0301tude', 'other'], { description: ['étude', 'E\u0301TUDE 2'] }),
    device('cn=Two  Spaces', ['Two  Spaces', 'two spaces too']),
    device('cn=star * (paren) \\\\ slash', 'star * (paren) \\ slash'),
    device('cn=both+serialNumber=77', 'both', { serialNumber: ['77', '0077'], description: 'two parts in one name' }),
    device('serialNumber=9+cn=other order', 'other order', { serialNumber: '9' }),
    device('cn=UPPER Case', ['UPPER Case', 'Another'], { owner: ALICE, seeAlso: [`uid=bob,ou=people,${BASE}`, ODD] }),
    device('l=Here+cn=here', 'here', { l: 'Here', o: ['Some Org', 'Müller & Söhne'], ou: 'unit' }),
    unit(`ou=one,${ODD}`, 'one'),
    unit(`ou=two,ou=one,${ODD}`, 'two'),
    unit(`ou=three,ou=two,ou=one,${ODD}`, 'three', { description: 'a leaf three levels below' }),
    unit(`ou=TWO b,ou=one,${ODD}`, 'TWO b', { postalCode: '01234', street: 'Main Street 1', l: 'Köln', st: 'NRW' }),
    bare(`uid=many,${ODD}`, ['account', 'posixAccount', 'shadowAccount'], {
      uid: ['many', 'MORE', 'multi valued'],
      cn: ['many', 'more'],
      uidNumber: '0',
      gidNumber: '4294967294',
      homeDirectory: '/Home/Many',
      loginShell: '/bin/false',
      gecos: 'Many  Values',
      shadowExpire: '-1',
      shadowFlag: '0',
      shadowMax: '99999',
      host: ['*', '!Web9', 'web1'],
      description: Array.from({ length: 40 }, (_, n) => `value ${n}`),
    }),
    bare(`cn=nobody’s,${ODD}`, ['posixGroup'], {
      cn: 'nobody’s',
      gidNumber: '0',
      memberUid: ['Alice', 'alice', 'ALICE'],
    }),
    bare(`cn=members,${ODD}`, ['groupOfNames'], {
      cn: 'members',
      member: [ALICE, `cn=Smith\\, John,${ODD}`, `CN=members, ${ODD}`, 'cn=not here,dc=nowhere', `cn=\\#hash,${ODD}`],
    }),
    bare(`cn=timed,ou=sudoers,${BASE}`, ['sudoRole'], {
      cn: 'timed',
      sudoUser: ['alice', '#1000', '%wheel', '%#10', '+netgroup', '!bob', '%:ad group', 'ALL'],
      sudoHost: ['ALL', '!db1', '192.0.2.0/24', '2001:db8::/32', 'web*', 'Host.Example.COM', '+frontends'],
      sudoCommand: ['ALL', '!/bin/sh', 'sha224:abcd /bin/ls *', '/usr/bin/', '/bin/cat ""', '/bin/CAT'],
      sudoRunAs: 'ALL',
      sudoRunAsUser: ['ALL', '#0', '%wheel'],
      sudoRunAsGroup: 'ALL',
      sudoOption: ['!authenticate', 'env_keep+=LANG LC_*', 'runcwd=/tmp'],
      sudoOrder: '-5',
      sudoNotBefore: ['20200101000000Z', '202001010000Z'].slice(0, 1),
      sudoNotAfter: '20300630235959.5Z',
      description: 'everything that a rule can have',
    }),
    bare(`cn=hours,ou=sudoers,${BASE}`, ['sudoRole'], {
      cn: 'hours',
      sudoUser: '%ops',
      sudoHost: 'WEB1',
      sudoCommand: '/bin/date',
      sudoNotBefore: '2020010112+0100',
      sudoNotAfter: '203001011200-0530',
      sudoOrder: '2147483647',
    }),
    bare(`cn=web1.example.com+ipHostNumber=10.77.0.2,${ODD}`, ['device', 'ipHost', 'ieee802Device'], {
      cn: ['web1.example.com', 'web1'],
      ipHostNumber: ['10.77.0.2', 'fe80::1'],
      macAddress: '00:11:22:AA:bb:cc',
    }),
    bare(`cn=ssh+ipServiceProtocol=tcp,${ODD}`, ['ipService'], {
      cn: 'ssh',
      ipServicePort: '22',
      ipServiceProtocol: ['tcp', 'TCP6'],
    }),
    bare(`cn=lan,${ODD}`, ['ipNetwork'], { cn: 'lan', ipNetworkNumber: '10.77.0', ipNetmaskNumber: '255.255.255.0' }),
    bare(`automountMapName=auto.master,${ODD}`, ['automountMap'], { automountMapName: 'auto.master' }),
    bare(`automountKey=/home,automountMapName=auto.master,${ODD}`, ['automount'], {
      automountKey: '/home',
      automountInformation: 'auto.home -rw',
    }),
    bare(`cn=person,${ODD}`, ['person', 'organizationalPerson', 'inetOrgPerson'], {
      cn: ['person', 'Person of Interest'],
      sn: 'Interest',
      givenName: ['P', 'Per'],
      initials: 'P. I.',
      title: 'Dr.',
      telephoneNumber: ['+49 221 123-45', '+49221 678'],
      mobile: '+49 170 1',
      mail: ['p@example.com', 'P.Interest@Example.com'],
      employeeNumber: '007',
      employeeType: 'contractor',
      labeledURI: 'https://example.com/~P Home',
      manager: ALICE,
      postalAddress: 'Main Street 1$Köln$Germany',
      displayName: 'P. of  Interest',
      userCertificate: [],
    }),
  ];
}

/** Entries with their operational attributes; parents before children. */
export async function everything(): Promise<{ entries: Entry[]; lastUsn: number }> {
  const all = [...(await served()), ...odd()].map((entry) => ({
    ...entry,
    attributes: entry.attributes.filter(([, values]) => values.length > 0),
  }));
  const entries = all.map(
    (entry, n): Entry => ({
      ...entry,
      operational: {
        entryUUID: `00000000-0000-4000-8000-${(n + 1).toString(16).padStart(12, '0')}`,
        createTimestamp: timestamp(0),
        modifyTimestamp: timestamp(n),
        entryUSN: n + 1,
      },
    }),
  );
  return { entries, lastUsn: entries.length };
}
