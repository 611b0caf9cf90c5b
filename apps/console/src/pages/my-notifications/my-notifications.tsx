import { Alert, Button, Card, Stack, Title } from '@mantine/core';
import { IconBell, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { endHere } from '../../push/push.ts';
import { api } from '../../server/api.ts';
import { useMayChange, useMe } from '../../server/me.ts';
import { AddChannelDialog } from './add-channel-dialog.tsx';
import { askWhatIsHere, BrowserCard, useChannelHere } from './browser-card.tsx';
import { ChannelCard, RemoveChannelDialog } from './channel-card.tsx';
import { Choices } from './choices.tsx';
import { ChoicesShown } from './choices-shown.tsx';
import { LastWeek } from './last-week.tsx';
import type { Channel } from './notify-types.ts';
import { type Test, TestDialog } from './test-dialog.tsx';

/** No event tells a person how their channels fare. */
const ANEW_MS = 15_000;

type Open = { kind: 'add' } | { kind: 'test'; test: Test } | { kind: 'remove'; channel: Channel };

function Channels({ own, open }: { own: readonly Channel[]; open: (what: Open) => void }) {
  const mayChange = useMayChange();
  const here = useChannelHere();
  if (own.length === 0)
    return (
      <EmptyState
        icon={IconBell}
        title="You are told nowhere yet"
        text="Set up a channel, and the next request that you may approve reaches you there: on your phone, by mail or in a chat."
      >
        {mayChange && <Button onClick={() => open({ kind: 'add' })}>Add your first channel</Button>}
      </EmptyState>
    );
  return (
    <Stack gap="sm" component="ul" className="plain-list" aria-label="Your channels">
      {own.map((channel) => (
        <ChannelCard
          key={channel.name}
          channel={channel}
          isHere={channel.name === here.data}
          tested={(test) => open({ kind: 'test', test })}
          remove={() => open({ kind: 'remove', channel })}
        />
      ))}
    </Stack>
  );
}

/** Where one is told what happens, of what, and when not. */
export default function MyNotificationsPage() {
  const channels = useQuery({ ...api.notify.channels.list.queryOptions(), refetchInterval: ANEW_MS });
  const preferences = useQuery(api.notify.preferences.get.queryOptions());
  const here = useChannelHere();
  const mayChange = useMayChange();
  const { role } = useMe();
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const all = channels.data ?? [];
  const own = all.filter(({ shared }) => !shared);
  return (
    <>
      <PageHeader text="Where you are told that somebody waits, of what else, and when not.">
        {mayChange && own.length > 0 && (
          <Button leftSection={<IconPlus size={18} />} onClick={() => setOpen({ kind: 'add' })}>
            Add a channel
          </Button>
        )}
      </PageHeader>
      {!mayChange && (
        <Alert className="tone tone-indigo" variant="light" mb="md">
          Channels and choices are changed in the browser, not in the desktop app.
        </Alert>
      )}
      <Stack gap="lg">
        <QueryState query={channels} label="Loading your channels">
          {() => <Channels own={own} open={setOpen} />}
        </QueryState>
        {mayChange && channels.data && <BrowserCard channels={all} />}
        <QueryState query={preferences} label="Loading your choices">
          {({ chosen: _chosen, ...saved }) => (
            <Card component="section" withBorder radius="lg" padding="lg" aria-labelledby="choices">
              <Title order={2} size="h4" id="choices" mb="md">
                What you are told
              </Title>
              {mayChange ? (
                <Choices key={JSON.stringify(saved)} saved={saved} channels={all} />
              ) : (
                <ChoicesShown saved={saved} isAdmin={role === 'admin'} />
              )}
            </Card>
          )}
        </QueryState>
        <LastWeek />
      </Stack>
      <AddChannelDialog
        about={
          open?.kind === 'add' && {
            taken: all.map(({ name }) => name),
            tested: (test) => setOpen({ kind: 'test', test }),
          }
        }
        close={close}
      />
      <TestDialog about={open?.kind === 'test' && open.test} close={close} />
      <RemoveChannelDialog
        about={
          open?.kind === 'remove' && {
            channel: open.channel,
            ended() {
              if (open.channel.name === here.data) void endHere().then(askWhatIsHere);
            },
          }
        }
        close={close}
      />
    </>
  );
}
