import { Group, Stack, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useRef } from 'react';
import { desktop } from '../../bridge.ts';
import { MarkedText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { Failure, PageSkeleton } from '../../kit/query-state.tsx';
import { type Column, TableOrCards } from '../../kit/table-or-cards.tsx';
import { emptyTimePage, FIRST_PAGE, TimePages, useTimePlace } from '../../kit/time-pages.tsx';
import { Ago } from '../../kit/times.tsx';
import { Link, useQueryValues } from '../../router.tsx';
import { api, type LogEvent, messageOf } from '../../server/api.ts';
import { FILTER_NAMES, filterOf } from './event-filter.ts';
import { EventFilters, ExportMenu } from './event-filters.tsx';
import { OutcomeBadge } from './event-outcome.tsx';
import { HistoryHeader } from './history-header.tsx';

const PAGE = 50;

/** The address of an event, from which the back button leads to the list as it was. */
const addressOf = (seq: number): string => {
  const query = new URLSearchParams(location.search);
  query.set('event', String(seq));
  return `/history?${query}`;
};

function Sentence({ event }: { event: LogEvent }) {
  return (
    <Link href={addressOf(event.seq)} className="event-link" onClick={(click) => click.stopPropagation()}>
      <MarkedText text={event.sentence} />
    </Link>
  );
}

const columns: Column<LogEvent>[] = [
  { name: 'when', head: 'When', width: 7.5, className: 'nowrap', cell: ({ at }) => <Ago at={at} /> },
  {
    name: 'event',
    head: 'Event',
    width: 22,
    cell: (event) => (
      <>
        <Sentence event={event} />
        <Text size="xs" c="dimmed" className="mono break">
          {event.event}
        </Text>
      </>
    ),
  },
  {
    name: 'who',
    head: 'User and host',
    width: 10,
    cell: (event) => (
      <>
        <Text size="sm" className="name">
          {event.username || '–'}
        </Text>
        <Text size="sm" c="dimmed" className="name">
          {event.hostname}
        </Text>
      </>
    ),
  },
  { name: 'outcome', head: 'Outcome', width: 6, cell: ({ outcome }) => <OutcomeBadge outcome={outcome} /> },
];

function EventCard({ event }: { event: LogEvent }) {
  return (
    <Stack gap="xs">
      <Sentence event={event} />
      <Group justify="space-between" gap="xs">
        <Text size="sm" c="dimmed">
          <Ago at={event.at} />
        </Text>
        <OutcomeBadge outcome={event.outcome} />
      </Group>
    </Stack>
  );
}

/** A place in the list is given to the server as the address has it. */
const placeOf = (text: string): string | null => (/^[0-9]{1,15}-[1-9][0-9]{0,14}$/.test(text) ? text : null);
const placeText = (place: string): string => place;

/** Events by time, a page at a time; which ones is in the address. */
export function EventList() {
  const top = useRef<HTMLDivElement>(null);
  const [values, setQuery] = useQueryValues(...FILTER_NAMES);
  const filter = filterOf(values);
  const { order, place, asked, sorting, turnTo } = useTimePlace(placeOf, placeText, top);
  const list = useQuery(
    api.audit.events.list.queryOptions({ ...filter, ...asked, limit: PAGE }, { placeholderData: keepPreviousData }),
  );
  const { events, older, newer } = list.data ?? { events: [], older: null, newer: null };
  const next = older ?? newer;
  const isFiltered = Object.values(filter).some((value) => value !== null);
  return (
    <>
      <HistoryHeader text="Everything that happened, each in one sentence.">
        {/* A download leaves the console, and the desktop app lets nothing out of its window. */}
        {desktop === undefined && <ExportMenu filter={filter} />}
      </HistoryHeader>
      <EventFilters
        values={values}
        top={top}
        change={(changed, replace) => setQuery({ ...changed, ...FIRST_PAGE }, { replace })}
      />
      {list.error && !list.data ? (
        <Failure message={messageOf(list.error)} retry={() => void list.refetch()} />
      ) : !list.data ? (
        <PageSkeleton label="Loading events" rows={6} height={56} />
      ) : events.length === 0 ? (
        <EmptyState
          text={
            emptyTimePage(order, 'events', { place, next }) ??
            (isFiltered ? 'Nothing matches. User and host have to be written out.' : 'No events yet.')
          }
        />
      ) : (
        <TableOrCards
          entries={events}
          columns={columns}
          keyOf={({ seq }) => String(seq)}
          card={(event) => <EventCard event={event} />}
          sorting={sorting}
        />
      )}
      <TimePages order={order} place={place} next={next} loading={list.isPlaceholderData} turnTo={turnTo} />
    </>
  );
}
