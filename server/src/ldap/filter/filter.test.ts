import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createEngine } from '../engine/engine.ts';
import { AUDIENCE } from '../snapshot/snapshot.ts';
import { entry, person, smallDirectory, snapshotOf } from '../testing/entries.ts';
import { runSearch } from '../testing/run-search.ts';
import { BASE, timestamp } from '../testing/sample-entries.ts';

const service = { audience: AUDIENCE.service, self: -1, host: null };
const extra = [
  person('dave', 200004, { description: ['Star * (team)', 'second'], cn: 'Dave  Q.   Doe', uid: 'dave' }, 20),
  entry(`cn=a\\,b+ou=x,${BASE}`, ['organizationalUnit'], { ou: 'x', cn: 'a,b', description: 'odd name' }, { usn: 21 }),
  entry(
    `cn=timed,ou=sudoers,${BASE}`,
    ['sudoRole'],
    { cn: 'timed', sudoNotAfter: '20270101000000Z', sudoNotBefore: '20260101000000Z', sudoOrder: '-5' },
    { usn: 22 },
  ),
];
const engine = createEngine(snapshotOf([...smallDirectory(), ...extra]));
const all = runSearch(engine, { base: BASE, attributes: ['1.1'] }, service).dns;
const matching = (filter: string): string[] =>
  runSearch(engine, { base: BASE, filter, attributes: ['1.1'] }, service).dns.map((dn) => dn.split(',')[0]!);

/** Filter → RDNs of what it matches. */
const table: Record<string, [filter: string, expected: string[]][]> = {
  'equality by the attribute’s rule': [
    ['(uid=ALICE)', ['uid=alice']],
    ['(UID=alice)', ['uid=alice']],
    ['(0.9.2342.19200300.100.1.1=alice)', ['uid=alice']],
    ['(cn=dave q. doe)', ['uid=dave']],
    ['(homeDirectory=/home/alice)', ['uid=alice']],
    ['(homeDirectory=/HOME/alice)', []],
    ['(memberuid=alice)', ['cn=alice', 'cn=ops']],
    ['(memberUid=Alice)', []],
    ['(sudoHost=WEB1)', ['cn=web']],
    ['(sudoUser=Alice)', []],
    [`(member=UID=alice, ou=PEOPLE,${BASE})`, ['cn=alice', 'cn=ops']],
    ['(displayName=BÓB ünal)', ['uid=bob']],
    ['(entryDN=uid=alice,ou=people,dc=example,dc=com)', ['uid=alice']],
    ['(structuralObjectClass=sudoRole)', ['cn=ops', 'cn=web', 'cn=timed']],
    ['(structuralObjectClass=1.3.6.1.4.1.15953.9.2.1)', ['cn=ops', 'cn=web', 'cn=timed']],
    ['(structuralObjectClass=person)', []],
    ['(hasSubordinates=TRUE)', ['dc=example', 'ou=people', 'ou=groups', 'ou=sudoers']],
    ['(sudoNotAfter=202701010000Z)', ['cn=timed']],
  ],
  'classes with their superclasses': [
    ['(objectClass=person)', ['uid=alice', 'uid=bob', 'uid=carol', 'uid=dave']],
    ['(objectclass=SUDOROLE)', ['cn=ops', 'cn=web', 'cn=timed']],
    ['(objectClass=1.3.6.1.4.1.15953.9.2.1)', ['cn=ops', 'cn=web', 'cn=timed']],
    ['(&(objectclass=ipService)(cn=*)(ipServicePort=*)(ipServiceProtocol=*))', []],
  ],
  presence: [
    ['(mail=*)', ['uid=alice', 'uid=bob']],
    ['(&(uid=a*)(entryDN=*))', ['uid=alice']],
    ['(userPassword=*)', []],
  ],
  substrings: [
    ['(uid=al*)', ['uid=alice']],
    ['(uid=*ce)', ['uid=alice']],
    ['(uid=*li*)', ['uid=alice']],
    ['(uid=a*i*e)', ['uid=alice']],
    ['(uid=AL*CE)', ['uid=alice']],
    ['(uid=alice*alice)', []],
    ['(uid=ali*ice)', []],
    ['(uid=*a*l*i*c*e*)', ['uid=alice']],
    ['(cn=dave q*doe)', ['uid=dave']],
    ['(cn=dave *q*)', ['uid=dave']],
    ['(cn=dave * q. *doe)', ['uid=dave']],
    ['(cn= dave *)', ['uid=dave']],
    ['(cn=dav *)', []],
    ['(cn=* doe)', ['uid=dave']],
    ['(cn=*av e*)', []],
    ['(&(uid=d*)(cn=* *))', ['uid=dave']],
    ['(&(uid=d*)(uid=* *))', ['uid=dave']],
    ['(homeDirectory=/home/A*)', []],
    ['(description=*\\2a*)', ['uid=dave']],
    ['(description=*\\28team\\29)', ['uid=dave']],
    ['(uidNumber=2000*)', []],
    ['(displayName=b\\c3\\93*)', ['uid=bob']],
    ['(sudoHost=+*)', []],
  ],
  order: [
    ['(uidNumber>=200003)', ['uid=carol', 'uid=dave']],
    ['(uidNumber<=200001)', ['uid=alice']],
    ['(&(uidNumber>=200002)(uidNumber<=200003))', ['uid=bob', 'uid=carol']],
    ['(uidNumber>=99999999999999999999)', []],
    ['(uidNumber<=-1)', []],
    ['(sudoOrder>=-5)', ['cn=ops', 'cn=web', 'cn=timed']],
    ['(sudoOrder<=-5)', ['cn=timed']],
    ['(entryUSN>=20)', ['uid=dave', 'cn=a\\', 'cn=timed']],
    ['(&(entryUSN>=12)(!(entryUSN=12))(entryUSN<=14))', ['cn=ops', 'cn=empty']],
    [`(modifyTimestamp>=${timestamp(22)})`, ['cn=timed']],
    // One more than the last second of a minute, as sssd counts.
    ['(modifyTimestamp>=20260101000060Z)', []],
    ['(&(modifyTimestamp<=20260101000060Z)(modifyTimestamp>=20260101000022.0Z))', ['cn=timed']],
    ['(sudoNotAfter>=20261122000000.0Z)', ['cn=timed']],
    ['(&(uid=*)(uid>=c))', ['uid=carol', 'uid=dave', 'uid=web1.example.com']],
    ['(member>=x)', []],
  ],
  approximately: [
    ['(cn~=dave-q doe)', ['uid=dave']],
    ['(uidNumber~=200001)', ['uid=alice']],
  ],
  'absolute truth and falsehood (RFC 4526)': [
    ['(|)', []],
    ['(!(&))', []],
  ],
  'extensible match': [
    ['(cn:caseExactMatch:=name of alice)', []],
    ['(cn:caseExactMatch:=Name of alice)', ['uid=alice']],
    ['(homeDirectory:caseIgnoreMatch:=/HOME/ALICE)', ['uid=alice']],
    ['(uid:2.5.13.2:=ALICE)', ['uid=alice']],
    ['(uid:=ALICE)', ['uid=alice']],
    ['(:caseIgnoreMatch:=alice ahlberg)', ['uid=alice']],
    ['(uidNumber:integerMatch:=200001)', ['uid=alice']],
    ['(uidNumber:caseIgnoreMatch:=200001)', []],
    ['(uid:nosuchMatch:=alice)', []],
    ['(nosuch:caseIgnoreMatch:=alice)', []],
    ['(uidNumber:1.2.840.113556.1.4.803:=3)', ['uid=carol']],
    ['(&(uid=*)(uidNumber:1.2.840.113556.1.4.804:=-1))', ['uid=alice', 'uid=bob', 'uid=carol', 'uid=dave']],
    ['(sudoOrder:1.2.840.113556.1.4.803:=8)', ['cn=timed']],
    ['(&(uid=*)(uidNumber:1.2.840.113556.1.4.804:=3))', ['uid=alice', 'uid=bob', 'uid=carol']],
    ['(&(uid=*)(ou:dn:=PEOPLE))', ['uid=alice', 'uid=bob', 'uid=carol', 'uid=dave']],
    ['(cn:dn:caseIgnoreMatch:=A\\2cB)', ['cn=a\\']],
    ['(objectClass:objectIdentifierMatch:=sudoRole)', ['cn=ops', 'cn=web', 'cn=timed']],
    ['(uid:caseIgnoreOrderingMatch:=BOB)', ['uid=alice']],
    ['(&(uid=*)(uidNumber:integerOrderingMatch:=200002))', ['uid=alice']],
    ['(sudoNotAfter:generalizedTimeOrderingMatch:=20280101000000Z)', ['cn=timed']],
    ['(sudoNotAfter:generalizedTimeOrderingMatch:=20270101000000Z)', []],
  ],
  'queries of sssd': [
    ['(&(uid=alice)(objectclass=posixAccount)(uid=*)(&(uidNumber=*)(!(uidNumber=0))))', ['uid=alice']],
    ['(&(memberuid=alice)(objectClass=posixGroup)(cn=*)(&(gidNumber=*)(!(gidNumber=0))))', ['cn=alice', 'cn=ops']],
    [
      '(&(objectClass=sudoRole)(|(&(!(sudoHost=*))(cn=defaults))(sudoHost=ALL)(sudoHost=web1)(sudoHost=10.0.0.0/8)(sudoHost=+*)))',
      ['cn=ops', 'cn=web'],
    ],
    [
      '(&(&(objectClass=posixGroup)(cn=*)(&(gidNumber=*)(!(gidNumber=0))))(entryUSN>=13)(!(entryUSN=13)))',
      ['cn=empty'],
    ],
    ['(|(sudoHost=*\\\\*)(sudoHost=*?*)(sudoHost=*\\2A*)(sudoHost=*[*]*))', []],
  ],
};

for (const [name, rows] of Object.entries(table)) {
  describe(name, () => {
    for (const [filter, expected] of rows) {
      test(filter, () => assert.deepEqual(matching(filter).toSorted(), expected.toSorted()));
    }
  });
}

describe('three values (RFC 4511 4.5.1.7)', () => {
  /** Things that are neither true nor false of any entry. */
  const undefinedFilters = [
    '(nosuch=x)',
    '(nosuch=*)',
    '(nosuch>=1)',
    '(objectClass=nosuch)',
    '(uidNumber=many)',
    '(uidNumber=0200001)',
    '(uidNumber>=many)',
    '(uidNumber=20*)',
    '(member=no dn)',
    '(modifyTimestamp>=yesterday)',
    '(uid=)',
    '(uid:nosuchMatch:=alice)',
    '(uid:telephoneNumberMatch:=alice)',
    '(uidNumber:1.2.840.113556.1.4.803:=99999999999999999999)',
    '(uid:caseIgnoreSubstringsMatch:=al*)',
    '(userCertificate;binary=x)',
    '(uidNumber;x-option=many)',
    '(objectClass= person)',
    '(structuralObjectClass=nosuch)',
    '(structuralObjectClass:objectIdentifierMatch:=nosuch)',
    '(member>=cn=x)',
    '(entryUUID=1234)',
    '(hasSubordinates=maybe)',
    '(mail=m\\c3\\bcller)',
  ];
  for (const filter of undefinedFilters) {
    test(`${filter} and its negation match nothing`, () => {
      assert.deepEqual(matching(filter), []);
      assert.deepEqual(matching(`(!${filter})`), []);
      assert.deepEqual(matching(`(!(&${filter}(uid=alice)))`).length, all.length - 1);
      assert.deepEqual(matching(`(|${filter}(uid=alice))`), ['uid=alice']);
    });
  }

  test('the negation of an attribute that an entry lacks is true', () => {
    assert.equal(matching('(!(uidNumber=0))').length, all.length);
    assert.equal(matching('(!(mail=alice@example.com))').length, all.length - 1);
    assert.equal(matching('(!(cn;lang-de=x))').length, all.length);
    assert.equal(matching('(!(cn;lang-de:caseIgnoreMatch:=x))').length, all.length);
    assert.equal(matching('(!(mail=))').length, all.length);
  });

  test('absolute truth matches everything', () => {
    assert.equal(matching('(&)').length, all.length);
    assert.equal(matching('(!(|))').length, all.length);
  });
});
