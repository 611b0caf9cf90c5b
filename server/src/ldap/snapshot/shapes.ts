import { ATTRIBUTE_COUNT, classes, MASK_WORDS } from '../schema/schema.ts';
import { ABSENT, CLASS_WORDS, type Snapshot } from './snapshot.ts';

interface Shape {
  attributes: number[];
  /** Class ids with all superclasses. */
  classes: number[];
  structural: number;
}

/** Collects the combinations of attributes and classes that occur. */
export interface ShapeTable {
  list: Shape[];
  byKey: Map<string, number>;
}

export const createShapeTable = (): ShapeTable => ({ list: [], byKey: new Map() });

/** The most derived structural class decides what an entry is (RFC 4512 2.4.2). */
function structuralOf(ids: readonly number[]): number {
  let best = 0;
  for (const id of ids) {
    const { definition, closure } = classes[id]!;
    if (definition.kind === 'STRUCTURAL' && closure.length > classes[best]!.closure.length) best = id;
  }
  return best;
}

/** Number of the shape with these attributes (ascending) and classes. */
export function internShape(table: ShapeTable, attributes: readonly number[], classIds: readonly number[]): number {
  const key = `${String.fromCharCode(...attributes)}\u0000${String.fromCharCode(...classIds)}`;
  const existing = table.byKey.get(key);
  if (existing !== undefined) return existing;
  const closure = [...new Set(classIds.flatMap((id) => classes[id]!.closure))];
  table.list.push({ attributes: [...attributes], classes: closure, structural: structuralOf(classIds) });
  table.byKey.set(key, table.list.length - 1);
  return table.list.length - 1;
}

type ShapeColumns = Pick<
  Snapshot,
  'shapeStart' | 'shapeAttributes' | 'shapePosition' | 'shapeMask' | 'shapeClasses' | 'shapeStructural'
>;

export function finishShapes(table: ShapeTable): ShapeColumns {
  const count = table.list.length;
  const shapeStart = new Uint32Array(count + 1);
  const shapeAttributes = new Uint8Array(table.list.reduce((sum, { attributes }) => sum + attributes.length, 0));
  const shapePosition = new Uint8Array(count * ATTRIBUTE_COUNT).fill(ABSENT);
  const shapeMask = new Uint32Array(count * MASK_WORDS);
  const shapeClasses = new Uint32Array(count * CLASS_WORDS);
  const shapeStructural = new Uint8Array(count);
  let at = 0;
  for (const [shape, { attributes, classes: ids, structural }] of table.list.entries()) {
    shapeStart[shape] = at;
    for (const [position, id] of attributes.entries()) {
      shapeAttributes[at++] = id;
      shapePosition[shape * ATTRIBUTE_COUNT + id] = position;
      shapeMask[shape * MASK_WORDS + (id >>> 5)]! |= 1 << (id & 31);
    }
    for (const id of ids) shapeClasses[shape * CLASS_WORDS + (id >>> 5)]! |= 1 << (id & 31);
    shapeStructural[shape] = structural;
  }
  shapeStart[count] = at;
  return { shapeStart, shapeAttributes, shapePosition, shapeMask, shapeClasses, shapeStructural };
}
