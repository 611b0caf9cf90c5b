import { INTEGER, OCTET_STRING, SEQUENCE, SET } from '../ber/tag.ts';
import {
  element,
  headerLength,
  integerLength,
  type Output,
  reserve,
  writeHeader,
  writeInteger,
} from '../ber/writer.ts';
import { computedValues } from '../filter/computed.ts';
import { OP } from '../protocol/operation.ts';
import { encodedName } from '../snapshot/encode-entry.ts';
import { elementEnd, type Snapshot } from '../snapshot/snapshot.ts';
import { type Projection, planOf } from './projection.ts';
import { selectAttributes, selected } from './selected.ts';

/** What is left of an entry that is too large to be written at once. */
export interface Remainder {
  pieces: Piece[];
  /** What comes behind the pieces. */
  tail: Tail | null;
}

export interface Piece {
  bytes: Buffer;
  start: number;
  end: number;
}

/** The end of a message whose length is known and which is written bit by bit. */
export interface Tail {
  /** Octets in all. */
  readonly length: number;
  /** Appends the next bit, and what of it is large to the pieces. @returns false when there was none. */
  next(output: Output, pieces: Piece[]): boolean;
}

/** Entries from this size on are handed over in pieces. */
const LARGE = 256 * 1024;

/** Copies out of the arena; short stretches are faster by hand than by a call. */
function copy(arena: Buffer, start: number, end: number, target: Buffer, at: number): number {
  const length = end - start;
  if (length <= 24) for (let i = 0; i < length; i++) target[at + i] = arena[start + i]!;
  else arena.copy(target, at, start, end);
  return at + length;
}

/**
 * Appends a SearchResultEntry (RFC 4511 4.5.2).
 *
 * @param arena the snapshot's arena as a Buffer.
 * @param tail the controls of the message (RFC 4511 4.1.11), if it has any.
 * @returns what could not be written because the entry is large; nothing was written then.
 */
export function writeEntry(
  snapshot: Snapshot,
  arena: Buffer,
  projection: Projection,
  ordinal: number,
  messageId: number,
  output: Output,
  tail: Tail | null = null,
): Remainder | null {
  const plan = planOf(snapshot, projection, snapshot.shape[ordinal]!);
  const nameStart = snapshot.start[ordinal]!;
  const nameEnd = elementEnd(snapshot.arena, nameStart);
  const { types } = plan;
  const { spans } = selected;
  let extra: Buffer | null = types;
  let listLength = 0;
  let spanCount = 0;
  if (types === null) {
    selectAttributes(snapshot, plan, ordinal, nameEnd);
    listLength = selected.octets;
    spanCount = selected.count;
    if (projection.computed.length > 0) extra = writeComputed(snapshot, projection, ordinal);
  }
  if (extra !== null) listLength += extra.length;
  const operationLength = nameEnd - nameStart + headerLength(listLength) + listLength;
  const messageLength = 2 + integerLength(messageId) + headerLength(operationLength) + operationLength;
  if (messageLength > LARGE || tail !== null) {
    const whole = messageLength + (tail?.length ?? 0);
    const pieces = inPieces(arena, messageId, whole, operationLength, listLength, nameStart, nameEnd, spanCount, extra);
    return { pieces, tail };
  }
  reserve(output, messageLength + 6);
  const { bytes } = output;
  let at = writeHeader(bytes, output.length, SEQUENCE, messageLength);
  at = writeInteger(bytes, at, INTEGER, messageId);
  at = writeHeader(bytes, at, OP.searchEntry, operationLength);
  at = copy(arena, nameStart, nameEnd, bytes, at);
  at = writeHeader(bytes, at, SEQUENCE, listLength);
  for (let i = 0; i < spanCount; i += 2) at = copy(arena, spans[i]!, spans[i + 1]!, bytes, at);
  if (extra !== null) at += extra.copy(bytes, at);
  output.length = at;
  return null;
}

function writeComputed(snapshot: Snapshot, projection: Projection, ordinal: number): Buffer {
  return Buffer.concat(
    projection.computed.map((id) => {
      const values = computedValues(snapshot, ordinal, id).map((value) => element(OCTET_STRING, value));
      return element(SEQUENCE, encodedName(id), element(SET, ...values));
    }),
  );
}

function inPieces(
  arena: Buffer,
  messageId: number,
  messageLength: number,
  operationLength: number,
  listLength: number,
  nameStart: number,
  nameEnd: number,
  spanCount: number,
  extra: Buffer | null,
): Piece[] {
  const { spans } = selected;
  const head = Buffer.alloc(32);
  let at = writeHeader(head, 0, SEQUENCE, messageLength);
  at = writeInteger(head, at, INTEGER, messageId);
  at = writeHeader(head, at, OP.searchEntry, operationLength);
  const middle = Buffer.alloc(8);
  const pieces = [
    { bytes: head, start: 0, end: at },
    { bytes: arena, start: nameStart, end: nameEnd },
    { bytes: middle, start: 0, end: writeHeader(middle, 0, SEQUENCE, listLength) },
  ];
  for (let i = 0; i < spanCount; i += 2) pieces.push({ bytes: arena, start: spans[i]!, end: spans[i + 1]! });
  if (extra !== null) pieces.push({ bytes: extra, start: 0, end: extra.length });
  return pieces;
}

/** Appends up to `limit` bytes of what is left, give or take one bit of the tail. @returns true when nothing is left. */
export function writeRemainder(remainder: Remainder, output: Output, limit: number): boolean {
  const full = output.length + limit;
  while (output.length < full) {
    const piece = remainder.pieces[0];
    if (piece === undefined) {
      if (remainder.tail?.next(output, remainder.pieces)) continue;
      remainder.tail = null;
      return true;
    }
    const count = Math.min(full - output.length, piece.end - piece.start);
    reserve(output, count);
    piece.bytes.copy(output.bytes, output.length, piece.start, piece.start + count);
    output.length += count;
    piece.start += count;
    if (piece.start === piece.end) remainder.pieces.shift();
  }
  return remainder.pieces.length === 0 && remainder.tail === null;
}
