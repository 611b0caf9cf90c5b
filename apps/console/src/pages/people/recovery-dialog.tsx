import { Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogDone, DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { Until } from '../../kit/times.tsx';
import { browserApi, type Person } from '../../server/api.ts';
import { plural } from '../../words/text.ts';

/** A code with which somebody who has lost their passkeys makes a new one. */
export const RecoveryDialog = formDialog<Person>(
  'Code for a new passkey',
  function RecoveryForm({ about: person, close }) {
    const create = useMutation(
      browserApi.people.createRecoveryCode.mutationOptions({
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
          <DialogDone close={close} />
        </Stack>
      );
    }
    return (
      <DialogForm
        submit={() => create.mutate({ personId: person.id })}
        close={close}
        label="Make a code"
        error={create.error}
        pending={create.isPending}
      >
        <Text size="sm">
          With the code {person.displayName} can make a passkey after signing in again.{' '}
          {person.passkeys > 0 && <strong>Their {plural(person.passkeys, 'passkey')} will stop working.</strong>} Make
          sure that it is really {person.displayName} who asks.
        </Text>
      </DialogForm>
    );
  },
);
