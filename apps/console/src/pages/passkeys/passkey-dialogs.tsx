import { Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { browserApi, browserClient, type Passkey } from '../../server/api.ts';
import { refreshPasskeys } from './refresh-passkeys.ts';
import { getAssertion, wordsFor } from './webauthn.ts';

export const RenamePasskeyDialog = formDialog<Passkey>(
  'Rename passkey',
  function RenameForm({ about: passkey, close }) {
    const [name, setName] = useState(passkey.name);
    const rename = useMutation(
      browserApi.passkeys.rename.mutationOptions({ onSuccess: close, onSettled: refreshPasskeys }),
    );
    return (
      <DialogForm
        submit={() => rename.mutate({ credentialId: passkey.credentialId, name: name.trim() })}
        close={close}
        label="Save"
        error={rename.error}
        pending={rename.isPending}
        disabled={name.trim() === ''}
      >
        <TextInput
          label="Name"
          value={name}
          maxLength={64}
          data-autofocus
          autoComplete="off"
          onChange={(event) => setName(event.currentTarget.value)}
        />
      </DialogForm>
    );
  },
);

/** Removes a passkey, after one of the person's passkeys said yes. */
export const RemovePasskeyDialog = formDialog<Passkey>(
  'Remove passkey?',
  function RemoveForm({ about: passkey, close }) {
    const { credentialId } = passkey;
    const remove = useMutation({
      mutationFn: async () => {
        const assertion = await getAssertion(await browserClient.passkeys.removalOptions.mutate({ credentialId }));
        await browserClient.passkeys.remove.mutate({ credentialId, assertion });
      },
      onSuccess: () => {
        notifications.show({ color: 'gray', message: `${passkey.name} is removed.` });
        close();
      },
      onSettled: refreshPasskeys,
    });
    return (
      <DialogForm
        submit={() => remove.mutate()}
        close={close}
        label="Remove passkey"
        problem={remove.error && wordsFor(remove.error)}
        pending={remove.isPending}
        tone="danger"
        focused
      >
        <Text size="sm">
          <strong>{passkey.name}</strong> can no longer approve anything. Confirm with any of your passkeys.
        </Text>
      </DialogForm>
    );
  },
);
