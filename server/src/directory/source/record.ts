import type { z } from 'zod';
import type { Lint } from './lint.ts';
import { isSudoKey, sourceGroup, sourceUser } from './model.ts';

/** A record of a file, as far as it could be read. */
export type ReadRecord<T> =
  /** `lints`: what of it was left out. */
  | { readonly kind: 'whole'; readonly record: T; readonly lints: readonly Lint[] }
  /** It can be left out without anybody getting more by it. */
  | { readonly kind: 'left_out'; readonly lint: Lint; readonly name: string }
  /** It cannot be told what leaving it out would mean. */
  | { readonly kind: 'refused'; readonly problem: string };

type Doc = Record<string, unknown>;
const isDoc = (value: unknown): value is Doc => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is only shown: nobody's account, number or membership is made of it. */
const SHOWN = new Set(['firstName', 'lastName', 'displayName', 'email', 'friendlyName']);
const narrows = (key: string): boolean => isSudoKey(key) || /^accessHosts$/i.test(key.trim());

/** A record as an operator would look for it: by the name that stands in the file, else by its place. */
function nameOf(kind: 'user' | 'group', item: unknown, index: number): string {
  const names = kind === 'user' ? ['username', 'displayName', 'email', 'id'] : ['name', 'friendlyName', 'id'];
  const found = isDoc(item)
    ? names.map((key) => item[key]).find((name) => typeof name === 'string' && name !== '')
    : null;
  return found ? shown(String(found)) : `${index + 1} in the list`;
}

/** A text of a file, fit for a log and a page. */
function shown(text: string): string {
  const plain = text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  return plain.length > 80 ? `${plain.slice(0, 80)}…` : plain;
}

function problemIn(error: z.ZodError, item: unknown): string {
  const issue = error.issues[0];
  if (!issue) return 'it cannot be read';
  const [field] = issue.path;
  // Most often a name in other letters (`userName`): what a parser says of it tells an operator nothing.
  if (issue.path.length === 1 && isDoc(item) && item[String(field)] === undefined)
    return `${String(field)}: is missing`;
  return `${issue.path.join('.') || 'the record'}: ${issue.message}`;
}

/** Reads a record without what is only shown and cannot be read. */
function readShown<T>(schema: z.ZodType<T>, item: unknown): { record: T; without: string[] } | z.ZodError {
  const parsed = schema.safeParse(item);
  if (parsed.success) return { record: parsed.data, without: [] };
  const fields = [...new Set(parsed.error.issues.map(({ path }) => String(path[0])))];
  if (!isDoc(item) || !fields.every((field) => SHOWN.has(field))) return parsed.error;
  const rest = Object.fromEntries(Object.entries(item).filter(([key]) => !fields.includes(key)));
  const again = schema.safeParse(rest);
  return again.success ? { record: again.data, without: fields } : again.error;
}

function whole<T>(
  kind: 'user' | 'group',
  name: string,
  { record, without }: { record: T; without: string[] },
): ReadRecord<T> {
  const lints = without.map(
    (field): Lint => ({
      code: 'field_left_out',
      subject: `${kind} ${name}`,
      detail: `${field} is no text, or too long`,
    }),
  );
  return { kind: 'whole', record, lints };
}

/** Reads a person. One who cannot be read has no account: that gives nobody anything. */
export function readUser(item: unknown, index: number): ReadRecord<z.infer<typeof sourceUser>> {
  const name = nameOf('user', item, index);
  const read = readShown(sourceUser, item);
  if ('record' in read) return whole('user', name, read);
  return {
    kind: 'left_out',
    name,
    lint: { code: 'record_left_out', subject: `user ${name}`, detail: problemIn(read, item) },
  };
}

/**
 * Reads a group. One that bears on what people may do stays for all or nothing: without its exceptions, its order or its
 * hosts, another rule could reach further.
 */
export function readGroup(item: unknown, index: number): ReadRecord<z.infer<typeof sourceGroup>> {
  const name = nameOf('group', item, index);
  const read = readShown(sourceGroup, item);
  if ('record' in read) return whole('group', name, read);
  const problem = problemIn(read, item);
  if (!isDoc(item) || typeof item.name !== 'string' || !isHarmless(item.customClaims)) {
    return { kind: 'refused', problem: `group “${name}”: ${problem}` };
  }
  const lint: Lint = { code: 'record_left_out', subject: `group ${name}`, detail: problem };
  return { kind: 'left_out', name: item.name, lint };
}

/** Whether claims can be read and say nothing about sudo or access. */
function isHarmless(claims: unknown): boolean {
  if (claims === undefined || claims === null) return true;
  if (!Array.isArray(claims)) return false;
  return claims.every((one) => isDoc(one) && typeof one.key === 'string' && !narrows(one.key));
}
