import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { browserApi, messageOf, refresh } from '../../server/api.ts';
import { plural } from '../../words/text.ts';

/** One that was given up, or all of a channel. */
export type WhichDead = { id: string } | { channel: string };

export interface Settle {
  pending: boolean;
  retry: (which: WhichDead) => void;
  discard: (which: WhichDead) => void;
}

/** Settles what was given up: it is sent again, or not any more. */
export function useSettle(): Settle {
  const told = (what: string) => ({
    onSuccess: ({ count }: { count: number }) => {
      const some = plural(count, 'delivery', 'deliveries');
      notifications.show({ color: count === 0 ? 'gray' : 'green', message: `${some} ${what}.`.replace(/^n/, 'N') });
    },
    onError: (error: unknown) => void notifications.show({ message: messageOf(error), color: 'red' }),
    onSettled: () => void refresh(browserApi.notify.pathKey()),
  });
  const again = useMutation(browserApi.notify.deliveries.retry.mutationOptions(told('will be tried again')));
  const away = useMutation(browserApi.notify.deliveries.discard.mutationOptions(told('discarded')));
  return {
    pending: again.isPending || away.isPending,
    retry: (which) => again.mutate(which),
    discard: (which) => away.mutate(which),
  };
}
