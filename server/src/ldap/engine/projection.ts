import { SEQUENCE, SET } from '../ber/tag.ts';
import { element } from '../ber/writer.ts';
import { attributes, findAttribute, ID, MASK_WORDS } from '../schema/schema.ts';
import { encodedName } from '../snapshot/encode-entry.ts';
import { elementEnd, found, readElement, type Snapshot } from '../snapshot/snapshot.ts';

/** How entries of one shape are sent. */
export interface ShapePlan {
  /** Runs of neighbouring attributes: from position, to position, … */
  runs: readonly number[];
  /** Attributes of the shape. */
  count: number;
  /** With typesOnly: the list of attributes, which is the same for all entries of the shape. */
  types: Buffer | null;
}

/** Which attributes a search returns. */
export interface Projection {
  mask: Uint32Array;
  /** Attributes to be worked out. */
  computed: readonly number[];
  typesOnly: boolean;
  /** By shape, made when the first entry of the shape is sent. */
  plans: (ShapePlan | undefined)[];
}

const select = (mask: Uint32Array, id: number): void => {
  mask[id >>> 5]! |= 1 << (id & 31);
};
const selects = (mask: Uint32Array, id: number): boolean => (mask[id >>> 5]! & (1 << (id & 31))) !== 0;

/**
 * Reads an attribute list (RFC 4511 4.5.1.8, RFC 3673). Names that the schema does not know, options and repetitions are
 * passed over, as are names of object classes, which sssd sends.
 *
 * @param start of the list's contents, which have been checked.
 */
export function compileProjection(
  snapshot: Snapshot,
  bytes: Uint8Array,
  start: number,
  end: number,
  typesOnly: boolean,
): Projection {
  const mask = new Uint32Array(MASK_WORDS);
  let user = start === end;
  let operational = false;
  for (let at = start; at < end; at = elementEnd(bytes, at)) {
    readElement(bytes, at);
    const length = found.end - found.start;
    if (length === 1 && bytes[found.start] === 0x2a) user = true;
    else if (length === 1 && bytes[found.start] === 0x2b) operational = true;
    else {
      const id = findAttribute(bytes, found.start, found.end);
      if (id >= 0) for (const member of attributes[id]!.family) select(mask, member);
    }
  }
  for (const { id, operational: isOperational } of attributes) {
    const shown = isOperational && !(snapshot.rfc2307bis && id === ID.memberOf) ? operational : user;
    if (shown || (operational && isOperational)) select(mask, id);
  }
  const computed = attributes.filter((attribute) => attribute.computed && selects(mask, attribute.id));
  return { mask, computed: computed.map(({ id }) => id), typesOnly, plans: [] };
}

/**
 * Reads a list of attributes of which each means itself and nothing else: none of the attributes that derive from it, no
 * `*`, and nothing that is worked out. Names that the schema does not know are passed over, as in a search.
 *
 * @param start of the list's contents, which have been checked.
 */
export function exactProjection(bytes: Uint8Array, start: number, end: number): Projection {
  const mask = new Uint32Array(MASK_WORDS);
  for (let at = start; at < end; at = elementEnd(bytes, at)) {
    readElement(bytes, at);
    const id = findAttribute(bytes, found.start, found.end);
    if (id >= 0) select(mask, id);
  }
  return { mask, computed: [], typesOnly: false, plans: [] };
}

/** How entries of a shape are sent under a projection. */
export function planOf(snapshot: Snapshot, projection: Projection, shape: number): ShapePlan {
  const existing = projection.plans[shape];
  if (existing !== undefined) return existing;
  const start = snapshot.shapeStart[shape]!;
  const count = snapshot.shapeStart[shape + 1]! - start;
  const runs: number[] = [];
  const types: Buffer[] = [];
  for (let position = 0; position < count; position++) {
    const id = snapshot.shapeAttributes[start + position]!;
    if (!selects(projection.mask, id)) continue;
    types.push(element(SEQUENCE, encodedName(id), element(SET)));
    if (runs.at(-1) === position) runs[runs.length - 1] = position + 1;
    else runs.push(position, position + 1);
  }
  for (const id of projection.computed) types.push(element(SEQUENCE, encodedName(id), element(SET)));
  const plan: ShapePlan = { runs, count, types: projection.typesOnly ? Buffer.concat(types) : null };
  projection.plans[shape] = plan;
  return plan;
}

const CAPACITY = 256;

/** Projections by the bytes of the list that asked for them: clients repeat a handful of lists for ever. */
export interface ProjectionCache {
  snapshot: Snapshot;
  slots: ({ bytes: Uint8Array; projection: Projection } | undefined)[];
}

export const createProjectionCache = (snapshot: Snapshot): ProjectionCache => ({ snapshot, slots: [] });

export function findProjection(
  cache: ProjectionCache,
  bytes: Uint8Array,
  start: number,
  end: number,
  typesOnly: boolean,
): Projection {
  let hash = typesOnly ? 1 : 0;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
  const slot = (hash ^ (hash >>> 15)) & (CAPACITY - 1);
  const cached = cache.slots[slot];
  if (cached !== undefined && cached.projection.typesOnly === typesOnly && sameBytes(cached.bytes, bytes, start, end)) {
    return cached.projection;
  }
  const projection = compileProjection(cache.snapshot, bytes, start, end, typesOnly);
  // A list as long as a message may be would turn the cache into a store of what attackers send.
  if (end - start <= 4096) cache.slots[slot] = { bytes: bytes.slice(start, end), projection };
  return projection;
}

export function sameBytes(wanted: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (wanted.length !== end - start) return false;
  for (let i = 0; i < wanted.length; i++) if (wanted[i] !== bytes[start + i]) return false;
  return true;
}
