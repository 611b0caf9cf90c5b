import { ATTRIBUTE_COUNT, classes, MASK_WORDS } from '../schema/schema.ts';

/** Who may see an entry, one bit each. */
export const AUDIENCE = { anonymous: 1, authenticated: 2, service: 4, everyone: 7 } as const;

/** Stands for the entry's name where an attribute id is expected in the index. */
export const NAME_KEY = 255;

export const CLASS_WORDS = Math.ceil(classes.length / 32);
/** `shapePosition` of an attribute that entries of the shape do not have. */
export const ABSENT = 255;

/**
 * The directory at one moment, immutable. Everything that grows with the number of entries is a typed array over shared
 * memory, so that handing a snapshot to another thread copies nothing and serving from it creates no garbage.
 *
 * Entries have ordinals in depth-first order of the tree: a subtree is a range. Entries with the same attributes and
 * classes share a shape. A sudo rule that skips authentication is stored twice under its name: once as it is, once
 * without that option for connections that have not authenticated.
 */
export interface Snapshot {
  readonly baseDn: string;
  /** Tells one snapshot from another. */
  readonly generation: number;
  /** Highest update sequence number given out; published in the rootDSE. */
  readonly lastUsn: number;
  /** `memberOf` is shown like an ordinary attribute (schema rfc2307bis). */
  readonly rfc2307bis: boolean;
  readonly hashSeed: number;
  readonly size: number;

  /** Per entry: the name as OCTET STRING, then its PartialAttributes in order of their ids, encoded as they are sent. */
  readonly arena: Uint8Array;
  readonly start: Uint32Array;
  readonly end: Uint32Array;
  readonly shape: Uint16Array;
  /** Ordinal of the parent; the base entry is its own. */
  readonly parent: Uint32Array;
  /** One behind the last ordinal of the subtree. */
  readonly subtreeEnd: Uint32Array;
  /** Children that everyone may see. */
  readonly children: Uint32Array;
  readonly audience: Uint8Array;
  readonly usn: Uint32Array;
  /** `modifyTimestamp` in seconds since 1970. */
  readonly modified: Uint32Array;

  /** How values of each attribute compare in this snapshot. */
  readonly kinds: Uint8Array;
  /** Attribute ids of shape s, ascending: `shapeAttributes[shapeStart[s]] …`. */
  readonly shapeStart: Uint32Array;
  readonly shapeAttributes: Uint8Array;
  /** Position of attribute a among those of shape s: `[s * ATTRIBUTE_COUNT + a]`. */
  readonly shapePosition: Uint8Array;
  readonly shapeMask: Uint32Array;
  /** Classes of shape s, superclasses included: bits of `[s * CLASS_WORDS + …]`. */
  readonly shapeClasses: Uint32Array;
  /** Class id of the structural class of shape s. */
  readonly shapeStructural: Uint8Array;

  /** Ordinals of the entries of class c: `classPostings[classStart[c]] …`, ascending. */
  readonly classStart: Uint32Array;
  readonly classPostings: Uint32Array;

  /** Open-addressing table over (attribute, normal form): pairs of hash and key number + 1. */
  readonly slots: Uint32Array;
  readonly keyAttribute: Uint8Array;
  /** Where in the arena a value with this key lies: position of its OCTET STRING. */
  readonly keyValue: Uint32Array;
  /** Ordinals of the entries with key k: `postings[keyStart[k]] …`, ascending. */
  readonly keyStart: Uint32Array;
  readonly postings: Uint32Array;

  /** Keys of an attribute in order of their normal forms, for initial substrings. */
  readonly sorted: readonly { readonly attribute: number; readonly keys: Uint32Array }[];
  /** Ordinals in order of a number, for ≥ and ≤. */
  readonly ordered: readonly {
    readonly attribute: number;
    readonly values: Uint32Array;
    readonly ordinals: Uint32Array;
  }[];
}

/** Whether entries of a shape have the attribute. */
export function shapeHas(snapshot: Snapshot, shape: number, attribute: number): boolean {
  return (snapshot.shapeMask[shape * MASK_WORDS + (attribute >>> 5)]! & (1 << (attribute & 31))) !== 0;
}

/** Whether entries of a shape are of the class. */
export function shapeIsA(snapshot: Snapshot, shape: number, classId: number): boolean {
  return (snapshot.shapeClasses[shape * CLASS_WORDS + (classId >>> 5)]! & (1 << (classId & 31))) !== 0;
}

/** Length of the contents of the element at a position of the arena, and where they start. */
export const found = { start: 0, end: 0 };

/** Reads the header of the element at `at`, which the builder wrote. The result is in `found`. */
export function readElement(arena: Uint8Array, at: number): void {
  let length = arena[at + 1]!;
  let start = at + 2;
  if (length >= 0x80) {
    let octets = length & 0x7f;
    length = 0;
    while (octets-- > 0) length = length * 256 + arena[start++]!;
  }
  found.start = start;
  found.end = start + length;
}

/** One behind the element at `at`. */
export function elementEnd(arena: Uint8Array, at: number): number {
  const length = arena[at + 1]!;
  if (length < 0x80) return at + 2 + length;
  readElement(arena, at);
  return found.end;
}

/** Where the first PartialAttribute of an entry starts. */
export function attributesStart(snapshot: Snapshot, ordinal: number): number {
  return elementEnd(snapshot.arena, snapshot.start[ordinal]!);
}

/**
 * Finds the values of a stored attribute.
 *
 * @returns false when the entry has none; else `found` spans the contents of the SET of values.
 */
export function findValues(snapshot: Snapshot, ordinal: number, attribute: number): boolean {
  const position = snapshot.shapePosition[snapshot.shape[ordinal]! * ATTRIBUTE_COUNT + attribute]!;
  if (position === ABSENT) return false;
  const { arena } = snapshot;
  let at = attributesStart(snapshot, ordinal);
  for (let i = 0; i < position; i++) at = elementEnd(arena, at);
  readElement(arena, at);
  readElement(arena, elementEnd(arena, found.start));
  return true;
}
