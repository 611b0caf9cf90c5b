import { Alert, Badge, Button, Group, Tabs } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconRefresh } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { NoDirectory } from '../../parts/no-directory.tsx';
import { useQueryValue } from '../../router.tsx';
import { api, browserApi, type DirectoryStatus, messageOf, queryClient } from '../../server/api.ts';
import { useDirectoryStatus } from '../../server/directory-status.ts';
import { useMayChange } from '../../server/me.ts';
import { stateOf } from '../../words/directory.ts';
import { Accounts } from './accounts.tsx';
import { Findings } from './findings.tsx';
import { Overview } from './overview.tsx';
import { ScimClients } from './scim-clients.tsx';

const TABS = ['overview', 'accounts', 'findings', 'scim'] as const;

/** How the directory stands, whichever part of the page is open. */
function StateBadge({ status }: { status: DirectoryStatus }) {
  const { tone, title } = stateOf(status);
  return (
    <Badge className={`tone tone-${tone}`} variant="light" color={tone}>
      {title}
    </Badge>
  );
}

function FetchNow({ status }: { status: DirectoryStatus }) {
  const [pressed, setPressed] = useState(false);
  const fetchNow = useMutation(
    browserApi.directory.refresh.mutationOptions({
      onError: (error) => notifications.show({ color: 'red', message: messageOf(error) }),
      onSettled: () => queryClient.invalidateQueries({ queryKey: api.directory.pathKey() }),
    }),
  );
  // The server is busy at other times too; only who asked for it waits for it.
  const waiting = fetchNow.isPending || (pressed && status.busy);
  useEffect(() => {
    if (!waiting) setPressed(false);
  }, [waiting]);
  return (
    <Button
      variant="default"
      leftSection={<IconRefresh size={18} />}
      loading={waiting}
      onClick={() => {
        setPressed(true);
        fetchNow.mutate();
      }}
    >
      Fetch now
    </Button>
  );
}

/** People, groups and sudo rules as hosts see them. Administrators only. */
export default function DirectoryPage() {
  const query = useDirectoryStatus();
  const mayChange = useMayChange();
  const [wanted, setTab] = useQueryValue('tab');
  const tab = TABS.find((one) => one === wanted) ?? 'overview';
  return (
    <>
      <PageHeader text="The people, groups and sudo rules that your hosts see.">
        {query.data && (
          <Group gap="md">
            <StateBadge status={query.data} />
            {mayChange && query.data.source !== null && <FetchNow status={query.data} />}
          </Group>
        )}
      </PageHeader>
      <QueryState query={query} label="Loading the directory">
        {(status) =>
          status === null ? (
            <NoDirectory>Hosts can get people, groups and sudo rules from here, with stock sssd.</NoDirectory>
          ) : (
            <>
              {!mayChange && (
                <Alert className="tone tone-indigo" variant="light" mb="md">
                  You decide about the directory in the browser, not in the desktop app.
                </Alert>
              )}
              <Tabs value={tab} keepMounted={false} onChange={(next) => setTab(next === 'overview' ? null : next)}>
                <Tabs.List aria-label="Parts of the directory" mb="lg">
                  <Tabs.Tab value="overview">Overview</Tabs.Tab>
                  {status.source !== null && <Tabs.Tab value="accounts">Accounts</Tabs.Tab>}
                  <Tabs.Tab
                    value="findings"
                    rightSection={
                      status.lintCount > 0 ? (
                        <Badge className="tone tone-gray" color="gray" variant="light">
                          {status.lintCount}
                        </Badge>
                      ) : undefined
                    }
                  >
                    Findings
                  </Tabs.Tab>
                  <Tabs.Tab value="scim">SCIM</Tabs.Tab>
                </Tabs.List>
                <Tabs.Panel value="overview">
                  <Overview status={status} />
                </Tabs.Panel>
                <Tabs.Panel value="accounts">
                  <Accounts />
                </Tabs.Panel>
                <Tabs.Panel value="findings">
                  <Findings />
                </Tabs.Panel>
                <Tabs.Panel value="scim">
                  <ScimClients status={status} />
                </Tabs.Panel>
              </Tabs>
            </>
          )
        }
      </QueryState>
    </>
  );
}
