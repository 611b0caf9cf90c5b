import { Alert, Badge, Button, Card, Group, Stack, Text, Title } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { desktop } from '../../bridge.ts';
import { EmptyState } from '../../kit/empty-state.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago, Until } from '../../kit/times.tsx';
import { api, type DirectoryStatus, type ScimClient } from '../../server/api.ts';
import { useServerNow } from '../../server/clock.ts';
import { useMayChange } from '../../server/me.ts';
import { CreateClientDialog, RevokeClientDialog } from './scim-dialogs.tsx';

const SOON_MS = 14 * 86_400_000;

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
            <EmptyState text="No clients yet. Create one, and enter its address and token at the identity provider." />
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
      <CreateClientDialog about={creating && { issuer: status.issuer, endpoint }} close={() => setCreating(false)} />
      <RevokeClientDialog about={revoking} close={() => setRevoking(null)} />
    </Stack>
  );
}
