import { Alert, Button, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Fragment } from 'react';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, browserApi, type Host, type Outputs, refresh } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { plural } from '../../words/text.ts';
import type { Act } from './host-list.tsx';

type Journal = Outputs['hosts']['journals'][number];

const NAMES: Record<Journal['journal'], string> = {
  breakGlass: 'Break-glass password',
  offlineGrants: 'Offline grants',
};

/** What is wrong with a journal. */
function problemOf({ problem, seq, saidSeq }: Journal): string | null {
  if (problem === null) return null;
  return {
    went_back: `It has ${saidSeq ?? 0} of the ${seq} entries that it had. The others were taken away.`,
    forked: 'It is not the one that was seen.',
    gap: 'A part of it cannot be shown any more.',
    unreadable: 'The host cannot read it. Look at the log of its agent.',
  }[problem];
}

/** What is known of what a host writes down while no server answers, and whether it still says the same. */
export function HostJournals({ host, act }: { host: Host; act: Act }) {
  const journals = useQuery({ ...api.hosts.journals.queryOptions({ hostId: host.id }), refetchInterval: 60_000 });
  const mayChange = useMayChange();
  return (
    <QueryState query={journals} label="Loading journals">
      {(known) => {
        if (known.length === 0)
          return (
            <Text size="sm" c="dimmed">
              This host has not signed any yet; an agent of an earlier version does not.
            </Text>
          );
        const acceptable = known.some(({ problem, saidSeq }) => problem !== null && saidSeq !== null);
        return (
          <>
            <Text size="sm" c="dimmed" mb="md">
              What it wrote down while no server was asked. It signs with each heartbeat how much that is.
            </Text>
            <dl className="facts">
              {known.map((one) => (
                <Fragment key={one.journal}>
                  <dt>{NAMES[one.journal]}</dt>
                  <dd>
                    {one.seq === 0 ? 'No entries' : plural(one.seq, 'entry', 'entries')}
                    {one.problem !== null && (
                      <Text size="sm" fw={600} className="tone-text-bad">
                        {problemOf(one)}
                        {one.problemAt !== null && (
                          <>
                            {' '}
                            Noticed <Ago at={one.problemAt} />.
                          </>
                        )}
                      </Text>
                    )}
                  </dd>
                </Fragment>
              ))}
            </dl>
            {mayChange && acceptable && host.state !== 'revoked' && (
              <Button mt="md" w="fit-content" size="xs" variant="default" onClick={() => act('journals', host)}>
                Take it as it is
              </Button>
            )}
          </>
        );
      }}
    </QueryState>
  );
}

/** What it means that a journal is another one, and the way on. */
export const JournalsDialog = formDialog<Host>('A journal that was changed', function JournalsForm({ about, close }) {
  const accept = useMutation(
    browserApi.hosts.acceptJournals.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'gray', message: `The journals of ${about.hostname} count as they are.` });
        close();
      },
      onSettled: () => void refresh(api.hosts.pathKey()),
    }),
  );
  return (
    <DialogForm
      submit={() => accept.mutate({ hostId: about.id })}
      close={close}
      label="Take it as it is"
      error={accept.error}
      pending={accept.isPending}
      tone="danger"
    >
      <Text size="sm">
        What <strong>{about.hostname}</strong> shows of its journals is not what it has signed before. Somebody who is
        root there changed them, or an older copy of the machine was put back.
      </Text>
      <Alert className="tone tone-yellow" color="yellow" variant="light">
        Find out first who used its break-glass password. What was taken away does not come back by this: from now on,
        what the host shows now is what later journals are held against.
      </Alert>
    </DialogForm>
  );
});
