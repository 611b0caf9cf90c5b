import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as ldapts from 'ldapts';
import { element } from '../ber/writer.ts';
import { createEngine } from '../engine/engine.ts';
import { entry, smallDirectory, snapshotOf } from '../testing/entries.ts';
import { arbitraryFilter, encodeFilter, type TestFilter } from '../testing/filters.ts';
import { encodeByLdapjs, type LdapjsEntry, ldapjs, parseByLdapjs } from '../testing/ldapjs.ts';
import { cases } from '../testing/long.ts';
import { search } from '../testing/messages.ts';
import { type PlainSearch, readBack } from '../testing/read-back.ts';
import { encodedAnswer } from '../testing/run-search.ts';
import { BASE } from '../testing/sample-entries.ts';
import { decodeRequest } from './decode-request.ts';
import { OID, OP, RESULT } from './operation.ts';
import { disconnectionNotice, pagingControl, resultMessage } from './response.ts';

/** Two codecs that others wrote: what they send is read as they meant it, and what is sent to them is read as meant. */

const long = { numRuns: cases(400, 30_000) };
const SCOPES = ['base', 'one', 'sub'] as const;

const leaves = arbitraryFilter(
  ['uid', 'cn', 'objectClass', 'sudoHost', 'cn;lang-de', '1.3.6.1.1.1.1.0', 'x-y'],
  ['alice', 'ALL', '10.0.0.0/8', '*', '(x)', '\\', 'Bób Ünal', '日本', '🦊 fox', 'a\u0000b', 'x'.repeat(300)],
);
const extensible = fc.record({
  kind: fc.constant('extensible' as const),
  attribute: fc.constantFrom('cn', 'uid', 'cn;lang-de'),
  rule: fc.constantFrom('', 'caseExactMatch', '2.5.13.2'),
  dn: fc.boolean(),
  value: fc.constantFrom('x', 'Ünal', '(*)'),
});
const similar = fc.record({
  kind: fc.constant('similar' as const),
  attribute: fc.constant('cn'),
  value: fc.constantFrom('x', 'Ünal'),
});
const searches: fc.Arbitrary<PlainSearch> = fc.record({
  base: fc.constantFrom('', BASE, `ou=people,${BASE}`, 'cn=Größe,dc=x', 'cn=a\\, b,dc=x'),
  scope: fc.nat(2),
  sizeLimit: fc.oneof(fc.constant(0), fc.nat(2 ** 31 - 1)),
  timeLimit: fc.oneof(fc.constant(0), fc.nat(2 ** 31 - 1)),
  typesOnly: fc.boolean(),
  filter: fc.oneof({ weight: 5, arbitrary: leaves }, extensible, similar),
  attributes: fc.array(fc.constantFrom('*', '+', '1.1', 'cn', 'uidNumber', 'userCertificate;binary'), { maxLength: 8 }),
});

function hasEmptySet(filter: TestFilter): boolean {
  if (filter.kind === 'not') return hasEmptySet(filter.child);
  if (filter.kind !== 'and' && filter.kind !== 'or') return false;
  return filter.children.length === 0 || filter.children.some(hasEmptySet);
}

function ldaptsFilter(filter: TestFilter): ldapts.Filter {
  switch (filter.kind) {
    case 'and':
      return new ldapts.AndFilter({ filters: filter.children.map(ldaptsFilter) });
    case 'or':
      return new ldapts.OrFilter({ filters: filter.children.map(ldaptsFilter) });
    case 'not':
      return new ldapts.NotFilter({ filter: ldaptsFilter(filter.child) });
    case 'present':
      return new ldapts.PresenceFilter(filter);
    case 'equal':
      return new ldapts.EqualityFilter(filter);
    case 'atLeast':
      return new ldapts.GreaterThanEqualsFilter(filter);
    case 'atMost':
      return new ldapts.LessThanEqualsFilter(filter);
    case 'similar':
      return new ldapts.ApproximateFilter(filter);
    case 'substring':
      return new ldapts.SubstringFilter(filter);
    default:
      return new ldapts.ExtensibleFilter({
        rule: filter.rule,
        matchType: filter.attribute,
        value: filter.value,
        dnAttributes: filter.dn,
      });
  }
}

function ldapjsFilter(filter: TestFilter): object {
  switch (filter.kind) {
    case 'and':
      return new ldapjs.AndFilter({ filters: filter.children.map(ldapjsFilter) });
    case 'or':
      return new ldapjs.OrFilter({ filters: filter.children.map(ldapjsFilter) });
    case 'not':
      return new ldapjs.NotFilter({ filter: ldapjsFilter(filter.child) });
    case 'present':
      return new ldapjs.PresenceFilter(filter);
    case 'equal':
      return new ldapjs.EqualityFilter(filter);
    case 'atLeast':
      return new ldapjs.GreaterThanEqualsFilter(filter);
    case 'atMost':
      return new ldapjs.LessThanEqualsFilter(filter);
    case 'similar':
      return new ldapjs.ApproximateFilter(filter);
    case 'substring': {
      const { attribute, initial, any, final } = filter;
      const ends = { ...(initial === '' ? {} : { initial }), ...(final === '' ? {} : { final }) };
      return new ldapjs.SubstringFilter({ attribute, any, ...ends });
    }
    default:
      return new ldapjs.ExtensibleFilter({
        ...(filter.rule === '' ? {} : { rule: filter.rule }),
        attribute: filter.attribute,
        value: filter.value,
        dnAttributes: filter.dn,
      });
  }
}

/** Compares by value: what generators make has no prototype. */
function same(actual: PlainSearch, wanted: PlainSearch): void {
  assert.deepEqual(JSON.parse(JSON.stringify(actual)), JSON.parse(JSON.stringify(wanted)));
}

const read = (bytes: Uint8Array): PlainSearch => {
  const request = decodeRequest(bytes);
  assert.equal(request.kind, 'search', 'text' in request ? request.text : '');
  assert.ok(request.kind === 'search');
  return readBack(request);
};

describe('requests', () => {
  test('of our own encoder', () => {
    fc.assert(
      fc.property(searches, (wanted) => {
        const { filter, ...rest } = wanted;
        same(read(search(1, { ...rest, filter: encodeFilter(filter) })), wanted);
      }),
      long,
    );
  });

  test('of ldapts', () => {
    fc.assert(
      fc.property(searches, (wanted) => {
        const { base, scope, filter, ...rest } = wanted;
        // It sends `*` when nothing is asked for.
        fc.pre(rest.attributes.length > 0);
        const message = new ldapts.SearchRequest({
          messageId: 1,
          baseDN: base,
          scope: SCOPES[scope]!,
          filter: ldaptsFilter(filter),
          sizeLimit: rest.sizeLimit,
          timeLimit: rest.timeLimit,
          returnAttributeValues: !rest.typesOnly,
          attributes: rest.attributes,
        });
        same(read(message.write()), wanted);
      }),
      long,
    );
  });

  test('of ldapjs', () => {
    fc.assert(
      fc.property(searches, (wanted) => {
        const { base, scope, filter, ...rest } = wanted;
        // It has no sets of nothing, and escapes names in a way of its own.
        fc.pre(!hasEmptySet(filter) && !/[^ -~]|\\/.test(base));
        const bytes = encodeByLdapjs({
          messageId: 1,
          baseObject: base,
          scope: SCOPES[scope],
          filter: ldapjsFilter(filter),
          ...rest,
        });
        same(read(bytes), wanted);
      }),
      long,
    );
  });
});

describe('answers', () => {
  function byLdapts(bytes: Buffer): ldapts.SearchEntry | ldapts.SearchResponse {
    const parser = new ldapts.MessageParser();
    let found: unknown = null;
    parser.on('message', (message) => {
      found = message;
    });
    parser.on('error', (error) => {
      throw error;
    });
    parser.read(bytes, new Map());
    assert.notEqual(found, null, 'not read as a whole message');
    return found as ldapts.SearchEntry | ldapts.SearchResponse;
  }

  const codes = fc.constantFrom(...Object.values(RESULT));
  const text = fc.string({ unit: 'grapheme', maxLength: 200 });
  const ids = fc.integer({ min: 1, max: 2 ** 31 - 1 });

  test('results', () => {
    fc.assert(
      fc.property(
        ids,
        codes,
        fc.constantFrom('', BASE, `ou=people,${BASE}`),
        text,
        (id, code, matchedDn, diagnostic) => {
          const bytes = resultMessage(id, OP.searchDone, code, { matchedDn, text: diagnostic });
          const first = byLdapts(bytes) as ldapts.SearchResponse;
          assert.deepEqual(
            [first.messageId, first.status, first.matchedDN, first.errorMessage],
            [id, code, matchedDn, diagnostic],
          );
          const { messageId, pojo } = parseByLdapjs(bytes);
          assert.deepEqual([messageId, pojo.status, pojo.diagnosticMessage], [id, code, diagnostic]);
        },
      ),
      long,
    );
  });

  test('the paging control', () => {
    fc.assert(
      fc.property(ids, fc.nat(2 ** 31 - 1), fc.uint8Array({ maxLength: 40 }), (id, estimate, cookie) => {
        const bytes = resultMessage(id, OP.searchDone, RESULT.success, { controls: [pagingControl(estimate, cookie)] });
        const { controls } = parseByLdapjs(bytes);
        assert.equal(controls[0]!.value.size, estimate);
        assert.deepEqual(Buffer.from(controls[0]!.value.cookie), Buffer.from(cookie));
      }),
      long,
    );
  });

  test('the notice of disconnection', () => {
    const parsed = parseByLdapjs(disconnectionNotice(RESULT.protocolError, 'what was that'));
    assert.deepEqual([parsed.messageId, parsed.pojo.status, parsed.responseName], [0, 2, OID.noticeOfDisconnection]);
    const extra = [element(0x8a, OID.startTls)];
    const started = parseByLdapjs(resultMessage(7, OP.extendedResponse, RESULT.success, { extra }));
    assert.deepEqual([started.messageId, started.responseName], [7, OID.startTls]);
  });

  test('entries', () => {
    const value = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 });
    const values = fc.uniqueArray(value, { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(ids, values, values, (id, description, host) => {
        const dn = `cn=x,ou=people,${BASE}`;
        const added = entry(dn, ['device'], { cn: 'x', description, host });
        const engine = createEngine(snapshotOf([...smallDirectory(), added]));
        const bytes = encodedAnswer(engine, { base: dn, scope: 0, attributes: ['description', 'host'] }, id);
        const expected = { description, host };
        const first = byLdapts(bytes) as ldapts.SearchEntry;
        assert.deepEqual([first.messageId, first.name], [id, dn]);
        assert.deepEqual(
          Object.fromEntries(first.attributes.map(({ type, parsedBuffers }) => [type, parsedBuffers.map(String)])),
          expected,
        );
        const { messageId, pojo } = parseByLdapjs(bytes);
        const { objectName, attributes } = pojo as unknown as LdapjsEntry;
        assert.deepEqual([messageId, objectName], [id, dn]);
        assert.deepEqual(
          Object.fromEntries(attributes.map((attribute) => [attribute.type, attribute.values])),
          expected,
        );
      }),
      { numRuns: cases(100, 5000) },
    );
  });
});
