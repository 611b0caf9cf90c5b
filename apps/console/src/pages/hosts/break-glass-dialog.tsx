import { Alert, Anchor, Button, Code, CopyButton, Group, Stack, Text, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogDone, DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, browserApi, browserClient, type Host, type Outputs, refresh } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { getAssertion } from '../passkeys/webauthn.ts';
import { RevealProblem } from './reveal-problem.tsx';
import { OwnRequest, RequestOfAnother } from './second-person.tsx';

type Standings = Outputs['breakGlass']['list'];
type View = Standings['hosts'][number];
type Shown = Outputs['breakGlass']['reveal'];

/** What is known of the password of a host, as a sentence or two. */
export function Standing({ view, escrow }: { view: View | null; escrow: boolean }) {
  if (view === null) return <>This host has not said anything about a break-glass password yet.</>;
  if (!view.enabled) return <>Break-glass is turned off on this host: no password opens it.</>;
  if (view.createdAt === null) {
    return <>This host has no break-glass password{escrow ? ' yet' : ', and this server keeps none'}.</>;
  }
  return (
    <>
      The password was made <Ago at={view.createdAt} />.{' '}
      {view.kept ? 'It is kept and can be shown.' : 'It is not kept here: only who made it on the host knows it.'}
      {view.rotationWanted && ' The host was asked for another one.'}
    </>
  );
}

/** Enough of a recipient to tell one from another, as people know theirs: from its beginning. */
const shortOf = (recipient: string) => `${recipient.slice(0, 12)}…${recipient.slice(-4)}`;

/** What this server keeps and cannot read: a part for each of some people. */
function SealedParts({ sealed: { threshold, parts } }: { sealed: NonNullable<Shown[number]['sealed']> }) {
  const alone = threshold === 1;
  return (
    <Stack gap="xs">
      <Text size="sm">
        It is sealed: this server cannot read it.{' '}
        {alone
          ? 'Each of these people can open their part, and finds the password:'
          : `It takes ${threshold} of these ${parts.length} people. Each opens their part and finds a line; the lines together give the password:`}
      </Text>
      {parts.map(({ recipient, age }) => (
        <Group key={recipient} justify="space-between" wrap="nowrap" gap="sm">
          <Code>{shortOf(recipient)}</Code>
          <CopyButton value={age} timeout={2000}>
            {({ copied, copy }) => (
              <Button
                size="compact-sm"
                variant="default"
                flex="none"
                aria-label={`${copied ? 'Copied' : 'Copy part'} for ${shortOf(recipient)}`}
                onClick={copy}
              >
                {copied ? 'Copied' : 'Copy part'}
              </Button>
            )}
          </CopyButton>
        </Group>
      ))}
      <Text size="sm" c="dimmed">
        A part is opened on a computer of its owner with <Code>age --decrypt --identity key.txt part.age</Code>
        {alone ? '' : ', and the lines are put together with '}
        {!alone && <Code>identree combine-breakglass</Code>}
      </Text>
    </Stack>
  );
}

/** Shown once, and gone with the dialog. */
function ShownPasswords({ host, shown, close }: { host: Host; shown: Shown; close: () => void }) {
  return (
    <Stack gap="md">
      <Text size="sm">
        Type it at the prompt of <strong>{host.hostname}</strong>. The prompt comes only while no server can be reached.
      </Text>
      {shown.map(({ id, createdAt, password, sealed }, index) => (
        <div key={id}>
          {shown.length > 1 && (
            <Text size="sm" c="dimmed">
              {index === 0 ? 'Try this one first, made' : 'If it is refused: made'} <Ago at={createdAt} />
            </Text>
          )}
          {sealed === null ? <CopyLine text={password} label="Copy the password" /> : <SealedParts sealed={sealed} />}
        </div>
      ))}
      <Alert className="tone tone-yellow" color="yellow" variant="light">
        That you were shown it is written down. The host replaces it as soon as it hears of this.
      </Alert>
      <DialogDone close={close} />
    </Stack>
  );
}

function Reveal({ host, standings, close }: { host: Host; standings: Standings; close: () => void }) {
  const { escrow, secondPerson } = standings;
  const view = standings.hosts.find(({ hostId }) => hostId === host.id) ?? null;
  const waiting = standings.waiting.filter(({ hostId }) => hostId === host.id);
  const own = waiting.find((request) => request.own) ?? null;
  const mayChange = useMayChange();
  const [typed, setReason] = useState('');
  // What was confirmed is this reason, to the letter.
  const reason = own?.reason ?? typed;
  const settled = { onSettled: () => void refresh(api.breakGlass.pathKey()) };
  const reveal = useMutation({
    mutationFn: async () => {
      const about = { hostId: host.id, reason: reason.trim() };
      const assertion = await getAssertion(await browserClient.breakGlass.revealOptions.mutate(about));
      return browserClient.breakGlass.reveal.mutate({ ...about, assertion });
    },
    // Nothing of it stays in memory once the dialog is closed.
    gcTime: 0,
    ...settled,
  });
  const ask = useMutation({
    mutationFn: () => browserClient.breakGlass.askReveal.mutate({ hostId: host.id, reason: reason.trim() }),
    ...settled,
  });
  const rotate = useMutation(
    browserApi.breakGlass.rotate.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'green', message: `${host.hostname} was asked for another password.` });
        close();
      },
      ...settled,
    }),
  );
  if (reveal.data) return <ShownPasswords host={host} shown={reveal.data} close={close} />;
  const error = reveal.error ?? ask.error ?? rotate.error;
  const asks = secondPerson && own === null;
  const label = asks ? 'Ask a second administrator' : 'Show the password';
  return (
    <DialogForm
      submit={() => (asks ? ask.mutate() : reveal.mutate())}
      close={close}
      label={mayChange && view?.kept ? label : null}
      problem={error ? <RevealProblem error={error} /> : null}
      pending={reveal.isPending || ask.isPending}
      disabled={reason.trim().length < 3 || (secondPerson && own !== null && own.confirmedBy === null)}
    >
      <Text size="sm">
        <Standing view={view} escrow={escrow} />
      </Text>
      {standings.webUrl !== null && (
        <Anchor size="sm" href={standings.webUrl} target="_blank" rel="noreferrer">
          Where the passwords are kept
        </Anchor>
      )}
      {view?.problem && (
        <Alert className="tone tone-yellow" color="yellow" variant="light">
          The host says: {view.problem}
        </Alert>
      )}
      {waiting.map((request) =>
        request.own ? (
          <OwnRequest key={request.id} request={request} />
        ) : (
          <RequestOfAnother key={request.id} request={request} host={host} />
        ),
      )}
      {mayChange && view?.kept && (
        <Textarea
          label="Why do you need it?"
          description="Written down with your name. Your passkey is asked for this host and this reason."
          value={reason}
          readOnly={own !== null}
          maxLength={500}
          autosize
          minRows={2}
          data-autofocus
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      )}
      {mayChange && escrow && view?.enabled && (
        <Button
          variant="subtle"
          size="compact-sm"
          className="text-button"
          loading={rotate.isPending}
          onClick={() => rotate.mutate({ hostId: host.id })}
        >
          Have the host make another password
        </Button>
      )}
    </DialogForm>
  );
}

/** How it stands with the password that opens a host whose server is dead, and the password itself. */
export const BreakGlassDialog = formDialog<Host>(
  (host) => (host === null ? 'Break-glass password' : `Break-glass password of ${host.hostname}`),
  function BreakGlass({ about: host, close }) {
    const standing = useQuery(api.breakGlass.list.queryOptions());
    return (
      <QueryState query={standing} label="Loading">
        {(standings) => <Reveal host={host} standings={standings} close={close} />}
      </QueryState>
    );
  },
  'lg',
);
