import { Loader, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { DialogDone, formDialog } from '../../kit/form-dialog.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Attempts } from '../../parts/delivery.tsx';
import { api } from '../../server/api.ts';
import { sentence } from '../../words/text.ts';
import { type Delivery, refreshChannels } from './notify-types.ts';

/** A test that was sent, by the number under which it can be followed. */
export interface Test {
  channel: string;
  id: string;
}

/** No event says what became of a delivery. */
const LOOK_EVERY_MS = 500;

function Outcome({ delivery }: { delivery: Delivery }) {
  const last = delivery.tries.at(-1);
  if (delivery.status === 'delivered')
    return (
      <Text fw={600} className="with-icon" role="status">
        <IconCircleCheck size={20} aria-hidden="true" /> It was delivered. Look whether it is there.
      </Text>
    );
  if (delivery.status === 'queued' && last === undefined)
    return (
      <Text className="with-icon" role="status">
        <Loader size="xs" aria-hidden="true" /> It is on its way. On a channel that is paused it waits.
      </Text>
    );
  return (
    <Text fw={600} className="with-icon" role="alert">
      <IconCircleX size={20} aria-hidden="true" /> It was not delivered
      {last ? '.' : `: ${sentence(delivery.reason ?? '')}`}
    </Text>
  );
}

/** What became of a test: the attempts as they were, on the way that everything else goes. */
export const TestDialog = formDialog<Test>(
  (test) => (test ? `Test of ${test.channel}` : 'Test'),
  function TestSeen({ about: test, close }) {
    const delivery = useQuery({
      ...api.notify.deliveries.get.queryOptions({ id: test.id }),
      refetchInterval: ({ state: { data } }) =>
        data === undefined || data.status === 'queued' ? LOOK_EVERY_MS : false,
    });
    const status = delivery.data?.status;
    // The cards tell when something was delivered last.
    useEffect(() => {
      if (status !== undefined && status !== 'queued') refreshChannels();
    }, [status]);
    return (
      <Stack gap="md">
        <QueryState query={delivery} label="Looking for the test">
          {(seen) => (
            <>
              <Outcome delivery={seen} />
              <Attempts tries={seen.tries} />
            </>
          )}
        </QueryState>
        <DialogDone close={close} />
      </Stack>
    );
  },
);
