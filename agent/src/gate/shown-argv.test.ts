import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ARGV_SHOWN_BYTES } from '#shared/decision.ts';
import { unescapeBytes } from '#shared/visible-text.ts';
import { shownArgv, shownPath, splitArguments } from './shown-argv.ts';

const join = (words: readonly Uint8Array[]) =>
  Buffer.concat(words.flatMap((word) => [Buffer.from(word), Buffer.from([0])]));
/** Bytes of an argument: anything but NUL. */
const argument = fc.uint8Array({ maxLength: 3000 }).map((bytes) => bytes.map((byte) => byte || 1));

describe('arguments as shown', () => {
  it('come back to the exact bytes when they fit', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.uint8Array({ maxLength: 40 }).map((bytes) => bytes.map((byte) => byte || 1)),
          { maxLength: 10 },
        ),
        (words) => {
          const shown = shownArgv(join(words));
          assert.equal(shown.truncated, false);
          assert.deepEqual(
            shown.argv.map((text) => Buffer.from(unescapeBytes(text)).toString('hex')),
            words.map((word) => Buffer.from(word).toString('hex')),
          );
        },
      ),
    );
  });

  it('never exceed the limit, and what is shown is a true beginning', () => {
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 6 }), (words) => {
        const { argv, truncated } = shownArgv(join(words));
        assert.ok(argv.reduce((sum, text) => sum + Buffer.byteLength(text), 0) <= ARGV_SHOWN_BYTES);
        for (const [index, text] of argv.entries()) {
          const bytes = Buffer.from(unescapeBytes(text));
          const word = Buffer.from(words[index]!);
          assert.ok(word.subarray(0, bytes.length).equals(bytes));
          if (!truncated) assert.equal(bytes.length, word.length);
        }
        if (!truncated) assert.equal(argv.length, words.length);
      }),
      { numRuns: 300 },
    );
  });

  it('100 kB of arguments are cut quickly and said to be cut', () => {
    const { argv, truncated } = shownArgv(join([Buffer.from('sudo'), Buffer.alloc(100_000, 0x1b)]));
    assert.equal(truncated, true);
    assert.equal(argv.length, 2);
    assert.match(argv[1]!, /^(\\u\{1b\})+$/);
  });

  it('very many arguments are cut too', () => {
    const { argv, truncated } = shownArgv(join(Array.from({ length: 5000 }, () => Buffer.alloc(0))));
    assert.equal(argv.length, 1024);
    assert.equal(truncated, true);
  });

  it('an empty argument is an argument, nothing is none', () => {
    assert.deepEqual(shownArgv(Buffer.from('sudo\0\0id\0')).argv, ['sudo', '', 'id']);
    assert.deepEqual(shownArgv(Buffer.alloc(0)).argv, []);
    assert.equal(splitArguments(Buffer.from('a\0b')).length, 2);
  });

  it('a folder that is too long ends visibly', () => {
    assert.equal(shownPath('/usr'), '/usr');
    const long = shownPath(`/${'x'.repeat(5000)}`);
    assert.ok(long.length <= 4096 && long.endsWith('…'));
  });
});
