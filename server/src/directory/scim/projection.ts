import { type Doc, isDoc, stepsOf } from './attributes.ts';
import type { Kind } from './resource.ts';

/** What a client wants to see of a resource; null: what is returned by default (RFC 7644 3.9). */
export interface Projection {
  readonly attributes: readonly string[] | null;
  readonly excludedAttributes: readonly string[] | null;
}

/** Returned whatever is asked for (RFC 7643 3.1 and 7). */
const ALWAYS = ['schemas', 'id'];

/** The parts of a resource that a client asked for. */
export function project(kind: Kind, resource: Doc, { attributes, excludedAttributes }: Projection): Doc {
  const steps = (paths: readonly string[]) =>
    paths.map((path) => stepsOf(kind, path).map((step) => step.toLowerCase()));
  let result = resource;
  if (attributes) result = pick(result, [...ALWAYS.map((name) => [name]), ...steps(attributes)]) as Doc;
  if (excludedAttributes) {
    result = omit(
      result,
      steps(excludedAttributes).filter((path) => !ALWAYS.includes(path.join('.'))),
    ) as Doc;
  }
  return result;
}

type Steps = readonly (readonly string[])[];

/** Paths below a name, without it; null when the name itself is among them. */
function below(paths: Steps, name: string): Steps | null {
  const rest = paths.filter(([first]) => first === name.toLowerCase()).map((path) => path.slice(1));
  return rest.some((path) => path.length === 0) ? null : rest;
}

function pick(value: unknown, paths: Steps): unknown {
  if (Array.isArray(value)) return value.map((item) => pick(item, paths));
  if (!isDoc(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
      const rest = below(paths, key);
      if (rest === null) return [[key, member]];
      return rest.length === 0 ? [] : [[key, pick(member, rest)]];
    }),
  );
}

function omit(value: unknown, paths: Steps): unknown {
  if (Array.isArray(value)) return value.map((item) => omit(item, paths));
  if (!isDoc(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
      const rest = below(paths, key);
      if (rest === null) return [];
      return [[key, rest.length === 0 ? member : omit(member, rest)]];
    }),
  );
}
