import { createDnForm, parseDn } from '../matching/dn.ts';
import { classes, ID } from '../schema/schema.ts';
import { type Collected, NO_NUMBER, SnapshotError } from './collected.ts';
import { PREFIX_INDEXED } from './indexed.ts';
import { compareKeys, finishSlots, internKey } from './key-table.ts';
import { pack } from './pack.ts';
import { finishShapes } from './shapes.ts';
import { AUDIENCE, found, NAME_KEY, readElement, type Snapshot, shapeIsA } from './snapshot.ts';

const NONE = 0xffffffff;

const nameOf = (from: Collected, record: number): string => {
  readElement(from.arena.bytes, from.start.values[record]!);
  return from.arena.bytes.toString('utf8', found.start, found.end);
};

/** Turns what the builder has collected into a snapshot: entries in tree order, columns, indexes. */
export function arrange(from: Collected): Snapshot {
  const tree = arrangeTree(from);
  const { record: recordOf } = tree;
  const size = from.size;
  const start = new Uint32Array(size);
  const end = new Uint32Array(size);
  const shape = new Uint16Array(size);
  const audience = new Uint8Array(size);
  const usn = new Uint32Array(size);
  const modified = new Uint32Array(size);
  if (from.shapes.list.length > 0xffff) throw new SnapshotError('too many combinations of attributes');
  for (let ordinal = 0; ordinal < size; ordinal++) {
    const record = recordOf[ordinal]!;
    start[ordinal] = from.start.values[record]!;
    end[ordinal] = from.end.values[record]!;
    shape[ordinal] = from.shape.values[record]!;
    audience[ordinal] = from.audience.values[record]!;
    usn[ordinal] = from.usn.values[record]!;
    modified[ordinal] = from.modified.values[record]!;
  }
  const shapes = finishShapes(from.shapes);
  const { options, keys } = from;
  const keyCount = keys.count;
  const keyAttribute = new Uint8Array(keyCount);
  for (let key = 0; key < keyCount; key++) keyAttribute[key] = keys.attribute.values[key]!;
  const numbersOf = (values: Uint32Array): Uint32Array => {
    const column = new Uint32Array(size);
    for (let ordinal = 0; ordinal < size; ordinal++) column[ordinal] = values[recordOf[ordinal]!]!;
    return column;
  };
  return pack({
    baseDn: options.baseDn,
    generation: options.generation,
    lastUsn: options.lastUsn,
    rfc2307bis: options.rfc2307bis ?? false,
    hashSeed: from.seed,
    size,
    arena: from.arena.bytes.subarray(0, from.arena.length),
    start,
    end,
    shape,
    parent: tree.parent,
    subtreeEnd: tree.subtreeEnd,
    children: tree.children,
    audience,
    usn,
    modified,
    kinds: from.kinds,
    ...shapes,
    ...classPostings(size, shape, shapes),
    slots: finishSlots(keys),
    keyAttribute,
    keyValue: from.keyValue.values.subarray(0, keyCount),
    ...keyPostings(from, recordOf),
    sorted: PREFIX_INDEXED.map((attribute) => ({ attribute, keys: sortedKeys(from, attribute) })),
    ordered: [
      { attribute: ID.entryUSN, ...orderedNumbers(usn) },
      { attribute: ID.modifyTimestamp, ...orderedNumbers(modified) },
      { attribute: ID.uidNumber, ...orderedNumbers(numbersOf(from.uidNumber.values)) },
      { attribute: ID.gidNumber, ...orderedNumbers(numbersOf(from.gidNumber.values)) },
    ],
  });
}

interface Tree {
  /** Record at each ordinal. */
  record: Uint32Array;
  parent: Uint32Array;
  subtreeEnd: Uint32Array;
  children: Uint32Array;
}

/** Gives every record its ordinal: depth first, siblings in order of arrival. */
function arrangeTree(from: Collected): Tree {
  const { size } = from;
  const byName = firstRecords(from);
  const base = baseRecord(from, byName);
  const firstChild = new Uint32Array(size).fill(NONE);
  const next = new Uint32Array(size).fill(NONE);
  const parentRecord = new Uint32Array(size);
  for (let record = size - 1; record >= 0; record--) {
    if (record === base) continue;
    const parent = byName[from.parentKey.values[record]!]!;
    if (parent === NONE) throw new SnapshotError(`${nameOf(from, record)}: no entry above it`);
    parentRecord[record] = parent;
    next[record] = firstChild[parent]!;
    firstChild[parent] = record;
  }
  const tree: Tree = {
    record: new Uint32Array(size),
    parent: new Uint32Array(size),
    subtreeEnd: new Uint32Array(size),
    children: new Uint32Array(size),
  };
  const ordinalOf = new Uint32Array(size);
  let count = 0;
  let record = base;
  for (;;) {
    const ordinal = count++;
    ordinalOf[record] = ordinal;
    tree.record[ordinal] = record;
    if (record !== base) {
      const parent = ordinalOf[parentRecord[record]!]!;
      tree.parent[ordinal] = parent;
      const audience = from.audience.values[record]!;
      // A rule that is stored twice counts in its anonymous form; what is hidden does not count.
      if (audience & AUDIENCE.anonymous) tree.children[parent]!++;
    }
    if (firstChild[record] !== NONE) {
      record = firstChild[record]!;
      continue;
    }
    while (record !== base && next[record] === NONE) {
      tree.subtreeEnd[ordinalOf[record]!] = count;
      record = parentRecord[record]!;
    }
    tree.subtreeEnd[ordinalOf[record]!] = count;
    if (record === base) break;
    record = next[record]!;
  }
  return tree;
}

/** First record of each name; refuses a name that two different entries have. */
function firstRecords(from: Collected): Uint32Array {
  const first = new Uint32Array(from.keys.count).fill(NONE);
  for (let record = 0; record < from.size; record++) {
    const key = from.nameKey.values[record]!;
    const other = first[key]!;
    if (other === NONE) first[key] = record;
    else if (from.audience.values[record]! & from.audience.values[other]!) {
      throw new SnapshotError(`${nameOf(from, record)}: two entries of this name`);
    }
  }
  return first;
}

function baseRecord(from: Collected, byName: Uint32Array): number {
  const form = createDnForm();
  const dn = Buffer.from(from.options.baseDn, 'utf8');
  if (!parseDn(dn, 0, dn.length, form)) {
    throw new SnapshotError(`the base ${from.options.baseDn} is not a distinguished name`);
  }
  const base = byName[internKey(from.keys, NAME_KEY, form.bytes, form.length)] ?? NONE;
  if (base === NONE) throw new SnapshotError(`there is no entry ${from.options.baseDn}`);
  return base;
}

/** Postings per class, by the shapes of the entries. */
function classPostings(
  size: number,
  shape: Uint16Array,
  shapes: Pick<Snapshot, 'shapeClasses' | 'shapeStructural'>,
): Pick<Snapshot, 'classStart' | 'classPostings'> {
  const shapeCount = shapes.shapeStructural.length;
  const lists = Array.from({ length: shapeCount }, (_, index) =>
    classes.flatMap(({ id }) => (shapeIsA(shapes as Snapshot, index, id) ? [id] : [])),
  );
  const classStart = new Uint32Array(classes.length + 1);
  for (let ordinal = 0; ordinal < size; ordinal++) for (const id of lists[shape[ordinal]!]!) classStart[id + 1]!++;
  for (let id = 0; id < classes.length; id++) classStart[id + 1]! += classStart[id]!;
  const postings = new Uint32Array(classStart[classes.length]!);
  const at = classStart.slice();
  for (let ordinal = 0; ordinal < size; ordinal++) {
    for (const id of lists[shape[ordinal]!]!) postings[at[id]!++] = ordinal;
  }
  return { classStart, classPostings: postings };
}

/** Postings per key, ascending because ordinals are visited in order. */
function keyPostings(from: Collected, recordOf: Uint32Array): Pick<Snapshot, 'keyStart' | 'postings'> {
  const count = from.keys.count;
  const { values: emitted, length } = from.emitted;
  const keyStart = new Uint32Array(count + 1);
  for (let i = 0; i < length; i++) keyStart[emitted[i]! + 1]!++;
  for (let key = 0; key < count; key++) keyStart[key + 1]! += keyStart[key]!;
  const postings = new Uint32Array(length);
  const at = keyStart.slice();
  for (let ordinal = 0; ordinal < recordOf.length; ordinal++) {
    const record = recordOf[ordinal]!;
    const end = record + 1 < from.size ? from.emittedStart.values[record + 1]! : length;
    for (let i = from.emittedStart.values[record]!; i < end; i++) postings[at[emitted[i]!]!++] = ordinal;
  }
  return { keyStart, postings };
}

function sortedKeys(from: Collected, attribute: number): Uint32Array {
  const list: number[] = [];
  const { values } = from.keys.attribute;
  for (let key = 0; key < from.keys.count; key++) if (values[key] === attribute) list.push(key);
  list.sort((a, b) => compareKeys(from.keys, a, b));
  return Uint32Array.from(list);
}

/** Ordinals in order of their numbers; sorted as doubles, which the engine does natively. */
function orderedNumbers(column: Uint32Array): { values: Uint32Array; ordinals: Uint32Array } {
  const pairs = new Float64Array(column.length);
  let count = 0;
  for (let ordinal = 0; ordinal < column.length; ordinal++) {
    if (column[ordinal] !== NO_NUMBER) pairs[count++] = column[ordinal]! * 2 ** 21 + ordinal;
  }
  const sorted = pairs.subarray(0, count).sort();
  const values = new Uint32Array(count);
  const ordinals = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const value = Math.floor(sorted[i]! / 2 ** 21);
    values[i] = value;
    ordinals[i] = sorted[i]! - value * 2 ** 21;
  }
  return { values, ordinals };
}
