import { pagingControl } from '../../server/src/ldap/testing/messages.ts';
import { BASE, timestamp } from '../../server/src/ldap/testing/sample-entries.ts';
import type { Query } from './ask.ts';

type Plain = Omit<Query, 'filter' | 'base'> & { base: string; attributes: readonly string[] };

/** What sssd, nslcd and sudo's own LDAP backend send, and the entries that are the right answer. */
export interface ClientQuery {
  name: string;
  query: Plain & { filter: string };
  /** RDNs, or how many. */
  finds: readonly string[] | number;
}

const PEOPLE = `ou=people,${BASE}`;
const GROUPS = `ou=groups,${BASE}`;
const SUDOERS = `ou=sudoers,${BASE}`;
const MAP = `automountMapName=auto.master,ou=odd,${BASE}`;

/** sssd 2.8.2, in its order and spelling. */
const USER =
  'objectClass uid userPassword uidNumber gidNumber gecos homeDirectory loginShell krbPrincipalName cn memberOf modifyTimestamp entryUSN shadowLastChange shadowMin shadowMax shadowWarning shadowInactive shadowExpire shadowFlag krbLastPwdChange krbPasswordExpiration pwdAttribute authorizedService accountExpires userAccountControl nsAccountLock host rhost loginDisabled loginExpirationTime loginAllowedTimeMap sshPublicKey userCertificate;binary mail'.split(
    ' ',
  );
const GROUP = 'objectClass cn userPassword gidNumber memberuid modifyTimestamp entryUSN'.split(' ');
const GROUP_BIS = GROUP.map((name) => (name === 'memberuid' ? 'member' : name));
const SUDO =
  'objectClass objectClass cn sudoCommand sudoHost sudoUser sudoOption sudoRunAs sudoRunAsUser sudoRunAsGroup sudoNotBefore sudoNotAfter sudoOrder entryUSN'.split(
    ' ',
  );

const aliceDn = `uid=alice,${PEOPLE}`;
/** The host filter of web1.example.com. */
const HOST =
  '(|(&(!(sudoHost=*))(cn=defaults))(sudoHost=ALL)(sudoHost=web1)(sudoHost=web1.example.com)(sudoHost=10.77.0.2)(sudoHost=10.77.0.0/24)(sudoHost=fe80::5054:ff:fe12:3456)(sudoHost=fe80::/64)(sudoHost=+*))';
const PATTERNS = '(|(sudoHost=*\\\\*)(sudoHost=*?*)(sudoHost=*\\2A*)(sudoHost=*[*]*))';
/** Rules that web1 downloads: for all hosts, for itself, for its network, for netgroups. */
const WEB1 = ['cn=dba', 'cn=defaults', 'cn=everywhere', 'cn=hours', 'cn=timed', 'cn=web'];
const ALL_USERS = '(&(objectclass=posixAccount)(uid=*)(uidNumber=*)(gidNumber=*))';
const ALL_GROUPS = '(&(objectClass=posixGroup)(cn=*)(&(gidNumber=*)(!(gidNumber=0))))';
const user = (leaf: string): string => `(&${leaf}(objectclass=posixAccount)(uid=*)(&(uidNumber=*)(!(uidNumber=0))))`;
const group = (leaf: string): string => `(&${leaf}(objectClass=posixGroup)(cn=*)(&(gidNumber=*)(!(gidNumber=0))))`;
const paged = { pageSize: 1000 };

const row = (
  name: string,
  base: string,
  filter: string,
  attributes: readonly string[],
  finds: ClientQuery['finds'],
  more: Partial<Plain> = {},
): ClientQuery => ({ name, query: { base, filter, attributes, ...more }, finds });

/** What sssd asks. */
export const SSSD: readonly ClientQuery[] = [
  row('sudo, all rules of a host', SUDOERS, `(&(objectClass=sudoRole)${HOST})`, SUDO, WEB1, paged),
  row('sudo, all rules when the host does not know its name', SUDOERS, '(objectClass=sudoRole)', SUDO, 14, paged),
  row(
    'sudo, with patterns in host names',
    SUDOERS,
    `(&(objectClass=sudoRole)(|${HOST.slice(2, -1)}${PATTERNS}))`,
    SUDO,
    WEB1,
    paged,
  ),
  row(
    'sudo, what changed',
    SUDOERS,
    `(&(&(objectClass=sudoRole)(entryUSN>=90))${HOST})`,
    SUDO,
    ['cn=web', 'cn=timed', 'cn=hours'],
    paged,
  ),
  row('sudo, nothing changed', SUDOERS, `(&(&(objectClass=sudoRole)(entryUSN>=99999))${HOST})`, SUDO, [], paged),
  row(
    'sudo, what changed by time, as sssd counts it on',
    SUDOERS,
    `(&(&(objectClass=sudoRole)(modifyTimestamp>=20260101000160Z))${HOST})`,
    SUDO,
    ['cn=timed', 'cn=hours'],
    paged,
  ),
  row(
    'sudo, rules that have expired in the cache',
    SUDOERS,
    `(&(&(objectClass=sudoRole)(|(cn=web)(cn=gone)(cn=DBA)))${HOST})`,
    SUDO,
    ['cn=web', 'cn=dba'],
    paged,
  ),
  row('all users', PEOPLE, ALL_USERS, USER, 30, paged),
  row(
    'users that changed',
    PEOPLE,
    '(&(&(objectclass=posixAccount)(uid=*)(uidNumber=*)(gidNumber=*))(entryUSN>=78)(!(entryUSN=78)))',
    USER,
    2,
    paged,
  ),
  row(
    'users that changed, by time',
    PEOPLE,
    `(&(&(objectclass=posixAccount)(uid=*)(uidNumber=*)(gidNumber=*))(modifyTimestamp>=${timestamp(77)})(!(modifyTimestamp=${timestamp(77)})))`,
    USER,
    2,
    paged,
  ),
  row('all groups', GROUPS, ALL_GROUPS, GROUP, 44, paged),
  row('groups that changed', GROUPS, `(&${ALL_GROUPS}(entryUSN>=20)(!(entryUSN=20)))`, GROUP, 30, paged),
  row(
    'services',
    BASE,
    '(&(objectclass=ipService)(cn=*)(ipServicePort=*)(ipServiceProtocol=*))',
    ['objectClass', 'cn', 'ipServicePort', 'ipServiceProtocol', 'entryUSN'],
    1,
    paged,
  ),
  row(
    'hosts',
    BASE,
    '(&(objectclass=ipHost)(cn=*)(ipHostNumber=*))',
    ['objectClass', 'cn', 'ipHostNumber', 'entryUSN'],
    1,
    paged,
  ),
  row(
    'networks',
    BASE,
    '(&(objectclass=ipNetwork)(cn=*)(ipNetworkNumber=*))',
    ['objectClass', 'cn', 'ipNetworkNumber', 'entryUSN'],
    ['cn=lan'],
    paged,
  ),
  row('a user by name', PEOPLE, user('(uid=alice)'), USER, ['uid=alice']),
  row('a user by name in capitals', PEOPLE, user('(uid=ALICE)'), USER, ['uid=alice']),
  row('a user who is disabled', PEOPLE, user('(uid=carol)'), USER, ['uid=carol']),
  row('a user who does not exist', PEOPLE, user('(uid=mallory)'), USER, []),
  row('a user whose name needs escapes', PEOPLE, user('(uid=a\\2a\\28\\29\\5c\\00b)'), USER, []),
  row('a user by number', PEOPLE, user('(uidNumber=200001)'), USER, ['uid=bob']),
  row('a number that nobody has', PEOPLE, user('(uidNumber=4294967295)'), USER, []),
  row(
    'initgroups, the user',
    PEOPLE,
    '(&(uid=alice)(objectclass=posixAccount)(&(uidNumber=*)(!(uidNumber=0))))',
    USER,
    ['uid=alice'],
  ),
  row(
    'initgroups, the groups',
    GROUPS,
    group('(memberuid=alice)'),
    GROUP.filter((name) => name !== 'memberuid'),
    ['cn=alice', 'cn=ops', 'cn=all-users', 'cn=web', 'cn=everywhere', 'cn=team0'],
    paged,
  ),
  row('a group by name', GROUPS, group('(cn=ops)'), GROUP, ['cn=ops']),
  row('a group without members', GROUPS, group('(cn=empty)'), GROUP, ['cn=empty']),
  row('a private group by number', GROUPS, group('(gidNumber=200001)'), GROUP, ['cn=bob']),
  row(
    'a netgroup',
    BASE,
    '(&(cn=frontends)(objectclass=nisNetgroup))',
    ['objectClass', 'cn', 'memberNisNetgroup', 'nisNetgroupTriple', 'modifyTimestamp'],
    ['cn=frontends'],
  ),
  row('users by pattern', PEOPLE, user('(uid=user1*)'), USER, 11, paged),
  row('groups by pattern', GROUPS, group('(cn=team*)'), GROUP, 8, paged),
  row(
    'rfc2307bis, groups of a user',
    GROUPS,
    `(&(member=${aliceDn})(objectClass=posixGroup)(cn=*))`,
    GROUP_BIS,
    ['cn=alice', 'cn=ops', 'cn=all-users', 'cn=web', 'cn=everywhere', 'cn=team0'],
    paged,
  ),
  row(
    'rfc2307bis, groups of a group',
    GROUPS,
    `(&(member=cn=ops,${GROUPS})(objectClass=posixGroup)(cn=*))`,
    GROUP_BIS,
    [],
    paged,
  ),
  row('rfc2307bis, a member', aliceDn, '(objectclass=posixAccount)', ['objectClass', 'uid'], ['uid=alice'], {
    scope: 0,
  }),
  row(
    'rfc2307bis, a member that is gone',
    `uid=gone,${PEOPLE}`,
    '(objectclass=posixAccount)',
    ['objectClass', 'uid'],
    [],
    { scope: 0 },
  ),
  row(
    'autofs, the map',
    BASE,
    '(&(automountMapName=auto.master)(objectclass=automountMap))',
    ['objectClass', 'automountMapName'],
    1,
  ),
  row(
    'autofs, the map as rfc2307 has it',
    BASE,
    '(&(nisMapName=auto.master)(objectclass=nisMap))',
    ['objectClass', 'nisMapName'],
    [],
  ),
  row(
    'autofs, all keys',
    MAP,
    '(&(automountKey=*)(objectclass=automount))',
    ['objectClass', 'automountKey', 'automountInformation'],
    1,
  ),
  row(
    'autofs, one key',
    MAP,
    '(&(automountKey=/home)(objectclass=automount))',
    ['objectClass', 'automountKey', 'automountInformation'],
    1,
  ),
  row(
    'subordinate ids',
    BASE,
    `(&(objectClass=subordinateIdEntry)(subidRangeOwner=${aliceDn}))`,
    ['objectClass', 'subidRangeOwner', 'subidRangeNumber'],
    [],
  ),
  row('a page size that the server would not choose', PEOPLE, ALL_USERS, USER, 30, { pageSize: 7 }),
  row('paging that is critical', PEOPLE, user('(uid=alice)'), USER, ['uid=alice'], {
    controls: [pagingControl(1000, '', true)],
  }),
];

const PASSWD = 'uid userPassword uidNumber gidNumber gecos cn homeDirectory loginShell objectClass'.split(' ');
const SHADOW =
  'uid userPassword shadowLastChange shadowMin shadowMax shadowWarning shadowInactive shadowExpire shadowFlag'.split(
    ' ',
  );
const NSLCD_GROUP = ['cn', 'userPassword', 'gidNumber', 'memberUid', 'member'];

/** What nss-pam-ldapd asks. */
export const NSLCD: readonly ClientQuery[] = [
  row('passwd by name', PEOPLE, '(&(objectClass=posixAccount)(uid=alice))', PASSWD, ['uid=alice']),
  row('passwd by number', PEOPLE, '(&(objectClass=posixAccount)(uidNumber=200001))', PASSWD, ['uid=bob']),
  row('all of passwd', PEOPLE, '(objectClass=posixAccount)', PASSWD, 30),
  row('group by name', GROUPS, '(&(objectClass=posixGroup)(cn=web))', NSLCD_GROUP, ['cn=web']),
  row('group by number', GROUPS, '(&(objectClass=posixGroup)(gidNumber=200002))', NSLCD_GROUP, ['cn=alice']),
  row('all of group', GROUPS, '(objectClass=posixGroup)', NSLCD_GROUP, 44),
  row('the name behind a user', PEOPLE, '(&(objectClass=posixAccount)(uid=alice))', ['uid'], ['uid=alice']),
  row(
    'groups of a user, by name and by entry',
    GROUPS,
    `(&(objectClass=posixGroup)(|(memberUid=alice)(member=${aliceDn})))`,
    ['cn', 'gidNumber'],
    ['cn=alice', 'cn=ops', 'cn=all-users', 'cn=web', 'cn=everywhere', 'cn=team0'],
  ),
  row('groups of a group', GROUPS, `(&(objectClass=posixGroup)(member=cn=ops,${GROUPS}))`, ['cn', 'gidNumber'], []),
  row('a member', aliceDn, '(objectClass=*)', ['uid'], ['uid=alice'], { scope: 0 }),
  row('shadow by name', PEOPLE, '(&(objectClass=shadowAccount)(uid=carol))', SHADOW, ['uid=carol']),
  row('all of shadow', PEOPLE, '(objectClass=shadowAccount)', SHADOW, 30),
  row(
    'netgroup by name',
    BASE,
    '(&(objectClass=nisNetgroup)(cn=frontends))',
    ['cn', 'nisNetgroupTriple', 'memberNisNetgroup'],
    ['cn=frontends'],
  ),
];

const WINDOW =
  '(|(!(sudoNotAfter=*))(sudoNotAfter>=20260101000000.0Z))(|(!(sudoNotBefore=*))(sudoNotBefore<=20260101000000.0Z))';
const IDENTITIES =
  '(sudoUser=alice)(sudoUser=#200002)(sudoUser=%alice)(sudoUser=%#200002)(sudoUser=%ops)(sudoUser=%#200033)(sudoUser=ALL)';
const REFUSED = '(sudoUser=!alice)(sudoUser=!#200002)(sudoUser=!%alice)(sudoUser=!%#200002)(sudoUser=!%ops)';

/** What sudo asks without sssd: always for all attributes. */
export const SUDO_LDAP: readonly ClientQuery[] = [
  row('the defaults', SUDOERS, '(cn=defaults)', [], ['cn=defaults']),
  row(
    'rules of a user',
    SUDOERS,
    `(|${IDENTITIES})`,
    [],
    ['cn=web', 'cn=everywhere', 'cn=team0', 'cn=timed', 'cn=hours'],
  ),
  row(
    'rules of a user without what is refused to them',
    SUDOERS,
    `(&(|${IDENTITIES})(!(|${REFUSED})))`,
    [],
    ['cn=web', 'cn=everywhere', 'cn=team0', 'cn=timed', 'cn=hours'],
  ),
  row(
    'rules that are in force',
    SUDOERS,
    `(&(objectClass=sudoRole)(|${IDENTITIES})(&${WINDOW}))`,
    [],
    ['cn=web', 'cn=everywhere', 'cn=team0', 'cn=timed', 'cn=hours'],
  ),
  row(
    'rules that are not in force any more',
    SUDOERS,
    `(&(objectClass=sudoRole)(&${WINDOW.replaceAll('20260101', '20310101')}))`,
    [],
    ['cn=defaults', 'cn=dba', 'cn=everywhere', ...Array.from({ length: 8 }, (_, n) => `cn=team${n}`)],
  ),
  row(
    'rules for groups of other kinds',
    SUDOERS,
    `(&(|(sudoUser=+*)(sudoUser=!+*)(sudoUser=%:*)(sudoUser=!%:*))(!(|(sudoUser=bob)(sudoUser=ALL))))`,
    [],
    [],
  ),
  row('rules for netgroups', SUDOERS, '(|(sudoUser=+*)(sudoUser=!+*)(sudoUser=%:*))', [], ['cn=timed']),
  row(
    'rules of somebody in hundreds of groups',
    SUDOERS,
    `(|${IDENTITIES}${Array.from({ length: 400 }, (_, n) => `(sudoUser=%group-number-${n})`).join('')})`,
    [],
    ['cn=web', 'cn=everywhere', 'cn=team0', 'cn=timed', 'cn=hours'],
  ),
];
