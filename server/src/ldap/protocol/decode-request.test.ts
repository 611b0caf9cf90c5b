import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FilterParser, BindRequest as LdaptsBind, SearchRequest as LdaptsSearch } from 'ldapts';
import { element, integerElement } from '../ber/writer.ts';
import {
  abandon,
  bind,
  compare,
  controlElement,
  extended,
  filterElement,
  message,
  pagingControl,
  saslBind,
  search,
  type TestControl,
  unbind,
} from '../testing/messages.ts';
import { decodeRequest } from './decode-request.ts';
import { OID, OP } from './operation.ts';
import type { Request, Span } from './request.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
const textOf = (data: Uint8Array, { start, end }: Span): string => Buffer.from(data.subarray(start, end)).toString();

function decode<K extends Request['kind']>(data: Uint8Array, kind: K): Extract<Request, { kind: K }> {
  const request = decodeRequest(data);
  assert.equal(request.kind, kind, 'text' in request ? request.text : '');
  return request as Extract<Request, { kind: K }>;
}

const isError = (data: Uint8Array): void => assert.equal(decodeRequest(data).kind, 'protocol-error');

describe('operations', () => {
  test('a search of libldap that follows a referral has its controls inside the operation, and they count', () => {
    // SEQUENCE, INTEGER 7 and the header of the operation: two, three and two octets.
    const fields = search(7, { base: 'dc=b', attributes: ['cn'] }).subarray(7);
    const operation = (...rest: Uint8Array[]): Buffer => element(OP.searchRequest, fields, ...rest);
    const list = (...controls: TestControl[]): Buffer => element(0xa0, ...controls.map(controlElement));

    const paged = decode(message(7, operation(list(pagingControl(500)))), 'search');
    assert.deepEqual([textOf(paged.bytes, paged.base), paged.controls.paging?.size], ['dc=b', 500]);
    // On the next page everything but the control is the same.
    const next = decode(message(7, operation(list(pagingControl(500, 'cookie')))), 'search');
    assert.equal(textOf(paged.bytes, paged.whole), textOf(next.bytes, next.whole));
    const critical = decode(message(7, operation(list({ oid: '1.2.3', critical: true }))), 'search');
    assert.equal(critical.controls.unavailable, true);

    isError(message(7, operation(list(pagingControl(500))), [pagingControl(1)]));
    isError(message(7, operation(list(pagingControl(500)), element(4, 'more'))));
    isError(message(7, operation(element(4, 'more'))));
  });

  test('an anonymous bind as ldapsearch -x sends it', () => {
    const request = decode(bytes('30 0c 02 01 01 60 07 02 01 03 04 00 80 00'), 'bind');
    assert.equal(request.version, 3);
    assert.equal(request.authentication.method, 'simple');
  });

  test('a bind of sssd: with the password policy control, which has no value', () => {
    const data = bind(2, 'cn=sssd,dc=x', 'secret', { controls: [{ oid: OID.passwordPolicy }] });
    const request = decode(data, 'bind');
    assert.equal(textOf(data, request.name), 'cn=sssd,dc=x');
    assert.ok(request.authentication.method === 'simple');
    assert.equal(textOf(data, request.authentication.password), 'secret');
    assert.deepEqual(request.controls, { unavailable: false, paging: null, dereference: null, malformed: null });
  });

  test('SASL with and without credentials', () => {
    const external = decode(saslBind(3, 'EXTERNAL', 'dn:cn=x'), 'bind').authentication;
    assert.ok(external.method === 'sasl' && external.mechanism === 'EXTERNAL' && external.credentials !== null);
    const gssapi = decode(saslBind(3, 'GSSAPI'), 'bind').authentication;
    assert.ok(gssapi.method === 'sasl' && gssapi.mechanism === 'GSSAPI' && gssapi.credentials === null);
  });

  test('a bind of version 2 with its own kind of authentication can still be answered', () => {
    const operation = element(0x60, integerElement(2, 2), element(4, 'cn=x'), element(0x81, 'kerberos'));
    assert.equal(decode(message(1, operation), 'bind').version, 2);
  });

  test('unbind, abandon, compare, extended', () => {
    assert.equal(decode(unbind(9), 'unbind').messageId, 9);
    assert.equal(decode(abandon(9, 300), 'abandon').target, 300);
    const comparison = compare(4, 'cn=x', 'uid', 'alice');
    const request = decode(comparison, 'compare');
    assert.deepEqual(
      [request.entry, request.attribute, request.value].map((span) => textOf(comparison, span)),
      ['cn=x', 'uid', 'alice'],
    );
    assert.equal(decode(extended(5, OID.whoAmI), 'extended').name, OID.whoAmI);
  });

  test('operations that would change something are known by what answers them', () => {
    for (const [tag, answer] of [
      [0x66, 0x67],
      [0x68, 0x69],
      [0x4a, 0x6b],
      [0x6c, 0x6d],
    ] as const) {
      assert.equal(decode(message(1, element(tag, 'x')), 'update').responseTag, answer);
    }
  });

  test('a search with everything', () => {
    const data = search(2 ** 31 - 1, {
      base: 'ou=people,dc=x',
      scope: 1,
      sizeLimit: 5,
      timeLimit: 7,
      typesOnly: true,
      filter: '(&(uid=a)(|(cn=b*c*d)(!(sn>=1)))(x<=2)(y~=3)(objectClass=*)(cn:dn:2.4.6:=v))',
      attributes: ['cn', '+'],
      controls: [pagingControl(100, 'cookie', true)],
    });
    const request = decode(data, 'search');
    assert.equal(textOf(data, request.base), 'ou=people,dc=x');
    assert.deepEqual([request.scope, request.sizeLimit, request.timeLimit, request.typesOnly], [1, 5, 7, true]);
    assert.equal(request.filter?.children.length, 6);
    const paging = request.controls.paging!;
    assert.deepEqual([paging.size, paging.critical, textOf(data, paging.cookie)], [100, true, 'cookie']);
  });

  test('what ldapts encodes', () => {
    const filter = FilterParser.parseString('(|(uid=a*)(cn=\\2a)(!(sn>=x))(cn:dn:caseExactMatch:=y))');
    const searches = new LdaptsSearch({ messageId: 7, baseDN: 'dc=b', scope: 'sub', filter, attributes: ['cn'] });
    assert.equal(decode(searches.write(), 'search').filter?.children.length, 4);
    const data = new LdaptsBind({ messageId: 7, dn: 'cn=a,dc=b', password: 'pw' }).write();
    assert.equal(textOf(data, decode(data, 'bind').name), 'cn=a,dc=b');
  });
});

describe('refused with a result, so that the connection stays', () => {
  test('scopes, dereferencing and limits out of range', () => {
    for (const options of [{ scope: 7 }, { scope: -1 }, { deref: 4 }, { sizeLimit: -1 }, { timeLimit: -5 }]) {
      assert.equal(decode(search(1, options), 'unacceptable').responseTag, 0x65);
    }
  });
});

describe('refused as no LDAP', () => {
  for (const [name, hex] of [
    ['nothing', ''],
    ['an empty sequence', '30 00'],
    ['an id and nothing else', '30 03 02 01 01'],
    ['message id 0, which is the server’s', '30 05 02 01 00 42 00'],
    ['a negative message id', '30 05 02 01 ff 42 00'],
    ['an id of five octets', '30 09 02 05 00 80 00 00 00 42 00'],
    ['an unknown operation', '30 05 02 01 01 7f 00'],
    ['an answer', '30 0c 02 01 01 61 07 0a 01 00 04 00 04 00'],
    ['a length of four gigabytes inside', '30 0b 02 01 01 63 84 ff ff ff ff 04 00'],
    ['trailing bytes', '30 07 02 01 01 42 00 00 00'],
    ['a second message in the same bytes', '30 05 02 01 01 42 00 30 05 02 01 01 42 00'],
    ['a constructed octet string as bind name', '30 0e 02 01 01 60 09 02 01 03 24 02 04 00 80 00'],
    ['controls that are none', '30 08 02 01 01 42 00 a0 01 05'],
  ] as const) {
    test(name, () => isError(bytes(hex)));
  }

  test('an extensible match that names neither rule nor attribute', () => {
    isError(search(1, { filter: element(0xa9, element(0x83, 'x')) }));
  });

  test('a filter that is none', () => {
    isError(search(1, { filter: element(0x04, 'x') }));
    isError(search(1, { filter: element(0xa2) }));
    isError(search(1, { filter: element(0xa2, filterElement('(a=b)'), filterElement('(c=d)')) }));
  });

  test('parts of a substring assertion out of order', () => {
    const parts = (...kinds: number[]): Buffer =>
      element(0xa4, element(4, 'cn'), element(0x30, ...kinds.map((kind) => element(kind, 'x'))));
    isError(search(1, { filter: parts(0x81, 0x80) }));
    isError(search(1, { filter: parts(0x80, 0x80) }));
    isError(search(1, { filter: parts(0x82, 0x81) }));
    isError(search(1, { filter: parts(0x83) }));
    assert.equal(decodeRequest(search(1, { filter: parts(0x80, 0x81, 0x81, 0x82) })).kind, 'search');
  });
});

describe('controls (RFC 4511 4.1.11)', () => {
  const withControl = (...controls: Parameters<typeof controlElement>[0][]): Request =>
    decodeRequest(search(1, { controls })) as Request;

  test('unknown ones are ignored unless they are critical', () => {
    assert.equal(withControl({ oid: '1.2.3.4' }).controls.unavailable, false);
    assert.equal(withControl({ oid: '1.2.3.4', critical: true }).controls.unavailable, true);
  });

  test('password policy and ManageDsaIT may be critical', () => {
    assert.equal(withControl({ oid: OID.passwordPolicy, critical: true }).controls.unavailable, false);
    assert.equal(withControl({ oid: OID.manageDsaIt, critical: true }).controls.unavailable, false);
  });

  test('paging means nothing for a bind', () => {
    const request = decodeRequest(bind(1, '', '', { controls: [pagingControl(5, '', true)] })) as Request;
    assert.equal(request.controls.unavailable, true);
    assert.equal(request.controls.paging, null);
  });

  test('a paging control that cannot be read, or comes twice, is said to be so', () => {
    assert.match(withControl({ oid: OID.paging }).controls.malformed ?? '', /without a value/);
    assert.match(
      withControl({ oid: OID.paging, value: Buffer.from('junk') }).controls.malformed ?? '',
      /cannot be read/,
    );
    assert.match(withControl(pagingControl(-1)).controls.malformed ?? '', /cannot be read/);
    assert.match(withControl(pagingControl(1), pagingControl(2)).controls.malformed ?? '', /twice/);
  });
});

describe('limits on filters', () => {
  const nested = (depth: number): Buffer => {
    let filter = filterElement('(cn=x)');
    for (let i = 1; i < depth; i++) filter = element(0xa2, filter);
    return filter;
  };
  const filterOf = (filter: Uint8Array): unknown => decode(search(1, { filter }), 'search').filter;

  test('32 levels are read, 33 are not, and 20,000 do no harm', () => {
    assert.notEqual(filterOf(nested(32)), null);
    assert.equal(filterOf(nested(33)), null);
    assert.equal(filterOf(nested(20_000)), null);
  });

  test('1,024 assertions are read, 1,025 are not', () => {
    const many = (count: number): Buffer =>
      element(0xa1, ...Array.from({ length: count }, () => filterElement('(a=b)')));
    assert.notEqual(filterOf(many(1024)), null);
    assert.equal(filterOf(many(1025)), null);
  });

  test('parts of substrings and empty sets count too', () => {
    const parts = Array.from({ length: 2000 }, () => element(0x81, 'x'));
    assert.equal(filterOf(element(0xa4, element(4, 'cn'), element(0x30, ...parts))), null);
    assert.equal(filterOf(element(0xa0, ...Array.from({ length: 2000 }, () => element(0xa1)))), null);
  });

  test('an assertion about any attribute counts as many', () => {
    const many = (count: number): Buffer =>
      element(0xa1, ...Array.from({ length: count }, () => filterElement('(:caseIgnoreMatch:=x)')));
    assert.notEqual(filterOf(many(16)), null);
    assert.equal(filterOf(many(17)), null);
  });

  test('64 KiB are read, more are not', () => {
    assert.notEqual(filterOf(element(0xa3, element(4, 'cn'), element(4, 'x'.repeat(60_000)))), null);
    assert.equal(filterOf(element(0xa3, element(4, 'cn'), element(4, 'x'.repeat(66_000)))), null);
  });

  test('a choice that RFC 4511 does not know is kept as unknown', () => {
    const filter = decode(search(1, { filter: element(0xac, 'later') }), 'search').filter;
    assert.equal(filter?.tag, 0);
  });
});
