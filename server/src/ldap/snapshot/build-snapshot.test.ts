import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createEngine } from '../engine/engine.ts';
import { ANONYMOUS, type View } from '../engine/view.ts';
import type { Entry } from '../entry.ts';
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
import { runSearch } from '../testing/run-search.ts';
import { BASE, sampleEntries, sampleUsn } from '../testing/sample-entries.ts';
import { SnapshotError } from './collected.ts';
import { AUDIENCE, type Snapshot } from './snapshot.ts';

const refused = (entries: Entry[], reason: RegExp): void =>
  assert.throws(
    () => snapshotOf(entries),
    (error) => error instanceof SnapshotError && reason.test(error.message),
  );

const host: View = { audience: AUDIENCE.authenticated, self: -1, host: null };
const service: View = { audience: AUDIENCE.service, self: -1, host: null };

describe('what is no directory is refused whole, naming the entry', () => {
  const people = (): Entry[] => [baseEntry(), container('people')];

  test('no base entry', () => refused([container('people')], /no entry dc=example,dc=com|no entry above/));
  test('an entry without a parent', () => refused([baseEntry(), person('alice', 1)], /uid=alice.*no entry above/));
  test('two entries of one name, however it is spelled', () => {
    const twin = { ...person('alice', 2), dn: `UID=ALICE, ou=people,${BASE}` };
    refused([...people(), person('alice', 1), twin], /two entries of this name/);
  });
  test('a name that is none', () => refused([baseEntry(), { ...container('x'), dn: 'x' }], /not a distinguished name/));
  test('an unknown attribute', () =>
    refused([...people(), person('alice', 1, { shoeSize: '43' })], /no attribute shoeSize/));
  test('an unknown class', () =>
    refused([baseEntry(), entry(`ou=x,${BASE}`, ['mystery'], { ou: 'x' })], /no object class mystery/));
  test('a password', () => refused([...people(), person('alice', 1, { userPassword: 'x' })], /userPassword cannot/));
  test('an attribute that is worked out', () =>
    refused([...people(), person('alice', 1, { entryDN: 'x' })], /entryDN cannot/));
  test('an attribute without values', () =>
    refused([...people(), person('alice', 1, { mail: [] })], /mail given twice or empty/));
  test('an attribute given twice', () => {
    refused([...people(), person('alice', 1, { commonName: 'other' })], /commonName given twice/);
  });
  test('two values where there can be one', () => {
    refused([...people(), person('alice', 1, { loginShell: ['/bin/a', '/bin/b'] })], /loginShell has several/);
  });
  test('malformed values', () => {
    refused([...people(), person('alice', 1, { shadowMin: 'many' })], /shadowMin is malformed/);
    refused([...people(), person('alice', 1, { memberOf: 'no dn' })], /memberOf is malformed/);
    refused([baseEntry(), container('sudoers'), sudoRole('x', { sudoNotAfter: 'later' })], /sudoNotAfter is malformed/);
  });
  test('an account number that is none', () => {
    refused([...people(), person('alice', -1)], /no number of an account/);
    refused([...people(), person('alice', 2 ** 32)], /no number of an account/);
  });
  test('an update number beyond the last one, which sssd would never ask for again', () => {
    refused([...people(), person('alice', 1, {}, 1_000_001)], /entryUSN 1000001/);
    refused([...people(), person('alice', 1, {}, 0)], /entryUSN 0/);
  });
});

describe('what only some may see', () => {
  const snapshot = snapshotOf(smallDirectory());
  const engine = createEngine(snapshot);
  const options = (view: View, filter: string): string[] =>
    runSearch(engine, { base: BASE, filter, attributes: ['sudoOption'] }, view).entries.flatMap(
      ({ attributes }) => attributes!.get('sudoOption') ?? [],
    );

  test('an option that skips authentication is not served to who has not authenticated', () => {
    assert.deepEqual(options(ANONYMOUS, '(cn=web)'), ['log_output']);
    assert.deepEqual(options(host, '(cn=web)'), ['!authenticate', 'log_output']);
    assert.deepEqual(options(service, '(cn=web)'), ['!authenticate', 'log_output']);
  });

  test('nor can it be found by asking for it', () => {
    for (const filter of ['(sudoOption=!authenticate)', '(sudoOption=*auth*)', '(sudoOption=!*)']) {
      assert.deepEqual(options(ANONYMOUS, filter), []);
      assert.notDeepEqual(options(host, filter), []);
    }
  });

  test('the rule itself appears once for everybody', () => {
    for (const view of [ANONYMOUS, host, service]) {
      const { dns } = runSearch(engine, { base: `ou=sudoers,${BASE}`, scope: 1, attributes: ['1.1'] }, view);
      assert.equal(dns.length, 2);
      assert.equal(runSearch(engine, { base: `cn=web,ou=sudoers,${BASE}`, scope: 0 }, view).dns.length, 1);
    }
  });

  for (const option of [
    '!!!authenticate',
    ' ! authenticate',
    '!AUTHENTICATE',
    '!"authenticate"',
    '!  !!authenticate=1',
  ]) {
    test(`"${option}" is recognised as well`, () => {
      const entries = [baseEntry(), container('sudoers'), sudoRole('x', { sudoUser: 'a', sudoOption: option })];
      const odd = createEngine(snapshotOf(entries));
      assert.equal(runSearch(odd, { base: BASE, filter: '(sudoOption=*)' }).dns.length, 0);
      assert.equal(runSearch(odd, { base: BASE, filter: '(sudoUser=a)' }).dns.length, 1);
    });
  }

  test('host entries are seen by themselves and the service account only', () => {
    const self = engine.viewOf(AUDIENCE.authenticated, `uid=web1.example.com,ou=identree-hosts,${BASE}`, null);
    const hosts = (view: View) => runSearch(engine, { base: `ou=identree-hosts,${BASE}`, scope: 1 }, view).dns.length;
    assert.deepEqual([ANONYMOUS, host, self, service].map(hosts), [0, 0, 1, 1]);
    const read = runSearch(engine, { base: `uid=web1.example.com,ou=identree-hosts,${BASE}`, scope: 0 }, host);
    assert.deepEqual([read.code, read.matchedDn], [32, `ou=identree-hosts,${BASE}`]);
  });

  test('what is hidden is not counted either', () => {
    const counts = runSearch(engine, { base: `ou=identree-hosts,${BASE}`, scope: 0, attributes: ['numSubordinates'] });
    assert.deepEqual(counts.entries[0]!.attributes!.get('numSubordinates'), ['0']);
    const sudoers = runSearch(engine, { base: `ou=sudoers,${BASE}`, scope: 0, attributes: ['numSubordinates'] });
    assert.deepEqual(sudoers.entries[0]!.attributes!.get('numSubordinates'), ['2']);
  });
});

describe('the built snapshot', () => {
  test('lies in shared memory, without an object per entry', () => {
    const snapshot = snapshotOf(sampleEntries(50), { lastUsn: sampleUsn(50) });
    const walk = (value: unknown): number => {
      if (ArrayBuffer.isView(value)) {
        assert.ok(value.buffer instanceof SharedArrayBuffer);
        return 0;
      }
      if (typeof value !== 'object' || value === null) return 0;
      return 1 + Object.values(value).reduce<number>((sum, inner) => sum + walk(inner), 0);
    };
    const small = walk(snapshot);
    assert.equal(walk(snapshotOf(sampleEntries(500), { lastUsn: sampleUsn(500) })), small);
    assert.deepEqual(structuredClone(snapshot).arena.buffer instanceof SharedArrayBuffer, true);
  });

  test('a parent may come after its children', () => {
    const entries = [person('alice', 1), container('people'), baseEntry()];
    const { dns } = runSearch(createEngine(snapshotOf(entries)), { base: BASE });
    assert.deepEqual(dns, [BASE, `ou=people,${BASE}`, `uid=alice,ou=people,${BASE}`]);
  });

  test('memberUid compares without case where names were folded', () => {
    const entries = [baseEntry(), container('groups'), group('ops', 5, ['alice'])];
    const found = (snapshot: Snapshot): number =>
      runSearch(createEngine(snapshot), { base: BASE, filter: '(memberUid=Alice)' }).dns.length;
    assert.equal(found(snapshotOf(entries)), 0);
    assert.equal(found(snapshotOf(entries, { foldMemberUid: true })), 1);
  });

  test('a different seed finds the same', () => {
    for (const hashSeed of [0, 1, 0xffffffff, 0x9e3779b1]) {
      const engine = createEngine(snapshotOf(sampleEntries(300), { lastUsn: sampleUsn(300), hashSeed }));
      for (const filter of ['(uid=u000123)', '(uidNumber=200299)', '(memberUid=u000007)']) {
        assert.ok(runSearch(engine, { base: BASE, filter }).dns.length > 0, filter);
      }
      assert.equal(runSearch(engine, { base: BASE, filter: '(uid=u000300)' }).dns.length, 0);
    }
  });
});
