import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { escapeBytes, shellQuote, terminalLine, unescapeBytes, visibleText } from './visible-text.ts';

/** By Unicode's own lists: controls, line ends, what turns text around, what shows nothing. */
const DANGEROUS = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]/u;

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('\\', '\\x', '\\u{', 'x', '41', '}', '\u202e', '\u001b', '\n', 'ä', '😀', '\u200b'), {
      maxLength: 20,
    })
    .map((parts) => parts.join('')),
);

describe('exact bytes as text', () => {
  it('come back exactly', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        assert.deepEqual(Buffer.from(unescapeBytes(escapeBytes(bytes))), Buffer.from(bytes)),
      ),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(anyText, (text) =>
        assert.deepEqual(Buffer.from(unescapeBytes(escapeBytes(Buffer.from(text)))), Buffer.from(text)),
      ),
      { numRuns: 2000 },
    );
  });

  it('two different byte strings never look the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), fc.uint8Array({ maxLength: 6 }), (a, b) => {
        assert.equal(escapeBytes(a) === escapeBytes(b), Buffer.from(a).equals(Buffer.from(b)));
      }),
      { numRuns: 3000 },
    );
  });

  it('hold nothing invisible', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.doesNotMatch(escapeBytes(bytes), DANGEROUS)),
    );
    fc.assert(fc.property(anyText, (text) => assert.doesNotMatch(escapeBytes(Buffer.from(text)), DANGEROUS)));
  });

  for (const [bytes, text] of [
    [Buffer.from('ls -l'), 'ls -l'],
    [Buffer.from('a\\b'), 'a\\\\b'],
    [Buffer.from('\\x41'), '\\\\x41'],
    [Buffer.from([0xff, 0x41]), '\\xffA'],
    [Buffer.from([0xc0, 0x80]), '\\xc0\\x80'],
    [Buffer.from([0xed, 0xa0, 0x80]), '\\xed\\xa0\\x80'],
    [Buffer.from([0xf4, 0x90, 0x80, 0x80]), '\\xf4\\x90\\x80\\x80'],
    [Buffer.from([0xe2, 0x82]), '\\xe2\\x82'],
    [Buffer.from([0x1b]), '\\u{1b}'],
    [Buffer.from('\u202e'), '\\u{202e}'],
    [Buffer.from('\u{e0041}'), '\\u{e0041}'],
    [Buffer.from('\ufeffé'), '\\u{feff}é'],
    [Buffer.from('日本😀'), '日本😀'],
  ] as const) {
    it(`${bytes.toString('hex')} is ${text}`, () => assert.equal(escapeBytes(bytes), text));
  }

  for (const text of ['\\', '\\q', '\\x4', '\\xZZ', '\\u{}', '\\u{1234567}', 'a\\']) {
    it(`${text} is no escape`, () => assert.throws(() => unescapeBytes(text), SyntaxError));
  }
});

describe('text made visible', () => {
  it('every character that Unicode calls invisible, reversing or controlling is shown', () => {
    const missed: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += 1) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const char = String.fromCodePoint(code);
      if (DANGEROUS.test(char) && (visibleText(char) === char || terminalLine(char) === char))
        missed.push(code.toString(16));
    }
    assert.deepEqual(missed, []);
  });
  it('shown once is shown', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.equal(visibleText(visibleText(text)), visibleText(text));
        assert.doesNotMatch(visibleText(text), DANGEROUS);
        assert.ok(visibleText(text).isWellFormed());
      }),
    );
  });
  it('ordinary text stays as it is', () => {
    for (const text of ['', 'systemctl restart nginx', 'Grüße, 日本語, ελληνικά, עברית, العربية', '😀👍🏽', 'a\u00a0b'])
      assert.equal(visibleText(text), text);
  });
});

describe('one line on a terminal', () => {
  it('has no control character and nothing that turns it around', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.doesNotMatch(terminalLine(text), DANGEROUS);
        assert.ok(terminalLine(text).isWellFormed());
      }),
    );
  });
  it('line ends and tabs become a space, so that words stay apart', () => {
    assert.equal(terminalLine('a\r\n\tb\nc'), 'a b c');
    assert.equal(terminalLine('\u001b[31mred\u001b[0m'), '[31mred[0m');
  });
});

describe('an argument as typed', () => {
  for (const [argument, quoted] of [
    ['nginx', 'nginx'],
    ['a b', "'a b'"],
    ["it's", "'it'\\''s'"],
    ['', "''"],
    ['$(id)', "'$(id)'"],
    ['a\u00a0b', "'a\u00a0b'"],
    ['--flag=x:y/z,1+2@%', '--flag=x:y/z,1+2@%'],
  ] as const) {
    it(`${JSON.stringify(argument)}: ${quoted}`, () => assert.equal(shellQuote(argument), quoted));
  }
});
