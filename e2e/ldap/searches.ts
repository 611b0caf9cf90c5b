import type { Entry } from '../../server/src/ldap/entry.ts';
import type { TestFilter } from '../../server/src/ldap/testing/filters.ts';
import type { randomFrom } from '../../server/src/ldap/testing/long.ts';
import type { TestControl } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import type { Query } from './ask.ts';

/** Generated searches, repeatable by their seed. */

type Random = ReturnType<typeof randomFrom>;

/** A search whose filter can still be changed. */
export interface Generated extends Omit<Query, 'filter' | 'base'> {
  base: string;
  filter: TestFilter;
  attributes: readonly string[];
}

const ALIASES: Record<string, readonly string[]> = {
  uid: ['UID', 'userid', '0.9.2342.19200300.100.1.1'],
  cn: ['CN', 'commonName', '2.5.4.3'],
  sn: ['surname', '2.5.4.4'],
  givenName: ['gn', 'GIVENNAME'],
  objectClass: ['objectclass', 'OBJECTCLASS', '2.5.4.0'],
  uidNumber: ['uidnumber', '1.3.6.1.1.1.1.0'],
  gidNumber: ['GIDNUMBER', '1.3.6.1.1.1.1.1'],
  memberUid: ['memberuid', '1.3.6.1.1.1.1.12'],
  member: ['MEMBER', '2.5.4.31'],
  mail: ['rfc822Mailbox', 'MAIL'],
  dc: ['domainComponent'],
  ou: ['organizationalUnitName', 'OU'],
  sudoHost: ['sudohost'],
  sudoUser: ['SUDOUSER'],
  host: ['HOST'],
  modifyTimestamp: ['modifytimestamp', '2.5.18.2'],
  entryUUID: ['entryuuid', '1.3.6.1.1.16.4'],
};

const OPERATIONAL =
  'entryUUID entryUSN modifyTimestamp createTimestamp creatorsName modifiersName structuralObjectClass';
const COMPUTED = 'entryDN hasSubordinates subschemaSubentry';
/** Known to the schema, in no entry. */
const ABSENT = 'userPassword krbLess shadowInactive sudoRunAs authorizedService nisNetgroupTriple carLicense'.split(
  ' ',
);
/** Unknown, malformed, and with options. */
const STRANGE = [
  'krbPrincipalName',
  'nosuch',
  '1.2.3.4.5',
  'cn;lang-de',
  'userCertificate;binary',
  'nosuch;lang-de',
  'cn;',
  'c n',
  '-cn',
  '',
  'cn;x_y',
  'telephoneNumber;lang-en',
  'objectClass;x',
];

const OBJECT_CLASSES = [
  'posixAccount',
  'posixaccount',
  'posixGroup',
  'POSIXGROUP',
  'sudoRole',
  'top',
  'person',
  'organizationalPerson',
  'shadowAccount',
  'organizationalUnit',
  'device',
  'nisNetgroup',
  'ipService',
  '1.3.6.1.1.1.2.0',
  '2.5.6.6',
  'nosuchClass',
  '1.2.3.4',
  'extensibleObject',
  'dcObject',
];

export interface Searches {
  next(): Generated;
}

/** @param entries what both servers hold, so that most assertions are about something that exists. */
export function createSearches(entries: readonly Entry[], random: Random): Searches {
  const valuesOf = new Map<string, string[]>();
  const note = (name: string, value: string): void => {
    const list = valuesOf.get(name) ?? [];
    if (!list.includes(value)) list.push(value);
    valuesOf.set(name, list);
  };
  for (const { dn, attributes, operational, objectClass } of entries) {
    for (const [name, values] of attributes) for (const value of values) note(name, value);
    for (const name of objectClass) note('objectClass', name);
    note('entryDN', dn);
    note('entryUUID', operational.entryUUID);
    note('entryUSN', String(operational.entryUSN));
    note('modifyTimestamp', operational.modifyTimestamp);
    note('createTimestamp', operational.createTimestamp);
  }
  for (const name of ['creatorsName', 'modifiersName']) note(name, 'cn=identree');
  note('hasSubordinates', 'TRUE');
  note('hasSubordinates', 'FALSE');
  note('subschemaSubentry', 'cn=subschema');
  for (const name of ['sudoRole', 'device', 'inetOrgPerson']) note('structuralObjectClass', name);
  const stored = [...valuesOf.keys()];
  const everyValue = [...valuesOf.values()].flat();
  const dns = entries.map(({ dn }) => dn);
  const chance = (percent: number): boolean => random.int(100) < percent;

  function spelled(name: string): string {
    const others = ALIASES[name];
    if (others !== undefined && chance(25)) return random.pick(others);
    return chance(10) ? name.toUpperCase() : name;
  }

  function attribute(): string {
    const dice = random.int(100);
    if (dice < 45)
      return random.pick([
        'uid',
        'cn',
        'uidNumber',
        'gidNumber',
        'objectClass',
        'memberUid',
        'member',
        'sudoHost',
        'sudoUser',
        'mail',
        'description',
      ]);
    if (dice < 85) return random.pick(stored);
    if (dice < 92) return random.pick(ABSENT);
    return random.pick(STRANGE);
  }

  /** Changes a value into one that may or may not still match. */
  function varied(value: string): string {
    switch (random.int(12)) {
      case 0:
        return value.toUpperCase();
      case 1:
        return value.toLowerCase();
      case 2:
        return ` ${value}  `;
      case 3:
        return value.replace(/ /g, '   ');
      case 4:
        return value.slice(0, -1);
      case 5:
        return `${value}x`;
      case 6:
        return value.replace(/^(\d)/, '0$1');
      case 7:
        return value.normalize('NFD');
      case 8:
        return `${value.slice(0, 3)}\u00ad${value.slice(3)}`;
      case 9:
        return value.replace(/=/g, ' = ').replace(/,/g, ' , ');
      case 10:
        return `${value}\u0000`;
      default:
        return value.replace(/Z$/, '.0Z').replace(/(\d\d)Z$/, '60Z');
    }
  }

  function value(name: string): string {
    const own = valuesOf.get(name);
    const dice = random.int(100);
    if (name === 'objectClass' && dice < 70) return random.pick(OBJECT_CLASSES);
    if (own === undefined || dice < 8) return random.pick(everyValue);
    if (dice < 12)
      return random.pick(['', ' ', 'x', '0', '-1', 'TRUE', '99999999999999999999', '20260101000000Z', ALL_DN]);
    if (dice < 30) return varied(random.pick(own));
    return random.pick(own);
  }
  const ALL_DN = random.pick(dns);

  function piece(text: string): string {
    const letters = [...text];
    const start = random.int(Math.max(1, letters.length));
    const part = letters.slice(start, start + 1 + random.int(5)).join('');
    return chance(10) ? part.toUpperCase() : part;
  }

  function substring(name: string): TestFilter {
    const text = value(name) || 'x';
    const letters = [...text];
    const letterRun = (from: number, count: number): string => letters.slice(from, from + count).join('');
    const initial = chance(60) ? letterRun(0, 1 + random.int(4)) : '';
    const final = chance(40) ? letterRun(Math.max(0, letters.length - 1 - random.int(4)), 5) : '';
    const any = Array.from({ length: random.int(3) }, () => piece(text)).filter((part) => part !== '');
    if (initial === '' && final === '' && any.length === 0) any.push(letters[0] ?? 'x');
    return { kind: 'substring', attribute: spelled(name), initial, any, final };
  }

  const RULES = [
    'caseIgnoreMatch',
    'caseExactMatch',
    '2.5.13.2',
    '2.5.13.5',
    'caseIgnoreIA5Match',
    'caseExactIA5Match',
    'integerMatch',
    '2.5.13.14',
    'distinguishedNameMatch',
    '2.5.13.1',
    'objectIdentifierMatch',
    'generalizedTimeMatch',
    'booleanMatch',
    'UUIDMatch',
    'octetStringMatch',
    'telephoneNumberMatch',
    '1.2.840.113556.1.4.803',
    '1.2.840.113556.1.4.804',
    'nosuchMatch',
    '1.2.3',
    'caseIgnoreOrderingMatch',
    'caseIgnoreSubstringsMatch',
  ];

  function extensible(): TestFilter {
    const name = chance(80) ? attribute() : '';
    const rule = chance(name === '' ? 100 : 60) ? random.pick(RULES) : '';
    const dn = chance(30);
    const about = name === '' ? random.pick(stored) : name;
    return { kind: 'extensible', attribute: name === '' ? '' : spelled(name), rule, dn, value: value(about) };
  }

  function leaf(): TestFilter {
    const name = attribute();
    const dice = random.int(100);
    if (dice < 35) return { kind: 'equal', attribute: spelled(name), value: value(name) };
    if (dice < 50) return { kind: 'present', attribute: spelled(name) };
    if (dice < 68) return substring(name);
    if (dice < 78) return { kind: 'atLeast', attribute: spelled(name), value: value(name) };
    if (dice < 86) return { kind: 'atMost', attribute: spelled(name), value: value(name) };
    if (dice < 90) return { kind: 'similar', attribute: spelled(name), value: value(name) };
    return extensible();
  }

  function filter(depth: number): TestFilter {
    const dice = random.int(100);
    if (depth === 0 || dice < 50) return leaf();
    if (dice < 65) return { kind: 'not', child: filter(depth - 1) };
    const children = Array.from({ length: random.int(4) }, () => filter(depth - 1));
    return { kind: dice < 83 ? 'and' : 'or', children };
  }

  function respelled(dn: string): string {
    switch (random.int(6)) {
      case 0:
        return dn.toUpperCase().replaceAll('\\ ', '\\20');
      case 1:
        return dn.replace(/(?<!\\),/g, ' ,  ');
      case 2:
        return dn.replace(/=/g, ' = ').replaceAll('\\ = ', '\\=');
      case 3:
        return dn.replace(/^cn=/, '2.5.4.3=').replace(/^uid=/, 'userid=').replace(/dc=/g, 'domainComponent=');
      case 4:
        return dn.replace(/(?<=[=])([a-z])/, (letter) => `\\${letter.charCodeAt(0).toString(16)}`);
      default:
        return dn.replace(/^([a-z]+)=([a-z0-9]{1,20}),/, (_, type: string, text: string) => {
          const octets = Buffer.from(text);
          return `${type}=#04${octets.length.toString(16).padStart(2, '0')}${octets.toString('hex')},`;
        });
    }
  }

  const BAD = [
    'x',
    'cn',
    'cn=',
    '=x',
    ',',
    `cn=a,,${BASE}`,
    `cn=a;${BASE}`,
    'cn=a,',
    'cn=a+',
    `cn="a,${BASE}`,
    'cn=\\zz',
    'cn=#zz',
    'c n=x',
    `cn=<a>,${BASE}`,
    `nosuch=x,${BASE}`,
    '1.2=x',
    `cn=a\\,${BASE}`,
    'cn=a=b',
    ' ',
    `uid=a b,${BASE} `,
    `cn=\u0000,${BASE}`,
  ];

  function base(): string {
    const dice = random.int(100);
    if (dice < 40) return BASE;
    if (dice < 60)
      return random.pick([`ou=people,${BASE}`, `ou=groups,${BASE}`, `ou=sudoers,${BASE}`, `ou=odd,${BASE}`]);
    if (dice < 76) return random.pick(dns);
    if (dice < 86) return respelled(random.pick(dns));
    if (dice < 91)
      return `${random.pick(['cn=gone', 'uid=x\\,y', 'ou=gone,ou=far', 'cn=a+uid=b'])},${random.pick(dns)}`;
    if (dice < 94) return random.pick(['', 'dc=com', 'dc=other,dc=org', `x${BASE}`]);
    return random.pick(BAD);
  }

  function attributes(): string[] {
    if (chance(30)) return [];
    if (chance(8)) return ['1.1'];
    return Array.from({ length: 1 + random.int(6) }, () => {
      const dice = random.int(100);
      if (dice < 10) return '*';
      if (dice < 20) return '+';
      if (dice < 23) return '1.1';
      if (dice < 28) return random.pick(STRANGE);
      if (dice < 33) return random.pick(OPERATIONAL.split(' '));
      if (dice < 37) return random.pick(COMPUTED.split(' '));
      if (dice < 40) return random.pick(['name', 'distinguishedName']);
      return spelled(random.pick(stored));
    });
  }

  const PAGING = '1.2.840.113556.1.4.319';
  const CONTROLS: readonly TestControl[] = [
    { oid: '2.16.840.1.113730.3.4.2' },
    { oid: '2.16.840.1.113730.3.4.2', critical: true },
    { oid: '1.3.6.1.4.1.42.2.27.8.5.1' },
    { oid: '1.2.3.4' },
    { oid: '1.2.3.4', critical: true },
    { oid: '1.2.3.4', value: Buffer.from('x') },
    { oid: '1.2.3.4', critical: true, value: Buffer.from('x') },
    { oid: PAGING },
    { oid: PAGING, critical: true },
    { oid: PAGING, value: Buffer.from('3003', 'hex') },
    { oid: PAGING, value: Buffer.from('3005020103', 'hex'), critical: true },
    { oid: PAGING, value: Buffer.from('30050201ff0400', 'hex') },
    { oid: PAGING, value: Buffer.from('300702010304027878', 'hex') },
  ];

  return {
    next() {
      const paged = chance(20);
      return {
        base: base(),
        scope: chance(2) ? random.pick([4, 7, -1]) : random.pick([2, 2, 2, 0, 1, 3]),
        deref: chance(2) ? 4 : random.int(4),
        sizeLimit: chance(15) ? 1 + random.int(12) : 0,
        timeLimit: chance(10) ? 1000 : 0,
        typesOnly: chance(10),
        filter: filter(3),
        attributes: attributes(),
        controls: chance(12) ? [random.pick(CONTROLS)] : [],
        ...(paged ? { pageSize: random.pick([0, 1, 2, 3, 5, 7, 20, 100, 1000, 2000, 2 ** 31 - 1]) } : {}),
      };
    },
  };
}
