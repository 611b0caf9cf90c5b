import { Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { CommandText } from '../kit/command-text.tsx';
import { DialogForm, formDialog } from '../kit/form-dialog.tsx';
import { api, type Request, refresh } from '../server/api.ts';

/** Denies a request, with a reason if there is one to give. */
export const DenyDialog = formDialog<Request>('Deny this request?', function DenyForm({ about: request, close }) {
  const [reason, setReason] = useState('');
  const deny = useMutation(
    api.challenges.deny.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'gray', message: `Denied. ${request.user} sees it in the terminal.` });
        close();
      },
      onSettled: () => void refresh(api.challenges.pathKey()),
    }),
  );
  return (
    <DialogForm
      submit={() => deny.mutate({ challengeId: request.id, reason: reason.trim() || null })}
      close={close}
      label="Deny request"
      error={deny.error}
      pending={deny.isPending}
      tone="danger"
    >
      <div className="command-box">
        <CommandText text={request.command} clamp />
      </div>
      <Text size="sm">
        <strong>{request.user}</strong> on <strong>{request.host.name}</strong> is told at once and the command does not
        run.
      </Text>
      <TextInput
        label="Reason (optional)"
        description={`${request.user} will see it in the terminal.`}
        value={reason}
        maxLength={500}
        autoComplete="off"
        data-autofocus
        onChange={(event) => setReason(event.currentTarget.value)}
      />
    </DialogForm>
  );
});
