import { Alert, NumberInput, Stack, Switch, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogDone, DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { Moment } from '../../kit/times.tsx';
import { api, browserApi, refresh, type ScimClient } from '../../server/api.ts';

const MAX_DAYS = 730;

const refreshClients = () => void refresh(api.scim.pathKey());

/** A token for a program that pushes people and groups. `issuer`: the one that people sign in with here. */
export const CreateClientDialog = formDialog<{ issuer: string; endpoint: string }>(
  'New SCIM client',
  function CreateClientForm({ about, close }) {
    const [name, setName] = useState('');
    const [issuer, setIssuer] = useState(about.issuer);
    const [sudo, setSudo] = useState(false);
    const [days, setDays] = useState<string | number>(365);
    const create = useMutation(browserApi.scim.createClient.mutationOptions({ onSuccess: refreshClients }));
    const goodIssuer = /^[\x21-\x7e]+$/.test(issuer.trim());
    const goodDays = Number.isInteger(days) && Number(days) >= 1 && Number(days) <= MAX_DAYS;
    if (create.data) return <NewToken {...create.data} endpoint={about.endpoint} close={close} />;
    return (
      <DialogForm
        submit={() => create.mutate({ name: name.trim(), issuer: issuer.trim(), sudo, days: Number(days) })}
        close={close}
        label="Create token"
        error={create.error}
        pending={create.isPending}
        disabled={name.trim() === '' || !goodIssuer || !goodDays}
      >
        <TextInput
          label="Name"
          description="So that you recognise it later. Events name it."
          placeholder="Entra ID"
          value={name}
          maxLength={64}
          autoComplete="off"
          data-autofocus
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <TextInput
          label="Issuer"
          description="Whose people it pushes. They must sign in here with the same issuer to be recognised."
          value={issuer}
          maxLength={512}
          autoComplete="off"
          spellCheck={false}
          classNames={{ input: 'mono' }}
          error={issuer !== '' && !goodIssuer ? 'An address without blanks.' : undefined}
          onChange={(event) => setIssuer(event.currentTarget.value)}
        />
        <NumberInput
          label="Valid for days"
          value={days}
          min={1}
          max={MAX_DAYS}
          allowDecimal={false}
          allowNegative={false}
          clampBehavior="none"
          hideControls
          error={goodDays ? undefined : `From 1 to ${MAX_DAYS}.`}
          onChange={setDays}
        />
        <Switch
          label="May also write sudo rules, account numbers, shells and SSH keys (sudo:write)"
          checked={sudo}
          onChange={(event) => setSudo(event.currentTarget.checked)}
        />
        {sudo && (
          <Alert className="tone tone-red" color="red" variant="light" title="Whoever has this token can make root">
            With sudo:write a client decides which commands its groups may run as root, and whose SSH keys open which
            account. New rules and members wait for an administrator where the guards are on; SSH keys never do. Leave
            it off unless the identity provider really sends these attributes.
          </Alert>
        )}
      </DialogForm>
    );
  },
  'lg',
);

function NewToken({
  token,
  expiresAt,
  endpoint,
  close,
}: {
  token: string;
  expiresAt: number;
  endpoint: string;
  close: () => void;
}) {
  return (
    <Stack gap="md">
      <Text size="sm">
        Enter these two at the identity provider. <strong>The token is shown only now.</strong> It ends on{' '}
        <Moment at={expiresAt} />.
      </Text>
      <div>
        <Text size="sm" fw={600} mb={4}>
          Address
        </Text>
        <CopyLine text={endpoint} label="Copy the address" />
      </div>
      <div>
        <Text size="sm" fw={600} mb={4}>
          Token
        </Text>
        <CopyLine text={token} label="Copy the token" />
      </div>
      <DialogDone close={close} />
    </Stack>
  );
}

/** Ends a client's token. What it pushed stays. */
export const RevokeClientDialog = formDialog<ScimClient>(
  'Revoke this client?',
  function RevokeClientForm({ about: client, close }) {
    const revoke = useMutation(
      browserApi.scim.revokeClient.mutationOptions({
        onSuccess: () => {
          notifications.show({ color: 'gray', message: `${client.name} is revoked.` });
          close();
        },
        onSettled: refreshClients,
      }),
    );
    return (
      <DialogForm
        submit={() => revoke.mutate({ id: client.id })}
        close={close}
        label="Revoke client"
        error={revoke.error}
        pending={revoke.isPending}
        tone="danger"
      >
        <Text size="sm" className="break">
          From now on <strong>{client.name}</strong> can push nothing. People and groups that it pushed stay as they
          are, also those who leave meanwhile. This cannot be taken back; a new client gets a new token.
        </Text>
      </DialogForm>
    );
  },
);
