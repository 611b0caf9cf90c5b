import { Card, Group, Select, Stack, Text, Title } from '@mantine/core';
import { skipToken, useQuery } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { StatusBadge } from '../../parts/delivery.tsx';
import { Link, useQueryValue } from '../../router.tsx';
import { api, type Explanation, type NotifyRoute } from '../../server/api.ts';
import { byText, CHANNEL_WHY, PERSON_WHY, ROUTE_WHY } from '../../words/notify.ts';
import { listed } from '../../words/text.ts';

const RECENT = 50;

/** Who is told, and who is not. */
function Findings({ explained, routes }: { explained: Explanation; routes: readonly NotifyRoute[] }) {
  const { channels, people, unknown, deliveries } = explained;
  const numberOf = (id: string) => routes.findIndex((route) => route.id === id) + 1;
  const nameOf = (id: string) => people.find((person) => person.id === id)?.username || 'somebody';
  const told = channels.filter((channel) => channel.told);
  const untold = channels.filter((channel) => !channel.told && channel.why !== 'owner');
  const unfit = explained.routes.filter((route) => route.why !== null);
  const peopleNot = people.filter((person) => person.why !== null);
  return (
    <Stack gap="lg">
      <section aria-label="Told">
        <Title order={3} size="h5" mb="xs">
          Told, by the rules of now
        </Title>
        {told.length === 0 ? (
          <Text size="sm">Nobody.</Text>
        ) : (
          <ul className="plain-list">
            {told.map(({ channel, owner, by }) => (
              <li key={channel} className="break">
                <Text size="sm">
                  <strong>{channel}</strong>
                  {owner !== null && ` of ${nameOf(owner)}`}, by{' '}
                  {listed(by.map((one) => byText(one, { numberOf, nameOf })))}
                </Text>
              </li>
            ))}
          </ul>
        )}
      </section>
      {(untold.length > 0 || peopleNot.length > 0 || unfit.length > 0 || unknown.length > 0) && (
        <section aria-label="Not told">
          <Title order={3} size="h5" mb="xs">
            Not told, and why
          </Title>
          <ul className="plain-list">
            {untold.map(({ channel, why }) => (
              <li key={`channel ${channel}`} className="break">
                <Text size="sm">
                  <strong>{channel}</strong>: {why !== null && CHANNEL_WHY[why]}
                </Text>
              </li>
            ))}
            {unfit.map(({ id, why }) => (
              <li key={`route ${id}`}>
                <Text size="sm">
                  <strong>Route {numberOf(id)}</strong>: {why !== null && ROUTE_WHY[why]}
                </Text>
              </li>
            ))}
            {peopleNot.map(({ id, username, why }) => (
              <li key={`person ${id}`} className="break">
                <Text size="sm">
                  <strong>{username}</strong>: {why !== null && PERSON_WHY[why]}
                </Text>
              </li>
            ))}
            {unknown.map((name) => (
              <li key={`unknown ${name}`} className="break">
                <Text size="sm">
                  <strong>{name}</strong>: a rule names it, and there is no such shared channel
                </Text>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section aria-label="What was delivered">
        <Title order={3} size="h5" mb="xs">
          What came of it then
        </Title>
        {deliveries.length === 0 ? (
          <Text size="sm">Nothing was to be told.</Text>
        ) : (
          <ul className="plain-list">
            {deliveries.map(({ id, channel, status, reason }) => (
              <li key={id}>
                <Group gap="xs" mb={4}>
                  <StatusBadge status={status} />
                  <Text size="sm" className="break">
                    <Link href={`/notify-deliveries?delivery=${id}`} className="event-link">
                      {channel}
                    </Link>
                  </Text>
                  {reason !== null && (
                    <Text size="sm" className="break">
                      <MarkedText text={reason} />
                    </Text>
                  )}
                </Group>
              </li>
            ))}
          </ul>
        )}
      </section>
    </Stack>
  );
}

/** For one event: who is told by which rule, and who is not and why. Which event is in the address. */
export function Explain({ routes }: { routes: readonly NotifyRoute[] }) {
  const [event, setEvent] = useQueryValue('event');
  const recent = useQuery(api.audit.events.list.queryOptions({ limit: RECENT, before: null }));
  const seq = /^[1-9][0-9]{0,14}$/.test(event ?? '') ? Number(event) : null;
  const explained = useQuery({ ...api.notify.explain.queryOptions(seq === null ? skipToken : { seq }), staleTime: 0 });
  const choices = (recent.data?.events ?? []).map((one) => ({
    value: String(one.seq),
    label: `${one.sentence} (${one.event}, number ${one.seq})`,
  }));
  // One that a link names may be older than those.
  if (seq !== null && !choices.some(({ value }) => value === event))
    choices.unshift({ value: String(seq), label: `Event number ${seq}` });
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-label="Who is told">
      <Stack gap="md">
        <div>
          <Title order={2} size="h4">
            Who is told?
          </Title>
          <Text size="sm" c="dimmed">
            Choose something that happened, to see who gets it by which rule, and who does not and why.
          </Text>
        </div>
        <Select
          label="Event"
          placeholder="One of the newest"
          data={choices}
          value={seq === null ? null : String(seq)}
          searchable
          clearable
          clearButtonProps={{ 'aria-label': 'No event' }}
          nothingFoundMessage="Nothing among the newest 50"
          onChange={setEvent}
        />
        {seq !== null && (
          <QueryState query={explained} label="Looking who is told">
            {(found) => <Findings explained={found} routes={routes} />}
          </QueryState>
        )}
      </Stack>
    </Card>
  );
}
