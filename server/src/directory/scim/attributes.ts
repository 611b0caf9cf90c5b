import { z } from 'zod';
import { type AttributeNote, type Kind, SCHEMA, scimGroup, scimUser } from './resource.ts';

/** An attribute that is kept, as RFC 7643 7 describes it. Extensions are complex attributes with a URN for a name. */
export interface Attribute extends AttributeNote {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'integer' | 'complex';
  readonly multiValued: boolean;
  readonly required: boolean;
  readonly description: string;
  readonly subAttributes: readonly Attribute[];
}

/** What `z.toJSONSchema` says, as far as it is used. */
interface JsonSchema {
  readonly type?: string;
  readonly properties?: Record<string, JsonSchema>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly default?: unknown;
  readonly description?: string;
  readonly scim?: AttributeNote;
}

function attributesIn(schema: JsonSchema): Attribute[] {
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const one = property.items ?? property;
    const type = one.type === 'object' ? 'complex' : one.type;
    if (type !== 'complex' && type !== 'boolean' && type !== 'integer' && type !== 'string') {
      throw new Error(`${name} has a type that SCIM does not know`);
    }
    return {
      name,
      type,
      multiValued: property.items !== undefined,
      required: (schema.required ?? []).includes(name) && property.default === undefined,
      description: property.description ?? '',
      subAttributes: attributesIn(one),
      ...property.scim,
    };
  });
}

const read = (schema: z.ZodType): Attribute[] => attributesIn(z.toJSONSchema(schema) as JsonSchema);

/** What is kept of a resource: read from the schemas that check it, so that neither knows what the other does not. */
export const ATTRIBUTES: Record<Kind, readonly Attribute[]> = { User: read(scimUser), Group: read(scimGroup) };

const CORE: Record<Kind, string> = { User: SCHEMA.user, Group: SCHEMA.group };

export const isExtension = ({ name }: Pick<Attribute, 'name'>): boolean => name.startsWith('urn:');

/** SCIM's names are case-insensitive (RFC 7643 2.1). */
export function findAttribute(among: readonly Attribute[], name: string): Attribute | undefined {
  const folded = name.toLowerCase();
  return among.find((attribute) => attribute.name.toLowerCase() === folded);
}

/** The steps of an attribute path: `name.givenName`, with or without the URN of the core schema or an extension. */
export function stepsOf(kind: Kind, path: string): string[] {
  const folded = path.toLowerCase();
  const core = `${CORE[kind].toLowerCase()}:`;
  if (folded.startsWith(core)) return path.slice(core.length).split('.');
  for (const { name } of ATTRIBUTES[kind].filter(isExtension)) {
    if (folded === name.toLowerCase()) return [path];
    if (folded.startsWith(`${name.toLowerCase()}:`)) {
      return [path.slice(0, name.length), ...path.slice(name.length + 1).split('.')];
    }
  }
  return folded.startsWith('urn:') ? [path] : path.split('.');
}

export type Doc = Record<string, unknown>;
export const isDoc = (value: unknown): value is Doc =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is kept of a document, in the spelling of the schemas. Null means "not there". The schemas still have to check it. */
export function canonicalDocument(kind: Kind, body: unknown): unknown {
  return canonicalComplex(ATTRIBUTES[kind], body, false);
}

/** What some clients repeat inside an extension, and what an object would take for its prototype. */
export const isEnvelope = (key: string): boolean => key.toLowerCase() === 'schemas' || key === '__proto__';

/**
 * @param strict unknown names and lists that are null stay, for the schema to refuse: in our own extensions they could be
 * what narrows a sudo rule.
 */
function canonicalComplex(attributes: readonly Attribute[], value: unknown, strict: boolean): unknown {
  if (!isDoc(value)) return value;
  const result: Doc = {};
  for (const [key, member] of Object.entries(value)) {
    const attribute = findAttribute(attributes, key);
    const said = member !== null || (strict && attribute?.multiValued);
    if (attribute && said) result[attribute.name] = canonicalValue(attribute, member, strict);
    else if (!attribute && strict && !isEnvelope(key)) result[key] = member;
  }
  return result;
}

/** The same for the value of one attribute. A text in a list of objects with a `value` is such a `value`. */
export function canonicalValue(attribute: Attribute, value: unknown, strict = isExtension(attribute)): unknown {
  const { multiValued, type, subAttributes } = attribute;
  const inside = strict || isExtension(attribute);
  const one = (item: unknown) => (type === 'complex' ? canonicalComplex(subAttributes, item, inside) : item);
  if (!multiValued) return one(value);
  const hasValues = findAttribute(subAttributes, 'value') !== undefined;
  if (!Array.isArray(value)) return value;
  return value.map((item) => (hasValues && typeof item === 'string' ? { value: item } : one(item)));
}
