import { OID } from '../../server/src/ldap/protocol/operation.ts';
import { BASE_DN } from '../harness/directory.ts';

/** What sssd 2.8 asks for, in its own order. */
export const ROOT_ATTRIBUTES = [
  ...['*', 'altServer', 'namingContexts', 'supportedControl', 'supportedExtension', 'supportedFeatures'],
  ...['supportedLDAPVersion', 'supportedSASLMechanisms', 'domainControllerFunctionality', 'defaultNamingContext'],
  ...['lastUSN', 'highestCommittedUSN'],
];
export const USER_ATTRIBUTES = [
  ...['objectClass', 'uid', 'userPassword', 'uidNumber', 'gidNumber', 'gecos', 'homeDirectory', 'loginShell'],
  ...['krbPrincipalName', 'cn', 'modifyTimestamp', 'entryUSN', 'shadowLastChange', 'shadowMin', 'shadowMax'],
  ...['shadowWarning', 'shadowInactive', 'shadowExpire', 'shadowFlag', 'krbLastPwdChange', 'krbPasswordExpiration'],
  ...['pwdAttribute', 'authorizedService', 'accountExpires', 'userAccountControl', 'nsAccountLock', 'host', 'rhost'],
  ...['loginDisabled', 'loginExpirationTime', 'loginAllowedTimeMap', 'sshPublicKey', 'userCertificate;binary', 'mail'],
];
export const GROUP_ATTRIBUTES = [
  ...['objectClass', 'cn', 'userPassword', 'gidNumber', 'memberuid', 'modifyTimestamp', 'entryUSN'],
];
export const SUDO_ATTRIBUTES = [
  ...['objectClass', 'objectClass', 'cn', 'sudoCommand', 'sudoHost', 'sudoUser', 'sudoOption', 'sudoRunAs'],
  ...['sudoRunAsUser', 'sudoRunAsGroup', 'sudoNotBefore', 'sudoNotAfter', 'sudoOrder', 'entryUSN'],
];

export const PEOPLE = `ou=people,${BASE_DN}`;
export const GROUPS = `ou=groups,${BASE_DN}`;
export const SUDOERS = `ou=sudoers,${BASE_DN}`;

/** sssd asks for pages without insisting on them. */
export const PAGED = [{ oid: OID.paging, critical: false, hasValue: true }];

const NUMBERED = '(&(uidNumber=*)(!(uidNumber=0)))';
const GROUP_TAIL = '(objectClass=posixGroup)(cn=*)(&(gidNumber=*)(!(gidNumber=0))))';

/** sssd's filters, for exact comparison. */
export const FILTERS = {
  userByName: (name: string) => `(&(uid=${name})(objectclass=posixAccount)(uid=*)${NUMBERED})`,
  userById: (uid: number) => `(&(uidNumber=${uid})(objectclass=posixAccount)(uid=*)${NUMBERED})`,
  ofGroups: (name: string) => `(&(uid=${name})(objectclass=posixAccount)${NUMBERED})`,
  groupsOf: (name: string) => `(&(memberuid=${name})${GROUP_TAIL}`,
  groupByName: (name: string) => `(&(cn=${name})${GROUP_TAIL}`,
  groupById: (gid: number) => `(&(gidNumber=${gid})${GROUP_TAIL}`,
  groupsOfMember: (dn: string) => `(&(member=${dn})(objectClass=posixGroup)(cn=*))`,
  allUsers: '(&(objectclass=posixAccount)(uid=*)(uidNumber=*)(gidNumber=*))',
  allGroups: `(&${GROUP_TAIL}`,
};

/** What a host asks of sudo rules: those for all, for its names, addresses and networks, and netgroups. */
export function hostFilter(name: string, address: string): RegExp {
  const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  const network = address.replace(/\.\d+$/, '.0/24');
  const own = [name, `${name}.example.com`, address, network].map((host) => `\\(sudoHost=${literal(host)}\\)`).join('');
  return new RegExp(
    `^\\(\\|\\(&\\(!\\(sudoHost=\\*\\)\\)\\(cn=defaults\\)\\)\\(sudoHost=ALL\\)${own}` +
      '(?:\\(sudoHost=fe80::[0-9a-f:/]+\\))*\\(sudoHost=\\+\\*\\)\\)$',
  );
}

/** The parts of a filter of sudo rules: what is asked of rules, and of hosts. */
export function sudoFilter(filter: string): { rules: string; hosts: string } | null {
  const match = /^\(&(.*?)(\(\|\(&\(!\(sudoHost=\*\)\).*\))\)$/.exec(filter);
  return match ? { rules: match[1]!, hosts: match[2]! } : null;
}
