import { BOOLEAN, ENUMERATED, INTEGER } from './tag.ts';

/**
 * A position inside borrowed bytes, bounded by `end`.
 *
 * Nothing here throws: the first thing that is wrong sets `failed`, moves the position to the end and makes every later
 * read yield zero, so that hostile bytes can neither unwind a caller in the middle of its work nor keep a loop going.
 */
export interface BerReader {
  readonly bytes: Uint8Array;
  at: number;
  end: number;
  /** Length of what `readOctets` read last. */
  length: number;
  failed: boolean;
}

export function createReader(bytes: Uint8Array, start = 0, end = bytes.length): BerReader {
  return { bytes, at: start, end, length: 0, failed: false };
}

/** Marks everything from here on as unreadable. */
export function fail(reader: BerReader): void {
  reader.failed = true;
  reader.at = reader.end;
}

/** The next tag without moving; -1 at the end. */
export function peekTag(reader: BerReader): number {
  return reader.at < reader.end ? reader.bytes[reader.at]! : -1;
}

/**
 * Reads a length at the reader's position: definite form only, at most four octets (RFC 4511 5.1).
 *
 * @returns the absolute end of the contents, which lies within the reader's bounds.
 */
function readEnd(reader: BerReader): number {
  const { bytes, end } = reader;
  if (reader.at >= end) {
    fail(reader);
    return end;
  }
  let length = bytes[reader.at++]!;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    // 0x80 is the indefinite form.
    if (octets === 0 || octets > 4 || reader.at + octets > end) {
      fail(reader);
      return end;
    }
    length = 0;
    // A shift would turn 0xffffffff into -1, which passes every check for "too long".
    for (let i = 0; i < octets; i++) length = length * 256 + bytes[reader.at++]!;
  }
  if (length > end - reader.at) {
    fail(reader);
    return end;
  }
  return reader.at + length;
}

/** Reads tag and length of an element. @returns the absolute end of its contents, where the reader now stands. */
export function open(reader: BerReader, tag: number): number {
  if (reader.at >= reader.end || reader.bytes[reader.at] !== tag) {
    fail(reader);
    return reader.end;
  }
  reader.at++;
  return readEnd(reader);
}

/** Narrows the reader to the contents of an element. @returns the end to hand to `leave`. */
export function enter(reader: BerReader, tag: number): number {
  const outer = reader.end;
  reader.end = open(reader, tag);
  return outer;
}

/** Back to where `enter` was called; what has not been read of the element makes it unreadable. */
export function leave(reader: BerReader, outer: number): void {
  const complete = reader.at === reader.end;
  reader.end = outer;
  if (!complete || reader.failed) fail(reader);
}

/** Like `leave`, but skips unread contents: for the places where RFC 4511 4 lets later versions add fields. */
export function leaveExtensible(reader: BerReader, outer: number): void {
  reader.at = reader.end;
  reader.end = outer;
  if (reader.failed) fail(reader);
}

/** Moves over one element of any tag. */
export function skip(reader: BerReader): void {
  if (reader.at >= reader.end) {
    fail(reader);
    return;
  }
  // Tags above 30 take more octets; LDAP has none.
  if ((reader.bytes[reader.at]! & 0x1f) === 0x1f) {
    fail(reader);
    return;
  }
  reader.at++;
  const end = readEnd(reader);
  if (!reader.failed) reader.at = end;
}

/** Reads a signed integer of at most four octets. */
export function readInteger(reader: BerReader, tag: number = INTEGER): number {
  const end = open(reader, tag);
  const length = end - reader.at;
  if (reader.failed || length === 0 || length > 4) {
    fail(reader);
    return 0;
  }
  const { bytes } = reader;
  let value = (bytes[reader.at++]! << 24) >> 24;
  while (reader.at < end) value = (value << 8) | bytes[reader.at++]!;
  return value;
}

export const readEnumerated = (reader: BerReader): number => readInteger(reader, ENUMERATED);

/** Reads a BOOLEAN; anything but zero is true (X.690 8.2.2). */
export function readBoolean(reader: BerReader, tag: number = BOOLEAN): boolean {
  const end = open(reader, tag);
  if (reader.failed || end - reader.at !== 1) {
    fail(reader);
    return false;
  }
  return reader.bytes[reader.at++] !== 0;
}

/** Moves over a primitive element. @returns where its contents start; their length is in `reader.length`. */
export function readOctets(reader: BerReader, tag: number): number {
  const end = open(reader, tag);
  if (reader.failed) {
    reader.length = 0;
    return reader.at;
  }
  const start = reader.at;
  reader.length = end - start;
  reader.at = end;
  return start;
}

/**
 * Size of the element that starts at `start`, header included.
 *
 * @returns 0 when more octets are needed to tell, -1 when these octets can never become an LDAP message.
 */
export function frameLength(bytes: Uint8Array, start: number, end: number, tag: number): number {
  if (end - start < 1) return 0;
  if (bytes[start] !== tag) return -1;
  if (end - start < 2) return 0;
  const first = bytes[start + 1]!;
  if (first < 0x80) return first + 2;
  const octets = first & 0x7f;
  if (octets === 0 || octets > 4) return -1;
  if (end - start < 2 + octets) return 0;
  let length = 0;
  for (let i = 0; i < octets; i++) length = length * 256 + bytes[start + 2 + i]!;
  return length + 2 + octets;
}
