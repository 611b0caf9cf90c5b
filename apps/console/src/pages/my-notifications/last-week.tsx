import { Badge, Button, Card, Group, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago, Moment } from '../../kit/times.tsx';
import { Link } from '../../router.tsx';
import { api } from '../../server/api.ts';
import { plural } from '../../words/text.ts';
import type { Week } from './notify-types.ts';

const FIRST = 10;
/** It is looked for in the log anew each time: not more often than somebody reads it. */
const STALE_MS = 60_000;

/** Why the rest did not reach them. A reason that is missing is a type error. */
const REASONS: Record<keyof Week['notTold'], string> = {
  account_disabled: 'because your account is disabled',
  switched_off: 'because you are told nothing',
  may_not_decide: 'about requests that you may not approve',
  may_not_see: 'that you may not see',
  about_others: 'about others',
  did_it: 'that you did yourself',
  event: 'of kinds that you did not choose',
  host: 'on hosts that you did not choose',
};

function Told({ one }: { one: Week['told'][number] }) {
  return (
    <li>
      <Group gap="xs">
        <Link href={`/history?view=events&event=${one.seq}`} className="event-link">
          <MarkedText text={one.title} />
        </Link>
        {one.on.length === 0 && (
          <Badge className="tone tone-yellow" variant="light" color="yellow">
            On no channel
          </Badge>
        )}
        {one.heldUntil !== null && (
          <Badge className="tone tone-gray" variant="light" color="gray">
            Held in quiet hours
          </Badge>
        )}
      </Group>
      <Text size="sm" className="break">
        <MarkedText text={one.text} />
      </Text>
      <Text size="sm" c="dimmed" className="break">
        <Ago at={one.at} />
        {one.on.length > 0 && ` · ${one.on.join(', ')}`}
      </Text>
    </li>
  );
}

function Found({ week }: { week: Week }) {
  const [all, setAll] = useState(false);
  const reasons = Object.entries(week.notTold) as [keyof Week['notTold'], number][];
  const shown = all ? week.told : week.told.slice(0, FIRST);
  return (
    <Stack gap="md">
      <Text>
        {week.count === 0 ? 'Nothing' : `${plural(week.count, 'message')}`}, by what you have chosen now.
        {!week.complete && (
          <>
            {' '}
            There was too much to look through all of it: this is since <Moment at={week.since} />.
          </>
        )}
      </Text>
      {shown.length > 0 && (
        <Stack gap="sm" component="ul" className="plain-list">
          {shown.map((one) => (
            <Told key={one.seq} one={one} />
          ))}
        </Stack>
      )}
      {shown.length < week.told.length && (
        <Button variant="default" size="xs" className="self-start" onClick={() => setAll(true)}>
          Show {week.told.length} of them
        </Button>
      )}
      {reasons.length > 0 && (
        <Text size="sm" c="dimmed">
          Not told: {reasons.map(([why, count]) => `${plural(count, 'event')} ${REASONS[why]}`).join('; ')}.
        </Text>
      )}
    </Stack>
  );
}

/** What would have come in the last seven days, by the rules by which everything is told. */
export function LastWeek() {
  const week = useQuery({ ...api.notify.week.queryOptions(), staleTime: STALE_MS, refetchOnWindowFocus: false });
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-labelledby="last-week">
      <Title order={2} size="h4" id="last-week" mb="xs">
        What would have reached you last week
      </Title>
      <QueryState query={week} label="Looking through the last week">
        {(found) => <Found week={found} />}
      </QueryState>
    </Card>
  );
}
