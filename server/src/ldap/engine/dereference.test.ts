import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { element } from '../ber/writer.ts';
import type { Entry } from '../entry.ts';
import { OID, RESULT } from '../protocol/operation.ts';
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
import { cases } from '../testing/long.ts';
import {
  type Answer,
  dereferenceControl,
  pagingControl,
  search,
  type TestControl,
  type TestSearch,
} from '../testing/messages.ts';
import { runSearch } from '../testing/run-search.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import { createTestServer, HOST, SERVICE_DN } from '../testing/session-harness.ts';
import { createEngine } from './engine.ts';
import { ANONYMOUS, type View } from './view.ts';

/** What sssd asks for when a group has many members. */
const SSSD = ['objectClass', 'cn', 'userPassword', 'gidNumber', 'member', 'modifyTimestamp', 'modifyTimestamp', 'uid'];
const OPS = `cn=ops,ou=groups,${BASE}`;
const nameOf = (uid: string): string => `uid=${uid},ou=people,${BASE}`;

const members = (names: readonly string[], attributes: readonly string[] = SSSD, critical = true): TestControl =>
  dereferenceControl(
    names.map((name) => [name, attributes]),
    critical,
  );

/** A group that names what not everybody may see, what nobody has, and more than one kind of entry. */
const secretive = (): Entry[] => [
  ...smallDirectory(),
  entry(`cn=odd,ou=groups,${BASE}`, ['posixGroup', 'extensibleObject'], {
    cn: 'odd',
    gidNumber: '300009',
    member: [
      nameOf('alice'),
      nameOf('gone'),
      OPS,
      `UID = Bob , OU=People,${BASE}`,
      `cn=web,ou=sudoers,${BASE}`,
      `uid=web1.example.com,ou=identree-hosts,${BASE}`,
    ],
    seeAlso: nameOf('carol'),
    owner: nameOf('bob'),
  }),
  sudoRole('elsewhere', { sudoUser: 'bob', sudoHost: 'db1', sudoCommand: 'ALL' }),
  entry(`cn=pointers,ou=groups,${BASE}`, ['posixGroup', 'extensibleObject'], {
    cn: 'pointers',
    gidNumber: '300010',
    member: [`cn=elsewhere,ou=sudoers,${BASE}`, `cn=ops,ou=sudoers,${BASE}`],
  }),
];

const found = (answer: Answer | undefined): Record<string, Record<string, string[]> | null> =>
  Object.fromEntries(
    (answer?.dereferenced ?? []).map(({ name, attributes }) => [
      name,
      attributes === null ? null : Object.fromEntries(attributes),
    ]),
  );

describe('with an entry come attributes of those that it names (draft-masarati-ldap-deref)', () => {
  const engine = createEngine(snapshotOf(secretive()));
  const about = (base: string, ...controls: TestControl[]) => runSearch(engine, { base, scope: 0, controls });
  const codeOf = (control: TestControl): number => about(OPS, control).code;

  test('one result for each value, under the name that the entry has it in', () => {
    const [answer] = about(OPS, members(['member'], ['uid', 'cn'])).entries;
    assert.deepEqual(answer!.dereferenced, [
      {
        attribute: 'member',
        name: nameOf('alice'),
        attributes: new Map([
          ['cn', ['Name of alice']],
          ['uid', ['alice']],
        ]),
      },
      {
        attribute: 'member',
        name: nameOf('bob'),
        attributes: new Map([
          ['cn', ['Name of bob']],
          ['uid', ['bob']],
        ]),
      },
    ]);
    assert.deepEqual(answer!.attributes!.get('member'), [nameOf('alice'), nameOf('bob')], 'beside what was asked for');
  });

  test('several attributes, in the order in which they are asked for', () => {
    const [answer] = about(`cn=odd,ou=groups,${BASE}`, members(['seeAlso', 'manager', 'owner'], ['uid'])).entries;
    assert.deepEqual(
      answer!.dereferenced!.map(({ attribute, name }) => [attribute, name]),
      [
        ['seeAlso', nameOf('carol')],
        ['owner', nameOf('bob')],
      ],
    );
  });

  test('an entry that names nobody, and names of nobody, have nothing', () => {
    assert.equal(about(nameOf('alice'), members(['member'])).entries[0]!.dereferenced, undefined);
    const odd = found(about(`cn=odd,ou=groups,${BASE}`, members(['member'], ['uid', 'telephoneNumber'])).entries[0]);
    assert.equal(odd[nameOf('gone')], null);
    assert.equal(odd[OPS], null, 'it has no uid');
    assert.deepEqual(odd[`UID = Bob , OU=People,${BASE}`], { uid: ['bob'] });
  });

  test('an attribute means itself: none that derives from it, no *, nothing that is worked out', () => {
    for (const name of ['name', '*', '+', 'entryDN', 'nosuch', 'uid;x', '1.1']) {
      assert.equal(found(about(OPS, members(['member'], [name])).entries[0])[nameOf('alice')], null, name);
    }
  });

  test('what cannot be read is a protocol error; an attribute without names is one where the client insists', async () => {
    const control = (value: Buffer | undefined, critical = true): TestControl => ({
      oid: OID.dereference,
      critical,
      ...(value === undefined ? {} : { value }),
    });
    const good = Buffer.from(members(['member']).value!);
    const text = (value: string): Buffer => element(4, value);
    const malformed = [
      undefined,
      Buffer.alloc(0),
      good.subarray(0, -1),
      Buffer.concat([good, Buffer.of(0)]),
      element(0x31, good.subarray(2)),
      element(0x30, element(0x30, text('member'))),
      element(0x30, element(0x30, text('member'), element(0x30))),
      element(0x30, element(0x30, text('member'), element(0x30, element(2, Buffer.of(1))))),
      element(0x30, element(0x30, text('member'), element(0x30, text('uid')), text('more'))),
      Buffer.from(members(['nosuch']).value!),
      Buffer.from(members(['member;x']).value!),
      Buffer.from(members(['member', 'MEMBER']).value!),
    ];
    const sessionCode = async (...controls: TestControl[]): Promise<number | undefined> => {
      const connection = createTestServer().connect();
      connection.send(search(1, { base: OPS, scope: 0, controls }));
      return (await connection.answers()).at(-1)!.code;
    };
    for (const value of malformed) {
      for (const critical of [true, false]) {
        assert.equal(await sessionCode(control(value, critical)), RESULT.protocolError, value?.toString('hex'));
      }
    }
    assert.equal(await sessionCode(members(['member']), members(['owner'])), RESULT.protocolError, 'twice');
    assert.equal(codeOf(members(['cn'])), RESULT.protocolError);
    const [ignored] = about(OPS, members(['member', 'cn'], SSSD, false)).entries;
    assert.equal(ignored!.dereferenced, undefined);
    assert.equal(about(OPS, control(element(0x30))).entries.length, 1, 'nothing is wished for');
    const names = (count: number): string[] => Array.from({ length: count }, () => 'uid');
    assert.equal(await sessionCode(members(['member'], names(128))), RESULT.success);
    assert.equal(await sessionCode(members(['member'], names(129))), RESULT.protocolError);
    const wishes = [
      'member',
      'owner',
      'seeAlso',
      'manager',
      'secretary',
      'distinguishedName',
      'memberOf',
      'nosuch',
      'x',
    ];
    assert.equal(await sessionCode(members(wishes, ['uid'])), RESULT.protocolError);
    const bound = createTestServer().connect();
    bound.send(search(1, { base: '', scope: 0, controls: [members(['member'])] }));
    assert.equal((await bound.answers()).at(-1)!.code, RESULT.success, 'the root DSE names nobody');
  });
});

describe('nothing comes to light that a search would not show', () => {
  const entries = secretive();
  const snapshot = snapshotOf(entries);
  const engine = createEngine(snapshot);
  const host = (name: string): View => engine.viewOf(AUDIENCE.authenticated, HOST.dn.replace('web1', name), [name]);
  const views: Record<string, View> = {
    stranger: ANONYMOUS,
    service: engine.viewOf(AUDIENCE.service, SERVICE_DN, null),
    'its own host': host('web1'),
    'another host': host('db1'),
  };
  const attributes = [
    'uid',
    'cn',
    'host',
    'sudoOption',
    'sudoCommand',
    'sudoHost',
    'memberUid',
    'entryUUID',
    'sshPublicKey',
  ];

  test('an option that lets commands run unasked is not for strangers', () => {
    const optionsFor = (view: View): string[] | undefined => {
      const control = members(['member'], ['sudoOption']);
      const [answer] = runSearch(
        engine,
        { base: `cn=odd,ou=groups,${BASE}`, scope: 0, controls: [control] },
        view,
      ).entries;
      return found(answer)[`cn=web,ou=sudoers,${BASE}`]?.sudoOption;
    };
    assert.deepEqual(optionsFor(ANONYMOUS), ['log_output']);
    assert.deepEqual(optionsFor(views.service!), ['!authenticate', 'log_output']);
  });

  test('the entry of a host is for the host and the service account, a rule for the hosts it may mean', () => {
    const seen = (view: View): string[] =>
      ['odd', 'pointers'].flatMap((name) => {
        const control = members(['member'], ['cn', 'host']);
        const query = { base: `cn=${name},ou=groups,${BASE}`, scope: 0, controls: [control] };
        return Object.entries(found(runSearch(engine, query, view).entries[0])).flatMap(([target, attributes]) =>
          /sudoers|hosts/.test(target) && attributes !== null ? [target.split(',')[0]!] : [],
        );
      });
    assert.deepEqual(seen(ANONYMOUS), ['cn=web', 'cn=elsewhere', 'cn=ops']);
    assert.deepEqual(seen(views.service!), ['cn=web', 'uid=web1.example.com', 'cn=elsewhere', 'cn=ops']);
    assert.deepEqual(seen(views['its own host']!), ['cn=web', 'uid=web1.example.com', 'cn=ops']);
    assert.deepEqual(seen(views['another host']!), ['cn=elsewhere', 'cn=ops']);
  });

  for (const [who, view] of Object.entries(views)) {
    test(`${who}: for every name the same as a search for that name`, () => {
      const control = members(['member', 'seeAlso', 'owner'], attributes);
      const all = runSearch(engine, { base: BASE, controls: [control] }, view).entries;
      let compared = 0;
      for (const { dn, dereferenced = [] } of all) {
        for (const { name, attributes: got } of dereferenced) {
          const [alone] = runSearch(engine, { base: name, scope: 0, attributes }, view).entries;
          const wanted = alone && alone.attributes!.size > 0 ? Object.fromEntries(alone.attributes!) : null;
          assert.deepEqual(got && Object.fromEntries(got), wanted, `${name} by ${dn}`);
          compared++;
        }
      }
      assert.ok(compared > 10);
    });
  }

  test('a password takes no part in it', () => {
    const [answer] = runSearch(engine, {
      base: OPS,
      scope: 0,
      controls: [members(['member'], ['userPassword'])],
    }).entries;
    assert.deepEqual(Object.values(found(answer)), [null, null]);
  });
});

const many = (count: number): string[] => Array.from({ length: count }, (_, n) => `m${n}`);
/** A group of so many, a group that has it and a group of two. */
const crowd = (count: number): Entry[] => [
  baseEntry(),
  container('people'),
  container('groups'),
  ...many(count).map((uid, n) => person(uid, 400_000 + n)),
  group('crowd', 1, many(count)),
  entry(`cn=outer,ou=groups,${BASE}`, ['posixGroup', 'extensibleObject'], {
    cn: 'outer',
    gidNumber: '2',
    member: [`cn=crowd,ou=groups,${BASE}`, nameOf('m1')],
  }),
  group('pair', 3, ['m0', 'm1']),
];

describe('large groups', () => {
  const COUNT = 3000;
  const snapshot = snapshotOf(crowd(COUNT));
  const groups = { base: `ou=groups,${BASE}`, scope: 1, attributes: ['cn'] } satisfies TestSearch;
  const query = { ...groups, controls: [members(['member'])] };

  test('all members, in whatever slices the answer is made', () => {
    const engine = createEngine(snapshot);
    const whole = runSearch(engine, query).entries;
    assert.equal(whole[0]!.dereferenced!.length, COUNT);
    assert.deepEqual(found(whole[0])[nameOf('m2999')]!.uid, ['m2999']);
    assert.equal(found(whole[1])[`cn=crowd,ou=groups,${BASE}`]!.member!.length, COUNT, 'a group in a group');
    for (const budget of [1, 37, 1600]) assert.deepEqual(runSearch(engine, query, ANONYMOUS, budget).entries, whole);
  });

  test('while one is looked up, a lookup elsewhere is answered', async () => {
    const server = createTestServer({ snapshot, tick: 0.01 });
    const [busy, other] = [server.connect(), server.connect()];
    busy.send(search(1, query));
    assert.equal(busy.raw().length, 0, 'the answer is not there at once');
    other.send(search(1, { base: nameOf('m7'), scope: 0 }));
    assert.equal((await other.answers()).length, 2);
    assert.equal((await busy.answers()).at(-1)!.code, RESULT.success);
  });

  test('little is kept of the answer while it is made', async () => {
    const server = createTestServer({ snapshot, limits: { writeBuffer: 100_000 } });
    const connection = server.connect();
    connection.stall();
    connection.send(search(1, query));
    await server.settle();
    assert.ok(connection.raw().length < 200_000);
    assert.ok(server.context.held < 512 * 1024, `${server.context.held}`);
  });

  test('more names, or more octets, than may be: the client that insists is refused, another gets the entry alone', async () => {
    for (const limits of [{ dereferenceNames: 100 }, { dereferenceSize: 20_000 }]) {
      const connection = createTestServer({ snapshot, limits }).connect();
      connection.send(search(1, query));
      const answers = await connection.answers();
      assert.deepEqual(
        answers.map(({ code }) => code),
        [RESULT.unavailableCriticalExtension],
      );
      connection.send(search(2, { ...query, controls: [members(['member'], SSSD, false)] }));
      const [large, , pair] = await connection.answers();
      assert.deepEqual([large!.dereferenced, pair!.dereferenced?.length], [undefined, 2]);
    }
  });

  test('it counts for what it costs, like a search for each', async () => {
    const costOf = async (options: TestSearch): Promise<number> => {
      const server = createTestServer({ snapshot, limits: { searchRate: 1000, searchBurst: 100_000 } });
      const connection = server.connect();
      connection.send(search(1, options));
      await connection.answers();
      return 100_000 - connection.session.searches.tokens;
    };
    const members = await costOf({ base: `ou=people,${BASE}`, scope: 1, attributes: SSSD });
    assert.ok((await costOf(query)) > members, `${members}`);
    assert.ok((await costOf(groups)) < members / 10);
  });

  test('pages: each entry with what belongs to it, and a page of another control is another search', async () => {
    const connection = createTestServer({ snapshot }).connect();
    const page = async (id: number, cookie: Buffer | string, control: TestControl): Promise<Answer[]> => {
      connection.send(search(id, { ...groups, controls: [control, pagingControl(1, cookie)] }));
      return connection.answers();
    };
    const [first, done] = await page(1, '', members(['member']));
    assert.equal(first!.dereferenced!.length, COUNT);
    const [second, next] = await page(2, done!.cookie!, members(['member']));
    assert.equal(second!.dereferenced!.length, 2);
    const [other] = await page(3, next!.cookie!, members(['member'], ['uid']));
    assert.equal(other!.code, RESULT.unwillingToPerform);
  });
});

test('any wishes and any slices: what is received can be read, and says of each name what a search says', () => {
  const engine = createEngine(snapshotOf(sampleEntries(60), { lastUsn: sampleUsn(60) }));
  const attribute = fc.constantFrom(
    'uid',
    'cn',
    'member',
    'memberUid',
    'objectClass',
    'gidNumber',
    'entryUSN',
    'nosuch',
  );
  const wish = fc.tuple(
    fc.constantFrom('member', 'seeAlso', 'owner', 'manager'),
    fc.uniqueArray(attribute, { minLength: 1, maxLength: 5 }),
  );
  fc.assert(
    fc.property(
      fc.uniqueArray(wish, { selector: ([name]) => name, maxLength: 4 }),
      fc.integer({ min: 1, max: 400 }),
      (wishes, budget) => {
        const query = { base: `ou=groups,${BASE}`, attributes: ['cn'], controls: [dereferenceControl(wishes)] };
        for (const { dereferenced = [] } of runSearch(engine, query, ANONYMOUS, budget).entries) {
          for (const { attribute: of, name, attributes } of dereferenced.slice(0, 3)) {
            const wanted = wishes.find(([candidate]) => candidate === of)![1];
            const [alone] = runSearch(engine, { base: name, scope: 0, attributes: wanted }).entries;
            assert.deepEqual(attributes ?? new Map(), alone!.attributes);
          }
        }
      },
    ),
    { numRuns: cases(40, 1000) },
  );
});
