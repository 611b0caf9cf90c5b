import { Badge, Button, Group, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconAppWindow, IconDeviceDesktop, IconDeviceMobile } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { ItemCard } from '../../kit/item-card.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago, Moment } from '../../kit/times.tsx';
import { api, browserApi, messageOf, queryClient, type Session } from '../../server/api.ts';
import { useMayChange, useMe } from '../../server/me.ts';
import { signOut } from '../../sign-out.ts';

/** `Firefox on Linux`; the browser's own word about itself, so only a hint. */
function deviceName({ kind, userAgent }: Session): string {
  const find = (list: [RegExp, string][]) => list.find(([pattern]) => pattern.test(userAgent))?.[1];
  const system = find([
    [/iPhone|iPad/, 'iOS'],
    [/Android/, 'Android'],
    [/CrOS/, 'ChromeOS'],
    [/Mac OS X|Macintosh/, 'macOS'],
    [/Windows/, 'Windows'],
    [/Linux/, 'Linux'],
  ]);
  const app =
    kind === 'desktop'
      ? 'Desktop app'
      : find([
          [/Edg\//, 'Edge'],
          [/OPR\//, 'Opera'],
          [/Firefox\//, 'Firefox'],
          [/Chrom(e|ium)\//, 'Chrome'],
          [/Safari\//, 'Safari'],
        ]);
  return [app ?? 'Unknown browser', system].filter(Boolean).join(' on ');
}

const isPhone = ({ userAgent }: Session) => /Mobile|Android|iPhone/.test(userAgent);

function SessionCard({ session, end }: { session: Session; end: (() => void) | null }) {
  const Icon = session.kind === 'desktop' ? IconAppWindow : isPhone(session) ? IconDeviceMobile : IconDeviceDesktop;
  return (
    <ItemCard
      icon={Icon}
      actions={
        end && (
          <Button variant="default" size="xs" aria-label={`End the session ${deviceName(session)}`} onClick={end}>
            End
          </Button>
        )
      }
    >
      <Group gap="xs">
        <Text fw={600}>{deviceName(session)}</Text>
        {session.current && (
          <Badge className="tone tone-green" variant="light" color="green">
            This device
          </Badge>
        )}
      </Group>
      <Text size="sm" c="dimmed" className="break">
        {session.remoteAddr} ·{' '}
        {session.current ? (
          'in use now'
        ) : (
          <>
            used <Ago at={session.lastSeenAt} />
          </>
        )}{' '}
        · signed in <Moment at={session.createdAt} />
      </Text>
    </ItemCard>
  );
}

/** Where one is signed in. */
export default function SessionsPage() {
  const me = useMe();
  const mayChange = useMayChange();
  const list = useQuery(api.sessions.list.queryOptions());
  const after = {
    onError: (error: unknown) => notifications.show({ color: 'red', message: messageOf(error) }),
    onSettled: () => void queryClient.invalidateQueries({ queryKey: api.sessions.pathKey() }),
  };
  const revoke = useMutation(browserApi.sessions.revoke.mutationOptions(after));
  const others = useMutation(browserApi.sessions.revokeOthers.mutationOptions(after));
  const more = (list.data?.length ?? 0) > 1;
  return (
    <>
      <PageHeader text="Where you are signed in. A session ends by itself after half an hour without use.">
        {mayChange && (
          <Group gap="sm">
            {more && (
              <Button variant="default" loading={others.isPending} onClick={() => others.mutate()}>
                End all others
              </Button>
            )}
            <Button variant="default" onClick={() => void signOut(me.csrfToken)}>
              Sign out
            </Button>
          </Group>
        )}
      </PageHeader>
      <QueryState query={list} label="Loading your sessions">
        {(sessions) => (
          <Stack gap="sm" component="ul" className="plain-list">
            {[...sessions]
              .sort((a, b) => Number(b.current) - Number(a.current) || b.lastSeenAt - a.lastSeenAt)
              .map((session) => (
                <SessionCard
                  key={session.handle}
                  session={session}
                  end={mayChange && !session.current ? () => revoke.mutate({ handle: session.handle }) : null}
                />
              ))}
          </Stack>
        )}
      </QueryState>
    </>
  );
}
