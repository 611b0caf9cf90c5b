import { Badge, Button, Card, Group, Text, Title } from '@mantine/core';
import { IconPencil, IconPlayerPause, IconPlayerPlay, IconSend, IconTrash } from '@tabler/icons-react';
import { Fragment, type ReactNode } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { Problem } from '../../kit/form-dialog.tsx';
import { Ago } from '../../kit/times.tsx';
import { Link } from '../../router.tsx';
import type { NotifyChannel } from '../../server/api.ts';
import { KIND_TITLES } from '../../words/notify-channels.ts';
import { plural, sentence } from '../../words/text.ts';
import { fieldsOf } from './channel-forms.ts';

const most = (count: number) => (count >= 1000 ? '1,000 or more' : count.toLocaleString('en'));

/** How a channel fares, in one word. */
function StateBadge({ channel }: { channel: NotifyChannel }) {
  const [color, text] = !channel.enabled
    ? ['gray', 'Switched off']
    : channel.paused
      ? ['yellow', 'Paused']
      : channel.problem !== null || channel.failure !== null
        ? ['red', 'Failing']
        : channel.deliveredAt !== null
          ? ['green', 'Delivering']
          : ['gray', 'Not used yet'];
  return (
    <Badge className={`tone tone-${color}`} variant="light" color={color} size="lg">
      {text}
    </Badge>
  );
}

/** Where it leads, as far as that is shown. */
function Settings({ channel }: { channel: NotifyChannel }) {
  if (channel.settings === null)
    return (
      <>
        <dt>Settings</dt>
        <dd>what is stored cannot be read</dd>
      </>
    );
  return fieldsOf(channel.kind).map(([name, { label }]) => {
    const value = channel.settings?.[name];
    // A certificate is nothing to look at, and what language a room speaks is not where it is.
    if (value === undefined || name === 'locale' || name === 'ca') return null;
    return (
      <Fragment key={name}>
        <dt>{label}</dt>
        <dd className="break">
          <MarkedText text={Array.isArray(value) ? value.join(', ') : String(value)} />
        </dd>
      </Fragment>
    );
  });
}

const deliveries = (channel: string, status: string): string =>
  `/notify-deliveries?${new URLSearchParams({ channel, status })}`;

export type ChannelAction = 'test' | 'edit' | 'pause' | 'resume' | 'remove';

/** A shared channel, how it fares, and what can be done with it. */
export function ChannelCard({
  channel,
  routes,
  act,
}: {
  channel: NotifyChannel;
  /** How many routes that are switched on lead to it; null: that is not known yet. */
  routes: number | null;
  /** Null: nothing can be changed here. */
  act: ((action: ChannelAction) => void) | null;
}) {
  const { name, failure, dead, waiting, paused, enabled } = channel;
  const button = (action: ChannelAction, label: string, icon: ReactNode, more: { disabled?: boolean } = {}) => (
    <Button
      variant="default"
      size="xs"
      leftSection={icon}
      aria-label={`${label} ${name}`}
      onClick={() => act?.(action)}
      {...more}
    >
      {label}
    </Button>
  );
  return (
    <Card component="li" withBorder radius="lg" padding="lg">
      <Group justify="space-between" gap="sm" mb="sm">
        <Title order={2} size="h4" className="break">
          {name}
        </Title>
        <StateBadge channel={channel} />
      </Group>
      {channel.problem !== null && <Problem>{sentence(channel.problem)}</Problem>}
      <dl className="facts compact">
        <dt>Kind</dt>
        <dd>{KIND_TITLES[channel.kind]}</dd>
        <Settings channel={channel} />
        {routes !== null && (
          <>
            <dt>Told by</dt>
            <dd>
              <Link href="/notify-routes" className="event-link">
                {plural(routes, 'route')}
              </Link>
            </dd>
          </>
        )}
        <dt>Last delivery</dt>
        <dd>{channel.deliveredAt === null ? 'none yet' : <Ago at={channel.deliveredAt} />}</dd>
        {failure !== null && (
          <>
            <dt>Last failure</dt>
            <dd className="break">
              <Ago at={failure.at} />
              {failure.reason !== null && (
                <>
                  : <MarkedText text={failure.reason} />
                </>
              )}
            </dd>
          </>
        )}
        <dt>Waiting</dt>
        <dd>
          {waiting === null ? (
            'nothing'
          ) : (
            <Link href={deliveries(name, 'queued')} className="event-link">
              {most(waiting.count)}
            </Link>
          )}
        </dd>
        <dt>Given up</dt>
        <dd>
          {dead === 0 ? (
            'nothing'
          ) : (
            <Link href={deliveries(name, 'dead')} className="event-link">
              {plural(dead, 'delivery', 'deliveries')}
            </Link>
          )}
        </dd>
      </dl>
      {paused && (
        <Text size="sm" c="dimmed" mt="sm">
          What is for it waits until it is resumed, but for requests that are over and what has waited for seven days.
        </Text>
      )}
      <Text size="sm" c="dimmed" mt="sm">
        {channel.revision === 1 ? 'Set up' : 'Changed'} by {channel.updatedBy} <Ago at={channel.updatedAt} />
      </Text>
      {act !== null && (
        <Group gap="xs" mt="md">
          {button('test', 'Test', <IconSend size={16} />, { disabled: paused || !enabled })}
          {paused
            ? button('resume', 'Resume', <IconPlayerPlay size={16} />)
            : button('pause', 'Pause', <IconPlayerPause size={16} />, { disabled: !enabled })}
          {button('edit', 'Edit', <IconPencil size={16} />)}
          {button('remove', 'Remove', <IconTrash size={16} />)}
        </Group>
      )}
    </Card>
  );
}
