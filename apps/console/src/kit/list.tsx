import { Group, Pagination, Stack, Text } from '@mantine/core';
import { type ReactNode, useRef } from 'react';
import { useQueryValues } from '../router.tsx';
import { plural } from '../words/text.ts';
import { arrange, type Order, type Unreadable } from './arrange.ts';
import { EmptyState } from './empty-state.tsx';
import { SearchBox } from './search-box.tsx';
import { type Column, TableOrCards } from './table-or-cards.tsx';

const PAGE_SIZE = 25;

/**
 * A list that came whole: searched, sorted and cut into pages here. What is shown is in the address, so that a link, a
 * reload and the back button lead to the same: `search`, `sort` (a column; `-` before it: descending) and `page`.
 */
export function List<T extends object>({
  nouns,
  entries,
  columns,
  orders,
  usual,
  textOf,
  placeholder,
  keyOf,
  card,
}: {
  /** One of the entries and several: `host`, `hosts`. */
  nouns: readonly [string, string];
  entries: readonly (T | Unreadable)[];
  columns: readonly Column<T>[];
  /** Orders by name of their column. */
  orders: Readonly<Record<string, Order<T>>>;
  /** The name of the order when nothing else is asked for. */
  usual: string;
  /** What is searched in an entry. */
  textOf: (entry: T) => string;
  placeholder: string;
  keyOf: (entry: T) => string;
  card: (entry: T) => ReactNode;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [{ search, sort, page }, setQuery] = useQueryValues('search', 'sort', 'page');
  const wanted = sort?.replace(/^-/, '') ?? '';
  const by = Object.hasOwn(orders, wanted) ? wanted : usual;
  const descending = by === wanted && sort?.startsWith('-') === true;
  const { shown, first, count, ...at } = arrange(
    entries,
    { search: search ?? '', by, descending, page: Number.parseInt(page ?? '1', 10) || 1 },
    { orders, usual: orders[usual]!, textOf, pageSize: PAGE_SIZE },
  );
  const last = first + shown.length - 1;
  return (
    <Stack gap="md" component="section" aria-label={nouns[1]} tabIndex={-1} ref={box}>
      <Group>
        <SearchBox
          placeholder={placeholder}
          value={search ?? ''}
          // Each key would be a step back otherwise; the whole search is one.
          change={(text) => setQuery({ search: text || null, page: null }, { replace: search !== null })}
        />
      </Group>
      {count === 0 ? (
        <EmptyState text="Nothing matches. Try fewer words." />
      ) : (
        <TableOrCards
          entries={shown}
          columns={columns}
          keyOf={keyOf}
          card={card}
          sorting={{
            by,
            descending,
            names: Object.keys(orders),
            change: (name, down) =>
              setQuery({ sort: name === usual && !down ? null : `${down ? '-' : ''}${name}`, page: null }),
          }}
        />
      )}
      <Group justify="space-between" gap="sm">
        <Text size="sm" c="dimmed" role="status">
          {count === 0
            ? `No ${nouns[0]} matches`
            : at.pages === 1
              ? `${plural(count, ...nouns)}${search ? ` of ${entries.length.toLocaleString('en')}` : ''}`
              : `${first.toLocaleString('en')} to ${last.toLocaleString('en')} of ${plural(count, ...nouns)}`}
        </Text>
        {at.pages > 1 && (
          <nav aria-label="Pages">
            <Pagination
              total={at.pages}
              value={at.page}
              gap={4}
              getItemProps={(number) => ({ 'aria-label': `Page ${number}` })}
              getControlProps={(control) => ({ 'aria-label': control === 'next' ? 'Next page' : 'Previous page' })}
              onChange={(number) => {
                setQuery({ page: number === 1 ? null : String(number) });
                // The next page begins at its top, for the eye and for the keyboard.
                box.current?.focus({ preventScroll: true });
                scrollTo({ top: 0 });
              }}
            />
          </nav>
        )}
      </Group>
    </Stack>
  );
}
