import {
  Alert,
  Badge,
  Button,
  Card,
  Group,
  Modal,
  NumberInput,
  Stack,
  Switch,
  Text,
  TextInput,
  Title,
} from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconPlus } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { desktop } from '../../bridge.ts';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogActions } from '../../kit/dialog-actions.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago, Moment, Until } from '../../kit/times.tsx';
import { api, browserApi, type DirectoryStatus, queryClient, type ScimClient } from '../../server/api.ts';
import { useServerNow } from '../../server/clock.ts';
import { useMayChange } from '../../server/me.ts';

const MAX_DAYS = 730;
const SOON_MS = 14 * 86_400_000;

const refresh = () => void queryClient.invalidateQueries({ queryKey: api.scim.pathKey() });

function State({ client }: { client: ScimClient }) {
  const now = useServerNow(5000);
  const [tone, text] =
    client.revokedAt !== null
      ? ['gray', 'Revoked']
      : client.expiresAt <= now
        ? ['red', 'Expired']
        : client.expiresAt - now < SOON_MS
          ? ['yellow', 'Expires soon']
          : ['green', 'Active'];
  return (
    <Badge className={`tone tone-${tone}`} variant="light" color={tone}>
      {text}
    </Badge>
  );
}

function ClientCard({ client, revoke }: { client: ScimClient; revoke: (() => void) | null }) {
  return (
    <Card component="li" withBorder radius="lg" padding="md">
      <Group justify="space-between" gap="md" wrap="wrap">
        <div className="grow">
          <Group gap="xs">
            <Text fw={600} className="break">
              {client.name}
            </Text>
            <State client={client} />
            {client.maySudo && (
              <Badge className="tone tone-red" variant="light" color="red">
                May make root
              </Badge>
            )}
          </Group>
          <Text size="sm" c="dimmed" className="break">
            People of {client.issuer}
          </Text>
          <Text size="sm" c="dimmed" className="break">
            Made by {client.createdBy} <Ago at={client.createdAt} /> ·{' '}
            {client.lastUsedAt === null ? (
              'never used'
            ) : (
              <>
                used <Ago at={client.lastUsedAt} />
              </>
            )}{' '}
            ·{' '}
            {client.revokedAt !== null ? (
              <>
                revoked <Ago at={client.revokedAt} />
              </>
            ) : (
              <>
                expires <Until at={client.expiresAt} />
              </>
            )}
          </Text>
        </div>
        {revoke && (
          <Button variant="default" size="xs" aria-label={`Revoke ${client.name}`} onClick={revoke}>
            Revoke
          </Button>
        )}
      </Group>
    </Card>
  );
}

function CreateForm({ issuer: ownIssuer, endpoint, close }: { issuer: string; endpoint: string; close: () => void }) {
  const [name, setName] = useState('');
  const [issuer, setIssuer] = useState(ownIssuer);
  const [sudo, setSudo] = useState(false);
  const [days, setDays] = useState<string | number>(365);
  const create = useMutation(browserApi.scim.createClient.mutationOptions({ onSuccess: refresh }));
  const goodIssuer = /^[\x21-\x7e]+$/.test(issuer.trim());
  const goodDays = Number.isInteger(days) && Number(days) >= 1 && Number(days) <= MAX_DAYS;
  if (create.data) {
    return (
      <Stack gap="md">
        <Text size="sm">
          Enter these two at the identity provider. <strong>The token is shown only now.</strong> It ends on{' '}
          <Moment at={create.data.expiresAt} />.
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
          <CopyLine text={create.data.token} label="Copy the token" />
        </div>
        <Group justify="flex-end" className="dialog-actions">
          <Button onClick={close}>Done</Button>
        </Group>
      </Stack>
    );
  }
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate({ name: name.trim(), issuer: issuer.trim(), sudo, days: Number(days) });
      }}
    >
      <Stack gap="md">
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
        <DialogActions
          error={create.error}
          close={close}
          label="Create token"
          pending={create.isPending}
          disabled={name.trim() === '' || !goodIssuer || !goodDays}
        />
      </Stack>
    </form>
  );
}

function RevokeDialog({ client, close }: { client: ScimClient | null; close: () => void }) {
  const revoke = useMutation(
    browserApi.scim.revokeClient.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'gray', message: `${client?.name} is revoked.` });
        close();
      },
      onSettled: refresh,
    }),
  );
  return (
    <Modal opened={client !== null} onClose={close} title="Revoke this client?" centered>
      {client && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            revoke.mutate({ id: client.id });
          }}
        >
          <Stack gap="md">
            <Text size="sm" className="break">
              From now on <strong>{client.name}</strong> can push nothing. People and groups that it pushed stay as they
              are, also those who leave meanwhile. This cannot be taken back; a new client gets a new token.
            </Text>
            <DialogActions
              error={revoke.error}
              close={close}
              label="Revoke client"
              pending={revoke.isPending}
              color="red.9"
            />
          </Stack>
        </form>
      )}
    </Modal>
  );
}

/** Programs that may push people and groups. */
export function ScimClients({ status }: { status: DirectoryStatus }) {
  const clients = useQuery(api.scim.clients.queryOptions());
  const mayChange = useMayChange();
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<ScimClient | null>(null);
  const endpoint = `${desktop ? desktop.profile().origin : location.origin}/scim/v2`;
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-start" gap="md" wrap="wrap">
        <div className="page-title">
          <Title order={2} size="h4">
            SCIM clients
          </Title>
          <Text size="sm" c="dimmed">
            Identity providers that push people and groups, each with a token of its own.
          </Text>
        </div>
        {mayChange && (
          <Button leftSection={<IconPlus size={18} />} onClick={() => setCreating(true)}>
            New client
          </Button>
        )}
      </Group>
      {status.source !== 'scim' && (
        <Alert className="tone tone-indigo" variant="light">
          This server takes people from another source. What clients push is stored, but hosts get it only with
          IDENTREE_DIRECTORY_SOURCE=scim.
        </Alert>
      )}
      <QueryState query={clients} label="Loading SCIM clients">
        {(list) =>
          list.length === 0 ? (
            <Card withBorder radius="lg" padding="xl">
              <Text ta="center" c="dimmed" py="xl">
                No clients yet. Create one, and enter its address and token at the identity provider.
              </Text>
            </Card>
          ) : (
            <Stack gap="sm" component="ul" className="plain-list">
              {[...list]
                .sort(
                  (a, b) => Number(a.revokedAt !== null) - Number(b.revokedAt !== null) || b.createdAt - a.createdAt,
                )
                .map((client) => (
                  <ClientCard
                    key={client.id}
                    client={client}
                    revoke={mayChange && client.revokedAt === null ? () => setRevoking(client) : null}
                  />
                ))}
            </Stack>
          )
        }
      </QueryState>
      <Modal opened={creating} onClose={() => setCreating(false)} title="New SCIM client" size="lg" centered>
        {creating && <CreateForm issuer={status.issuer} endpoint={endpoint} close={() => setCreating(false)} />}
      </Modal>
      <RevokeDialog client={revoking} close={() => setRevoking(null)} />
    </Stack>
  );
}
