import { Alert, Button, Card, Stack } from '@mantine/core';
import { IconPlus, IconRoute } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { isUnreadable } from '../../kit/arrange.ts';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { UnreadableCard } from '../../kit/unreadable-row.tsx';
import { Link } from '../../router.tsx';
import { api, type NotifyRoute } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { Explain } from './explain.tsx';
import { RemoveRouteDialog } from './remove-route-dialog.tsx';
import { RouteCard } from './route-card.tsx';
import { RouteDialog } from './route-dialog.tsx';

/** Which events go to which shared channels, and who is told of one by that. Administrators only. */
export default function NotifyRoutesPage() {
  const routes = useQuery(api.notify.routes.list.queryOptions());
  const channels = useQuery(api.notify.channels.list.queryOptions());
  const mayChange = useMayChange();
  const [editing, setEditing] = useState<{ route: NotifyRoute | null } | null>(null);
  const [removing, setRemoving] = useState<NotifyRoute | null>(null);
  const shared = channels.data?.filter((one) => one.shared);
  /** Channels of a route that are switched on or off, or are not there (undefined). */
  const named = ({ rule }: NotifyRoute, enabled: boolean | undefined) =>
    shared === undefined
      ? []
      : rule.channels.filter((name) => shared.find((one) => one.name === name)?.enabled === enabled);
  const canMake = mayChange && shared !== undefined && shared.length > 0;
  return (
    <>
      <PageHeader text="Which events go to which channels. All routes that fit add up, and a channel is told once.">
        {canMake && (
          <Button leftSection={<IconPlus size={18} />} onClick={() => setEditing({ route: null })}>
            New route
          </Button>
        )}
      </PageHeader>
      {!mayChange && (
        <Alert className="tone tone-indigo" variant="light" mb="md">
          Routes are changed in the browser, not in the desktop app.
        </Alert>
      )}
      <QueryState query={routes} label="Loading routes">
        {(all) => {
          const readable = all.filter((route): route is NotifyRoute => !isUnreadable(route));
          return (
            <Stack gap="xl">
              {all.length === 0 ? (
                <EmptyState
                  icon={IconRoute}
                  title="No routes yet"
                  text={
                    shared?.length === 0 ? (
                      <>
                        A route leads to a channel. <Link href="/notify-channels">Set up a channel</Link> first.
                      </>
                    ) : (
                      'Without a route nothing goes to the shared channels. People are told on their own as they chose.'
                    )
                  }
                />
              ) : (
                <ul className="plain-list cards">
                  {all.map((route) =>
                    isUnreadable(route) ? (
                      <Card key={route.id} component="li" withBorder radius="lg" padding="md" className="unreadable">
                        <UnreadableCard entry={route} />
                      </Card>
                    ) : (
                      <RouteCard
                        key={route.id}
                        number={readable.indexOf(route) + 1}
                        route={route}
                        gone={named(route, undefined)}
                        off={named(route, false)}
                        act={mayChange ? { edit: () => setEditing({ route }), remove: () => setRemoving(route) } : null}
                      />
                    ),
                  )}
                </ul>
              )}
              <Explain routes={readable} />
            </Stack>
          );
        }}
      </QueryState>
      <RouteDialog about={editing} close={() => setEditing(null)} />
      <RemoveRouteDialog about={removing} close={() => setRemoving(null)} />
    </>
  );
}
