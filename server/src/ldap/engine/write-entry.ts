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

/** Stretches of the arena that make up the entry being written. */
const spans = new Uint32Array(512);

/** What is left of an entry that is too large to be written at once. */
export interface Remainder {
  pieces: { bytes: Buffer; start: number; end: number }[];
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
 * @returns what could not be written because the entry is large; nothing was written then.
 */
export function writeEntry(
  snapshot: Snapshot,
  arena: Buffer,
  projection: Projection,
  ordinal: number,
  messageId: number,
  output: Output,
): Remainder | null {
  const plan = planOf(snapshot, projection, snapshot.shape[ordinal]!);
  const nameStart = snapshot.start[ordinal]!;
  const nameEnd = elementEnd(snapshot.arena, nameStart);
  const { runs, types } = plan;
  let extra: Buffer | null = types;
  let listLength = 0;
  let spanCount = 0;
  if (types === null) {
    let at = nameEnd;
    let position = 0;
    for (let i = 0; i < runs.length; i += 2) {
      while (position < runs[i]!) {
        at = elementEnd(snapshot.arena, at);
        position++;
      }
      spans[spanCount] = at;
      if (runs[i + 1] === plan.count) at = snapshot.end[ordinal]!;
      else {
        while (position < runs[i + 1]!) {
          at = elementEnd(snapshot.arena, at);
          position++;
        }
      }
      spans[spanCount + 1] = at;
      listLength += at - spans[spanCount]!;
      spanCount += 2;
    }
    if (projection.computed.length > 0) extra = writeComputed(snapshot, projection, ordinal);
  }
  if (extra !== null) listLength += extra.length;
  const operationLength = nameEnd - nameStart + headerLength(listLength) + listLength;
  const messageLength = 2 + integerLength(messageId) + headerLength(operationLength) + operationLength;
  if (messageLength > LARGE) {
    return inPieces(arena, messageId, messageLength, operationLength, listLength, nameStart, nameEnd, spanCount, extra);
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
): Remainder {
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
  return { pieces };
}

/** Appends up to `limit` bytes of what is left. @returns true when nothing is left. */
export function writeRemainder(remainder: Remainder, output: Output, limit: number): boolean {
  let left = limit;
  while (remainder.pieces.length > 0 && left > 0) {
    const piece = remainder.pieces[0]!;
    const count = Math.min(left, piece.end - piece.start);
    reserve(output, count);
    piece.bytes.copy(output.bytes, output.length, piece.start, piece.start + count);
    output.length += count;
    piece.start += count;
    left -= count;
    if (piece.start === piece.end) remainder.pieces.shift();
  }
  return remainder.pieces.length === 0;
}
