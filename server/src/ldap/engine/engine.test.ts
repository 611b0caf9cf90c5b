import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '../entry.ts';
import { decodeRequest } from '../protocol/decode-request.ts';
import { RESULT } from '../protocol/operation.ts';
import { AUDIENCE } from '../snapshot/snapshot.ts';
import {
  baseEntry,
  container,
  entry,
  group,
  person,
  smallDirectory,
  snapshotOf,
  sudoRole,
} from '../testing/entries.ts';
import { arbitraryFilter, encodeFilter, filterText, type TestFilter } from '../testing/filters.ts';
import { cases } from '../testing/long.ts';
import { compare, type TestSearch } from '../testing/messages.ts';
import { judge } from '../testing/naive.ts';
import { runSearch } from '../testing/run-search.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import { FILLED } from './cursor.ts';
import { createEngine } from './engine.ts';
import { ANONYMOUS, type View } from './view.ts';

const engine = createEngine(snapshotOf(smallDirectory()));
const service: View = { audience: AUDIENCE.service, self: -1, host: null };
const dnsOf = (options: TestSearch, view = service): string[] => runSearch(engine, options, view).dns;

describe('scopes (RFC 4511 4.5.1.2)', () => {
  test('base is the entry itself and nothing else', () => {
    assert.deepEqual(dnsOf({ base: `ou=people,${BASE}`, scope: 0 }), [`ou=people,${BASE}`]);
    assert.deepEqual(dnsOf({ base: `uid=bob,ou=people,${BASE}`, scope: 0, filter: '(uid=alice)' }), []);
  });

  test('one level is the children and not their children', () => {
    assert.equal(dnsOf({ base: BASE, scope: 1 }).length, 4);
    assert.equal(dnsOf({ base: `ou=people,${BASE}`, scope: 1 }).length, 3);
    assert.deepEqual(dnsOf({ base: `uid=bob,ou=people,${BASE}`, scope: 1 }), []);
    assert.deepEqual(dnsOf({ base: BASE, scope: 1, filter: '(uid=alice)' }), []);
  });

  test('a subtree includes its base, subordinates do not', () => {
    const all = dnsOf({ base: BASE, scope: 2 });
    assert.equal(all[0], BASE);
    assert.deepEqual(dnsOf({ base: BASE, scope: 3 }), all.slice(1));
    assert.equal(dnsOf({ base: `ou=groups,${BASE}` }).length, 4);
  });

  test('what is found by an index lies below the base', () => {
    assert.deepEqual(dnsOf({ base: `ou=groups,${BASE}`, filter: '(cn=alice)' }), [`cn=alice,ou=groups,${BASE}`]);
    assert.deepEqual(dnsOf({ base: `ou=groups,${BASE}`, filter: '(uid=alice)' }), []);
    assert.deepEqual(dnsOf({ base: `uid=alice,ou=people,${BASE}`, filter: '(uid=alice)' }).length, 1);
  });
});

describe('names that do not exist', () => {
  for (const [base, code, matchedDn] of [
    [`ou=nowhere,${BASE}`, 32, BASE],
    [`uid=nobody,ou=people,${BASE}`, 32, `ou=people,${BASE}`],
    [`cn=x,uid=nobody,ou=people,${BASE}`, 32, `ou=people,${BASE}`],
    ['dc=com', 32, ''],
    ['dc=other,dc=org', 32, ''],
    ['', 32, ''],
    [`xdc=example,dc=com`, 32, ''],
    ['no dn', 34, ''],
    [`uid=a,,${BASE}`, 34, ''],
  ] as const) {
    test(`"${base}" is ${code}`, () => {
      const found = runSearch(engine, { base }, service);
      assert.deepEqual([found.code, found.matchedDn], [code, matchedDn]);
    });
  }

  test('a name may be spelled in any way', () => {
    assert.equal(
      dnsOf({ base: `OU = People , DC=EXAMPLE,2.5.4.3=x`.replace(',2.5.4.3=x', ',dc=com'), scope: 1 }).length,
      3,
    );
  });
});

describe('attribute selection (RFC 4511 4.5.1.8)', () => {
  const alice = `uid=alice,ou=people,${BASE}`;
  const names = (attributes: string[], base = alice): string[] => [
    ...runSearch(engine, { base, scope: 0, attributes }, service).entries[0]!.attributes!.keys(),
  ];
  const user = names([]);

  test('nothing and * are the user attributes', () => {
    assert.deepEqual(names(['*']), user);
    assert.ok(user.includes('objectClass') && user.includes('uidNumber'));
    assert.ok(!user.includes('entryUSN') && !user.includes('modifyTimestamp') && !user.includes('entryUUID'));
  });

  test('+ is the operational ones', () => {
    const operational = names(['+']);
    for (const name of [
      'entryUUID',
      'entryDN',
      'structuralObjectClass',
      'hasSubordinates',
      'numSubordinates',
      'subschemaSubentry',
      'createTimestamp',
      'modifyTimestamp',
      'creatorsName',
      'modifiersName',
      'entryUSN',
    ]) {
      assert.ok(operational.includes(name), name);
    }
    assert.ok(!operational.includes('uid'));
    assert.deepEqual(new Set(names(['*', '+'])), new Set([...user, ...operational]));
  });

  test('names in any case, by OID and other names, come back in the schema’s spelling, once', () => {
    assert.deepEqual(names(['UIDNUMBER', 'uidnumber', '1.3.6.1.1.1.1.0']), ['uidNumber']);
    assert.deepEqual(names(['commonname']), ['cn']);
    assert.deepEqual(names(['objectClass', 'objectClass', 'cn']), ['objectClass', 'cn']);
  });

  test('1.1 alone is no attribute; objectClass is not added unasked', () => {
    assert.deepEqual(names(['1.1']), []);
    assert.deepEqual(names(['1.1', 'uid']), ['uid']);
    assert.deepEqual(names(['uid']), ['uid']);
  });

  test('what the schema does not know, classes and options are passed over', () => {
    assert.deepEqual(names(['nosuch', 'posixAccount', 'userCertificate;binary', '@person', 'uid']), ['uid']);
    assert.deepEqual(names(['nosuch']), []);
  });

  test('a supertype stands for its subtypes', () => {
    assert.deepEqual(new Set(names(['name'])), new Set(['cn', 'sn', 'givenName']));
  });

  test('typesOnly sends names without values', () => {
    const [found] = runSearch(
      engine,
      { base: alice, scope: 0, typesOnly: true, attributes: ['*', '+'] },
      service,
    ).entries;
    assert.deepEqual([...found!.attributes!.values()].flat(), []);
    assert.deepEqual(new Set(found!.attributes!.keys()), new Set(names(['*', '+'])));
  });

  test('a hundred attributes may be asked for', () => {
    assert.deepEqual(names([...Array.from({ length: 100 }, (_, i) => `x${i}`), 'uid']), ['uid']);
  });

  test('memberOf is shown on request, or to everybody under rfc2307bis', () => {
    const memberOf = `cn=ops,ou=groups,${BASE}`;
    const entries = [baseEntry(), container('people'), person('alice', 1, { memberOf })];
    for (const [rfc2307bis, attributes, shown] of [
      [false, ['*'], false],
      [false, ['memberOf'], true],
      [false, ['+'], true],
      [true, ['*'], true],
      [true, ['memberof'], true],
    ] as const) {
      const bis = createEngine(snapshotOf(entries, { rfc2307bis }));
      const found = runSearch(bis, { base: alice, scope: 0, attributes });
      assert.equal(found.entries[0]!.attributes!.has('memberOf'), shown);
    }
  });
});

describe('a host that sees only its own sudo rules', () => {
  const rules: [cn: string, sudoHost: string[] | null][] = [
    ['all', ['ALL']],
    ['mine', ['Web1.example.com']],
    ['short', ['web1']],
    ['other', ['db1.example.com', 'db2']],
    ['group', ['+web']],
    ['network', ['10.0.0.0/8']],
    ['address', ['192.0.2.7']],
    ['six', ['2001:db8::1']],
    ['pattern', ['web*']],
    ['negated', ['!web1.example.com']],
    ['both', ['db1', '!db2', 'web1']],
    ['defaults', null],
  ];
  const scoped = createEngine(
    snapshotOf([
      baseEntry(),
      container('sudoers'),
      ...rules.map(([cn, sudoHost]) => sudoRole(cn, sudoHost === null ? {} : { sudoHost })),
    ]),
  );
  const view: View = { audience: AUDIENCE.authenticated, self: -1, host: ['web1.example.com', 'web1'] };

  test('names of others are left out, everything that may mean it is not', () => {
    const { dns } = runSearch(scoped, { base: `ou=sudoers,${BASE}`, scope: 1 }, view);
    const seen = dns.map((dn) => /^cn=([^,]*)/.exec(dn)![1]);
    assert.deepEqual(seen, [
      'all',
      'mine',
      'short',
      'group',
      'network',
      'address',
      'six',
      'pattern',
      'both',
      'defaults',
    ]);
  });
});

describe('compare (RFC 4511 4.10)', () => {
  const answer = (dn: string, attribute: string, value: string): number => {
    const request = decodeRequest(compare(1, dn, attribute, value));
    assert.ok(request.kind === 'compare');
    return engine.compare(request, service).code;
  };
  const alice = `uid=alice,ou=people,${BASE}`;

  for (const [dn, attribute, value, code] of [
    [alice, 'uid', 'ALICE', RESULT.compareTrue],
    [alice, 'uid', 'bob', RESULT.compareFalse],
    [alice, 'uidNumber', '200001', RESULT.compareTrue],
    [alice, 'uidNumber', '0200001', RESULT.invalidAttributeSyntax],
    [alice, 'sn', 'x', RESULT.compareFalse],
    [alice, 'name', 'alice', RESULT.compareTrue],
    [alice, 'entryDN', alice.toUpperCase(), RESULT.compareTrue],
    [alice, 'objectClass', 'person', RESULT.compareTrue],
    [alice, 'objectClass', 'sudoRole', RESULT.compareFalse],
    [alice, 'objectClass', 'nosuch', RESULT.invalidAttributeSyntax],
    [alice, 'jpegPhoto', 'x', RESULT.inappropriateMatching],
    [alice, 'uidNumber;x-y', 'many', RESULT.invalidAttributeSyntax],
    [`uid=nobody,ou=people,${BASE}`, 'nosuch', 'x', RESULT.undefinedAttributeType],
    [alice, 'entryUSN', '10', RESULT.compareTrue],
    [alice, 'host', 'x', RESULT.noSuchAttribute],
    [alice, 'cn;lang-de', 'x', RESULT.noSuchAttribute],
    [alice, 'userPassword', 'x', RESULT.noSuchAttribute],
    [alice, 'nosuch', 'x', RESULT.undefinedAttributeType],
    [alice, 'uidNumber', 'many', RESULT.invalidAttributeSyntax],
    [`uid=nobody,ou=people,${BASE}`, 'uid', 'x', RESULT.noSuchObject],
    ['no dn', 'uid', 'x', RESULT.invalidDnSyntax],
  ] as const) {
    test(`${dn.split(',')[0]} ${attribute}=${value} is ${code}`, () =>
      assert.equal(answer(dn, attribute, value), code));
  }
});

describe('limits', () => {
  const many = createEngine(snapshotOf(sampleEntries(300), { lastUsn: sampleUsn(300) }));
  const users = { base: `ou=people,${BASE}`, scope: 1, attributes: ['1.1'] };

  test('a size limit is reached only when there is more', () => {
    for (const [sizeLimit, sent, outcome] of [
      [299, 299, FILLED.sizeLimit],
      [300, 300, FILLED.done],
      [1, 1, FILLED.sizeLimit],
    ] as const) {
      const found = runSearch(many, { ...users, sizeLimit });
      assert.deepEqual([found.dns.length, found.outcome], [sent, outcome]);
    }
  });

  test('a filter beyond the limits is 11, not an empty success', () => {
    let filter = encodeFilter({ kind: 'present', attribute: 'uid' });
    for (let i = 0; i < 40; i++) filter = Buffer.concat([Buffer.from([0xa2, 0x81, filter.length]), filter]);
    assert.equal(runSearch(many, { ...users, filter }).code, RESULT.adminLimitExceeded);
  });

  test('an entry that takes too much work to be tested ends the search with 11', () => {
    const members = Array.from({ length: 5000 }, (_, i) => `member${i}`);
    const big = createEngine(
      snapshotOf([
        baseEntry(),
        container('groups'),
        entry(`cn=big,ou=groups,${BASE}`, ['posixGroup'], { cn: 'big', gidNumber: '1', memberUid: members }),
      ]),
    );
    const part = (): TestFilter => ({
      kind: 'substring',
      attribute: 'memberUid',
      initial: '',
      any: ['nobody'],
      final: '',
    });
    const costly = (count: number) =>
      runSearch(big, {
        base: BASE,
        filter: encodeFilter({ kind: 'or', children: Array.from({ length: count }, part) }),
      });
    assert.equal(costly(10).outcome, FILLED.done);
    assert.equal(costly(500).outcome, FILLED.effort);
    assert.equal(costly(10).outcome, FILLED.done);
  });

  test('a group of thousands is sent whole, in pieces that need little room', () => {
    const members = Array.from({ length: 60_000 }, (_, i) => `member${i}`);
    const big = createEngine(
      snapshotOf([
        baseEntry(),
        container('groups'),
        group('before', 1, ['a']),
        entry(`cn=big,ou=groups,${BASE}`, ['posixGroup'], { cn: 'big', gidNumber: '2', memberUid: members }),
        group('after', 3, ['b']),
      ]),
    );
    for (const budget of [1, 1000, Number.POSITIVE_INFINITY]) {
      const { entries } = runSearch(
        big,
        { base: BASE, filter: '(gidNumber=*)', attributes: ['*', 'entryDN'] },
        ANONYMOUS,
        budget,
      );
      assert.deepEqual(entries[1]!.attributes!.get('memberUid'), members);
      assert.equal(entries.length, 3);
    }
  });
});

describe('properties', () => {
  const entries: Entry[] = [...smallDirectory(), ...sampleEntries(30)].filter(
    ({ dn }, index, list) => list.findIndex((other) => other.dn === dn) === index,
  );
  const snapshot = snapshotOf(entries);
  const mixed = createEngine(snapshot);
  const attributes =
    'uid cn sn displayName mail uidNumber gidNumber memberUid member objectClass homeDirectory sudoHost sudoUser sudoCommand sudoOrder description entryUSN modifyTimestamp entryUUID name nosuch cn;lang-de userPassword UIDNUMBER memberuid'.split(
      ' ',
    );
  const values = [
    ...new Set(
      entries
        .filter((_, index) => index % 3 === 0)
        .flatMap(({ attributes: list, operational, objectClass }) => [
          ...list.flatMap(([, some]) => some.slice(0, 2)),
          ...objectClass,
          String(operational.entryUSN),
          operational.modifyTimestamp,
          operational.entryUUID,
        ]),
    ),
  ].filter((value) => value.length > 0);
  const filters = arbitraryFilter(attributes, values);
  const full = { base: BASE, attributes: ['1.1'] };

  test('what a filter finds is what a slow reading of RFC 4511 finds', () => {
    fc.assert(
      fc.property(filters, (filter) => {
        const expected = entries.filter((candidate) => judge(filter, candidate) === 2).map(({ dn }) => dn);
        const { dns } = runSearch(mixed, { ...full, filter: encodeFilter(filter) }, service);
        assert.deepEqual(dns.toSorted(), expected.toSorted(), filterText(filter));
      }),
      { numRuns: cases(1500, 100_000) },
    );
  });

  test('what an index finds is what looking at every entry finds', () => {
    fc.assert(
      fc.property(
        filters,
        fc.constantFrom(BASE, `ou=people,${BASE}`, `ou=groups,${BASE}`),
        fc.nat(3),
        (filter, base, scope) => {
          const plain = encodeFilter(filter);
          // Double negation hides every index from the planner.
          const scanned = encodeFilter({ kind: 'not', child: { kind: 'not', child: filter } });
          const options = { base, scope, attributes: ['1.1'] };
          const indexed = runSearch(mixed, { ...options, filter: plain }, service).dns;
          assert.deepEqual(indexed, runSearch(mixed, { ...options, filter: scanned }, service).dns);
        },
      ),
      { numRuns: cases(1000, 50_000) },
    );
  });

  test('an entry has exactly the attributes and values that were asked for', () => {
    const names = fc.array(fc.constantFrom(...attributes, '*', '+', '1.1', 'objectClass', 'loginShell'), {
      maxLength: 6,
    });
    const operational = new Set(['entryusn', 'modifytimestamp', 'entryuuid', 'createtimestamp']);
    fc.assert(
      fc.property(fc.constantFrom(...entries), names, (wanted, list) => {
        const found = runSearch(mixed, { base: wanted.dn, scope: 0, attributes: list }, service).entries[0]!;
        const asked = new Set(list.map((name) => name.toLowerCase()));
        if (asked.has('name')) for (const name of ['cn', 'sn', 'givenname', 'ou', 'o']) asked.add(name);
        const everything = list.length === 0 || asked.has('*');
        const { operational: own } = wanted;
        const stored: [string, readonly string[]][] = [
          ['objectClass', wanted.objectClass],
          ...wanted.attributes.map(([name, some]): [string, readonly string[]] => [name, some]),
          ['entryUSN', [String(own.entryUSN)]],
          ['modifyTimestamp', [own.modifyTimestamp]],
          ['entryUUID', [own.entryUUID]],
          ['createTimestamp', [own.createTimestamp]],
        ];
        const expected = stored.filter(([name]) => {
          const lower = name.toLowerCase();
          return asked.has(lower) || (operational.has(lower) ? asked.has('+') : everything);
        });
        const shown = [...found.attributes!].filter(([name]) => stored.some(([other]) => other === name));
        assert.deepEqual(new Map(shown), new Map(expected));
        if (!asked.has('+')) assert.equal(found.attributes!.size, expected.length);
      }),
      { numRuns: cases(500, 20_000) },
    );
  });

  test('how an answer is cut into slices does not change it', () => {
    fc.assert(
      fc.property(filters, fc.integer({ min: 1, max: 200 }), (filter, budget) => {
        const options = { base: BASE, filter: encodeFilter(filter) };
        assert.deepEqual(
          runSearch(mixed, options, service, budget).entries,
          runSearch(mixed, options, service).entries,
        );
      }),
      { numRuns: cases(300, 10_000) },
    );
  });
});
