import { OCTET_STRING, SEQUENCE } from '../ber/tag.ts';
import { element, headerLength, type Output, reserve, writeHeader } from '../ber/writer.ts';
import { createDnForm, parseDn } from '../matching/dn.ts';
import { OID } from '../protocol/operation.ts';
import type { DereferenceRequest } from '../protocol/request.ts';
import { findAttribute, syntaxOid, UNKNOWN, WITH_OPTIONS } from '../schema/schema.ts';
import { encodedName } from '../snapshot/encode-entry.ts';
import { findKey } from '../snapshot/lookup.ts';
import { attributesStart, elementEnd, findValues, found, NAME_KEY, type Snapshot } from '../snapshot/snapshot.ts';
import { exactProjection, type Projection, planOf } from './projection.ts';
import { selectAttributes, selected } from './selected.ts';
import { type View, visibleEntry } from './view.ts';
import type { Piece, Tail } from './write-entry.ts';

/**
 * The dereference control (draft-masarati-ldap-deref): with each entry of a search come attributes of the entries that
 * it names. sssd asks so for the members of a group, instead of asking once for each.
 *
 * The answer to one entry is a message that says its length first, and a group may have tens of thousands of members. So
 * an entry is measured first, in as many slices as that takes, and then written bit by bit: what is kept in between is a
 * number for each name.
 */

/** One attribute whose values are names, and what is wanted of the entries with these names. */
export interface Wish {
  attribute: number;
  projection: Projection;
}

/** The control of a search under way. */
export interface Dereference {
  readonly wishes: readonly Wish[];
  /** The search must not go on without. */
  readonly critical: boolean;
  /** What may be dereferenced for one entry; more, and the control is not applied to it. */
  mostNames: number;
  mostOctets: number;
  /** The entry that is being measured or written; -1: none. */
  ordinal: number;
  wish: number;
  /** The names of the wish that are to be looked at; `at` 0: they have not been looked for. */
  at: number;
  end: number;
  /** For each name of the entry, in order: ordinal + 1 of the entry that the client may see, or 0. */
  targets: Uint32Array;
  count: number;
  /** What the results take. */
  octets: number;
}

export function createDereference(wishes: readonly Wish[], critical: boolean): Dereference {
  return {
    wishes,
    critical,
    mostNames: Number.POSITIVE_INFINITY,
    mostOctets: Number.POSITIVE_INFINITY,
    ordinal: -1,
    wish: 0,
    at: 0,
    end: 0,
    targets: new Uint32Array(16),
    count: 0,
    octets: 0,
  };
}

const DN_SYNTAX = '1.3.6.1.4.1.1466.115.121.1.12';

/**
 * Reads what is wished for. Nothing is wished for where a control that is not critical names an attribute without names.
 *
 * @returns text: why it cannot be done, which is a protocol error.
 */
export function compileWishes({ wishes, critical }: DereferenceRequest, bytes: Uint8Array): readonly Wish[] | string {
  const compiled: Wish[] = [];
  for (const { attribute, attributes: list } of wishes) {
    const id = findAttribute(bytes, attribute.start, attribute.end);
    if (id === UNKNOWN || id === WITH_OPTIONS) return 'dereference control: unknown attribute to be dereferenced';
    if (compiled.some((wish) => wish.attribute === id)) return 'dereference control: attribute given twice';
    if (syntaxOid(id) !== DN_SYNTAX) {
      if (critical) return 'dereference control: no attribute of names';
      return [];
    }
    compiled.push({ attribute: id, projection: exactProjection(bytes, list.start, list.end) });
  }
  return compiled;
}

/** How far `measure` came. */
export const MEASURED = {
  /** The budget is used up. */
  more: 0,
  done: 1,
  /** More than may be dereferenced. */
  tooMuch: 2,
} as const;

/** Work of finding an entry by its name: about that of sending one. */
const LOOKUP_WORK = 16;

const form = createDnForm();

/** Begins with an entry. */
export function beginMeasuring(dereference: Dereference, ordinal: number): void {
  dereference.ordinal = ordinal;
  dereference.count = 0;
  dereference.octets = 0;
  rewind(dereference);
}

function rewind(dereference: Dereference): void {
  dereference.wish = 0;
  dereference.at = 0;
}

/** Moves to the next name. @returns false when there is none. */
function toNextName(snapshot: Snapshot, dereference: Dereference): boolean {
  for (; dereference.wish < dereference.wishes.length; dereference.wish++) {
    const { attribute } = dereference.wishes[dereference.wish]!;
    if (dereference.at === 0) {
      if (!findValues(snapshot, dereference.ordinal, attribute)) continue;
      dereference.at = found.start;
      dereference.end = found.end;
    }
    if (dereference.at < dereference.end) return true;
    dereference.at = 0;
  }
  return false;
}

/** The entry of a name, if this view may see it. @returns ordinal + 1, or 0. */
function targetOf(snapshot: Snapshot, view: View, at: number, end: number): number {
  const { arena } = snapshot;
  const start = at + headerLengthAt(arena, at);
  if (!parseDn(arena, start, end, form)) return 0;
  return visibleEntry(snapshot, view, findKey(snapshot, NAME_KEY, form.bytes, form.length)) + 1;
}

const headerLengthAt = (arena: Uint8Array, at: number): number =>
  arena[at + 1]! < 0x80 ? 2 : 2 + (arena[at + 1]! & 0x7f);

/** Octets of the contents of one result; what is sent of the target is in `selected`. */
function resultLength(snapshot: Snapshot, { attribute, projection }: Wish, nameLength: number, target: number): number {
  selected.octets = 0;
  selected.count = 0;
  if (target > 0) {
    const plan = planOf(snapshot, projection, snapshot.shape[target - 1]!);
    selectAttributes(snapshot, plan, target - 1, attributesStart(snapshot, target - 1));
  }
  const { octets } = selected;
  return encodedName(attribute).length + nameLength + (octets === 0 ? 0 : headerLength(octets) + octets);
}

/**
 * Finds out how much is to be said about the entries that the entry names.
 *
 * @param budget as of `fill`.
 */
export function measure(
  snapshot: Snapshot,
  view: View,
  dereference: Dereference,
  budget: { left: number },
): (typeof MEASURED)[keyof typeof MEASURED] {
  while (toNextName(snapshot, dereference)) {
    if (budget.left <= 0) return MEASURED.more;
    budget.left -= LOOKUP_WORK;
    if (dereference.count === dereference.mostNames) return MEASURED.tooMuch;
    const { at } = dereference;
    dereference.at = elementEnd(snapshot.arena, at);
    const target = targetOf(snapshot, view, at, dereference.at);
    if (dereference.count === dereference.targets.length) {
      const larger = new Uint32Array(dereference.count * 2);
      larger.set(dereference.targets);
      dereference.targets = larger;
    }
    dereference.targets[dereference.count++] = target;
    const length = resultLength(snapshot, dereference.wishes[dereference.wish]!, dereference.at - at, target);
    dereference.octets += headerLength(length) + length;
    if (dereference.octets > dereference.mostOctets) return MEASURED.tooMuch;
  }
  return MEASURED.done;
}

const CONTROLS = 0xa0;
const ATTRIBUTE_VALUES = 0xa0;
const CONTROL_TYPE = element(OCTET_STRING, OID.dereference);
/** Stretches from this size on are handed over as they are. */
const LARGE = 16 * 1024;

/** The controls of the message of an entry that has been measured; null when it names nobody. */
export function controlsOf(snapshot: Snapshot, arena: Buffer, dereference: Dereference): Tail | null {
  if (dereference.count === 0) return null;
  const value = headerLength(dereference.octets) + dereference.octets;
  const control = CONTROL_TYPE.length + headerLength(value) + value;
  const controls = headerLength(control) + control;
  const length = headerLength(controls) + controls;
  let written = -1;
  rewind(dereference);
  return {
    length,
    next(output, pieces) {
      if (written < 0) {
        reserve(output, 64);
        let at = writeHeader(output.bytes, output.length, CONTROLS, controls);
        at = writeHeader(output.bytes, at, SEQUENCE, control);
        at += CONTROL_TYPE.copy(output.bytes, at);
        at = writeHeader(output.bytes, at, OCTET_STRING, value);
        output.length = writeHeader(output.bytes, at, SEQUENCE, dereference.octets);
        written = 0;
        return true;
      }
      if (!toNextName(snapshot, dereference)) return false;
      writeResult(snapshot, arena, dereference, dereference.targets[written++]!, output, pieces);
      return true;
    },
  };
}

function writeResult(
  snapshot: Snapshot,
  arena: Buffer,
  dereference: Dereference,
  target: number,
  output: Output,
  pieces: Piece[],
): void {
  const wish = dereference.wishes[dereference.wish]!;
  const { at: nameStart } = dereference;
  dereference.at = elementEnd(arena, nameStart);
  const length = resultLength(snapshot, wish, dereference.at - nameStart, target);
  const { spans, count, octets } = selected;
  const name = encodedName(wish.attribute);
  reserve(output, 16 + name.length + dereference.at - nameStart);
  let at = writeHeader(output.bytes, output.length, SEQUENCE, length);
  at += name.copy(output.bytes, at);
  at += arena.copy(output.bytes, at, nameStart, dereference.at);
  output.length = octets === 0 ? at : writeHeader(output.bytes, at, ATTRIBUTE_VALUES, octets);
  for (let i = 0; i < count; i += 2) {
    const [start, end] = [spans[i]!, spans[i + 1]!];
    if (end - start >= LARGE || pieces.length > 0) pieces.push({ bytes: arena, start, end });
    else {
      reserve(output, end - start);
      output.length += arena.copy(output.bytes, output.length, start, end);
    }
  }
}
