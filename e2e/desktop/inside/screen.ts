import { readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';

/** What stands on the screen of an Xvfb that keeps it in a file (XWD, 32 bits a pixel), as a PNG. */
export function pictureOf(file: string, area?: { width: number; height: number }): Buffer {
  const bytes = readFileSync(file);
  const field = (index: number) => bytes.readUInt32BE(index * 4);
  const [headerSize, depth, bitsPerPixel, bytesPerLine, colours] = [
    field(0),
    field(3),
    field(11),
    field(12),
    field(19),
  ];
  if (bitsPerPixel !== 32 || depth !== 24 || field(7) !== 0) throw new Error('not a screen of 24 bits, low byte first');
  const width = Math.min(area?.width ?? Number.POSITIVE_INFINITY, field(4));
  const height = Math.min(area?.height ?? Number.POSITIVE_INFINITY, field(5));
  const start = headerSize! + colours! * 12;
  const lines = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0; y < height; y++) {
    // Each line begins with its filter; 0 is none.
    let to = y * (1 + width * 3) + 1;
    for (let x = 0; x < width; x++) {
      const from = start + y * bytesPerLine! + x * 4;
      lines[to++] = bytes[from + 2]!;
      lines[to++] = bytes[from + 1]!;
      lines[to++] = bytes[from]!;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  // Eight bits for each of red, green and blue.
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(lines, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(named.length + 8);
  out.writeUInt32BE(data.length, 0);
  named.copy(out, 4);
  out.writeUInt32BE(crc32(named), named.length + 4);
  return out;
}
