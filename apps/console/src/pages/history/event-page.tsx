import { Badge, Card, Group, Stack, Text, Title } from '@mantine/core';
import { IconArrowLeft } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { CommandText, MarkedText } from '../../kit/command-text.tsx';
import { CopyLine } from '../../kit/copy-line.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Moment } from '../../kit/times.tsx';
import { Link } from '../../router.tsx';
import { api, type LogEvent, type WholeEvent } from '../../server/api.ts';
import { OutcomeBadge } from './event-outcome.tsx';
import { evidenceOf, isSigned, prettyRecord, type Told, toldOf } from './event-record.ts';

/** An address of the history with another event in it, or with none. */
function addressWith(seq: number | null): string {
  const query = new URLSearchParams(location.search);
  if (seq === null) query.delete('event');
  else query.set('event', String(seq));
  if (seq === null && !query.has('view')) query.set('view', 'events');
  return `/history?${query}`;
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Section({ title, text, children }: { title: string; text?: string; children: ReactNode }) {
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-label={title}>
      <Stack gap="sm">
        <div>
          <Title order={2} size="h4">
            {title}
          </Title>
          {text !== undefined && (
            <Text size="sm" c="dimmed">
              {text}
            </Text>
          )}
        </div>
        {children}
      </Stack>
    </Card>
  );
}

function Facts({ event }: { event: LogEvent }) {
  return (
    <dl className="facts">
      <Fact label="When">
        <Moment at={event.at} />
      </Fact>
      <Fact label="Event">
        <code>{event.event}</code>
      </Fact>
      {event.username !== '' && <Fact label="User">{event.username}</Fact>}
      {event.hostname !== null && <Fact label="Host">{event.hostname}</Fact>}
      {event.actor !== null && <Fact label="Done by">{event.actor}</Fact>}
      {event.reason !== null && (
        <Fact label="Reason">
          <MarkedText text={event.reason} />
        </Fact>
      )}
      {event.challengeId !== null && event.code !== null && (
        <Fact label="Request">
          <Link href={`/history?request=${event.code}`}>{event.code}</Link>
        </Fact>
      )}
      {event.remoteAddr !== null && (
        <Fact label="From">
          <code>{event.remoteAddr}</code>
        </Fact>
      )}
    </dl>
  );
}

/** What a host told: the event says only that it did. */
function WhatTheHostTold({ told: { command, doneAt, facts } }: { told: Told }) {
  if (command === null) return null;
  return (
    <Section title="What the host told">
      <div className="command-box">
        <CommandText text={command} />
      </div>
      <dl className="facts">
        {doneAt !== null && (
          <Fact label="When">
            <Moment at={doneAt} />, by its clock; it told of it later
          </Fact>
        )}
        {facts.map(([label, value]) => (
          <Fact key={label} label={label}>
            <code>{value}</code>
          </Fact>
        ))}
      </dl>
    </Section>
  );
}

/** A request from its beginning to its end, as far as it has come. */
function Together({ event, together }: Pick<WholeEvent, 'event' | 'together'>) {
  return (
    <Section title="What belongs together" text="The whole of this request, in the order in which it happened.">
      <ol className="steps">
        {together.map((step) => (
          <li key={step.seq} aria-current={step.seq === event.seq ? 'step' : undefined}>
            {step.seq === event.seq ? (
              <strong>
                <MarkedText text={step.sentence} />
              </strong>
            ) : (
              <Link href={addressWith(step.seq)} className="event-link">
                <MarkedText text={step.sentence} />
              </Link>
            )}
            <Text size="sm" c="dimmed">
              <Moment at={step.at} />
            </Text>
          </li>
        ))}
      </ol>
    </Section>
  );
}

function Evidence({ facts, requestId }: { facts: ReturnType<typeof evidenceOf>; requestId: string | null }) {
  if (facts.length === 0) return null;
  return (
    <Section title="Evidence" text="What the decision rests on.">
      <dl className="facts">
        {facts.map(([label, value]) => (
          <Fact key={label} label={label}>
            <code>{value}</code>
          </Fact>
        ))}
      </dl>
      {requestId !== null && (
        <>
          <Text size="sm" c="dimmed">
            Export it on the server, then check it offline with <code>identree verify-approval</code>.
          </Text>
          <CopyLine text={`identree-server export-approval ${requestId}`} label="Copy the command" />
        </>
      )}
    </Section>
  );
}

function SignedRecord({
  event: { seq, erased },
  record,
}: {
  event: LogEvent;
  record: NonNullable<WholeEvent['record']>;
}) {
  return (
    <Section
      title="The record as signed"
      text="Its hash is in the next record and, with all before it, in the heads that the server signs and hosts remember."
    >
      <dl className="facts">
        <Fact label="Number">{seq.toLocaleString('en')}</Fact>
        <Fact label="Hash">
          <code>{record.hash}</code>
        </Fact>
        <Fact label="Follows">
          <code>{record.prevHash}</code>
        </Fact>
        <Fact label="Intact">
          <Badge
            className={`tone sentence tone-${record.intact ? 'green' : 'red'}`}
            variant="light"
            color={record.intact ? 'green' : 'red'}
          >
            {record.intact ? 'The hash is that of the record' : 'Altered: the hash is another one'}
          </Badge>
        </Fact>
        {erased && (
          <Fact label="Erased">Its time was over: who, where and why are gone, and the hash of them stays.</Fact>
        )}
      </dl>
      <details className="raw">
        <summary>Raw JSON</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard. */}
        <pre tabIndex={0}>
          {prettyRecord(record.text, record.payload)
            .split('\n')
            .map((line, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a text is shown whole or not at all.
              <span key={i}>
                <MarkedText text={line} />
                {'\n'}
              </span>
            ))}
        </pre>
      </details>
    </Section>
  );
}

/** One event: what it says, what it belongs to, and how it stands in the log. */
export function EventPage({ seq }: { seq: number }) {
  const query = useQuery(api.audit.events.get.queryOptions({ seq }));
  return (
    <>
      <PageHeader
        title="Event"
        text={
          <Link href={addressWith(null)} className="back-link">
            <IconArrowLeft size={16} aria-hidden="true" /> All events
          </Link>
        }
      />
      <QueryState query={query} label="Loading the event">
        {({ event, together, record }) => {
          const evidence = record === null ? [] : evidenceOf(record.payload ?? record.text);
          return (
            <Stack gap="md">
              <Card withBorder radius="lg" padding="lg">
                <Stack gap="md">
                  <Group justify="space-between" align="flex-start" gap="sm">
                    <Text size="lg" fw={600} className="break grow">
                      <MarkedText text={event.sentence} />
                    </Text>
                    <OutcomeBadge outcome={event.outcome} />
                  </Group>
                  <Facts event={event} />
                </Stack>
              </Card>
              {record !== null && <WhatTheHostTold told={toldOf(record.payload ?? record.text)} />}
              {together.length > 1 && <Together event={event} together={together} />}
              <Evidence
                facts={evidence}
                requestId={record !== null && isSigned(record.payload ?? record.text) ? event.challengeId : null}
              />
              {record !== null && <SignedRecord event={event} record={record} />}
            </Stack>
          );
        }}
      </QueryState>
    </>
  );
}
