import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.ts';

describe('canonical JSON, RFC 8785', () => {
  it('section 3.2.2 to 3.2.4: the example of the standard', () => {
    const value = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"\u002f',
      literals: [null, true, false],
    };
    assert.equal(
      canonicalJson(value),
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('section 3.2.3: members are sorted by UTF-16 code units, not by code points', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\u{1f600}': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    const order = [...canonicalJson(value).matchAll(/:"([^"]+)"/g)].map(([, text]) => text);
    assert.deepEqual(order, [
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  // Appendix B: IEEE 754 bits and the text that they have.
  for (const [bits, text] of [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ] as const) {
    it(`appendix B: ${bits} is ${text}`, () => {
      const number = Buffer.from(bits, 'hex').readDoubleBE();
      assert.equal(canonicalJson(number), text);
    });
  }

  for (const [name, value] of Object.entries({
    'not a number': Number.NaN,
    infinity: Number.POSITIVE_INFINITY,
    undefined: undefined,
    'undefined in an object': { a: undefined },
    'a function': () => 1,
    'a bigint': 1n,
    'a symbol': Symbol('x'),
    'a lone surrogate': '\ud800',
    'a lone surrogate as a name': { '\udc00': 1 },
    'a lone surrogate deep inside': [{ a: ['\udead'] }],
  })) {
    it(`${name} has no canonical form`, () => assert.throws(() => canonicalJson(value), TypeError));
  }

  it('means the same, and does not depend on the order of insertion', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => value.isWellFormed());
    const leaf = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(
          text.filter((key) => key !== '__proto__'),
          tie('value'),
          { maxKeys: 4 },
        ),
      ),
    }));
    const reversed = (input: unknown): unknown => {
      if (Array.isArray(input)) return input.map(reversed);
      if (input === null || typeof input !== 'object') return input;
      return Object.fromEntries(
        Object.entries(input)
          .reverse()
          .map(([key, member]) => [key, reversed(member)]),
      );
    };
    fc.assert(
      fc.property(value, (input) => {
        assert.deepEqual(JSON.parse(canonicalJson(input)), JSON.parse(JSON.stringify(input)));
        assert.equal(canonicalJson(reversed(input)), canonicalJson(input));
      }),
    );
  });
});
