import type { randomFrom } from './long.ts';

type Random = ReturnType<typeof randomFrom>;

/** Where elements begin in well-formed BER, found by walking it: what a mutation aims at. */
function elementPositions(bytes: Uint8Array): number[] {
  const positions: number[] = [];
  const walk = (start: number, end: number): void => {
    let at = start;
    while (at + 1 < end) {
      const first = bytes[at + 1]!;
      const octets = first < 0x80 ? 0 : first & 0x7f;
      if (octets > 4 || at + 2 + octets > end) return;
      let length = first < 0x80 ? first : 0;
      for (let i = 0; i < octets; i++) length = length * 256 + bytes[at + 2 + i]!;
      const contents = at + 2 + octets;
      if (contents + length > end) return;
      positions.push(at);
      if ((bytes[at]! & 0x20) !== 0) walk(contents, contents + length);
      at = contents + length;
    }
  };
  walk(0, bytes.length);
  return positions;
}

const LENGTHS = [
  [0x80],
  [0x84, 0xff, 0xff, 0xff, 0xff],
  [0x84, 0x7f, 0xff, 0xff, 0xff],
  [0x84, 0x80, 0, 0, 0],
  [0x83, 0xff, 0xff, 0xff],
  [0x82, 0xff, 0xff],
  [0x81, 0xff],
  [0x85, 1, 1, 1, 1, 1],
  [0xff],
  [0x00],
  [0x7f],
];
const TAGS = [
  0x00, 0x01, 0x02, 0x04, 0x0a, 0x1f, 0x24, 0x30, 0x31, 0x3f, 0x42, 0x60, 0x63, 0x77, 0x80, 0x87, 0xa0, 0xa2, 0xff,
];

/** Changes a well-formed message in one of the ways in which attackers, bugs and line noise do. */
export function mutate(random: Random, message: Uint8Array): Buffer {
  const source = Buffer.from(message);
  const positions = elementPositions(source);
  const at = positions.length === 0 ? 0 : random.pick(positions);
  const replace = (start: number, removed: number, inserted: readonly number[]): Buffer =>
    Buffer.concat([source.subarray(0, start), Buffer.from(inserted), source.subarray(start + removed)]);
  switch (random.int(10)) {
    case 0:
      return replace(at, 1, [random.pick(TAGS)]);
    case 1:
      return replace(at + 1, 1, random.pick(LENGTHS));
    case 2:
      return replace(at + 1, 1, [random.int(256)]);
    case 3:
      return source.subarray(0, random.int(source.length + 1));
    case 4:
      return Buffer.concat([source, source.subarray(at)]);
    case 5:
      return replace(at, 0, [...source.subarray(at, at + 1 + random.int(40))]);
    case 6:
      return replace(random.int(source.length), 1, [random.int(256)]);
    case 7:
      return replace(at, 1 + random.int(8), []);
    case 8: {
      // The same element inside itself, again and again.
      const depth = 1 + random.int(60);
      return replace(
        at,
        0,
        Array.from({ length: depth * 2 }, (_, i) => (i % 2 === 0 ? source[at]! : 0x7f)),
      );
    }
    default:
      return replace(
        at + 2,
        0,
        Array.from({ length: 1 + random.int(6) }, () => random.pick([0, 0x7f, 0x80, 0xff])),
      );
  }
}

/** One to four mutations, one after the other. */
export function mutateOften(random: Random, message: Uint8Array): Buffer {
  let result: Buffer = Buffer.from(message);
  for (let i = random.int(4); i >= 0 && result.length > 0; i--) result = mutate(random, result);
  return result;
}
