import { Button, Group } from '@mantine/core';
import type { RefObject } from 'react';
import type { TimeOrder } from '#shared/time-order.ts';
import { useQueryValues } from '../router.tsx';
import type { Sorting } from './table-or-cards.tsx';

/** Which end a page of a list by time begins at, and which way it goes on. */
const WORDS: Record<TimeOrder, { first: string; next: string }> = {
  newest: { first: 'Newest', next: 'Older' },
  oldest: { first: 'Oldest', next: 'Newer' },
};

/**
 * The way through a list by time of which the server gives a page at a time: back to its beginning, and on.
 *
 * @param place where the page begins that is shown; null: it is the first
 * @param next where the next page begins; null: this is the last one
 */
export function TimePages<Place>({
  order = 'newest',
  place,
  next,
  loading,
  turnTo,
}: {
  order?: TimeOrder;
  place: Place | null;
  next: Place | null;
  loading: boolean;
  turnTo: (place: Place | null) => void;
}) {
  if (place === null && next === null) return null;
  const words = WORDS[order];
  return (
    <Group component="nav" aria-label="Pages" justify="center" gap="sm" mt="md">
      <Button variant="default" disabled={place === null} onClick={() => turnTo(null)}>
        {words.first}
      </Button>
      <Button variant="default" disabled={next === null} loading={loading} onClick={() => turnTo(next)}>
        {words.next}
      </Button>
    </Group>
  );
}

/** Why a page of such a list is empty, where that is not because nothing was asked for. Null: it is the whole list. */
export function emptyTimePage(order: TimeOrder, plural: string, at: { place: unknown; next: unknown }): string | null {
  const next = WORDS[order].next;
  if (at.next !== null) return `Nothing among these. ${next} ${plural} were not looked at yet.`;
  return at.place === null ? null : `There is nothing ${next.toLowerCase()}.`;
}

/** The column by which a list by time is sorted. In the address as in lists that came whole: `sort=when` is the oldest first. */
const COLUMN = 'when';

/** In the address of a list by time: its first page. Who changes what is listed begins there. */
export const FIRST_PAGE = { before: null, after: null };

/**
 * The order and the place of a list by time, as the address has them: `sort`, and `before` or `after`. What is said wrongly
 * there counts as not said.
 *
 * @param read the place that a text names, null: none
 * @param write and back
 * @param top where a page begins, for the eye and for the keyboard
 */
export function useTimePlace<Place>(
  read: (text: string) => Place | null,
  write: (place: Place) => string,
  top: RefObject<HTMLElement | null>,
): {
  order: TimeOrder;
  place: Place | null;
  /** For the server. */
  asked: { order: TimeOrder; before: Place | null; after: Place | null };
  sorting: Sorting;
  turnTo: (place: Place | null) => void;
} {
  const [{ sort, before, after }, setQuery] = useQueryValues('sort', 'before', 'after');
  const order: TimeOrder = sort === COLUMN ? 'oldest' : 'newest';
  const side = order === 'newest' ? 'before' : 'after';
  const text = { before, after }[side];
  const place = text === null ? null : read(text);
  return {
    order,
    place,
    asked: { order, before: null, after: null, [side]: place },
    sorting: {
      by: COLUMN,
      descending: order === 'newest',
      names: [COLUMN],
      words: { ascending: 'Oldest first', descending: 'Newest first' },
      change: (_, descending) => setQuery({ ...FIRST_PAGE, sort: descending ? null : COLUMN }),
    },
    turnTo(to) {
      setQuery({ ...FIRST_PAGE, [side]: to && write(to) });
      top.current?.focus({ preventScroll: true });
      scrollTo({ top: 0 });
    },
  };
}
