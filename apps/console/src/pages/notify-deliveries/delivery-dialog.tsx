import { Button, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { formDialog } from '../../kit/form-dialog.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Moment, Until } from '../../kit/times.tsx';
import { Attempts, StatusBadge } from '../../parts/delivery.tsx';
import { Link } from '../../router.tsx';
import { api, type WholeDelivery } from '../../server/api.ts';
import { byText } from '../../words/notify.ts';
import { listed } from '../../words/text.ts';
import type { Settle } from './use-settle.ts';

const WHILE_QUEUED_MS = 1000;

const whyText = (because: WholeDelivery['because']): string =>
  listed(
    because.map((by) =>
      by.rule === 'test'
        ? `a test of ${by.username}`
        : byText(by, { numberOf: () => 0, nameOf: () => 'the owner of the channel' }),
    ),
  );

function Facts({ delivery }: { delivery: WholeDelivery }) {
  const { seq, event, channel, shared, step, status, createdAt, endedAt, dueAt, reason, because, tries } = delivery;
  return (
    <Stack gap="md">
      <dl className="facts compact">
        <dt>Status</dt>
        <dd>
          <StatusBadge status={status} />
        </dd>
        <dt>Event</dt>
        <dd className="break">
          {seq === null ? (
            'a test'
          ) : (
            <Link href={`/history?view=events&event=${seq}`} className="event-link mono">
              {event}
            </Link>
          )}
        </dd>
        <dt>Channel</dt>
        <dd className="break">
          {channel}
          {!shared && ', of one person'}
        </dd>
        {because.length > 0 && (
          <>
            <dt>By</dt>
            <dd className="break">{whyText(because)}</dd>
          </>
        )}
        {step > 0 && (
          <>
            <dt>Step</dt>
            <dd>{step}, while nobody had answered</dd>
          </>
        )}
        <dt>Written</dt>
        <dd>
          <Moment at={createdAt} />
        </dd>
        {status === 'queued' && (
          <>
            <dt>Due</dt>
            <dd>
              <Until at={dueAt} />
            </dd>
          </>
        )}
        {endedAt !== null && (
          <>
            <dt>Ended</dt>
            <dd>
              <Moment at={endedAt} />
            </dd>
          </>
        )}
        {reason !== null && (
          <>
            <dt>Why</dt>
            <dd className="break">
              <MarkedText text={reason} />
            </dd>
          </>
        )}
      </dl>
      <Attempts tries={tries} />
      {seq !== null && (
        <Text size="sm">
          <Link href={`/notify-routes?event=${seq}`}>Who is told of this event, and why</Link>
        </Text>
      )}
    </Stack>
  );
}

/** A delivery with all its attempts. */
export const DeliveryDialog = formDialog<{ id: string; settle: Settle | null }>(
  'Delivery',
  function Delivery({ about: { id, settle }, close }) {
    const delivery = useQuery({
      ...api.notify.deliveries.get.queryOptions({ id }),
      refetchInterval: ({ state }) => (state.data?.status === 'queued' ? WHILE_QUEUED_MS : false),
    });
    return (
      <Stack gap="md">
        <QueryState query={delivery} label="Loading the delivery">
          {(found) => <Facts delivery={found} />}
        </QueryState>
        <Group justify="flex-end" className="dialog-actions">
          {settle !== null && delivery.data?.status === 'dead' && (
            <>
              <Button variant="default" loading={settle.pending} onClick={() => settle.discard({ id })}>
                Discard
              </Button>
              <Button variant="default" loading={settle.pending} onClick={() => settle.retry({ id })}>
                Try again
              </Button>
            </>
          )}
          <Button onClick={close}>Done</Button>
        </Group>
      </Stack>
    );
  },
  'lg',
);
