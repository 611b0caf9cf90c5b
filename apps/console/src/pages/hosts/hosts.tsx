import { Alert, Badge, Button, Card, Group, Menu, Stack, Table, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconDots, IconPlus, IconServer } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, type Host } from '../../server/api.ts';
import { useServerNow } from '../../server/clock.ts';
import { useMayChange } from '../../server/me.ts';
import { EnrolDialog } from './enrol-dialog.tsx';
import { ConfirmHostDialog, ReleaseDialog, RevokeDialog } from './host-dialogs.tsx';

type Action = 'confirm' | 'release' | 'revoke';
type Act = (action: Action, host: Host) => void;

/** Agents send a heartbeat every few minutes; one that misses three is late. */
const ONLINE_MS = 11 * 60_000;
const SKEW_WARNING_MS = 5000;

const STATE: Record<Host['state'], { color: string; text: string }> = {
  active: { color: 'green', text: 'Enrolled' },
  waiting: { color: 'yellow', text: 'Waits for you' },
  quarantined: { color: 'red', text: 'Quarantined' },
  revoked: { color: 'gray', text: 'Revoked' },
};

function State({ host }: { host: Host }) {
  const { color, text } = STATE[host.state];
  return (
    <Badge className={`tone tone-${color}`} color={color} variant="light">
      {text}
    </Badge>
  );
}

function LastSeen({ host }: { host: Host }) {
  const now = useServerNow(5000);
  if (host.lastSeenAt === null) {
    return (
      <span>
        <span className="dot" aria-hidden="true" />
        never
      </span>
    );
  }
  const online = now - host.lastSeenAt < ONLINE_MS;
  return (
    <span>
      <span className="dot" data-tone={online ? 'good' : 'late'} aria-hidden="true" />
      <span className="sr-only">{online ? 'Online, ' : 'Silent since '}</span>
      <Ago at={host.lastSeenAt} />
    </span>
  );
}

function Clock({ host }: { host: Host }) {
  if (host.clockSkewMs === null) return <>unknown</>;
  const seconds = Math.round(Math.abs(host.clockSkewMs) / 1000);
  if (Math.abs(host.clockSkewMs) < SKEW_WARNING_MS) return <>in step</>;
  return (
    <Text component="span" size="sm" fw={600} className="tone-text-bad">
      {seconds} s {host.clockSkewMs > 0 ? 'ahead' : 'behind'}
    </Text>
  );
}

function Actions({ host, act }: { host: Host; act: Act }) {
  if (!useMayChange() || host.state === 'revoked') return null;
  return (
    <Group gap="xs" wrap="nowrap" justify="flex-end">
      {host.state === 'waiting' && (
        <Button size="xs" onClick={() => act('confirm', host)} aria-label={`Confirm ${host.hostname}`}>
          Confirm
        </Button>
      )}
      {host.state === 'quarantined' && (
        <Button
          size="xs"
          variant="default"
          onClick={() => act('release', host)}
          aria-label={`Look at it: ${host.hostname}`}
        >
          Look at it
        </Button>
      )}
      <Menu position="bottom-end" shadow="md">
        <Menu.Target>
          <Button size="xs" variant="subtle" color="gray" px={8} aria-label={`More for ${host.hostname}`}>
            <IconDots size={18} />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item className="tone-text-bad" onClick={() => act('revoke', host)}>
            Revoke
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </Group>
  );
}

function HostTable({ hosts, act }: { hosts: Host[]; act: Act }) {
  return (
    <Card withBorder radius="lg" padding={0}>
      <Table.ScrollContainer minWidth={760} type="native">
        <Table verticalSpacing="sm" horizontalSpacing="md">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Host</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th>Last seen</Table.Th>
              <Table.Th>Agent</Table.Th>
              <Table.Th>Clock</Table.Th>
              <Table.Th>
                <span className="sr-only">Actions</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {hosts.map((host) => (
              <Table.Tr key={host.id}>
                <Table.Td>
                  <Text size="sm" fw={600} className="break">
                    {host.hostname}
                  </Text>
                  <Text size="sm" c="dimmed">
                    {[host.group && `group ${host.group}`, host.osInfo].filter(Boolean).join(' · ') || host.remoteAddr}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <State host={host} />
                </Table.Td>
                <Table.Td className="nowrap">
                  <LastSeen host={host} />
                </Table.Td>
                <Table.Td>{host.agentVersion ?? '–'}</Table.Td>
                <Table.Td className="nowrap">
                  <Clock host={host} />
                </Table.Td>
                <Table.Td>
                  <Actions host={host} act={act} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}

function HostCards({ hosts, act }: { hosts: Host[]; act: Act }) {
  return (
    <Stack gap="sm">
      {hosts.map((host) => (
        <Card key={host.id} component="article" withBorder radius="lg" padding="md" aria-label={host.hostname}>
          <Group justify="space-between" align="flex-start" gap="xs" mb="sm">
            <Text fw={600} className="break">
              {host.hostname}
            </Text>
            <State host={host} />
          </Group>
          <dl className="facts">
            <dt>Last seen</dt>
            <dd>
              <LastSeen host={host} />
            </dd>
            <dt>Agent</dt>
            <dd>{[host.agentVersion, host.osInfo].filter(Boolean).join(' · ') || '–'}</dd>
            <dt>Clock</dt>
            <dd>
              <Clock host={host} />
            </dd>
          </dl>
          <div className="card-foot">
            <Actions host={host} act={act} />
          </div>
        </Card>
      ))}
    </Stack>
  );
}

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
  const narrow = useMediaQuery('(max-width: 62em)', undefined, { getInitialValueInEffect: false });
  const [enrolling, setEnrolling] = useState(false);
  const [acting, setActing] = useState<{ action: Action; host: Host } | null>(null);
  const act: Act = (action, host) => setActing({ action, host });
  const done = () => setActing(null);
  return (
    <>
      <PageHeader title="Hosts" text="Machines that ask here before anybody becomes root on them.">
        {mayChange && (
          <Button leftSection={<IconPlus size={18} />} onClick={() => setEnrolling(true)}>
            Enrol a host
          </Button>
        )}
      </PageHeader>
      <QueryState query={hosts} label="Loading hosts">
        {({ hosts: list }) => {
          const urgent = list.filter(({ state }) => state === 'waiting' || state === 'quarantined').length;
          const ordered = [...list].sort(
            (a, b) => RANK[a.state] - RANK[b.state] || a.hostname.localeCompare(b.hostname),
          );
          if (list.length === 0) return <Empty enrol={mayChange ? () => setEnrolling(true) : null} />;
          return (
            <Stack gap="md">
              {urgent > 0 && (
                <Alert className="tone tone-yellow" color="yellow" variant="light">
                  {urgent === 1 ? 'One host waits' : `${urgent} hosts wait`} for an operator. Until then{' '}
                  {urgent === 1 ? 'its requests are' : 'their requests are'} refused.
                </Alert>
              )}
              {narrow ? <HostCards hosts={ordered} act={act} /> : <HostTable hosts={ordered} act={act} />}
            </Stack>
          );
        }}
      </QueryState>
      <EnrolDialog about={enrolling} close={() => setEnrolling(false)} />
      <ConfirmHostDialog about={acting?.action === 'confirm' && acting.host} close={done} />
      <ReleaseDialog about={acting?.action === 'release' && acting.host} close={done} />
      <RevokeDialog about={acting?.action === 'revoke' && acting.host} close={done} />
    </>
  );
}

const RANK: Record<Host['state'], number> = { quarantined: 0, waiting: 1, active: 2, revoked: 3 };
