import { Button, Card, Group, Text, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { channelGone, channelHere, endHere, pushSupport, subscribe } from '../../push/push.ts';
import { browserClient, messageOf, queryClient } from '../../server/api.ts';
import { sentence } from '../../words/text.ts';
import { ownLanguage } from './channel-forms.ts';
import { type Channel, refreshTold } from './notify-types.ts';

const HERE = ['push', 'channel of this browser'];

/** The channel of this browser, as far as the browser knows. */
export const useChannelHere = () => useQuery({ queryKey: HERE, queryFn: channelHere });

export const askWhatIsHere = (): void => void queryClient.invalidateQueries({ queryKey: HERE });

/** A browser that no longer shows anything is told nothing: its channel goes. */
function useHonesty(channels: readonly Channel[]): void {
  useEffect(() => {
    void (async () => {
      const gone = await channelGone();
      if (gone === null) return;
      if (channels.some(({ name }) => name === gone)) await browserClient.notify.channels.remove.mutate({ name: gone });
      await endHere();
      askWhatIsHere();
      refreshTold();
    })().catch(() => {
      // It is tried again when the page is opened the next time; the push service ends it besides.
    });
  }, [channels]);
}

/** Whether this browser is told while the console is closed, and the switch for it. */
export function BrowserCard({ channels }: { channels: readonly Channel[] }) {
  useHonesty(channels);
  const here = useChannelHere();
  const own = channels.find(({ name }) => name === here.data);
  const change = useMutation({
    mutationFn: async () => {
      if (own) {
        await browserClient.notify.channels.remove.mutate({ name: own.name });
        await endHere();
        return null;
      }
      const done = await subscribe(ownLanguage());
      return done.ok ? null : done.problem;
    },
    onSuccess: (problem) => {
      if (problem !== null) notifications.show({ color: 'red', message: sentence(problem) });
    },
    onError: (error) => notifications.show({ color: 'red', message: messageOf(error) }),
    onSettled() {
      askWhatIsHere();
      refreshTold();
    },
  });
  const support = pushSupport();
  const text = {
    unsupported: 'This browser cannot be told while the console is closed.',
    blocked: 'Notifications of this site are blocked in this browser. Its settings for the site allow them again.',
    possible: own
      ? 'This browser tells you also while the console is closed, until you turn it off here or sign out.'
      : 'Be told in this browser, also while the console is closed.',
  }[support];
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-labelledby="this-browser">
      <Group justify="space-between" gap="md">
        <div className="grow">
          <Title order={2} size="h4" id="this-browser">
            This browser
          </Title>
          <Text size="sm" c="dimmed">
            {text}
          </Text>
        </div>
        {support === 'possible' && here.data !== undefined && (
          <Button variant={own ? 'default' : 'filled'} loading={change.isPending} onClick={() => change.mutate()}>
            {own ? 'Turn off' : 'Turn on'}
          </Button>
        )}
      </Group>
    </Card>
  );
}
