import { Button, Group, Loader, Stack, Text } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { DialogDone, formDialog, Problem } from '../../kit/form-dialog.tsx';
import { Attempts, StatusBadge } from '../../parts/delivery.tsx';
import { browserApi, messageOf } from '../../server/api.ts';

const ANEW_MS = 500;

/** Sends a test on the way that everything else goes, and shows what came of it. */
export const TestDialog = formDialog<string>(
  (name) => `Test of ${name ?? ''}`,
  function Test({ about: channel, close }) {
    const send = useMutation(browserApi.notify.test.mutationOptions());
    const { mutate } = send;
    useEffect(() => mutate({ channel }), [mutate, channel]);
    const id = send.data?.id ?? null;
    const delivery = useQuery({
      ...browserApi.notify.deliveries.get.queryOptions({ id: id ?? '' }),
      enabled: id !== null,
      refetchInterval: ({ state }) => (state.data === undefined || state.data.status === 'queued' ? ANEW_MS : false),
    });
    const found = id === null ? undefined : delivery.data;
    const error = send.error ?? delivery.error;
    return (
      <Stack gap="md">
        {error !== null && <Problem>{messageOf(error)}</Problem>}
        {error === null && (found === undefined || found.status === 'queued') && (
          <Group gap="sm" role="status">
            <Loader size="sm" />
            <Text size="sm">It is on its way, and the receiver has some seconds to answer.</Text>
          </Group>
        )}
        {found !== undefined && found.status !== 'queued' && (
          <Group gap="sm" role="status">
            <StatusBadge status={found.status} />
            <Text size="sm">
              {found.status === 'delivered'
                ? 'The receiver took it.'
                : found.status === 'skipped'
                  ? `Nothing was sent: ${found.reason}.`
                  : 'The receiver did not take it. A test is tried once.'}
            </Text>
          </Group>
        )}
        {found !== undefined && <Attempts tries={found.tries} />}
        <Group justify="space-between">
          <Button
            variant="default"
            disabled={send.isPending || found?.status === 'queued'}
            onClick={() => mutate({ channel })}
          >
            Send another
          </Button>
          <DialogDone close={close} />
        </Group>
      </Stack>
    );
  },
  'lg',
);
