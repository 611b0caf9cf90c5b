import { Alert, Button, Stack } from '@mantine/core';
import { IconPlus, IconServer } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { useQueryValue } from '../../router.tsx';
import { api, type Host } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { AuthorityLine, AuthorityNotice } from './authorities.tsx';
import { BreakGlassDialog } from './break-glass-dialog.tsx';
import { EnrolDialog } from './enrol-dialog.tsx';
import { ConfirmHostDialog, ReleaseDialog, RevokeDialog } from './host-dialogs.tsx';
import { JournalsDialog } from './host-journals.tsx';
import { type Act, type Action, HostList } from './host-list.tsx';
import { HostPage } from './host-page.tsx';
import { HostReportDialog } from './host-report.tsx';
import { WaitingReveals } from './second-person.tsx';

function Empty({ enrol }: { enrol: (() => void) | null }) {
  return (
    <EmptyState
      icon={IconServer}
      title="No hosts yet"
      text="A host makes its own keys and proves itself with a token that works once. It takes about a minute."
    >
      {enrol && <Button onClick={enrol}>Enrol a host</Button>}
    </EmptyState>
  );
}

/** Machines that ask this server. Administrators only. */
export default function HostsPage() {
  const hosts = useQuery({ ...api.hosts.list.queryOptions(), refetchInterval: 30_000 });
  const mayChange = useMayChange();
  const [wanted] = useQueryValue('host');
  const [enrolling, setEnrolling] = useState(false);
  const [acting, setActing] = useState<{ action: Action; host: Host } | null>(null);
  const act: Act = (action, host) => setActing({ action, host });
  const done = () => setActing(null);
  const one = hosts.data?.hosts.find(({ id }) => id === wanted);
  const list = (
    <>
      <PageHeader text="Machines that ask here before anybody becomes root on them.">
        {mayChange && (
          <Button leftSection={<IconPlus size={18} />} onClick={() => setEnrolling(true)}>
            Enrol a host
          </Button>
        )}
      </PageHeader>
      <QueryState query={hosts} label="Loading hosts">
        {({ hosts: list, authorities }) => {
          const urgent = list.filter(({ state }) => state === 'waiting' || state === 'quarantined').length;
          if (list.length === 0) return <Empty enrol={mayChange ? () => setEnrolling(true) : null} />;
          return (
            <Stack gap="md">
              {urgent > 0 && (
                <Alert className="tone tone-yellow" color="yellow" variant="light">
                  {urgent === 1 ? 'One host waits' : `${urgent} hosts wait`} for an operator. Until then{' '}
                  {urgent === 1 ? 'its requests are' : 'their requests are'} refused.
                </Alert>
              )}
              <AuthorityNotice authorities={authorities} />
              <WaitingReveals hosts={list} look={(host) => act('break-glass', host)} />
              <HostList hosts={list} act={act} />
              <AuthorityLine authorities={authorities} />
            </Stack>
          );
        }}
      </QueryState>
    </>
  );
  return (
    <>
      {one === undefined ? list : <HostPage host={one} act={act} />}
      <EnrolDialog about={enrolling} close={() => setEnrolling(false)} />
      <ConfirmHostDialog about={acting?.action === 'confirm' && acting.host} close={done} />
      <ReleaseDialog about={acting?.action === 'release' && acting.host} close={done} />
      <HostReportDialog about={acting?.action === 'report' && acting.host} close={done} />
      <BreakGlassDialog about={acting?.action === 'break-glass' && acting.host} close={done} />
      <JournalsDialog about={acting?.action === 'journals' && acting.host} close={done} />
      <RevokeDialog about={acting?.action === 'revoke' && acting.host} close={done} />
    </>
  );
}
