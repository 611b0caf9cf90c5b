import { createHash } from 'node:crypto';
import type { Cursor } from '../engine/cursor.ts';
import type { SearchRequest } from '../protocol/request.ts';

/** A paged search between two pages. The snapshot it began with stays with it: no entry is skipped or sent twice. */
export interface Page {
  cookie: Buffer;
  fingerprint: string;
  cursor: Cursor;
  usedAt: number;
}

/** Cursors of one connection, oldest first. */
export type PageStore = Page[];

/** What must be the same on every page: everything in the request but the paging control. */
export function fingerprintOf(request: SearchRequest): string {
  const { bytes, whole, controls } = request;
  const hash = createHash('sha256').update(bytes.subarray(whole.start, whole.end));
  // Neither part can be mistaken for the other: the operation says its own length.
  if (controls.dereference !== null) {
    const { start, end } = controls.dereference.whole;
    hash.update(bytes.subarray(start, end));
  }
  return hash.digest('base64');
}

/** Remembers a cursor; the one unused for longest makes room. */
export function keepPage(store: PageStore, page: Page, most: number): void {
  while (store.length >= most) store.shift();
  store.push(page);
}

/** Takes a cursor out of the store. @returns null when the cookie is foreign, used, forgotten or of another search. */
export function takePage(store: PageStore, cookie: Uint8Array, request: SearchRequest): Page | null {
  const index = store.findIndex((page) => page.cookie.equals(cookie));
  if (index < 0) return null;
  const [page] = store.splice(index, 1);
  return page!.fingerprint === fingerprintOf(request) ? page! : null;
}

/** Forgets cursors that were not used since `before`. */
export function dropIdlePages(store: PageStore, before: number): void {
  while (store.length > 0 && store[0]!.usedAt < before) store.shift();
}
