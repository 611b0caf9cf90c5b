import { Badge, Button, Card, Group, Text, Title } from '@mantine/core';
import { IconPencil, IconTrash } from '@tabler/icons-react';
import { Fragment } from 'react';
import { Ago } from '../../kit/times.tsx';
import type { NotifyRoute } from '../../server/api.ts';
import { limitsOf } from '../../words/notify.ts';

/** A route: what it lets through, and where to. */
export function RouteCard({
  number,
  route,
  gone,
  off,
  act,
}: {
  number: number;
  route: NotifyRoute;
  /** Channels that it names and that are not there. */
  gone: readonly string[];
  /** Channels that it names and that are switched off. */
  off: readonly string[];
  /** Null: nothing can be changed here. */
  act: { edit: () => void; remove: () => void } | null;
}) {
  const limits = limitsOf(route.rule);
  const reachesNobody = gone.length + off.length === route.rule.channels.length;
  return (
    <Card component="li" withBorder radius="lg" padding="lg">
      <Group justify="space-between" gap="sm" mb="sm">
        <Title order={2} size="h4">
          Route {number}
        </Title>
        {!route.enabled ? (
          <Badge className="tone tone-gray" variant="light" color="gray" size="lg">
            Switched off
          </Badge>
        ) : (
          reachesNobody && (
            <Badge className="tone tone-red" variant="light" color="red" size="lg">
              Reaches nobody
            </Badge>
          )
        )}
      </Group>
      <dl className="facts compact">
        <dt>Tells</dt>
        <dd className="break">{route.rule.channels.join(', ')}</dd>
        {limits.length === 0 && (
          <>
            <dt>Of</dt>
            <dd>every event</dd>
          </>
        )}
        {limits.map(({ label, values }) => (
          <Fragment key={label}>
            <dt>{label}</dt>
            <dd className="break">{values}</dd>
          </Fragment>
        ))}
      </dl>
      {gone.length > 0 && (
        <Text size="sm" mt="sm" className="break">
          Not there any more: {gone.join(', ')}.
        </Text>
      )}
      {off.length > 0 && (
        <Text size="sm" mt="sm" className="break">
          Switched off: {off.join(', ')}.
        </Text>
      )}
      <Text size="sm" c="dimmed" mt="sm">
        {route.revision === 1 ? 'Made' : 'Changed'} by {route.updatedBy} <Ago at={route.updatedAt} />
      </Text>
      {act !== null && (
        <Group gap="xs" mt="md">
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPencil size={16} />}
            aria-label={`Edit route ${number}`}
            onClick={act.edit}
          >
            Edit
          </Button>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconTrash size={16} />}
            aria-label={`Remove route ${number}`}
            onClick={act.remove}
          >
            Remove
          </Button>
        </Group>
      )}
    </Card>
  );
}
