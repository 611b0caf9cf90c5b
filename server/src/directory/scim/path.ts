import { ATTRIBUTES, type Attribute, findAttribute, isExtension, stepsOf } from './attributes.ts';
import { type Filter, parseFilter } from './filter.ts';
import type { Kind } from './resource.ts';

/** Where an operation of a PATCH applies. */
export interface Target {
  /** Names from the document to the attribute, in the spelling of the schemas. */
  readonly steps: readonly string[];
  readonly attribute: Attribute;
  /** Which values of a list. */
  readonly filter: Filter | null;
  /** A part of those values. */
  readonly sub: Attribute | null;
}

/**
 * Reads the path of a PATCH (RFC 7644 3.5.2).
 *
 * @returns `left_out` for what is no attribute here: providers send more than anybody keeps, and what they send beside it
 * must still be done. A refusal for what is no path, and for what would select members by something that is not kept:
 * nobody would be removed, and the provider would be told that somebody was.
 */
export function readPath(kind: Kind, text: string): Target | 'left_out' | 'invalidPath' | 'invalidFilter' {
  const match = /^([A-Za-z$][\w$-]*(?:[.:][\w$-]+)*)(?:\[(.+)\](?:\.([A-Za-z$][\w$-]*))?)?$/s.exec(text.trim());
  if (!match?.[1]) return 'invalidPath';
  const [, name, filterText, subName] = match;
  const filter = filterText === undefined ? null : parseFilter(filterText);
  if (filterText !== undefined && !filter) return 'invalidPath';

  const steps: string[] = [];
  let among = ATTRIBUTES[kind];
  let attribute: Attribute | undefined;
  let ours = false;
  for (const step of stepsOf(kind, name!)) {
    // `emails.value`: of which of them?
    if (attribute?.multiValued) return 'invalidPath';
    attribute = findAttribute(among, step);
    // A part of our own extension that nobody knows may be a slip that makes a sudo rule wider.
    if (!attribute) return ours ? 'invalidPath' : 'left_out';
    ours ||= isExtension(attribute);
    steps.push(attribute.name);
    among = attribute.subAttributes;
  }
  if (!attribute) return 'invalidPath';
  if (!filter) return { steps, attribute, filter: null, sub: null };

  if (!attribute.multiValued || attribute.type !== 'complex') return 'invalidPath';
  if (namesOf(filter).some((part) => !findAttribute(attribute.subAttributes, part))) {
    return attribute.name === 'members' ? 'invalidFilter' : 'left_out';
  }
  const sub = subName === undefined ? null : findAttribute(attribute.subAttributes, subName);
  return sub === undefined ? 'left_out' : { steps, attribute, filter, sub };
}

function namesOf(filter: Filter): string[] {
  switch (filter.op) {
    case 'and':
    case 'or':
      return [...namesOf(filter.left), ...namesOf(filter.right)];
    case 'not':
      return namesOf(filter.of);
    default:
      return [filter.path];
  }
}
