import { bind, dereferenceControl, search, type TestSearch } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import type { Served } from './served.ts';
import { SERVICE_DN, SERVICE_PASSWORD } from './servers.ts';

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
const POSIX_GROUP = '(objectClass=posixGroup)(cn=*)(&(gidNumber=*)(!(gidNumber=0)))';
const POSIX_USER = '(objectclass=posixAccount)(uid=*)(&(uidNumber=*)(!(uidNumber=0)))';

/** Message ids take three octets, which the load client overwrites. */
const ID = 0x7fffff;
const find = (options: TestSearch): Buffer => search(ID, options);

/** Requests that a directory like this gets, with the answers that are right. */
export function listOperations({ people, groups, rules, entries, latest }: Served): Operation[] {
  const spread = <T>(all: readonly T[], count = 2000): T[] =>
    Array.from(
      { length: Math.min(count, all.length) },
      (_, i) => all[Math.floor((i * all.length) / Math.min(count, all.length))]!,
    );
  const some = spread(people);
  const memberships = new Map<string, number>();
  for (const { members } of groups) for (const m of members) memberships.set(m, (memberships.get(m) ?? 0) + 1);

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
    const applies = ({ cn, hosts }: (typeof rules)[number]): boolean =>
      hosts.length === 0 ? cn === 'defaults' : hosts.some((host) => ['ALL', `host${n}`, name].includes(host));
    return { bytes: find({ base: SUDOERS, filter, attributes: SUDO }), entries: rules.filter(applies).length, code: 0 };
  };
  const enumerateUsers = '(&(objectclass=posixAccount)(uid=*)(uidNumber=*)(gidNumber=*))';

  const getpwnam = some.map(({ uid }) => user(`(uid=${uid})`));
  const getpwuid = some.map(({ uidNumber }) => user(`(uidNumber=${uidNumber})`));
  // Groups that people are in by name; by number the private ones, which every `ls -l` asks for.
  const accounts = new Set(people.map(({ uid }) => uid));
  const shared = spread(groups.filter(({ cn }) => !accounts.has(cn)));
  const getgrnam = shared.map(({ cn }) => group(`(cn=${cn})`, 1));
  const getgrgid = some.map(({ gidNumber }) => group(`(gidNumber=${gidNumber})`, 1));
  const initgroups = some.map(({ uid }) => group(`(memberuid=${uid})`, memberships.get(uid) ?? 0, GROUP_NAMES));
  // What sssd asks with rfc2307bis about a group whose members it does not know.
  const DEREFERENCED = ['objectClass', 'cn', 'gidNumber', 'member', 'modifyTimestamp', 'uid'];
  const members = shared.map(({ cn }) => ({
    bytes: find({
      base: `cn=${cn},${GROUPS}`,
      scope: 0,
      attributes: GROUP_NAMES,
      controls: [dereferenceControl([['member', DEREFERENCED]], true)],
    }),
    entries: 1,
    code: 0,
  }));
  const sudo = Array.from({ length: 24 }, (_, n) => hostRules(n + 1));
  const negative = some.map(({ uid }) => user(`(uid=x${uid})`, 0));
  // Ten of each twenty are user lookups, as in the logs of sssd hosts.
  const mix = some.flatMap((_, i) => [
    getpwnam[i]!,
    getpwuid[(i * 7) % getpwuid.length]!,
    initgroups[(i * 3) % initgroups.length]!,
    getgrgid[(i * 5) % getgrgid.length]!,
    ...(i % 4 === 0 ? [getgrnam[i % getgrnam.length]!, negative[i]!, sudo[i % sudo.length]!] : []),
  ]);
  // All but the last two digits: a hundred people.
  const prefixes = [...new Set(spread(people, 10).map(({ uid }) => uid.slice(0, -2)))];

  const lookup = { mode: 'plain', connections: [1, 16], depth: 1, perEntry: false } as const;
  const bulk = { mode: 'plain', connections: [1], depth: 1, perEntry: true } as const;
  const one = (options: TestSearch, entries: number) => [{ bytes: find(options), entries, code: 0 }];
  return [
    { ...lookup, name: 'getpwnam', requests: getpwnam, must: 2, goal: 3 },
    { ...lookup, name: 'getpwuid', requests: getpwuid, must: 2, goal: 3 },
    { ...lookup, name: 'getgrnam', requests: getgrnam, must: 1.5, goal: 2 },
    { ...lookup, name: 'getgrgid', requests: getgrgid, must: 3, goal: 4.5 },
    { ...lookup, name: 'initgroups', requests: initgroups, must: 3, goal: 5 },
    { ...lookup, name: 'group_members', requests: members, must: 1, goal: 2 },
    { ...lookup, name: 'sudo_rules', requests: sudo, must: 3.5, goal: 6 },
    { ...lookup, name: 'negative', requests: negative, must: 1.2, goal: 1.8 },
    { ...lookup, name: 'mix', requests: mix, must: 2.5, goal: 4 },
    { ...lookup, name: 'mix_depth8', requests: mix, connections: [16], depth: 8, must: 5, goal: 9 },
    {
      ...bulk,
      name: 'users_enum',
      requests: one({ base: PEOPLE, filter: enumerateUsers, attributes: USER }, people.length),
      must: 8,
      goal: 14,
    },
    { ...bulk, name: 'full_tree', requests: one({ base: BASE }, entries), must: 4, goal: 8 },
    {
      ...bulk,
      name: 'paged',
      mode: 'paged',
      requests: [
        {
          bytes: operationOf(find({ base: PEOPLE, filter: enumerateUsers, attributes: USER })),
          entries: people.length,
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
        entries: people.filter(({ uid }) => uid.startsWith(prefix)).length,
        code: 0,
      })),
      connections: [1],
      must: 3,
      goal: 20,
    },
    {
      ...lookup,
      name: 'bind',
      requests: [{ bytes: bind(ID, SERVICE_DN, SERVICE_PASSWORD), entries: 0, code: 0 }],
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
