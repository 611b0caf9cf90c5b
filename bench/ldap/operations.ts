import { bind, search, type TestSearch } from '../../server/src/ldap/testing/messages.ts';
import { BASE, timestamp } from '../../server/src/ldap/testing/sample-entries.ts';

/** One kind of request as clients send it, with what must come back. */
export interface Operation {
  name: string;
  /** Requests that take turns; each with the number of entries that are the right answer. */
  requests: readonly { bytes: Buffer; entries: number; code: number }[];
  mode: 'plain' | 'connect' | 'paged';
  connections: readonly number[];
  depth: number;
  /** CPU is counted per entry, because slices of time cut large answers in two. */
  perEntry: boolean;
  /** Ratio that must be reached, and the one to end at. */
  must: number;
  goal: number;
}

/** sssd's own list, without `entryUSN`, which slapd does not have. */
const USER =
  'objectClass uid userPassword uidNumber gidNumber gecos homeDirectory loginShell krbPrincipalName cn modifyTimestamp modifyTimestamp shadowLastChange shadowMin shadowMax shadowWarning shadowInactive shadowExpire shadowFlag krbLastPwdChange krbPasswordExpiration pwdAttribute authorizedService accountExpires userAccountControl nsAccountLock host rhost loginDisabled loginExpirationTime loginAllowedTimeMap sshPublicKey userCertificate;binary mail'.split(
    ' ',
  );
const GROUP = 'objectClass cn userPassword gidNumber memberuid modifyTimestamp modifyTimestamp'.split(' ');
const GROUP_NAMES = GROUP.filter((name) => name !== 'memberuid');
const SUDO =
  'objectClass objectClass cn sudoCommand sudoHost sudoUser sudoOption sudoRunAs sudoRunAsUser sudoRunAsGroup sudoNotBefore sudoNotAfter sudoOrder modifyTimestamp'.split(
    ' ',
  );

const PEOPLE = `ou=people,${BASE}`;
const GROUPS = `ou=groups,${BASE}`;
const SUDOERS = `ou=sudoers,${BASE}`;
const pad = (n: number): string => String(n).padStart(6, '0');
const uid = (n: number): string => `u${pad(n)}`;
const POSIX_GROUP = '(objectClass=posixGroup)(cn=*)(&(gidNumber=*)(!(gidNumber=0)))';
const POSIX_USER = '(objectclass=posixAccount)(uid=*)(&(uidNumber=*)(!(uidNumber=0)))';

/** Message ids take three octets, which the load client overwrites. */
const ID = 0x7fffff;
const find = (options: TestSearch): Buffer => search(ID, options);

/** @param users of `sampleEntries`. */
export function listOperations(users: number): Operation[] {
  const groups = Math.ceil(users / 10);
  const roles = Math.ceil(users / 100);
  const spread = (count: number, limit: number): number[] =>
    Array.from({ length: Math.min(count, limit) }, (_, i) => Math.floor((i * limit) / Math.min(count, limit)));
  const some = spread(2000, users);
  const membersOf = (n: number): number[] =>
    Array.from({ length: Math.min(20, users) }, (_, i) => (n * 10 + i) % users);
  /** A user's private group and the groups of twenty. */
  const memberships = new Map<number, number>();
  for (let n = 0; n < groups; n++) for (const m of membersOf(n)) memberships.set(m, (memberships.get(m) ?? 0) + 1);

  const user = (filter: string, entries = 1) => ({
    bytes: find({ base: PEOPLE, filter: `(&${filter}${POSIX_USER})`, attributes: USER }),
    entries,
    code: 0,
  });
  const group = (filter: string, entries: number, attributes = GROUP) => ({
    bytes: find({ base: GROUPS, filter: `(&${filter}${POSIX_GROUP})`, attributes }),
    entries,
    code: 0,
  });
  const hostRules = (n: number) => {
    const name = `host${n}.example.com`;
    const filter = `(&(objectClass=sudoRole)(|(&(!(sudoHost=*))(cn=defaults))(sudoHost=ALL)(sudoHost=host${n})(sudoHost=${name})(sudoHost=10.77.0.2)(sudoHost=10.77.0.0/24)(sudoHost=fe80::1)(sudoHost=fe80::/64)(sudoHost=+*)))`;
    const entries = Array.from({ length: roles }, (_, i) => i % 25).filter((i) => i === 0 || i === n).length;
    return { bytes: find({ base: SUDOERS, filter, attributes: SUDO }), entries, code: 0 };
  };
  const enumerateUsers = '(&(objectclass=posixAccount)(uid=*)(uidNumber=*)(gidNumber=*))';

  const getpwnam = some.map((n) => user(`(uid=${uid(n)})`));
  const getpwuid = some.map((n) => user(`(uidNumber=${200_000 + n})`));
  const getgrnam = spread(2000, groups).map((n) => group(`(cn=g${pad(n)})`, 1));
  const getgrgid = some.map((n) => group(`(gidNumber=${200_000 + n})`, 1));
  const initgroups = some.map((n) => group(`(memberuid=${uid(n)})`, 1 + (memberships.get(n) ?? 0), GROUP_NAMES));
  const sudo = Array.from({ length: 24 }, (_, n) => hostRules(n + 1));
  const negative = some.map((n) => user(`(uid=x${pad(n)})`, 0));
  // Ten of each twenty are user lookups, as in the logs of sssd hosts.
  const mix = some.flatMap((_, i) => [
    getpwnam[i]!,
    getpwuid[(i * 7) % getpwuid.length]!,
    initgroups[(i * 3) % initgroups.length]!,
    getgrgid[(i * 5) % getgrgid.length]!,
    ...(i % 4 === 0 ? [getgrnam[i % getgrnam.length]!, negative[i]!, sudo[i % sudo.length]!] : []),
  ]);
  const prefixes = Array.from(
    { length: Math.min(10, Math.max(1, Math.floor(users / 1000))) },
    (_, i) => `u${pad(i * 1000).slice(0, 4)}`,
  );
  const latest = timestamp(users * 3);

  const lookup = { mode: 'plain', connections: [1, 16], depth: 1, perEntry: false } as const;
  const bulk = { mode: 'plain', connections: [1], depth: 1, perEntry: true } as const;
  const one = (options: TestSearch, entries: number) => [{ bytes: find(options), entries, code: 0 }];
  const total = 5 + users * 2 + groups + roles;
  return [
    { ...lookup, name: 'getpwnam', requests: getpwnam, must: 2, goal: 3 },
    { ...lookup, name: 'getpwuid', requests: getpwuid, must: 2, goal: 3 },
    { ...lookup, name: 'getgrnam', requests: getgrnam, must: 1.5, goal: 2 },
    { ...lookup, name: 'getgrgid', requests: getgrgid, must: 3, goal: 4.5 },
    { ...lookup, name: 'initgroups', requests: initgroups, must: 3, goal: 5 },
    { ...lookup, name: 'sudo_rules', requests: sudo, must: 3.5, goal: 6 },
    { ...lookup, name: 'negative', requests: negative, must: 1.2, goal: 1.8 },
    { ...lookup, name: 'mix', requests: mix, must: 2.5, goal: 4 },
    { ...lookup, name: 'mix_depth8', requests: mix, connections: [16], depth: 8, must: 5, goal: 9 },
    {
      ...bulk,
      name: 'users_enum',
      requests: one({ base: PEOPLE, filter: enumerateUsers, attributes: USER }, users),
      must: 8,
      goal: 14,
    },
    { ...bulk, name: 'full_tree', requests: one({ base: BASE }, total), must: 4, goal: 8 },
    {
      ...bulk,
      name: 'paged',
      mode: 'paged',
      requests: [
        {
          bytes: operationOf(find({ base: PEOPLE, filter: enumerateUsers, attributes: USER })),
          entries: users,
          code: 0,
        },
      ],
      must: 5,
      goal: 10,
    },
    {
      ...lookup,
      name: 'changed_since',
      requests: one(
        {
          base: PEOPLE,
          filter: `${enumerateUsers.slice(0, -1)}(modifyTimestamp>=${latest})(!(modifyTimestamp=${latest})))`,
          attributes: USER,
        },
        0,
      ),
      connections: [1],
      must: 1.5,
      goal: 3,
    },
    {
      ...lookup,
      name: 'substring',
      requests: prefixes.map((prefix) => ({
        bytes: find({ base: PEOPLE, filter: `(uid=${prefix}*)`, attributes: USER }),
        entries: Array.from({ length: users }, (_, n) => uid(n)).filter((name) => name.startsWith(prefix)).length,
        code: 0,
      })),
      connections: [1],
      must: 3,
      goal: 20,
    },
    {
      ...lookup,
      name: 'bind',
      requests: [{ bytes: bind(ID, `cn=sssd,${BASE}`, 'secret'), entries: 0, code: 0 }],
      connections: [1],
      must: 0.8,
      goal: 1.2,
    },
    { ...lookup, name: 'connect_search', mode: 'connect', requests: getpwnam, connections: [1], must: 0.8, goal: 1.1 },
  ];
}

/** Where the three octets of the message id are. */
const idPosition = (message: Buffer): number => message.indexOf(Buffer.from([0x02, 0x03, 0x7f, 0xff, 0xff])) + 2;

/** The operation without the message around it: the load client attaches a control. */
function operationOf(message: Buffer): Buffer {
  return message.subarray(idPosition(message) + 3);
}

/** The file that the load client reads. */
export function encodeRequests({ requests, mode }: Operation): Buffer {
  return Buffer.concat(
    requests.flatMap(({ bytes, entries, code }) => {
      const head = Buffer.alloc(16);
      head.writeUInt32LE(bytes.length, 0);
      head.writeUInt32LE(mode === 'paged' ? 0 : idPosition(bytes), 4);
      head.writeUInt32LE(entries, 8);
      head.writeUInt32LE(code, 12);
      return [head, bytes];
    }),
  );
}
