import { Text } from '@mantine/core';
import { clockTime, relativeTime } from '#shared/relative-time.ts';
import { useServerNow } from '../server/clock.ts';

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** `12 seconds ago`; the exact moment as a title. */
export function Ago({ at }: { at: number }) {
  const now = useServerNow(5000);
  return (
    <time dateTime={new Date(at).toISOString()} title={full.format(at)}>
      {relativeTime('en', Math.min(at, now), now)}
    </time>
  );
}

/** `in 23 hours`; the exact moment as a title. */
export function Until({ at }: { at: number }) {
  const now = useServerNow(5000);
  return (
    <time dateTime={new Date(at).toISOString()} title={full.format(at)}>
      {relativeTime('en', at, now)}
    </time>
  );
}

/** The exact moment, in the person's own way of writing it. */
export function Moment({ at }: { at: number }) {
  return <time dateTime={new Date(at).toISOString()}>{full.format(at)}</time>;
}

/** Time left, with a bar that empties. */
export function Countdown({ from, until }: { from: number; until: number }) {
  const now = useServerNow();
  const left = Math.max(0, until - now);
  const soon = left < 30_000;
  return (
    <span className="countdown" data-soon={soon || undefined}>
      <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
        <circle cx="10" cy="10" r="8" pathLength="100" className="track" />
        <circle
          cx="10"
          cy="10"
          r="8"
          pathLength="100"
          className="left"
          strokeDasharray={`${Math.min(100, (left / Math.max(1, until - from)) * 100)} 100`}
          transform="rotate(-90 10 10)"
        />
      </svg>
      <Text component="span" size="sm" fw={600} className="digits">
        <span className="sr-only">Time left </span>
        {clockTime(left)}
      </Text>
    </span>
  );
}
