import { Badge, Button, Group, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconBellRinging, IconPlayerPause, IconPlayerPlay, IconSend, IconTrash } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { ItemCard } from '../../kit/item-card.tsx';
import { Ago } from '../../kit/times.tsx';
import { browserApi, browserClient, messageOf } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { KIND_TITLES } from '../../words/notify-channels.ts';
import { plural, sentence } from '../../words/text.ts';
import { type Channel, refreshChannels, refreshTold } from './notify-types.ts';
import type { Test } from './test-dialog.tsx';

const failed = (message: string) => notifications.show({ color: 'red', message });

function State({ channel }: { channel: Channel }) {
  const [color, text] = !channel.enabled
    ? (['gray', 'Switched off'] as const)
    : channel.paused
      ? (['yellow', 'Paused'] as const)
      : channel.failure
        ? (['red', 'Failing'] as const)
        : channel.deliveredAt
          ? (['green', 'Works'] as const)
          : (['gray', 'Not used yet'] as const);
  return (
    <Badge className={`tone tone-${color}`} variant="light" color={color}>
      {text}
    </Badge>
  );
}

/** Where it leads, as far as that is no secret. */
function leadsTo({ settings }: Channel): string | null {
  const shown = settings && Object.values(settings).find((value) => typeof value === 'string' && value.includes('://'));
  return typeof shown === 'string' ? shown : null;
}

/** One's own channel, how it fares, and what can be done with it. */
export function ChannelCard({
  channel,
  isHere,
  tested,
  remove,
}: {
  channel: Channel;
  /** It is this browser. */
  isHere: boolean;
  tested: (test: Test) => void;
  remove: () => void;
}) {
  const { name, revision, paused, failure, deliveredAt, dead } = channel;
  const mayChange = useMayChange();
  const test = useMutation(
    browserApi.notify.test.mutationOptions({
      onSuccess: ({ id }) => tested({ channel: name, id }),
      onError: (error) => failed(messageOf(error)),
    }),
  );
  const pause = useMutation({
    mutationFn: () => browserClient.notify.channels.change.mutate({ name, revision, paused: !paused }),
    onSuccess: (changed) => {
      if (!changed.ok) failed(sentence(changed.problem));
    },
    onError: (error) => failed(messageOf(error)),
    onSettled: refreshChannels,
  });
  const address = leadsTo(channel);
  return (
    <ItemCard
      icon={IconBellRinging}
      actions={
        mayChange && (
          <Group gap="xs">
            <Button
              variant="default"
              size="xs"
              leftSection={<IconSend size={16} />}
              aria-label={`Send a test on ${name}`}
              loading={test.isPending}
              onClick={() => test.mutate({ channel: name })}
            >
              Test
            </Button>
            <Button
              variant="default"
              size="xs"
              leftSection={paused ? <IconPlayerPlay size={16} /> : <IconPlayerPause size={16} />}
              aria-label={`${paused ? 'Resume' : 'Pause'} ${name}`}
              loading={pause.isPending}
              onClick={() => pause.mutate()}
            >
              {paused ? 'Resume' : 'Pause'}
            </Button>
            <Button
              variant="default"
              size="xs"
              leftSection={<IconTrash size={16} />}
              aria-label={`Remove ${name}`}
              onClick={remove}
            >
              Remove
            </Button>
          </Group>
        )
      }
    >
      <Group gap="xs">
        <Text fw={600} className="break">
          {name}
        </Text>
        <State channel={channel} />
        {isHere && (
          <Badge className="tone tone-indigo" variant="light" color="indigo">
            This browser
          </Badge>
        )}
      </Group>
      <Text size="sm" c="dimmed" className="break">
        {KIND_TITLES[channel.kind]}
        {address !== null && ` · ${address}`} ·{' '}
        {deliveredAt === null ? (
          'nothing was delivered yet'
        ) : (
          <>
            delivered <Ago at={deliveredAt} />
          </>
        )}
      </Text>
      {failure && (
        <Text size="sm" className="tone-text-bad break">
          <MarkedText text={sentence(failure.reason ?? 'not delivered')} />
          {dead > 0 && ` ${plural(dead, 'message')} given up.`}
        </Text>
      )}
    </ItemCard>
  );
}

export const RemoveChannelDialog = formDialog<{ channel: Channel; ended: () => void }>(
  'Remove channel?',
  function RemoveForm({ about: { channel, ended }, close }) {
    const remove = useMutation(
      browserApi.notify.channels.remove.mutationOptions({
        onSuccess() {
          ended();
          notifications.show({ color: 'gray', message: `${channel.name} is removed.` });
          close();
        },
        onSettled: refreshTold,
      }),
    );
    return (
      <DialogForm
        submit={() => remove.mutate({ name: channel.name })}
        close={close}
        label="Remove channel"
        error={remove.error}
        pending={remove.isPending}
        tone="danger"
        focused
      >
        <Text size="sm">
          Nothing reaches you on <strong>{channel.name}</strong> any more. What waits for it is dropped.
        </Text>
      </DialogForm>
    );
  },
);
