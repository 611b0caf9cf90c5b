import { Button, Group, Select, Stack, Text, UnstyledButton } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { Failure, PageSkeleton } from '../../kit/query-state.tsx';
import { SearchBox } from '../../kit/search-box.tsx';
import { type Column, TableOrCards } from '../../kit/table-or-cards.tsx';
import { TimePages } from '../../kit/time-pages.tsx';
import { Ago } from '../../kit/times.tsx';
import { StatusBadge } from '../../parts/delivery.tsx';
import { useQueryValues } from '../../router.tsx';
import { api, messageOf, type NotifyDelivery } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { DELIVERY_STATUSES } from '../../words/delivery-status.ts';
import { DeliveryDialog } from './delivery-dialog.tsx';
import { FILTER_NAMES, filterOf, placeOf } from './delivery-filter.ts';
import { DiscardDialog } from './discard-dialog.tsx';
import { useSettle } from './use-settle.ts';

const PAGE = 50;
/** No event says that something was delivered. */
const ANEW_MS = 5000;

function EventButton({ delivery, open }: { delivery: NotifyDelivery; open: (id: string) => void }) {
  return (
    <UnstyledButton
      className="row-button mono break"
      aria-label={`Details of ${delivery.event} on ${delivery.channel}`}
      onClick={(click) => {
        click.stopPropagation();
        open(delivery.id);
      }}
    >
      <Text component="span" size="sm" ff="inherit">
        {delivery.event}
      </Text>
    </UnstyledButton>
  );
}

const reasonOf = ({ reason }: NotifyDelivery) =>
  reason === null ? null : (
    <Text size="sm" c="dimmed" className="break">
      <MarkedText text={reason} />
    </Text>
  );

const columns = (open: (id: string) => void): Column<NotifyDelivery>[] => [
  { name: 'when', head: 'When', width: 7.5, className: 'nowrap', cell: ({ createdAt }) => <Ago at={createdAt} /> },
  {
    name: 'event',
    head: 'Event',
    width: 13,
    cell: (delivery) => (
      <>
        <EventButton delivery={delivery} open={open} />
        {delivery.seq !== null && (
          <Text size="xs" c="dimmed">
            number {delivery.seq}
          </Text>
        )}
      </>
    ),
  },
  { name: 'channel', head: 'Channel', width: 9, cell: ({ channel }) => <span className="break">{channel}</span> },
  {
    name: 'status',
    head: 'What came of it',
    width: 14,
    cell: (delivery) => (
      <>
        <StatusBadge status={delivery.status} />
        {reasonOf(delivery)}
      </>
    ),
  },
  { name: 'attempts', head: 'Attempts', width: 5, align: 'right', cell: ({ attempts }) => attempts },
];

function DeliveryCard({ delivery, open }: { delivery: NotifyDelivery; open: (id: string) => void }) {
  return (
    <Stack gap="xs">
      <Group justify="space-between" gap="xs" align="flex-start">
        <EventButton delivery={delivery} open={open} />
        <StatusBadge status={delivery.status} />
      </Group>
      {reasonOf(delivery)}
      <Text size="sm" c="dimmed" className="break">
        {delivery.channel} · <Ago at={delivery.createdAt} />
      </Text>
    </Stack>
  );
}

/** What was told, what waits and what was given up, newest first; which of it is in the address. Administrators only. */
export default function NotifyDeliveriesPage() {
  const top = useRef<HTMLDivElement>(null);
  const [{ before, delivery, ...values }, setQuery] = useQueryValues(...FILTER_NAMES, 'before', 'delivery');
  const filter = filterOf(values);
  const place = placeOf(before);
  const channels = useQuery(api.notify.channels.list.queryOptions());
  const list = useQuery({
    ...api.notify.deliveries.list.queryOptions(
      { ...filter, limit: PAGE, before: place },
      { placeholderData: keepPreviousData },
    ),
    refetchInterval: place === null ? ANEW_MS : false,
  });
  const mayChange = useMayChange();
  const settle = useSettle();
  const [discarding, setDiscarding] = useState<string | null>(null);
  const { deliveries, older } = list.data ?? { deliveries: [], older: null };
  const open = (id: string) => setQuery({ delivery: id });
  const turnTo = (to: string | null) => {
    setQuery({ before: to });
    top.current?.focus({ preventScroll: true });
    scrollTo({ top: 0 });
  };
  const names = [
    ...new Set([
      ...(channels.data?.map(({ name }) => name) ?? []),
      ...(filter.channel === null ? [] : [filter.channel]),
    ]),
  ];
  const isFiltered = Object.values(filter).some((value) => value !== null);
  // All of a channel at once, where the list shows what was given up on it.
  const allOf = mayChange && filter.status === 'dead' && deliveries.length > 0 ? filter.channel : null;
  return (
    <>
      <PageHeader text="What was told, what waits and what was given up. What ended is kept for thirty days." />
      <Group gap="sm" mb="md" wrap="wrap" tabIndex={-1} ref={top} role="group" aria-label="Filter">
        <Select
          aria-label="Channel"
          placeholder="Any channel"
          data={names}
          value={filter.channel}
          searchable
          clearable
          clearButtonProps={{ 'aria-label': 'Any channel' }}
          onChange={(channel) => setQuery({ channel, before: null })}
          w={{ base: '100%', sm: 200 }}
        />
        <Select
          aria-label="What came of it"
          data={[
            { value: '', label: 'Whatever came of it' },
            ...Object.entries(DELIVERY_STATUSES).map(([value, { text }]) => ({ value, label: text })),
          ]}
          value={filter.status ?? ''}
          allowDeselect={false}
          onChange={(status) => setQuery({ status: status || null, before: null })}
          w={{ base: '100%', sm: 200 }}
        />
        <SearchBox
          label="Number of the event"
          placeholder="Number of the event"
          value={values.seq ?? ''}
          change={(text) => setQuery({ seq: text || null, before: null }, { replace: values.seq !== null })}
        />
      </Group>
      {allOf !== null && (
        <Group gap="xs" mb="md">
          <Button variant="default" loading={settle.pending} onClick={() => settle.retry({ channel: allOf })}>
            Try all of {allOf} again
          </Button>
          <Button variant="default" loading={settle.pending} onClick={() => setDiscarding(allOf)}>
            Discard all of {allOf}
          </Button>
        </Group>
      )}
      {filter.status === 'dead' && filter.channel === null && deliveries.length > 0 && mayChange && (
        <Text size="sm" c="dimmed" mb="md">
          Choose a channel to try or discard all of it at once.
        </Text>
      )}
      {list.error && !list.data ? (
        <Failure message={messageOf(list.error)} retry={() => void list.refetch()} />
      ) : !list.data ? (
        <PageSkeleton label="Loading deliveries" rows={6} height={56} />
      ) : deliveries.length === 0 ? (
        <EmptyState
          text={
            place !== null
              ? 'There is nothing older.'
              : isFiltered
                ? 'Nothing matches.'
                : 'Nothing yet. What is told on a channel stands here from the moment that it is written down.'
          }
        />
      ) : (
        <TableOrCards
          entries={deliveries}
          columns={columns(open)}
          keyOf={({ id }) => id}
          card={(one) => <DeliveryCard delivery={one} open={open} />}
          open={({ id }) => open(id)}
        />
      )}
      <TimePages place={place} next={older} loading={list.isPlaceholderData} turnTo={turnTo} />
      <DeliveryDialog
        about={/^[A-Za-z0-9_-]{43}$/.test(delivery ?? '') && { id: delivery!, settle: mayChange ? settle : null }}
        close={() => setQuery({ delivery: null })}
      />
      <DiscardDialog about={discarding !== null && { channel: discarding, settle }} close={() => setDiscarding(null)} />
    </>
  );
}
