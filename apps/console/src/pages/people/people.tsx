import { Alert, Badge, Button, Card, Group, Modal, Stack, Text, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogActions } from '../../kit/dialog-actions.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago, Until } from '../../kit/times.tsx';
import { api, browserApi, messageOf, type Person, queryClient } from '../../server/api.ts';
import { useMayChange, useMe } from '../../server/me.ts';
import { plural } from '../../words/text.ts';

type Claim = Person['claims'][number];

const refresh = () => void queryClient.invalidateQueries({ queryKey: api.people.pathKey() });

/** Somebody signed in under the name of an account that belongs to somebody else. */
function ClaimCard({ person, claim, decide }: { person: Person; claim: Claim; decide: () => void }) {
  return (
    <Alert
      className="tone tone-yellow"
      color="yellow"
      variant="light"
      icon={<IconAlertTriangle />}
      title={`${person.displayName} claims the account ${claim.account}`}
    >
      <Stack gap="xs" align="flex-start">
        <Text size="sm" className="break">
          The account belongs to {claim.owner.username}. Until you decide, {person.displayName} cannot approve for it.
          Claimed <Ago at={claim.heldAt} />.
        </Text>
        {useMayChange() && (
          <Button size="xs" variant="default" onClick={decide}>
            Decide
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

function ClaimDialog({
  choice,
  people,
  close,
}: {
  choice: { person: Person; claim: Claim } | null;
  people: Person[];
  close: () => void;
}) {
  const done = { onSuccess: close, onSettled: refresh };
  const confirm = useMutation(browserApi.people.confirmBinding.mutationOptions(done));
  const reject = useMutation(browserApi.people.rejectBinding.mutationOptions(done));
  const owner = people.find(({ id }) => id === choice?.claim.owner.id);
  const error = confirm.error ?? reject.error;
  const who = (person: Person) => (
    <>
      <dt>Name</dt>
      <dd>{person.displayName}</dd>
      <dt>Signs in at</dt>
      <dd>
        <code>{person.issuer}</code>
      </dd>
      <dt>Subject</dt>
      <dd>
        <code>{person.subject}</code>
      </dd>
      <dt>Last sign-in</dt>
      <dd>
        <Ago at={person.lastLoginAt} />
      </dd>
    </>
  );
  return (
    <Modal opened={choice !== null} onClose={close} title="Whose account is it?" size="lg" centered>
      {choice && (
        <Stack gap="md">
          <Text size="sm">
            Whoever has the account <strong>{choice.claim.account}</strong> may approve root for it. A renamed or
            recycled user name at the identity provider looks like this, and so does an attack.
          </Text>
          {owner && (
            <div>
              <Title order={3} size="h6" mb="xs">
                Has it now
              </Title>
              <dl className="facts">{who(owner)}</dl>
            </div>
          )}
          <div>
            <Title order={3} size="h6" mb="xs">
              Claims it
            </Title>
            <dl className="facts">{who(choice.person)}</dl>
          </div>
          {error && (
            <Alert color="red" className="tone tone-red" role="alert">
              {messageOf(error)}
            </Alert>
          )}
          <Group justify="flex-end" className="dialog-actions">
            <Button
              variant="default"
              loading={reject.isPending}
              onClick={() => reject.mutate({ account: choice.claim.account, personId: choice.person.id })}
            >
              Leave it
            </Button>
            <Button
              color="red.9"
              loading={confirm.isPending}
              onClick={() => confirm.mutate({ account: choice.claim.account, personId: choice.person.id })}
            >
              Give it to {choice.person.displayName}
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

function RecoveryDialog({ person, close }: { person: Person | null; close: () => void }) {
  return (
    <Modal opened={person !== null} onClose={close} title="Code for a new passkey" centered>
      {person && <RecoveryForm key={person.id} person={person} close={close} />}
    </Modal>
  );
}

function RecoveryForm({ person, close }: { person: Person; close: () => void }) {
  const create = useMutation(
    browserApi.people.createRecoveryCode.mutationOptions({
      onError: () => {},
      onSuccess: () => notifications.show({ color: 'gray', message: `A code for ${person.displayName} was made.` }),
    }),
  );
  if (create.data) {
    return (
      <Stack gap="md">
        <CopyLine text={create.data.code} label="Copy the code" />
        <Text size="sm">
          Give it to {person.displayName} in person or over a channel that you trust. It is shown only now, works once
          and ends <Until at={create.data.expiresAt} />.
        </Text>
        <Group justify="flex-end" className="dialog-actions">
          <Button onClick={close}>Done</Button>
        </Group>
      </Stack>
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate({ personId: person.id });
      }}
    >
      <Stack gap="md">
        <Text size="sm">
          With the code {person.displayName} can make a passkey after signing in again.{' '}
          {person.passkeys > 0 && <strong>Their {plural(person.passkeys, 'passkey')} will stop working.</strong>} Make
          sure that it is really {person.displayName} who asks.
        </Text>
        <DialogActions error={create.error} close={close} label="Make a code" pending={create.isPending} />
      </Stack>
    </form>
  );
}

/** Who has signed in, whose accounts are disputed, and help after a lost passkey. Administrators only. */
export default function PeoplePage() {
  const me = useMe();
  const mayChange = useMayChange();
  const people = useQuery(api.people.list.queryOptions());
  const [choice, setChoice] = useState<{ person: Person; claim: Claim } | null>(null);
  const [recovering, setRecovering] = useState<Person | null>(null);
  const isMe = (person: Person) => person.issuer === me.person.issuer && person.subject === me.person.subject;
  return (
    <>
      <PageHeader title="People" text="Everybody who has signed in, and the Linux accounts that are theirs." />
      <QueryState query={people} label="Loading people">
        {(list) => (
          <Stack gap="md">
            {list.flatMap((person) =>
              person.claims.map((claim) => (
                <ClaimCard
                  key={`${person.id} ${claim.account}`}
                  person={person}
                  claim={claim}
                  decide={() => setChoice({ person, claim })}
                />
              )),
            )}
            <Stack gap="sm" component="ul" className="plain-list">
              {list.map((person) => (
                <Card key={person.id} component="li" withBorder radius="lg" padding="md">
                  <Group justify="space-between" gap="md">
                    <div className="grow">
                      <Group gap="xs">
                        <Text fw={600} className="break">
                          {person.displayName}
                        </Text>
                        {person.role === 'admin' && (
                          <Badge className="tone tone-indigo" variant="light">
                            Administrator
                          </Badge>
                        )}
                        {isMe(person) && (
                          <Badge className="tone tone-gray" variant="light" color="gray">
                            You
                          </Badge>
                        )}
                      </Group>
                      <Text size="sm" c="dimmed" className="break">
                        {person.accounts.length > 0 ? `account ${person.accounts.join(', ')}` : 'no account'} ·{' '}
                        {plural(person.passkeys, 'passkey')} · signed in <Ago at={person.lastLoginAt} />
                      </Text>
                    </div>
                    {mayChange && !isMe(person) && (
                      <Button
                        variant="default"
                        size="xs"
                        aria-label={`Recovery code for ${person.displayName}`}
                        onClick={() => setRecovering(person)}
                      >
                        Recovery code
                      </Button>
                    )}
                  </Group>
                </Card>
              ))}
            </Stack>
            <ClaimDialog choice={choice} people={list} close={() => setChoice(null)} />
          </Stack>
        )}
      </QueryState>
      <RecoveryDialog person={recovering} close={() => setRecovering(null)} />
    </>
  );
}
