import { Button, Card, Center, Group, Select, Stack, Table, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useDebouncedValue, useMediaQuery } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { CommandText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { Failure, PageSkeleton } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { DenyDialog } from '../../parts/deny-dialog.tsx';
import { RequestDrawer } from '../../parts/request-drawer.tsx';
import { outcomeText, RequestStatus } from '../../parts/request-status.tsx';
import { useQueryValue } from '../../router.tsx';
import { api, client, messageOf, type Request } from '../../server/api.ts';

const PAGE = 50;
const STATUSES = [
  { value: '', label: 'Any result' },
  { value: 'pending', label: 'Waiting' },
  { value: 'approved', label: 'Approved' },
  { value: 'denied', label: 'Denied' },
  { value: 'expired', label: 'Expired' },
  { value: 'cancelled', label: 'Withdrawn' },
];

function Rows({ requests, open }: { requests: Request[]; open: (code: string) => void }) {
  return (
    <Table.ScrollContainer minWidth={720} type="native">
      <Table verticalSpacing="sm" horizontalSpacing="md" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>When</Table.Th>
            <Table.Th>Who and where</Table.Th>
            <Table.Th>Command</Table.Th>
            <Table.Th>Result</Table.Th>
            <Table.Th>Decided by</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {requests.map((request) => (
            <Table.Tr key={request.id} className="table-row" onClick={() => open(request.userCode)}>
              <Table.Td className="nowrap">
                <Ago at={request.createdAt} />
              </Table.Td>
              <Table.Td>
                <Text size="sm" fw={600}>
                  {request.user}
                </Text>
                <Text size="sm" c="dimmed">
                  {request.host.name}
                </Text>
              </Table.Td>
              <Table.Td>
                <UnstyledButton
                  className="row-button"
                  aria-label={`Details of ${request.command}`}
                  onClick={(event) => {
                    event.stopPropagation();
                    open(request.userCode);
                  }}
                >
                  <span className="one-line">{request.command}</span>
                </UnstyledButton>
              </Table.Td>
              <Table.Td>
                <RequestStatus status={request.status} />
              </Table.Td>
              <Table.Td>{request.decidedBy ?? '–'}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Cards({ requests, open }: { requests: Request[]; open: (code: string) => void }) {
  return (
    <Stack gap="sm">
      {requests.map((request) => (
        <UnstyledButton key={request.id} className="row-button" onClick={() => open(request.userCode)}>
          <Card withBorder padding="md" radius="lg">
            <Stack gap="xs">
              <Group justify="space-between" align="flex-start" gap="xs">
                <Text size="sm" className="break">
                  <strong>{request.user}</strong> on <strong>{request.host.name}</strong>
                </Text>
                <RequestStatus status={request.status} />
              </Group>
              <CommandText text={request.command} clamp />
              <Text size="sm" c="dimmed">
                <Ago at={request.createdAt} /> · {outcomeText(request)}
              </Text>
            </Stack>
          </Card>
        </UnstyledButton>
      ))}
    </Stack>
  );
}

/** Requests of every kind, newest first. */
export default function HistoryPage() {
  const [typed, setTyped] = useState('');
  const [search] = useDebouncedValue(typed.trim(), 300);
  const [status, setStatus] = useState('');
  const [code, setCode] = useQueryValue('request');
  const [denying, setDenying] = useState<Request | null>(null);
  const narrow = useMediaQuery('(max-width: 48em)', undefined, { getInitialValueInEffect: false });
  const filter = { limit: PAGE, search: search || null, status: (status || null) as Request['status'] | null };
  const history = useInfiniteQuery({
    queryKey: [...api.challenges.history.pathKey(), 'pages', filter],
    queryFn: ({ pageParam, signal }) => client.challenges.history.query({ ...filter, before: pageParam }, { signal }),
    initialPageParam: null as number | null,
    getNextPageParam: (last) => (last.length < PAGE ? undefined : last.at(-1)!.createdAt),
    placeholderData: keepPreviousData,
  });
  const requests = history.data?.pages.flat() ?? [];
  const filtered = search !== '' || status !== '';
  return (
    <>
      <PageHeader title="History" text="Every request, what was decided and what the host made of it." />
      <Group gap="sm" mb="md" wrap="wrap">
        <TextInput
          className="search"
          aria-label="Search"
          placeholder="User, host, command or code"
          leftSection={<IconSearch size={18} aria-hidden="true" />}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        <Select
          aria-label="Result"
          data={STATUSES}
          value={status}
          allowDeselect={false}
          onChange={(value) => setStatus(value ?? '')}
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
            filtered
              ? 'Nothing matches. Try fewer words.'
              : 'No requests yet. The first sudo on a host starts the list.'
          }
        />
      ) : (
        <>
          {narrow ? (
            <Cards requests={requests} open={setCode} />
          ) : (
            <Card withBorder radius="lg" padding={0}>
              <Rows requests={requests} open={setCode} />
            </Card>
          )}
          {history.hasNextPage && (
            <Center mt="md">
              <Button
                variant="default"
                loading={history.isFetchingNextPage}
                onClick={() => void history.fetchNextPage()}
              >
                Show older
              </Button>
            </Center>
          )}
        </>
      )}
      <RequestDrawer code={code} close={() => setCode(null)} deny={setDenying} />
      <DenyDialog about={denying} close={() => setDenying(null)} />
    </>
  );
}
