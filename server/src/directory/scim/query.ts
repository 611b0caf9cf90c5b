import { MAX_PAGE } from './discovery.ts';
import { type Filter, parseFilter } from './filter.ts';
import type { Projection } from './projection.ts';
import { ScimError } from './scim-error.ts';

const DEFAULT_PAGE = 100;

/** What follows the question mark, each once, whatever the case of its name; what is empty was not said. */
function valuesOf(query: unknown): (name: string) => string | undefined {
  const pairs = Object.entries((query ?? {}) as Record<string, unknown>);
  return (name) => {
    const value = pairs.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
    if (Array.isArray(value)) throw new ScimError(400, `${name} is given more than once`, 'invalidValue');
    return typeof value === 'string' && value.trim() !== '' ? value : undefined;
  };
}

const whole = (text: string | undefined, otherwise: number): number =>
  text !== undefined && /^[+-]?\d{1,9}$/.test(text.trim()) ? Number(text) : otherwise;

/** Which parts of a resource are wanted. @throws ScimError */
export function readProjection(query: unknown): Projection {
  const value = valuesOf(query);
  const names = (name: string) =>
    value(name)
      ?.split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '') ?? null;
  return { attributes: names('attributes'), excludedAttributes: names('excludedAttributes') };
}

/** Which resources are wanted (RFC 7644 3.4.2). @throws ScimError */
export function readListQuery(query: unknown): { page: { startIndex: number; count: number }; filter: Filter | null } {
  const value = valuesOf(query);
  const text = value('filter');
  const filter = text === undefined ? null : parseFilter(text);
  if (text !== undefined && !filter) throw new ScimError(400, 'the filter cannot be read', 'invalidFilter');
  return {
    page: {
      startIndex: Math.max(1, whole(value('startIndex'), 1)),
      count: Math.min(MAX_PAGE, Math.max(0, whole(value('count'), DEFAULT_PAGE))),
    },
    filter,
  };
}
