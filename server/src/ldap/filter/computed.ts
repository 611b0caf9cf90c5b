import { classes, ID } from '../schema/schema.ts';
import { found, readElement, type Snapshot } from '../snapshot/snapshot.ts';

/** Who made and changed every entry: this server. */
export const SERVER_NAME = 'cn=identree';
export const SUBSCHEMA_NAME = 'cn=subschema';

const text = (value: string): Uint8Array => Buffer.from(value, 'utf8');
const NOTHING: readonly Uint8Array[] = [];
const SERVER = [text(SERVER_NAME)];
const SUBSCHEMA = [text(SUBSCHEMA_NAME)];
const YES = [text('TRUE')];
const NO = [text('FALSE')];
const CLASS_NAMES = classes.map(({ name }) => [text(name)]);

/** Values of an attribute that no entry stores (RFC 4512 3.4, RFC 5020). Nothing for any other. */
export function computedValues(snapshot: Snapshot, ordinal: number, attribute: number): readonly Uint8Array[] {
  switch (attribute) {
    case ID.entryDN:
      readElement(snapshot.arena, snapshot.start[ordinal]!);
      return [snapshot.arena.subarray(found.start, found.end)];
    case ID.structuralObjectClass:
      return CLASS_NAMES[snapshot.shapeStructural[snapshot.shape[ordinal]!]!]!;
    case ID.hasSubordinates:
      return snapshot.children[ordinal]! > 0 ? YES : NO;
    case ID.numSubordinates:
      return [text(String(snapshot.children[ordinal]))];
    case ID.creatorsName:
    case ID.modifiersName:
      return SERVER;
    case ID.subschemaSubentry:
      return SUBSCHEMA;
    default:
      return NOTHING;
  }
}
