import { Alert, List, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { hostName, normaliseHostName } from '#shared/names.ts';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogDone, DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { Until } from '../../kit/times.tsx';
import { api, browserApi, refresh } from '../../server/api.ts';

/** A token for one host, and exactly what to type there. */
export const EnrolDialog = formDialog(
  'Enrol a host',
  function EnrolForm({ close }) {
    const [name, setName] = useState('');
    const create = useMutation(
      browserApi.hosts.createToken.mutationOptions({ onSuccess: () => void refresh(api.hosts.pathKey()) }),
    );
    const normalised = normaliseHostName(name.trim());
    const valid = hostName.safeParse(normalised).success;
    if (create.data) return <EnrolSteps {...create.data} close={close} />;
    return (
      <DialogForm
        submit={() => create.mutate({ hostname: normalised })}
        close={close}
        label="Create token"
        error={create.error}
        pending={create.isPending}
        disabled={!valid}
      >
        <TextInput
          label="Host name"
          description="As the host calls itself; hostname -f shows it. The token works for this name only."
          placeholder="web1.example.com"
          value={name}
          error={name !== '' && !valid ? 'Letters, digits, hyphens and dots only.' : undefined}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          onChange={(event) => setName(event.currentTarget.value)}
        />
      </DialogForm>
    );
  },
  'lg',
);

function EnrolSteps({
  token,
  hostname,
  expiresAt,
  close,
}: {
  token: string;
  hostname: string;
  expiresAt: number;
  close: () => void;
}) {
  return (
    <Stack gap="md">
      <Text size="sm">
        Run this on <strong>{hostname}</strong> as root, with the identree agent installed.
      </Text>
      <List type="ordered" spacing="md" className="steps" listStyleType="decimal">
        <List.Item>
          Tell the host where its server is.
          <CopyLine
            text={`echo IDENTREE_SERVER_URL=${location.origin} | sudo install -D -m 644 /dev/stdin /etc/identree/client.conf`}
            label="Copy the first command"
          />
        </List.Item>
        <List.Item>
          Enrol. It asks for the token, so that the token is in no history and no process list.
          <CopyLine text={`sudo identree enroll --hostname ${hostname}`} label="Copy the second command" />
          <CopyLine text={token} label="Copy the token" />
        </List.Item>
        <List.Item>
          Start the agent and let identree decide for sudo.
          <CopyLine
            text="sudo systemctl enable --now identree-agent && sudo identree setup --pam sudo,sudo-i"
            label="Copy the third command"
          />
        </List.Item>
      </List>
      <Alert className="tone tone-yellow" color="yellow" variant="light">
        The token is shown only now. It works once and ends <Until at={expiresAt} />.
      </Alert>
      <DialogDone close={close} />
    </Stack>
  );
}
