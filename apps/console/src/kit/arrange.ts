import { hasWords } from './has-words.ts';

/** Which part of a list is shown, and in what order. */
export interface ListView {
  /** Every word of it must occur somewhere in the entry. */
  readonly search: string;
  /** Name of an order. */
  readonly by: string;
  readonly descending: boolean;
  /** From 1. One that is not there any more is the last one. */
  readonly page: number;
}

/** Compares two entries, smaller first. */
export type Order<T> = (a: T, b: T) => number;

/** An entry that the server could not read. It is shown as such, so that it is missed by nobody. */
export interface Unreadable {
  readonly unreadable: true;
  readonly id: string;
  /** Under which the server has logged what was wrong. */
  readonly errorId: string;
}

export const isUnreadable = (entry: object): entry is Unreadable => 'unreadable' in entry && entry.unreadable === true;

export interface Arranged<T> {
  readonly shown: readonly (T | Unreadable)[];
  /** Number of the first entry that is shown, from 1; 0 when none is. */
  readonly first: number;
  /** How many match. */
  readonly count: number;
  readonly page: number;
  readonly pages: number;
}

export const byText = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

/**
 * The page of a list that a view asks for. Unreadable entries come first and match every search: nobody knows what is in
 * them. Entries that are equal by the chosen order keep the usual one, in both directions.
 *
 * @param orders by name. `usual` is the one that decides between equals, and the one for a name that is not among them.
 * @param textOf what is searched in an entry.
 */
export function arrange<T extends object>(
  entries: readonly (T | Unreadable)[],
  view: ListView,
  {
    orders,
    usual,
    textOf,
    pageSize,
  }: {
    orders: Readonly<Record<string, Order<T>>>;
    usual: Order<T>;
    textOf: (entry: T) => string;
    pageSize: number;
  },
): Arranged<T> {
  const matches = hasWords(view.search);
  const readable = entries
    .filter((entry): entry is T => !isUnreadable(entry))
    .filter((entry) => matches(textOf(entry)));
  const chosen = Object.hasOwn(orders, view.by) ? orders[view.by]! : usual;
  const sign = view.descending ? -1 : 1;
  const all = [...entries.filter(isUnreadable), ...readable.sort((a, b) => sign * chosen(a, b) || usual(a, b))];
  const pages = Math.max(1, Math.ceil(all.length / pageSize));
  const page = Math.min(Math.max(1, view.page), pages);
  const from = (page - 1) * pageSize;
  return {
    shown: all.slice(from, from + pageSize),
    first: all.length === 0 ? 0 : from + 1,
    count: all.length,
    page,
    pages,
  };
}
