import { Badge, Text } from '@mantine/core';
import { Fragment } from 'react';
import { MarkedText } from '../kit/command-text.tsx';
import { Moment } from '../kit/times.tsx';
import type { NotifyDelivery, WholeDelivery } from '../server/api.ts';
import { DELIVERY_STATUSES } from '../words/delivery-status.ts';

export function StatusBadge({ status }: { status: NotifyDelivery['status'] }) {
  const { color, text } = DELIVERY_STATUSES[status];
  return (
    <Badge className={`tone tone-${color}`} variant="light" color={color}>
      {text}
    </Badge>
  );
}

type Try = WholeDelivery['tries'][number];

const OUTCOMES: Readonly<Record<Try['outcome'], string>> = {
  delivered: 'taken',
  later: 'not now',
  refused: 'refused',
};

/** What was said and answered, without the secrets of the channel. */
function ExchangeFacts({ exchange: { request, status, answer } }: { exchange: NonNullable<Try['exchange']> }) {
  return (
    <>
      <dt>Sent</dt>
      <dd className="break mono">
        <MarkedText text={request} />
      </dd>
      <dt>Answer</dt>
      <dd className="break">{status ?? 'none'}</dd>
      {answer !== null && (
        <>
          <dt>Body</dt>
          <dd className="break mono">
            <MarkedText text={answer} />
          </dd>
        </>
      )}
    </>
  );
}

/** Every attempt, as it went: when, for how long, what was said, and what the receiver made of it. */
export function Attempts({ tries }: { tries: WholeDelivery['tries'] }) {
  if (tries.length === 0) return null;
  return (
    <dl className="facts compact" aria-label="Attempts">
      {tries.map(({ number, at, outcome, reason, tookMs, exchange }) => (
        <Fragment key={number}>
          <dt>Attempt {number}</dt>
          <dd className="break">
            <Text component="span" size="sm">
              <Moment at={at} />, {OUTCOMES[outcome]} after {tookMs.toLocaleString('en')} ms
              {reason !== null && (
                <>
                  : <MarkedText text={reason} />
                </>
              )}
            </Text>
          </dd>
          {exchange !== null && <ExchangeFacts exchange={exchange} />}
        </Fragment>
      ))}
    </dl>
  );
}
