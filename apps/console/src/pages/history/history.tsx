import { Group, Select, Stack, Text, UnstyledButton } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { CommandText, MarkedText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { Failure, PageSkeleton } from '../../kit/query-state.tsx';
import { SearchBox } from '../../kit/search-box.tsx';
import { type Column, TableOrCards } from '../../kit/table-or-cards.tsx';
import { emptyTimePage, FIRST_PAGE, TimePages, useTimePlace } from '../../kit/time-pages.tsx';
import { Ago } from '../../kit/times.tsx';
import { DenyDialog } from '../../parts/deny-dialog.tsx';
import { RequestDrawer } from '../../parts/request-drawer.tsx';
import { RequestStatus } from '../../parts/request-status.tsx';
import { useQueryValue, useQueryValues } from '../../router.tsx';
import { api, messageOf, type Request } from '../../server/api.ts';
import { outcomeText } from '../../words/outcome.ts';
import { EventList } from './event-list.tsx';
import { EventPage } from './event-page.tsx';
import { HistoryHeader } from './history-header.tsx';

const PAGE = 50;

type Status = Request['status'];
const STATUSES: Record<Status, string> = {
  pending: 'Waiting',
  approved: 'Approved',
  denied: 'Denied',
  expired: 'Expired',
  cancelled: 'Withdrawn',
};
const isStatus = (text: string | null): text is Status => text !== null && Object.hasOwn(STATUSES, text);

type Place = Pick<Request, 'createdAt' | 'id'>;

/** The place in the list that an address names; null when it names none. */
function placeOf(text: string): Place | null {
  const [, createdAt, id] = /^([1-9][0-9]{0,14})-([0-9a-f]{1,64})$/.exec(text) ?? [];
  return createdAt !== undefined && id !== undefined ? { createdAt: Number(createdAt), id } : null;
}
const placeText = ({ createdAt, id }: Place): string => `${createdAt}-${id}`;

function Command({ request, open }: { request: Request; open: (code: string) => void }) {
  return (
    <UnstyledButton
      className="row-button"
      aria-label={`Details of ${request.command}`}
      onClick={(event) => {
        event.stopPropagation();
        open(request.userCode);
      }}
    >
      <span className="two-lines">
        <MarkedText text={request.command} />
      </span>
    </UnstyledButton>
  );
}

const columns = (open: (code: string) => void): Column<Request>[] => [
  { name: 'when', head: 'When', width: 7.5, className: 'nowrap', cell: (request) => <Ago at={request.createdAt} /> },
  {
    name: 'who',
    head: 'Who and where',
    width: 9.5,
    cell: (request) => (
      <>
        <Text size="sm" fw={600} className="name">
          {request.user}
        </Text>
        <Text size="sm" c="dimmed" className="name">
          {request.host.name}
        </Text>
      </>
    ),
  },
  {
    name: 'command',
    head: 'Command',
    width: 9.5,
    className: 'command-cell',
    cell: (request) => <Command request={request} open={open} />,
  },
  {
    name: 'result',
    head: 'Result',
    width: 9,
    cell: (request) => (
      <>
        <RequestStatus status={request.status} />
        {request.status === 'approved' && (
          <Text size="sm" c="dimmed" mt={4} lineClamp={3} className="break">
            {outcomeText(request)}
          </Text>
        )}
      </>
    ),
  },
  {
    name: 'decided-by',
    head: 'Decided by',
    width: 7,
    cell: (request) => <span className="break">{request.decidedBy ?? '–'}</span>,
  },
];

function RequestCard({ request, open }: { request: Request; open: (code: string) => void }) {
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="flex-start" gap="xs">
        <Text size="sm" className="break">
          <strong>{request.user}</strong> on <strong>{request.host.name}</strong>
        </Text>
        <RequestStatus status={request.status} />
      </Group>
      <UnstyledButton
        className="row-button"
        aria-label={`Details of ${request.command}`}
        onClick={(event) => {
          event.stopPropagation();
          open(request.userCode);
        }}
      >
        <CommandText text={request.command} clamp />
      </UnstyledButton>
      <Text size="sm" c="dimmed">
        <Ago at={request.createdAt} /> · {outcomeText(request)}
      </Text>
    </Stack>
  );
}

/** What is in the address: an event, all events, or requests. */
export default function HistoryPage() {
  const [view] = useQueryValue('view');
  const [event] = useQueryValue('event');
  if (event !== null && /^[1-9][0-9]{0,14}$/.test(event)) return <EventPage seq={Number(event)} />;
  return view === 'events' ? <EventList /> : <Requests />;
}

/** Requests of every kind by time, a page at a time; which one is in the address. */
function Requests() {
  const top = useRef<HTMLDivElement>(null);
  const [values, setQuery] = useQueryValues('search', 'status', 'request');
  const [denying, setDenying] = useState<Request | null>(null);
  const search = values.search ?? '';
  const status = isStatus(values.status) ? values.status : null;
  const { order, place, asked, sorting, turnTo } = useTimePlace(placeOf, placeText, top);
  const open = (code: string) => setQuery({ request: code });
  const history = useQuery(
    api.challenges.history.queryOptions(
      { ...asked, limit: PAGE, search: search || null, status },
      { placeholderData: keepPreviousData },
    ),
  );
  const { requests, older, newer } = history.data ?? { requests: [], older: null, newer: null };
  const next = older ?? newer;
  return (
    <>
      <HistoryHeader text="Every request, what was decided and what the host made of it." />
      <Group gap="sm" mb="md" wrap="wrap" tabIndex={-1} ref={top} role="group" aria-label="Filter">
        <SearchBox
          placeholder="User, host, command or code"
          value={search}
          change={(text) => setQuery({ ...FIRST_PAGE, search: text || null }, { replace: search !== '' })}
        />
        <Select
          aria-label="Result"
          data={[
            { value: '', label: 'Any result' },
            ...Object.entries(STATUSES).map(([value, label]) => ({ value, label })),
          ]}
          value={status ?? ''}
          allowDeselect={false}
          onChange={(value) => setQuery({ ...FIRST_PAGE, status: value || null })}
          w={160}
        />
      </Group>
      {history.error && !history.data ? (
        <Failure message={messageOf(history.error)} retry={() => void history.refetch()} />
      ) : !history.data ? (
        <PageSkeleton label="Loading the history" rows={6} height={56} />
      ) : requests.length === 0 ? (
        <EmptyState
          text={
            emptyTimePage(order, 'requests', { place, next }) ??
            (search !== '' || status !== null
              ? 'Nothing matches. Try fewer words.'
              : 'No requests yet. The first sudo on a host starts the list.')
          }
        />
      ) : (
        <TableOrCards
          entries={requests}
          columns={columns(open)}
          keyOf={({ id }) => id}
          card={(request) => <RequestCard request={request} open={open} />}
          open={(request) => open(request.userCode)}
          sorting={sorting}
        />
      )}
      <TimePages order={order} place={place} next={next} loading={history.isPlaceholderData} turnTo={turnTo} />
      <RequestDrawer code={values.request} close={() => setQuery({ request: null })} deny={setDenying} />
      <DenyDialog about={denying} close={() => setDenying(null)} />
    </>
  );
}
