import { Alert, Button, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Ago, Until } from '../../kit/times.tsx';
import { api, browserClient, type Host, type Outputs, refresh } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { getAssertion } from '../passkeys/webauthn.ts';
import { RevealProblem } from './reveal-problem.tsx';

/** A request to be shown the password of a host. */
export type Waiting = Outputs['breakGlass']['list']['waiting'][number];

/** How it stands with the request of the person who looks. */
export function OwnRequest({ request }: { request: Waiting }) {
  return (
    <Alert className="tone tone-yellow" color="yellow" variant="light" aria-live="polite">
      {request.confirmedBy === null ? (
        <>
          Another administrator has to confirm this, under Hosts. It ends <Until at={request.expiresAt} />.
        </>
      ) : (
        <>
          {request.confirmedBy} has confirmed it. Show the password before it ends <Until at={request.expiresAt} />.
        </>
      )}
    </Alert>
  );
}

/** What somebody else waits for, and a yes to exactly that. */
export function RequestOfAnother({ request, host }: { request: Waiting; host: Host }) {
  const mayChange = useMayChange();
  const confirm = useMutation({
    mutationFn: async () => {
      const { id } = request;
      const assertion = await getAssertion(await browserClient.breakGlass.confirmRevealOptions.mutate({ id }));
      await browserClient.breakGlass.confirmReveal.mutate({ id, assertion });
    },
    onSuccess: () =>
      notifications.show({
        color: 'green',
        message: `${request.askedBy} can now be shown the password of ${host.hostname}.`,
      }),
    onSettled: () => void refresh(api.breakGlass.pathKey()),
  });
  return (
    <Alert className="tone tone-yellow" color="yellow" variant="light">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">
          <strong>{request.askedBy}</strong> asked <Ago at={request.askedAt} /> for the password of{' '}
          <strong>{host.hostname}</strong>: “{request.reason}”
        </Text>
        {request.confirmedBy === null && mayChange && (
          <Button size="xs" loading={confirm.isPending} onClick={() => confirm.mutate()}>
            Let {request.askedBy} see it
          </Button>
        )}
        {request.confirmedBy !== null && <Text size="sm">{request.confirmedBy} has confirmed it.</Text>}
        {confirm.error && <RevealProblem error={confirm.error} />}
      </Stack>
    </Alert>
  );
}

/** Who waits for a second person, above the list of hosts: nobody would look into the dialogs of all of them. */
export function WaitingReveals({ hosts, look }: { hosts: readonly Host[]; look: (host: Host) => void }) {
  const standing = useQuery(api.breakGlass.list.queryOptions());
  const open = (standing.data?.waiting ?? []).filter(({ confirmedBy, own }) => !own && confirmedBy === null);
  return open.map((request) => {
    const host = hosts.find(({ id }) => id === request.hostId);
    return (
      host && (
        <Alert key={request.id} className="tone tone-yellow" color="yellow" variant="light">
          <Stack gap="xs" align="flex-start">
            <Text size="sm">
              {request.askedBy} waits for a second administrator to be shown the break-glass password of{' '}
              <strong>{host.hostname}</strong>.
            </Text>
            <Button size="xs" variant="default" onClick={() => look(host)}>
              Look at it
            </Button>
          </Stack>
        </Alert>
      )
    );
  });
}
