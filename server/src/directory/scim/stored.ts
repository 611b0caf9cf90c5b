import { z } from 'zod';
import type { Kind } from './resource.ts';
import type { ResourceRow } from './scim-store.ts';

/** What is stored: the document, and for groups the POSIX name that stays whatever happens to the display name. */
const stored = z.object({ document: z.record(z.string(), z.unknown()), posixName: z.string().optional() });
export type Stored = z.infer<typeof stored>;

/** @throws ZodError when the row was not written by `writeStored` */
export const readStored = (row: Pick<ResourceRow, 'resource'>): Stored => stored.parse(JSON.parse(row.resource));

/** Equal content is equal text. */
export const writeStored = ({ document, posixName }: Stored): string =>
  JSON.stringify({ document, ...(posixName === undefined ? {} : { posixName }) } satisfies Stored);

/** What a resource is found by: the user name or the display name, folded. */
export const nameOfDocument = (kind: Kind, document: Record<string, unknown>): string =>
  String(kind === 'User' ? document.userName : document.displayName).toLowerCase();

/** Weak entity tag of a resource (RFC 7644 3.14). */
export function etagOf(row: { version: number }): string {
  return `W/"${row.version}"`;
}
