import { ActionIcon, Alert, Button, Group, Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconBell, IconDots, IconFileImport, IconPlus } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { isUnreadable } from '../../kit/arrange.ts';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { api, browserClient, messageOf, type NotifyChannel, refresh } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { sentence } from '../../words/text.ts';
import { ChannelCard } from './channel-card.tsx';
import { EditChannelDialog } from './edit-channel-dialog.tsx';
import { ImportDialog } from './import-dialog.tsx';
import { NewChannelDialog } from './new-channel-dialog.tsx';
import { RemoveChannelDialog } from './remove-channel-dialog.tsx';
import { TestDialog } from './test-dialog.tsx';

/** No event says that something was delivered. */
const ANEW_MS = 5000;

/** The channels that belong to everybody: where each leads and how it fares. Administrators only. */
export default function NotifyChannelsPage() {
  const channels = useQuery({ ...api.notify.channels.list.queryOptions(), refetchInterval: ANEW_MS });
  const routes = useQuery(api.notify.routes.list.queryOptions());
  const leadTo = (name: string) =>
    routes.data?.filter((route) => !isUnreadable(route) && route.enabled && route.rule.channels.includes(name)).length;
  const mayChange = useMayChange();
  const [creating, setCreating] = useState(false);
  const [importing, setImporting] = useState(false);
  const [testing, setTesting] = useState<string | null>(null);
  const [editing, setEditing] = useState<NotifyChannel | null>(null);
  const [removing, setRemoving] = useState<string | null>(null);
  const pause = useMutation({
    mutationFn: ({ channel, paused }: { channel: NotifyChannel; paused: boolean }) =>
      browserClient.notify.channels.change.mutate({ name: channel.name, revision: channel.revision, paused }),
    onSuccess: (result) => {
      if (!result.ok) notifications.show({ color: 'red', message: sentence(result.problem) });
    },
    onError: (error) => notifications.show({ color: 'red', message: messageOf(error) }),
    onSettled: () => void refresh(api.notify.pathKey()),
  });
  const create = <Button onClick={() => setCreating(true)}>Set up the first channel</Button>;
  return (
    <>
      <PageHeader text="Where people are told what happens, beside this console: rooms, mailboxes, receivers of your own.">
        {mayChange && (
          <Group gap="xs" wrap="nowrap">
            <Button leftSection={<IconPlus size={18} />} onClick={() => setCreating(true)}>
              New channel
            </Button>
            <Menu position="bottom-end" shadow="md">
              <Menu.Target>
                <ActionIcon variant="default" size={36} aria-label="More">
                  <IconDots size={18} />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item leftSection={<IconFileImport size={16} />} onClick={() => setImporting(true)}>
                  Import from the Go identree
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </Group>
        )}
      </PageHeader>
      {!mayChange && (
        <Alert className="tone tone-indigo" variant="light" mb="md">
          Channels are changed in the browser, not in the desktop app.
        </Alert>
      )}
      <QueryState query={channels} label="Loading channels">
        {(all) => {
          const shared = all.filter((channel) => channel.shared);
          if (shared.length === 0)
            return (
              <EmptyState
                icon={IconBell}
                title="No channels yet"
                text="Who can approve does not sit in front of the console. A channel tells them within a second."
              >
                {mayChange && create}
              </EmptyState>
            );
          return (
            <ul className="plain-list cards">
              {shared.map((channel) => (
                <ChannelCard
                  key={channel.name}
                  channel={channel}
                  routes={leadTo(channel.name) ?? null}
                  act={
                    mayChange
                      ? (action) => {
                          if (action === 'test') setTesting(channel.name);
                          else if (action === 'edit') setEditing(channel);
                          else if (action === 'remove') setRemoving(channel.name);
                          else pause.mutate({ channel, paused: action === 'pause' });
                        }
                      : null
                  }
                />
              ))}
            </ul>
          );
        }}
      </QueryState>
      <NewChannelDialog about={creating && setTesting} close={() => setCreating(false)} />
      <EditChannelDialog about={editing} close={() => setEditing(null)} />
      <RemoveChannelDialog about={removing} close={() => setRemoving(null)} />
      <TestDialog about={testing} close={() => setTesting(null)} />
      <ImportDialog about={importing} close={() => setImporting(false)} />
    </>
  );
}
