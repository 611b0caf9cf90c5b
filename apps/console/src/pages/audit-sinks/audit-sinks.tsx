import { Badge, Card, Group, Stack, Text, Title } from '@mantine/core';
import { IconArrowsSplit2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { durationText } from '#shared/relative-time.ts';
import { MarkedText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { type AuditSink, api } from '../../server/api.ts';
import { plural } from '../../words/text.ts';
import { DeadLetters } from './dead-letters.tsx';
import { sinkTitle } from './sink-titles.ts';

/** No event says that a sink falls behind or catches up. */
const ANEW_MS = 5000;

const STATES: Record<AuditSink['state'], { color: string; text: string; about: string | null }> = {
  ok: { color: 'green', text: 'Delivering', about: null },
  behind: { color: 'yellow', text: 'Behind', about: 'Events have been waiting for more than a minute. None is lost.' },
  failing: { color: 'red', text: 'Failing', about: 'It tries again by itself, and no event is lost.' },
  paused: {
    color: 'red',
    text: 'Paused',
    about: 'It waits until an operator has mended what is wrong. No event is lost.',
  },
  removed: {
    color: 'gray',
    text: 'Not configured',
    about: 'Its place in the log is kept: configured again under the same name, it goes on from there.',
  },
};

function SinkCard({ sink }: { sink: AuditSink }) {
  const { color, text, ...state } = STATES[sink.state];
  const about =
    state.about ?? (sink.deadLetters > 0 ? 'It goes on without the events that its receiver refused for good.' : null);
  return (
    <Card component="li" withBorder radius="lg" padding="lg">
      <Group justify="space-between" gap="sm" mb="sm">
        <Title order={2} size="h4">
          {sinkTitle(sink.name)}
        </Title>
        <Badge className={`tone tone-${color}`} variant="light" color={color} size="lg">
          {text}
        </Badge>
      </Group>
      {about !== null && (
        <Text size="sm" mb="sm">
          {about}
        </Text>
      )}
      <dl className="facts compact">
        {sink.state === 'removed' && (
          <>
            <dt>Sent up to</dt>
            <dd>{sink.seq === 0 ? 'nothing' : `event number ${sink.seq}`}</dd>
          </>
        )}
        <dt>{sink.state === 'removed' ? 'Since then' : 'To deliver'}</dt>
        <dd>
          {sink.behind === 0
            ? 'nothing'
            : `${plural(sink.behind, 'event')}${sink.state === 'removed' ? '' : `, the oldest for ${durationText('en', sink.behindMs)}`}`}
        </dd>
        <dt>Last success</dt>
        <dd>{sink.lastSuccessAt === null ? 'never' : <Ago at={sink.lastSuccessAt} />}</dd>
        <dt>Last error</dt>
        <dd>
          {sink.lastErrorAt === null ? (
            'none'
          ) : (
            <>
              <Ago at={sink.lastErrorAt} />
              {sink.lastError !== null && (
                <>
                  : <MarkedText text={sink.lastError} />
                </>
              )}
            </>
          )}
        </dd>
        <dt>Refused</dt>
        <dd>{sink.deadLetters === 0 ? 'nothing' : plural(sink.deadLetters, 'event')}</dd>
      </dl>
    </Card>
  );
}

/** Where events go beside the database, how they fare there, and what was refused. */
export default function AuditSinksPage() {
  const sinks = useQuery({ ...api.audit.sinks.list.queryOptions(), refetchInterval: ANEW_MS });
  return (
    <>
      <PageHeader text="Where every event is sent, beside the database that keeps it." />
      <QueryState query={sinks} label="Loading the sinks">
        {(all) =>
          all.length === 0 ? (
            <EmptyState
              icon={IconArrowsSplit2}
              title="Events stay in the database"
              text="Set IDENTREE_AUDIT_LOG, IDENTREE_AUDIT_SYSLOG_URL or another receiver, and every event goes there as well."
            />
          ) : (
            <Stack gap="xl">
              <ul className="plain-list cards">
                {all.map((sink) => (
                  <SinkCard key={sink.name} sink={sink} />
                ))}
              </ul>
              <DeadLetters />
            </Stack>
          )
        }
      </QueryState>
    </>
  );
}
