import { ATTRIBUTES, type AttributeDefinition } from './attributes.ts';
import { CLASSES, type ClassDefinition } from './classes.ts';
import { MATCHING_RULES, type MatchKind, NO_MATCH, SYNTAXES } from './rules.ts';

/** An attribute type with everything resolved that a search needs. Its id is its place in the table. */
export interface Attribute {
  id: number;
  /** Spelling that is sent to clients. */
  name: string;
  kind: MatchKind;
  /** Values are ASCII; other assertions have no truth value. */
  ascii: boolean;
  single: boolean;
  operational: boolean;
  computed: boolean;
  /** Ids whose values count as values of this one: itself and its subtypes (RFC 4512 2.5.1). */
  family: readonly number[];
  definition: AttributeDefinition;
}

const byName = new Map<string, number>();
for (const [id, { names, oid }] of ATTRIBUTES.entries()) {
  for (const name of [...names, oid]) byName.set(name.toLowerCase(), id);
}

/** Follows `sup` to the definition that has the field. */
function inherited<K extends 'syntax' | 'equality'>(id: number, field: K): AttributeDefinition[K] {
  const definition = ATTRIBUTES[id]!;
  if (definition[field] !== undefined || definition.sup === undefined) return definition[field];
  return inherited(byName.get(definition.sup.toLowerCase())!, field);
}

const isSubtype = (id: number, of: number): boolean => {
  if (id === of) return true;
  const { sup } = ATTRIBUTES[id]!;
  return sup !== undefined && isSubtype(byName.get(sup.toLowerCase())!, of);
};

export const attributes: readonly Attribute[] = ATTRIBUTES.map((definition, id) => {
  const rule = MATCHING_RULES.find(({ name }) => name === inherited(id, 'equality'));
  const syntax = inherited(id, 'syntax');
  return {
    id,
    name: definition.names[0]!,
    kind: rule?.kind ?? NO_MATCH,
    ascii: syntax === 'ascii',
    single: definition.single === true,
    operational: definition.operational === true,
    computed: definition.computed === true,
    family: ATTRIBUTES.flatMap((_, other) => (isSubtype(other, id) ? [other] : [])),
    definition,
  };
});

export const ATTRIBUTE_COUNT = attributes.length;
/** 32-bit words of a set of attributes. */
export const MASK_WORDS = Math.ceil(ATTRIBUTE_COUNT / 32);

/** Id of an attribute by any of its names or its OID; -1 when there is none. */
export function attributeId(name: string): number {
  return byName.get(name.toLowerCase()) ?? -1;
}

const known = (name: string): number => {
  const id = attributeId(name);
  if (id < 0) throw new Error(`no attribute ${name} in the schema`);
  return id;
};

/** Ids that code refers to by name. */
export const ID = {
  objectClass: known('objectClass'),
  entryUSN: known('entryUSN'),
  modifyTimestamp: known('modifyTimestamp'),
  createTimestamp: known('createTimestamp'),
  entryUUID: known('entryUUID'),
  memberOf: known('memberOf'),
  memberUid: known('memberUid'),
  entryDN: known('entryDN'),
  structuralObjectClass: known('structuralObjectClass'),
  hasSubordinates: known('hasSubordinates'),
  numSubordinates: known('numSubordinates'),
  creatorsName: known('creatorsName'),
  modifiersName: known('modifiersName'),
  subschemaSubentry: known('subschemaSubentry'),
  userPassword: known('userPassword'),
  uid: known('uid'),
  cn: known('cn'),
  uidNumber: known('uidNumber'),
  gidNumber: known('gidNumber'),
  sudoHost: known('sudoHost'),
  sudoUser: known('sudoUser'),
  sudoOption: known('sudoOption'),
} as const;

/** What `findAttribute` answers for what is no attribute type of the schema, and for one with options. */
export const UNKNOWN = -1;
export const WITH_OPTIONS = -2;

const TABLE_SIZE = 1024;
const table = new Int16Array(TABLE_SIZE).fill(-1);
const tableNames: { bytes: Uint8Array; id: number }[] = [];

function hashName(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i]! | 0x20)) | 0;
  return (hash ^ (hash >>> 10)) & (TABLE_SIZE - 1);
}

for (const [name, id] of byName) {
  const bytes = Buffer.from(name);
  let slot = hashName(bytes, 0, bytes.length);
  while (table[slot] !== -1) slot = (slot + 1) & (TABLE_SIZE - 1);
  table[slot] = tableNames.push({ bytes, id }) - 1;
}

/** Whether bytes spell a lower-case ASCII name, in any case. */
export function equalsFolded(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i]!;
    const folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (folded !== name[i]) return false;
  }
  return true;
}

const isOptionByte = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2d;

/**
 * Reads an attribute description (RFC 4512 2.5): name or OID in any case, with or without options.
 *
 * @returns the id; `WITH_OPTIONS` when the type is known and options are named, which no stored value has; else
 * `UNKNOWN`.
 */
export function findAttribute(bytes: Uint8Array, start: number, end: number): number {
  let nameEnd = start;
  while (nameEnd < end && bytes[nameEnd] !== 0x3b) nameEnd++;
  const hasOptions = nameEnd < end;
  let slot = hashName(bytes, start, nameEnd);
  for (;;) {
    const index = table[slot]!;
    if (index === -1) return UNKNOWN;
    const { bytes: name, id } = tableNames[index]!;
    if (equalsFolded(name, bytes, start, nameEnd)) {
      if (!hasOptions) return id;
      let length = 0;
      for (let i = nameEnd + 1; i < end; i++) {
        if (bytes[i] === 0x3b && length > 0) length = 0;
        else if (isOptionByte(bytes[i]!)) length++;
        else return UNKNOWN;
      }
      return length > 0 ? WITH_OPTIONS : UNKNOWN;
    }
    slot = (slot + 1) & (TABLE_SIZE - 1);
  }
}

/** An object class with its place in the table and everything it stands for. */
export interface ObjectClass {
  id: number;
  name: string;
  /** Ids of the class and all its superclasses. */
  closure: readonly number[];
  definition: ClassDefinition;
}

const classByName = new Map<string, number>();
for (const [id, { name, oid }] of CLASSES.entries()) {
  classByName.set(name.toLowerCase(), id);
  classByName.set(oid, id);
}

const closureOf = (id: number): number[] => {
  const { sup } = CLASSES[id]!;
  return [id, ...(sup === null ? [] : closureOf(classByName.get(sup.toLowerCase())!))];
};

export const classes: readonly ObjectClass[] = CLASSES.map((definition, id) => ({
  id,
  name: definition.name,
  closure: closureOf(id),
  definition,
}));

/** Id of an object class by name or OID in any case; -1 when the schema has none. */
export function classId(name: string): number {
  return classByName.get(name.toLowerCase()) ?? -1;
}

/** The OID that a syntax of the tables stands for. */
export function syntaxOid(id: number): string | null {
  const syntax = inherited(id, 'syntax');
  return syntax === undefined ? null : SYNTAXES[syntax].oid;
}
