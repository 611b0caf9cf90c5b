import { Alert, Badge, Button, Group, Stack, Text, Tooltip } from '@mantine/core';
import { IconDeviceUsb, IconKey, IconPencil, IconPlus, IconRefresh, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { EmptyState } from '../../kit/empty-state.tsx';
import { ItemCard } from '../../kit/item-card.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago, Moment } from '../../kit/times.tsx';
import { api, type Passkey } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { AddPasskeyDialog, RecoverDialog } from './add-dialogs.tsx';
import { RemovePasskeyDialog, RenamePasskeyDialog } from './passkey-dialogs.tsx';

function Kind({ passkey }: { passkey: Passkey }) {
  const [label, text, Icon] = passkey.synced
    ? ['Synced', 'May be on several of your devices, through the account that keeps it.', IconRefresh]
    : ['One device', 'Cannot leave the device or security key that made it.', IconDeviceUsb];
  return (
    <Tooltip label={text} withArrow multiline maw={260} events={{ hover: true, focus: true, touch: true }}>
      <Badge
        className={`tone tone-${passkey.synced ? 'indigo' : 'gray'}`}
        variant="light"
        color={passkey.synced ? 'indigo' : 'gray'}
        leftSection={<Icon size={14} aria-hidden="true" />}
      >
        {label}
      </Badge>
    </Tooltip>
  );
}

/** Hosts do not know it yet, so an approval with it would come to nothing. */
function WaitsForSignature() {
  return (
    <Tooltip
      label="Hosts do not know this passkey yet. An operator signs for it with the trust root, which is off line."
      withArrow
      multiline
      maw={260}
      events={{ hover: true, focus: true, touch: true }}
    >
      <Badge className="tone tone-yellow" variant="light" color="yellow">
        Waits for a signature
      </Badge>
    </Tooltip>
  );
}

function PasskeyCard({
  passkey,
  last,
  rename,
  remove,
}: {
  passkey: Passkey;
  last: boolean;
  rename: () => void;
  remove: () => void;
}) {
  const mayChange = useMayChange();
  return (
    <ItemCard
      icon={IconKey}
      actions={
        mayChange && (
          <Group gap="xs">
            <Button
              variant="default"
              size="xs"
              leftSection={<IconPencil size={16} />}
              aria-label={`Rename ${passkey.name}`}
              onClick={rename}
            >
              Rename
            </Button>
            {!last && (
              <Button
                variant="default"
                size="xs"
                leftSection={<IconTrash size={16} />}
                aria-label={`Remove ${passkey.name}`}
                onClick={remove}
              >
                Remove
              </Button>
            )}
          </Group>
        )
      }
    >
      <Group gap="xs">
        <Text fw={600} className="break">
          {passkey.name}
        </Text>
        <Kind passkey={passkey} />
        {passkey.unsigned && <WaitsForSignature />}
      </Group>
      <Text size="sm" c="dimmed">
        Added <Moment at={passkey.createdAt} /> ·{' '}
        {passkey.lastUsedAt === null ? (
          'not used yet'
        ) : (
          <>
            used <Ago at={passkey.lastUsedAt} />
          </>
        )}
      </Text>
    </ItemCard>
  );
}

/** One's own passkeys. Changing them needs one of them. */
export default function PasskeysPage() {
  const list = useQuery(api.passkeys.list.queryOptions());
  const mayChange = useMayChange();
  const [dialog, setDialog] = useState<
    { kind: 'add' } | { kind: 'recover' } | { kind: 'rename' | 'remove'; passkey: Passkey } | null
  >(null);
  const close = () => setDialog(null);
  const count = list.data?.passkeys.length ?? 0;
  return (
    <>
      <PageHeader text="What you approve with. Only a passkey can add or remove another one.">
        {mayChange && count > 0 && (
          <Button leftSection={<IconPlus size={18} />} onClick={() => setDialog({ kind: 'add' })}>
            Add a passkey
          </Button>
        )}
      </PageHeader>
      {!mayChange && (
        <Alert className="tone tone-indigo" variant="light" mb="md">
          Passkeys are changed in the browser, not in the desktop app.
        </Alert>
      )}
      <QueryState query={list} label="Loading your passkeys">
        {(data) =>
          data.passkeys.length === 0 ? (
            <EmptyState
              icon={IconKey}
              title="No passkey yet"
              text="Approve with your fingerprint, face or security key. Nothing to remember, nothing to type."
            >
              {mayChange &&
                (data.signInIsFresh ? (
                  <Button onClick={() => setDialog({ kind: 'add' })}>Add your first passkey</Button>
                ) : (
                  <>
                    <Button component="a" href={data.stepUpPath}>
                      Sign in again to add one
                    </Button>
                    <Text size="sm" c="dimmed">
                      Your sign-in is more than five minutes old.
                    </Text>
                  </>
                ))}
            </EmptyState>
          ) : (
            <Stack gap="sm" component="ul" className="plain-list">
              {data.passkeys.map((passkey) => (
                <PasskeyCard
                  key={passkey.credentialId}
                  passkey={passkey}
                  last={data.passkeys.length === 1}
                  rename={() => setDialog({ kind: 'rename', passkey })}
                  remove={() => setDialog({ kind: 'remove', passkey })}
                />
              ))}
            </Stack>
          )
        }
      </QueryState>
      {mayChange && count === 1 && (
        <Text size="sm" c="dimmed" mt="md">
          Add a second passkey on another device, so that losing one does not lock you out.
        </Text>
      )}
      {mayChange && count > 0 && (
        <Button
          variant="subtle"
          size="compact-sm"
          mt="lg"
          className="text-button"
          onClick={() => setDialog({ kind: 'recover' })}
        >
          I lost my passkeys
        </Button>
      )}
      <AddPasskeyDialog about={dialog?.kind === 'add' && (list.data ?? null)} close={close} />
      <RecoverDialog about={dialog?.kind === 'recover' && (list.data ?? null)} close={close} />
      <RenamePasskeyDialog about={dialog?.kind === 'rename' && dialog.passkey} close={close} />
      <RemovePasskeyDialog about={dialog?.kind === 'remove' && dialog.passkey} close={close} />
    </>
  );
}
