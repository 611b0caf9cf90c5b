import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { collect } from '../garbage.ts';
import { EXACT, FLAG, FOLD, type MatchKind, NAME, TIME, UUID, WHOLE } from '../schema/rules.ts';
import { cases } from '../testing/long.ts';
import { createDnForm, dnKey, parseDn } from './dn.ts';
import { normalize } from './normalize.ts';
import { createScratch } from './scratch.ts';
import { parseTime } from './time.ts';

const long = { numRuns: cases(500, 30_000) };

function form(kind: MatchKind, text: string | Uint8Array): string | null {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  const scratch = createScratch(1);
  const length = normalize(kind, bytes, 0, bytes.length, scratch);
  return length < 0 ? null : Buffer.from(scratch.bytes.subarray(0, length)).toString('latin1');
}

const equal = (kind: MatchKind, a: string, b: string): void => assert.equal(form(kind, a), form(kind, b));
const different = (kind: MatchKind, a: string, b: string): void => assert.notEqual(form(kind, a), form(kind, b));

describe('text (RFC 4518)', () => {
  test('case counts or not', () => {
    equal(FOLD, 'Alice', 'aLICE');
    different(EXACT, 'Alice', 'alice');
  });

  test('space at the ends is nothing, inside any run of it is one', () => {
    equal(FOLD, '  a   b ', 'a b');
    equal(EXACT, '\ta\nb', 'a b');
    different(FOLD, 'ab', 'a b');
    equal(FOLD, '   ', ' ');
    different(FOLD, ' ', '');
  });

  test('letters beyond ASCII fold and compose', () => {
    equal(FOLD, 'BÓB', 'bób');
    equal(FOLD, 'b\u006f\u0301b', 'bób');
    equal(FOLD, 'STRASSE', 'straße');
    equal(FOLD, 'ΣΊΣΥΦΟΣ', 'σίσυφος');
    equal(FOLD, 'ｆｕｌｌ', 'full');
    different(EXACT, 'Ü', 'ü');
    equal(FOLD, 'a\u00adb', 'ab');
    equal(FOLD, 'a\u00a0b', 'a b');
  });

  test('what is no UTF-8 is no text', () => {
    assert.equal(form(FOLD, Buffer.from([0x61, 0xff])), null);
    assert.equal(form(EXACT, Buffer.from([0xc0, 0xaf])), null);
  });

  test('a normal form is its own normal form', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.constantFrom(FOLD, EXACT), (text, kind) => {
        const once = form(kind, text)!;
        assert.equal(form(kind, Buffer.from(once, 'latin1')), once);
      }),
      long,
    );
  });
});

test('folding any letter once is enough', () => {
  for (let code = 0x80; code < 0x110000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const once = form(FOLD, String.fromCodePoint(code))!;
    assert.equal(form(FOLD, Buffer.from(once, 'latin1')), once, `U+${code.toString(16)}`);
  }
  assert.equal(form(FOLD, 'STRA\u1e9eE'), form(FOLD, 'strasse'));
});

test('a name has 128 attributes at most', () => {
  const name = (count: number, separator: string) =>
    Array.from({ length: count }, (_, i) => `cn=x${i}`).join(separator);
  for (const separator of [',', '+']) {
    assert.notEqual(dnKey(name(128, separator)), null);
    assert.equal(dnKey(name(129, separator)), null);
  }
});

describe('integers, flags, UUIDs', () => {
  test('a number has one spelling', () => {
    equal(WHOLE, '0', '0');
    different(WHOLE, '10', '-10');
    for (const text of ['007', '00', '-0', '-010']) assert.equal(form(WHOLE, text), null);
  });

  test('what is no integer', () => {
    for (const text of ['', '-', '+1', '1.0', ' 1', '1 ', '0x1', '1e3', '--1']) assert.equal(form(WHOLE, text), null);
  });

  test('numbers of any size keep all their digits', () => {
    different(WHOLE, '9007199254740993', '9007199254740992');
  });

  test('TRUE and FALSE', () => {
    equal(FLAG, 'true', 'TRUE');
    for (const text of ['', '1', 'yes', 'TRUEE', 'FALS']) assert.equal(form(FLAG, text), null);
  });

  test('UUIDs', () => {
    equal(UUID, '0000000A-0000-4000-8000-00000000000B', '0000000a-0000-4000-8000-00000000000b');
    for (const text of ['', '0000000a00004000800000000000000b', '0000000g-0000-4000-8000-00000000000b']) {
      assert.equal(form(UUID, text), null);
    }
  });
});

describe('times (RFC 4517 3.3.13)', () => {
  const at = (text: string): number => parseTime(Buffer.from(text), 0, text.length);
  const noon = Date.UTC(2026, 10, 22, 12) / 1000;

  for (const [text, seconds] of [
    ['20261122120000Z', noon],
    ['202611221200Z', noon],
    ['2026112212Z', noon],
    ['20261122120000.0Z', noon],
    ['20261122120000,5Z', noon + 0.5],
    ['202611221200.5Z', noon + 30],
    ['2026112212.25Z', noon + 900],
    ['20261122140000+0200', noon],
    ['20261122140000+02', noon],
    ['20261122113000-0030', noon],
    // sssd adds one to the digits of the newest timestamp it has seen.
    ['20261122115960Z', noon],
    ['20240229000000Z', Date.UTC(2024, 1, 29) / 1000],
    ['00010101000000Z', new Date('0001-01-01T00:00:00Z').getTime() / 1000],
  ] as const) {
    test(text, () => assert.equal(at(text), seconds));
  }

  for (const text of [
    '',
    '20261122120000',
    '20261322120000Z',
    '20261100120000Z',
    '20260229120000Z',
    '20261122240000Z',
    '20261122126000Z',
    '20261122120061Z',
    '20261122120000.Z',
    '20261122120000ZZ',
    '20261122120000+2500',
    '2026112212000Z',
    'not a time at all',
  ]) {
    test(`"${text}" is none`, () => assert.ok(Number.isNaN(at(text))));
  }

  test('equal times in different clothes have one form', () => {
    equal(TIME, '20261122120000Z', '20261122140000.000+0200');
  });
});

describe('names (RFC 4514)', () => {
  const same = (a: string, b: string): void => {
    assert.notEqual(dnKey(a), null);
    assert.equal(dnKey(a), dnKey(b));
  };
  const other = (a: string, b: string): void => assert.notEqual(dnKey(a), dnKey(b));

  test('examples of RFC 4514 4', () => {
    for (const dn of [
      '',
      'UID=jsmith,DC=example,DC=net',
      'OU=Sales+CN=J.  Smith,DC=example,DC=net',
      'CN=James \\"Jim\\" Smith\\, III,DC=example,DC=net',
      'CN=Before\\0dAfter,DC=example,DC=net',
      '1.3.6.1.4.1.1466.0=#04024869',
      'CN=Lu\\C4\\8Di\\C4\\87',
    ]) {
      assert.notEqual(dnKey(dn), null, dn);
    }
  });

  test('type names, OIDs, case and space do not matter', () => {
    same('CN=Ops,OU=Groups,DC=example,DC=com', '2.5.4.3=ops, ou = groups ,dc=EXAMPLE,dc=com');
    same('commonName=ops,dc=x', 'cn=ops,dc=x');
    same('uid=a  b,dc=x', 'uid=A b,dc=x');
    same('cn=Lu\\C4\\8Di,dc=x', 'cn=luči,dc=x');
  });

  test('parts of an RDN have no order', () => {
    same('cn=a+uid=b,dc=x', 'uid=b+cn=a,dc=x');
    other('cn=a+uid=b,dc=x', 'cn=a,uid=b,dc=x');
  });

  test('an escaped separator is part of the value', () => {
    same('cn=a\\,b,dc=x', 'cn=a\\2cb,dc=x');
    other('cn=a\\,dc=b,dc=x', 'cn=a,dc=b,dc=x');
    other('cn=a\\+uid=b,dc=x', 'cn=a+uid=b,dc=x');
  });

  test('space that is escaped at the end stays before it is found insignificant', () => {
    same('cn=a\\ ,dc=x', 'cn=a,dc=x');
    same('cn=\\ a,dc=x', 'cn=a,dc=x');
    same('cn=müller\\20,dc=x', 'cn=müller,dc=x');
  });

  test('values written in hexadecimal', () => {
    same('cn=#04016f,dc=x', 'cn=o,dc=x');
  });

  test('a suffix in text is no suffix in names', () => {
    other('cn=xdc=example,dc=com', 'cn=x,dc=example,dc=com');
  });

  for (const dn of [
    'foo',
    '=x',
    'cn',
    'cn=a,',
    ',cn=a',
    'cn=a,,dc=x',
    'cn=a+,dc=x',
    'cn=a;dc=x',
    'cn="a",dc=x',
    'cn=a<b',
    'cn=a\\',
    'cn=a\\zz',
    'cn=a\u0000b',
    'cn=#',
    'cn=#0',
    'cn=#04ff61',
    '-cn=a',
    'c n=a',
    'cn=\\ff',
    // Values without the syntax of their type (RFC 4517 3.3).
    'cn=',
    'uidNumber=x,dc=x',
    'dc=ä',
    'ou=people,dc=',
  ]) {
    test(`"${dn}" is none`, () => assert.equal(dnKey(dn), null));
  }

  test('every value can be written and is read as itself', () => {
    const escaped = (text: string): string =>
      [...Buffer.from(text)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
    const character = fc.constantFrom(...'abcXYZ019 ,+"\\<>;=#\u0000ü');
    fc.assert(
      fc.property(
        fc.string({ unit: character, minLength: 1 }),
        fc.string({ unit: character, minLength: 1 }),
        (a, b) => {
          const [left, right] = [dnKey(`cn=${escaped(a)},dc=x`), dnKey(`cn=${escaped(b)},dc=x`)];
          assert.ok(left !== null && right !== null);
          assert.equal(left === right, form(FOLD, a) === form(FOLD, b));
        },
      ),
      long,
    );
  });

  test('random text never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'acdnu=,+\\#"; 012f\u00fc') }), (text) => {
        dnKey(text);
        form(NAME, text);
      }),
      { numRuns: cases(2000, 100_000) },
    );
  });
});

test('a name that was parsed is not kept: it may be a whole directory', async () => {
  for (const [dn, isDn] of [
    ['uid=alice,ou=people,dc=example,dc=com', true],
    ['uid=alice,,dc=com', false],
  ] as const) {
    const parsed = (() => {
      const bytes = new Uint8Array(Buffer.from(dn));
      assert.equal(parseDn(bytes, 0, bytes.length, createDnForm()), isDn);
      return new WeakRef(bytes);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    assert.equal(parsed.deref(), undefined);
  }
});
