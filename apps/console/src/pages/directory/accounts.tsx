import { Badge, Button, Center, Group, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { Failure, PageSkeleton } from '../../kit/query-state.tsx';
import { type Column, TableOrCards } from '../../kit/table-or-cards.tsx';
import { Ago } from '../../kit/times.tsx';
import { type Account, api, client, messageOf } from '../../server/api.ts';

const PAGE = 50;

const KINDS: Record<Account['kind'], string> = { user: 'User', group: 'Group', reserved: 'Kept from everybody' };

/** Whether hosts see it, and since when they do not. */
function Standing({ account: { kind, served, retiredAt } }: { account: Account }) {
  if (kind === 'reserved') return <Text size="sm">Reserved by an operator</Text>;
  if (retiredAt !== null) {
    return (
      <Text size="sm" c="dimmed">
        Gone <Ago at={retiredAt} />
      </Text>
    );
  }
  const [tone, text] = served ? ['green', 'Served'] : ['yellow', 'Withheld'];
  return (
    <Badge className={`tone tone-${tone}`} variant="light" color={tone}>
      {text}
    </Badge>
  );
}

const nameOf = ({ kind, name, gid }: Account): string => (kind === 'reserved' ? String(gid) : name || '–');

const COLUMNS: Column<Account>[] = [
  {
    name: 'name',
    head: 'Name',
    width: 10,
    cell: (account) => (
      <>
        <Text size="sm" fw={600} className="break">
          <MarkedText text={nameOf(account)} />
        </Text>
        <Text size="sm" c="dimmed">
          {KINDS[account.kind]}
        </Text>
      </>
    ),
  },
  { name: 'uid', head: 'uid', width: 7, align: 'right', className: 'mono', cell: ({ uid }) => uid ?? '–' },
  { name: 'gid', head: 'gid', width: 7, align: 'right', className: 'mono', cell: ({ gid }) => gid },
  {
    name: 'standing',
    head: 'Standing',
    width: 9,
    className: 'nowrap',
    cell: (account) => <Standing account={account} />,
  },
  { name: 'source', head: 'At the source', width: 12, cell: (account) => <Subject account={account} /> },
];

function Subject({ account }: { account: Account }) {
  if (account.kind === 'reserved') return null;
  return (
    <Text size="sm" c="dimmed" className="break mono">
      <MarkedText text={account.subject} />
    </Text>
  );
}

function AccountCard({ account }: { account: Account }) {
  return (
    <>
      <Group justify="space-between" align="flex-start" gap="xs">
        <Text size="sm" fw={600} className="break">
          <MarkedText text={nameOf(account)} />
        </Text>
        <Standing account={account} />
      </Group>
      <Text size="sm" c="dimmed">
        {KINDS[account.kind]} · {account.uid !== null && `uid ${account.uid} · `}gid {account.gid}
      </Text>
      <Subject account={account} />
    </>
  );
}

/** Whose number is whose, of those who are there and of those who were. */
export function Accounts() {
  const [typed, setTyped] = useState('');
  const [search] = useDebouncedValue(typed.trim(), 300);
  const filter = { limit: PAGE, search: search || null };
  const query = useInfiniteQuery({
    queryKey: [...api.directory.accounts.pathKey(), 'pages', filter],
    queryFn: ({ pageParam, signal }) => client.directory.accounts.query({ ...filter, after: pageParam }, { signal }),
    initialPageParam: 0,
    getNextPageParam: (last) => (last.length < PAGE ? undefined : last.at(-1)!.gid),
    placeholderData: keepPreviousData,
  });
  const accounts = query.data?.pages.flat() ?? [];
  return (
    <Stack gap="md">
      <TextInput
        aria-label="Search accounts"
        placeholder="Name, number or identifier"
        leftSection={<IconSearch size={18} aria-hidden="true" />}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      {query.error && !query.data ? (
        <Failure message={messageOf(query.error)} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <PageSkeleton label="Loading accounts" rows={6} height={56} />
      ) : accounts.length === 0 ? (
        <EmptyState
          text={
            search
              ? 'Nothing matches. Try fewer words.'
              : 'Nobody has a number yet. The first people from the source start the list.'
          }
        />
      ) : (
        <>
          <TableOrCards
            entries={accounts}
            columns={COLUMNS}
            keyOf={({ gid }) => String(gid)}
            card={(account) => <AccountCard account={account} />}
          />
          {query.hasNextPage && (
            <Center>
              <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Show more
              </Button>
            </Center>
          )}
          <Text size="sm" c="dimmed">
            A number belongs to one account for ever. To give somebody who was made anew the numbers they had, or to
            keep a number from everybody, use <code>identree-server uidmap</code> on the server.
          </Text>
        </>
      )}
    </Stack>
  );
}
