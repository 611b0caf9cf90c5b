import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cases } from '../testing/long.ts';
import {
  createReader,
  enter,
  frameLength,
  leave,
  leaveExtensible,
  open,
  peekTag,
  readBoolean,
  readInteger,
  readOctets,
  skip,
} from './reader.ts';
import { BOOLEAN, INTEGER, OCTET_STRING, SEQUENCE } from './tag.ts';
import { createOutput, element, headerLength, integerElement, reserve, writeHeader, writeInteger } from './writer.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const long = { numRuns: cases(500, 50_000) };

describe('integers (X.690 8.3)', () => {
  for (const [hex, value] of [
    ['02 01 00', 0],
    ['02 01 7f', 127],
    ['02 02 00 80', 128],
    ['02 01 80', -128],
    ['02 02 01 00', 256],
    ['02 04 7f ff ff ff', 2 ** 31 - 1],
    ['02 04 80 00 00 00', -(2 ** 31)],
    ['02 04 ff ff ff ff', -1],
    // More octets than needed, which some encoders send.
    ['02 04 00 00 00 05', 5],
  ] as const) {
    test(`${hex} is ${value}`, () => {
      const reader = createReader(bytes(hex));
      assert.equal(readInteger(reader), value);
      assert.equal(reader.failed, false);
    });
  }

  for (const hex of ['02 00', '02 05 00 00 00 00 01', '02 02 01', '03 01 00', '02', '']) {
    test(`"${hex}" is none`, () => {
      const reader = createReader(bytes(hex));
      assert.equal(readInteger(reader), 0);
      assert.equal(reader.failed, true);
    });
  }

  test('every one that is written is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (value) => {
        assert.equal(readInteger(createReader(integerElement(INTEGER, value))), value);
      }),
      long,
    );
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (value) => {
        const target = Buffer.alloc(8);
        const end = writeInteger(target, 0, INTEGER, value);
        assert.deepEqual(target.subarray(0, end), integerElement(INTEGER, value));
      }),
      long,
    );
  });
});

describe('lengths', () => {
  for (const [name, hex] of [
    ['the indefinite form', '30 80 00 00'],
    ['a length that a shift would make negative', '30 84 ff ff ff ff'],
    ['five length octets', '30 85 00 00 00 00 00'],
    ['more than there is', '30 05 00'],
    ['nothing at all', '30'],
    ['length octets that are missing', '30 82 01'],
  ] as const) {
    test(`${name} is refused`, () => {
      const reader = createReader(bytes(hex));
      open(reader, SEQUENCE);
      assert.equal(reader.failed, true);
      assert.equal(reader.at, reader.end);
    });
  }

  test('a longer form than needed is accepted, as BER has it', () => {
    const reader = createReader(bytes('04 84 00 00 00 01 61'));
    assert.equal(readOctets(reader, OCTET_STRING), 6);
    assert.equal(reader.length, 1);
  });

  test('headers are written in the shortest form', () => {
    for (const [length, header] of [
      [0, '04 00'],
      [127, '04 7f'],
      [128, '04 81 80'],
      [255, '04 81 ff'],
      [256, '04 82 01 00'],
      [65535, '04 82 ff ff'],
      [65536, '04 83 01 00 00'],
      [2 ** 24, '04 84 01 00 00 00'],
    ] as const) {
      const target = Buffer.alloc(6);
      const end = writeHeader(target, 0, OCTET_STRING, length);
      assert.deepEqual(target.subarray(0, end), bytes(header));
      assert.equal(headerLength(length), end);
    }
  });
});

describe('structure', () => {
  test('what an element does not contain is an error, unless it may be extended', () => {
    const nested = element(SEQUENCE, integerElement(INTEGER, 1), integerElement(INTEGER, 2));
    const strict = createReader(nested);
    const outer = enter(strict, SEQUENCE);
    readInteger(strict);
    leave(strict, outer);
    assert.equal(strict.failed, true);
    const lenient = createReader(nested);
    const end = enter(lenient, SEQUENCE);
    readInteger(lenient);
    leaveExtensible(lenient, end);
    assert.equal(lenient.failed, false);
    assert.equal(lenient.at, nested.length);
  });

  test('an inner element cannot reach over the end of the outer one', () => {
    const reader = createReader(bytes('30 03 04 05 61 62 63 64 65'));
    enter(reader, SEQUENCE);
    readOctets(reader, OCTET_STRING);
    assert.equal(reader.failed, true);
  });

  test('after the first error everything reads as nothing', () => {
    const reader = createReader(bytes('ff 01 01 02 01 05'));
    assert.equal(readBoolean(reader), false);
    assert.equal(readInteger(reader), 0);
    assert.equal(readOctets(reader, OCTET_STRING), reader.end);
    assert.equal(peekTag(reader), -1);
    assert.equal(reader.failed, true);
  });

  test('booleans have one octet, and any but zero is true', () => {
    assert.equal(readBoolean(createReader(bytes('01 01 01'))), true);
    assert.equal(readBoolean(createReader(bytes('01 01 00'))), false);
    const reader = createReader(bytes('01 02 00 00'));
    readBoolean(reader, BOOLEAN);
    assert.equal(reader.failed, true);
  });

  test('tags of several octets are not skipped', () => {
    const reader = createReader(bytes('1f 81 00 00'));
    skip(reader);
    assert.equal(reader.failed, true);
  });
});

describe('frames', () => {
  for (const [hex, length] of [
    ['', 0],
    ['30', 0],
    ['30 0c', 14],
    ['30 81', 0],
    ['30 81 80', 131],
    ['30 84 00 00 00', 0],
    ['30 84 40 00 00 00', 2 ** 30 + 6],
    ['30 84 ff ff ff ff', 2 ** 32 - 1 + 6],
    ['30 80', -1],
    ['30 85', -1],
    ['16 03', -1],
    ['47', -1],
  ] as const) {
    test(`"${hex}" announces ${length}`, () => {
      const data = bytes(hex);
      assert.equal(frameLength(data, 0, data.length, SEQUENCE), length);
    });
  }
});

test('reading random bytes ends and stays within them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(5), { maxLength: 30 }), (data, steps) => {
      const reader = createReader(data);
      const ends: number[] = [];
      for (const step of steps) {
        if (step === 0) skip(reader);
        else if (step === 1) readInteger(reader, peekTag(reader));
        else if (step === 2) readOctets(reader, peekTag(reader));
        else if (step === 3) ends.push(enter(reader, peekTag(reader)));
        else if (step === 4 && ends.length > 0) leave(reader, ends.pop()!);
        else readBoolean(reader);
        assert.ok(reader.at >= 0 && reader.at <= reader.end && reader.end <= data.length);
      }
    }),
    long,
  );
});

test('an output grows without losing what it has', () => {
  const output = createOutput(4);
  for (let i = 0; i < 1000; i++) {
    reserve(output, 1);
    output.bytes[output.length++] = i & 0xff;
  }
  for (let i = 0; i < 1000; i++) assert.equal(output.bytes[i], i & 0xff);
});
