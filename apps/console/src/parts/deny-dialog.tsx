import { Alert, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { CommandText } from '../kit/command-text.tsx';
import { api, messageOf, queryClient, type Request } from '../server/api.ts';

/** Denies a request, with a reason if there is one to give. */
export function DenyDialog({ request, close }: { request: Request | null; close: () => void }) {
  return (
    <Modal opened={request !== null} onClose={close} title="Deny this request?" centered>
      {request && <DenyForm key={request.id} request={request} close={close} />}
    </Modal>
  );
}

function DenyForm({ request, close }: { request: Request; close: () => void }) {
  const [reason, setReason] = useState('');
  const deny = useMutation(
    api.challenges.deny.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'gray', message: `Denied. ${request.user} sees it in the terminal.` });
        close();
      },
      onSettled: () => void queryClient.invalidateQueries({ queryKey: api.challenges.pathKey() }),
    }),
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        deny.mutate({ challengeId: request.id, reason: reason.trim() || null });
      }}
    >
      <Stack gap="md">
        <div className="command-box">
          <CommandText text={request.command} clamp />
        </div>
        <Text size="sm">
          <strong>{request.user}</strong> on <strong>{request.host.name}</strong> is told at once and the command does
          not run.
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
        {deny.error && (
          <Alert color="red" role="alert">
            {messageOf(deny.error)}
          </Alert>
        )}
        <Group justify="flex-end" className="dialog-actions">
          <Button variant="default" onClick={close}>
            Back
          </Button>
          <Button color="red.9" type="submit" loading={deny.isPending}>
            Deny request
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
