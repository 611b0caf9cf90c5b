import { ActionIcon, Button, Card, Group, Select, Table, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowsSort, IconArrowUp } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { isUnreadable, type Unreadable } from './arrange.ts';
import { UnreadableCard, UnreadableRow } from './unreadable-row.tsx';
import { useFits } from './use-fits.ts';

export interface Column<T> {
  /** Also the order of this name, where it can be sorted by it. */
  name: string;
  head: string;
  /** What the column is for is plain to see: its head is for screen readers. */
  plain?: boolean;
  /** In rem. Narrower than this it is hard to read, and the list becomes cards. */
  width: number;
  align?: 'right';
  className?: string;
  cell: (entry: T) => ReactNode;
}

export interface Sorting {
  by: string;
  descending: boolean;
  /** Names of the columns by which the list can be sorted. */
  names: readonly string[];
  change: (by: string, descending: boolean) => void;
  /** What the two directions are called, where there is only one column to sort by. */
  words?: { ascending: string; descending: string };
}

function Head({ column, sorting }: { column: Column<never>; sorting: Sorting | undefined }) {
  const { name, head, plain, width, align } = column;
  const style = { minWidth: `${width}rem` };
  if (!sorting?.names.includes(name)) {
    return (
      <Table.Th style={style} ta={align}>
        {plain ? <span className="sr-only">{head}</span> : head}
      </Table.Th>
    );
  }
  const sorted = sorting.by === name;
  const Icon = !sorted ? IconArrowsSort : sorting.descending ? IconArrowDown : IconArrowUp;
  return (
    <Table.Th style={style} ta={align} aria-sort={sorted ? (sorting.descending ? 'descending' : 'ascending') : 'none'}>
      <UnstyledButton
        className="sort-button"
        data-sorted={sorted || undefined}
        onClick={() => sorting.change(name, sorted && !sorting.descending)}
      >
        {head}
        <Icon size={16} stroke={1.75} aria-hidden="true" />
      </UnstyledButton>
    </Table.Th>
  );
}

/** What the heads of the columns do, where there are none. */
function SortSelect({ columns, sorting }: { columns: readonly Column<never>[]; sorting: Sorting }) {
  const Icon = sorting.descending ? IconArrowDown : IconArrowUp;
  const turn = () => sorting.change(sorting.by, !sorting.descending);
  if (sorting.words) {
    const { ascending, descending } = sorting.words;
    const [now, then] = sorting.descending ? [descending, ascending] : [ascending, descending];
    return (
      <Button
        variant="default"
        mb="sm"
        rightSection={<Icon size={18} aria-hidden="true" />}
        aria-label={`${now}; change to: ${then}`}
        onClick={turn}
      >
        {now}
      </Button>
    );
  }
  return (
    <Group gap="xs" mb="sm" wrap="nowrap" className="sort-select">
      <Select
        aria-label="Sort by"
        data={columns
          .filter(({ name }) => sorting.names.includes(name))
          .map(({ name, head }) => ({ value: name, label: `Sort by ${head.toLowerCase()}` }))}
        value={sorting.by}
        allowDeselect={false}
        onChange={(by) => by !== null && sorting.change(by, sorting.descending)}
      />
      <ActionIcon
        variant="default"
        size={36}
        aria-label={sorting.descending ? 'Descending; sort ascending' : 'Ascending; sort descending'}
        onClick={turn}
      >
        <Icon size={18} aria-hidden="true" />
      </ActionIcon>
    </Group>
  );
}

/** A list as a table where all its columns fit, otherwise as cards. */
export function TableOrCards<T extends object>({
  entries,
  columns,
  keyOf,
  card,
  open,
  sorting,
}: {
  entries: readonly (T | Unreadable)[];
  columns: readonly Column<T>[];
  keyOf: (entry: T) => string;
  card: (entry: T) => ReactNode;
  /** A click anywhere on an entry. The entry holds a button or link that does the same, for the keyboard. */
  open?: (entry: T) => void;
  sorting?: Sorting;
}) {
  const { box, fits } = useFits(columns.reduce((sum, { width }) => sum + width, 0));
  const heads = columns as readonly Column<never>[];
  return (
    <div ref={box}>
      {fits === true && (
        <Card withBorder radius="lg" padding={0}>
          <Table verticalSpacing="sm" horizontalSpacing="sm" className="list-table" highlightOnHover={Boolean(open)}>
            <Table.Thead>
              <Table.Tr>
                {heads.map((column) => (
                  <Head key={column.name} column={column} sorting={sorting} />
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {entries.map((entry) =>
                isUnreadable(entry) ? (
                  <UnreadableRow key={entry.id} entry={entry} columns={columns.length} />
                ) : (
                  <Table.Tr key={keyOf(entry)} className={open && 'table-row'} onClick={open && (() => open(entry))}>
                    {columns.map(({ name, align, className, cell }) => (
                      <Table.Td key={name} ta={align} className={className}>
                        {cell(entry)}
                      </Table.Td>
                    ))}
                  </Table.Tr>
                ),
              )}
            </Table.Tbody>
          </Table>
        </Card>
      )}
      {fits === false && (
        <>
          {sorting && <SortSelect columns={heads} sorting={sorting} />}
          <ul className="plain-list cards">
            {entries.map((entry) =>
              isUnreadable(entry) ? (
                <Card key={entry.id} component="li" withBorder radius="lg" padding="md" className="unreadable">
                  <UnreadableCard entry={entry} />
                </Card>
              ) : (
                <Card
                  key={keyOf(entry)}
                  component="li"
                  withBorder
                  radius="lg"
                  padding="md"
                  className={open && 'table-row'}
                  onClick={open && (() => open(entry))}
                >
                  {card(entry)}
                </Card>
              ),
            )}
          </ul>
        </>
      )}
    </div>
  );
}
