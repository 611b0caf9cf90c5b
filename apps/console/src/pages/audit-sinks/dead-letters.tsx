import { Button, Group, Stack, Text, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { type Column, TableOrCards } from '../../kit/table-or-cards.tsx';
import { Ago } from '../../kit/times.tsx';
import { Link } from '../../router.tsx';
import { api, browserApi, type DeadLetter, messageOf, refresh } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { plural } from '../../words/text.ts';
import { sinkTitle } from './sink-titles.ts';

/** Shown at once; a receiver that is set up wrongly refuses everything, and nobody reads that line by line. */
const SHOWN = 100;
/** No event says that one was taken this time. */
const WHILE_RETRIED_MS = 1000;

type Which = { sink?: DeadLetter['sink']; seq?: number };

function EventName({ letter }: { letter: DeadLetter }) {
  if (letter.event === null) return <>no longer in the log</>;
  return (
    <Link href={`/history?view=events&event=${letter.seq}`} className="event-link mono break">
      {letter.event}
    </Link>
  );
}

const columns = (retry: ((which: Which) => void) | null): Column<DeadLetter>[] => [
  { name: 'seq', head: 'Number', width: 5, cell: ({ seq }) => seq },
  { name: 'event', head: 'Event', width: 10, cell: (letter) => <EventName letter={letter} /> },
  { name: 'sink', head: 'Sink', width: 6, cell: ({ sink }) => sinkTitle(sink) },
  {
    name: 'reason',
    head: 'Why',
    width: 14,
    className: 'break',
    cell: (letter) => (
      <>
        <MarkedText text={letter.reason} />
        <Text size="sm" c="dimmed">
          <Ago at={letter.refusedAt} />
        </Text>
      </>
    ),
  },
  {
    name: 'retry',
    head: 'Try again',
    plain: true,
    width: 7,
    align: 'right',
    cell: (letter) => <RetryButton letter={letter} retry={retry} />,
  },
];

function RetryButton({ letter, retry }: { letter: DeadLetter; retry: ((which: Which) => void) | null }) {
  if (letter.retry)
    return (
      <Text size="sm" c="dimmed">
        is tried again
      </Text>
    );
  if (retry === null) return null;
  return (
    <Button
      variant="default"
      size="xs"
      aria-label={`Try again: number ${letter.seq} at ${sinkTitle(letter.sink)}`}
      onClick={() => retry({ sink: letter.sink, seq: letter.seq })}
    >
      Try again
    </Button>
  );
}

function LetterCard({ letter, retry }: { letter: DeadLetter; retry: ((which: Which) => void) | null }) {
  return (
    <Stack gap="xs">
      <Text size="sm">
        <EventName letter={letter} /> · number {letter.seq} · {sinkTitle(letter.sink)}
      </Text>
      <Text size="sm" className="break">
        <MarkedText text={letter.reason} />
      </Text>
      <Group justify="space-between" gap="xs">
        <Text size="sm" c="dimmed">
          <Ago at={letter.refusedAt} />
        </Text>
        <RetryButton letter={letter} retry={retry} />
      </Group>
    </Stack>
  );
}

/** Events that a receiver refused for good, and how they are sent again once it takes them. */
export function DeadLetters() {
  const mayChange = useMayChange();
  const letters = useQuery({
    ...api.audit.deadLetters.list.queryOptions(),
    refetchInterval: ({ state }) => (state.data?.some(({ retry }) => retry) ? WHILE_RETRIED_MS : false),
  });
  const again = useMutation(
    browserApi.audit.deadLetters.retry.mutationOptions({
      onSuccess: ({ count }) => {
        notifications.show({ message: `${plural(count, 'event')} will be tried again.`, color: 'green' });
        void refresh(api.audit.pathKey());
      },
      onError: (error) => notifications.show({ message: messageOf(error), color: 'red' }),
    }),
  );
  const retry = mayChange ? (which: Which) => again.mutate(which) : null;
  return (
    <section aria-label="Refused events">
      <Group justify="space-between" align="flex-start" gap="md" mb="md">
        <div className="page-title">
          <Title order={2} size="h4">
            Refused events
          </Title>
          <Text size="sm" c="dimmed">
            What a receiver refused for good, for example as too large. They stay here, and in the database.
          </Text>
        </div>
        {retry !== null && (letters.data?.length ?? 0) > 1 && (
          <Button variant="default" loading={again.isPending} onClick={() => retry({})}>
            Try all again
          </Button>
        )}
      </Group>
      <QueryState query={letters} label="Loading refused events">
        {(all) =>
          all.length === 0 ? (
            <Text c="dimmed">No receiver has refused an event.</Text>
          ) : (
            <Stack gap="sm">
              <TableOrCards
                entries={all.slice(0, SHOWN)}
                columns={columns(retry)}
                keyOf={({ sink, seq }) => `${sink} ${seq}`}
                card={(letter) => <LetterCard letter={letter} retry={retry} />}
              />
              {all.length > SHOWN && (
                <Text size="sm" c="dimmed">
                  {(all.length - SHOWN).toLocaleString('en')} more are not shown.
                </Text>
              )}
            </Stack>
          )
        }
      </QueryState>
    </section>
  );
}
