/** Which end of a list by time comes first. */
export const TIME_ORDERS = ['newest', 'oldest'] as const;
export type TimeOrder = (typeof TIME_ORDERS)[number];

/** Where a page of such a list ended: what is older is behind it, or what is newer. Null: there is no more. */
export function endOfPage<Place>(order: TimeOrder, next: Place | null): { older: Place | null; newer: Place | null } {
  return { older: order === 'newest' ? next : null, newer: order === 'oldest' ? next : null };
}
