import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import type { DirectoryUser } from '../source/model.ts';
import { commonName, gecosOf, homeOf, readable, shellOf, sshKeysOf } from './account.ts';
import type { Attributes, BareEntry } from './model.ts';

const PERSON = [
  'top',
  'person',
  'organizationalPerson',
  'inetOrgPerson',
  'posixAccount',
  'shadowAccount',
  'identreeAccount',
];

/** What a person's entry says (RFC 2307). A disabled person keeps it, locked and without keys: files keep their owner. */
export function personAttributes(person: {
  user: DirectoryUser;
  name: string;
  uid: number;
  gid: number;
  hosts: readonly string[];
  memberOf: readonly string[];
  settings: DirectorySettings;
  lint: (lint: Lint) => void;
}): Pick<BareEntry, 'objectClass' | 'attributes'> {
  const { user, name, settings, lint } = person;
  const cn = commonName(user, name);
  const objectClass = [...PERSON];
  const attributes: Attributes = [
    ['uid', [name]],
    ['cn', [cn]],
    ['sn', [readable(user.lastName) || name]],
    ['uidNumber', [String(person.uid)]],
    ['gidNumber', [String(person.gid)]],
    ['gecos', [gecosOf(cn, name)]],
    ['homeDirectory', [homeOf(user, name, settings.accounts, lint)]],
    ['loginShell', [shellOf(user, settings.accounts, lint)]],
    ['shadowLastChange', ['1']],
    ['shadowMin', ['0']],
    ['shadowMax', ['99999']],
    ['shadowWarning', ['7']],
    ['accountStatus', [user.disabled ? 'inactive' : 'active']],
  ];
  const firstName = readable(user.firstName);
  if (firstName !== '') attributes.push(['givenName', [firstName]]);
  const displayName = readable(user.displayName);
  if (displayName !== '') attributes.push(['displayName', [displayName]]);
  // The attribute is IA5; an address in other letters has no spelling in it.
  if (/^[\x21-\x7e]+$/.test(user.email)) attributes.push(['mail', [user.email]]);
  if (user.disabled) attributes.push(['shadowExpire', ['1']], ['nsAccountLock', ['TRUE']]);
  else {
    const keys = sshKeysOf(user, lint);
    if (keys.length > 0) {
      objectClass.push('ldapPublicKey');
      attributes.push(['sshPublicKey', keys]);
    }
  }
  if (person.hosts.length > 0) {
    objectClass.push('hostObject');
    attributes.push(['host', person.hosts]);
  }
  if (person.memberOf.length > 0) attributes.push(['memberOf', person.memberOf]);
  return { objectClass, attributes };
}
