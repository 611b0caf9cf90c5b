import { Button, Group, Stack, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { formDialog, Problem } from '../../kit/form-dialog.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, browserApi, messageOf, type Person, refresh } from '../../server/api.ts';

/** An account that two people want. `owner` null: who has it has never signed in, or is not in the list any more. */
export interface Choice {
  person: Person;
  claim: Person['claims'][number];
  owner: Person | null;
}

function Side({ title, person }: { title: string; person: Person }) {
  return (
    <div>
      <Title order={3} size="h6" mb="xs">
        {title}
      </Title>
      <dl className="facts">
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
      </dl>
    </div>
  );
}

/** Who has the account by the directory and has not signed in yet: no more is known of them than who they are. */
function Stranger({ owner }: { owner: Choice['claim']['owner'] }) {
  return (
    <div>
      <Title order={3} size="h6" mb="xs">
        Has it now, by the directory
      </Title>
      <dl className="facts">
        <dt>Issuer</dt>
        <dd>
          <code>{owner.issuer}</code>
        </dd>
        <dt>Identifier</dt>
        <dd>
          <code>{owner.subject}</code>
        </dd>
      </dl>
    </div>
  );
}

/** Who gets an account that two people want: both sides in view, and neither answer is the easier one. */
export const ClaimDialog = formDialog<Choice>(
  'Whose account is it?',
  function ClaimForm({ about: { person, claim, owner }, close }) {
    const done = { onSuccess: close, onSettled: () => void refresh(api.people.pathKey()) };
    const confirm = useMutation(browserApi.people.confirmBinding.mutationOptions(done));
    const reject = useMutation(browserApi.people.rejectBinding.mutationOptions(done));
    const error = confirm.error ?? reject.error;
    const binding = { account: claim.account, personId: person.id };
    return (
      <Stack gap="md">
        <Text size="sm">
          Whoever has the account <strong>{claim.account}</strong> may approve root for it. A renamed or recycled user
          name at the identity provider looks like this, and so does an attack.
        </Text>
        {owner ? <Side title="Has it now" person={owner} /> : <Stranger owner={claim.owner} />}
        <Side title="Claims it" person={person} />
        {error && <Problem>{messageOf(error)}</Problem>}
        <Group justify="flex-end" className="dialog-actions">
          <Button variant="default" loading={reject.isPending} onClick={() => reject.mutate(binding)}>
            Leave it
          </Button>
          <Button color="red.9" loading={confirm.isPending} onClick={() => confirm.mutate(binding)}>
            Give it to {person.displayName}
          </Button>
        </Group>
      </Stack>
    );
  },
  'lg',
);
