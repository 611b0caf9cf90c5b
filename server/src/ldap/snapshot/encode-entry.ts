import { OCTET_STRING, SEQUENCE, SET } from '../ber/tag.ts';
import { headerLength, writeHeader } from '../ber/writer.ts';
import { attributes } from '../schema/schema.ts';
import { type GrowingBytes, room } from './growing.ts';

/** Octets of a string in UTF-8. */
export function utf8Length(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return Buffer.byteLength(text, 'utf8');
  return text.length;
}

function writeText(target: Buffer, at: number, text: string, length: number): number {
  // Short ASCII is written faster here than by a call out of JavaScript.
  if (length === text.length && length < 64) {
    for (let i = 0; i < length; i++) target[at + i] = text.charCodeAt(i);
  } else target.write(text, at, 'utf8');
  return at + length;
}

/** Appends an OCTET STRING. @returns where it starts. */
export function appendText(arena: GrowingBytes, text: string): number {
  const length = utf8Length(text);
  const start = arena.length;
  const target = room(arena, length + 6);
  arena.length = writeText(target, writeHeader(target, start, OCTET_STRING, length), text, length);
  return start;
}

const names = attributes.map(({ name }) => {
  const bytes = Buffer.alloc(name.length + 2);
  writeHeader(bytes, 0, OCTET_STRING, name.length);
  bytes.write(name, 2, 'latin1');
  return bytes;
});

/** The attribute's description as it is sent: an OCTET STRING. */
export const encodedName = (id: number): Buffer => names[id]!;

/** Appends a PartialAttribute (RFC 4511 4.1.7). @returns where the first value's OCTET STRING starts. */
export function appendAttribute(arena: GrowingBytes, id: number, values: readonly string[]): number {
  const name = names[id]!;
  let valuesLength = 0;
  for (const value of values) {
    const length = utf8Length(value);
    valuesLength += headerLength(length) + length;
  }
  const length = name.length + headerLength(valuesLength) + valuesLength;
  const target = room(arena, length + 6);
  let at = writeHeader(target, arena.length, SEQUENCE, length);
  for (let i = 0; i < name.length; i++) target[at++] = name[i]!;
  at = writeHeader(target, at, SET, valuesLength);
  const first = at;
  for (const value of values) {
    const valueLength = utf8Length(value);
    at = writeText(target, writeHeader(target, at, OCTET_STRING, valueLength), value, valueLength);
  }
  arena.length = at;
  return first;
}
