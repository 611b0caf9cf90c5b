import { Anchor, Badge, Button, Group, Menu, Text } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import { byText, type Order } from '../../kit/arrange.ts';
import { List } from '../../kit/list.tsx';
import type { Column } from '../../kit/table-or-cards.tsx';
import { Ago } from '../../kit/times.tsx';
import { Link } from '../../router.tsx';
import type { Host } from '../../server/api.ts';
import { useServerNow } from '../../server/clock.ts';
import { useMayChange } from '../../server/me.ts';
import { hasReport, remarkOf } from './host-report.tsx';

export type Action = 'confirm' | 'release' | 'revoke' | 'report' | 'break-glass' | 'journals';
export type Act = (action: Action, host: Host) => void;

/** Agents send a heartbeat every few minutes; one that misses three is late. */
const ONLINE_MS = 11 * 60_000;
const SKEW_WARNING_MS = 5000;

const STATE: Record<Host['state'], { color: string; text: string }> = {
  active: { color: 'green', text: 'Enrolled' },
  waiting: { color: 'yellow', text: 'Waits for you' },
  quarantined: { color: 'red', text: 'Quarantined' },
  revoked: { color: 'gray', text: 'Revoked' },
};

export function State({ host }: { host: Host }) {
  const { color, text } = STATE[host.state];
  return (
    <Badge className={`tone tone-${color}`} color={color} variant="light">
      {text}
    </Badge>
  );
}

export function LastSeen({ host }: { host: Host }) {
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

export function Clock({ host }: { host: Host }) {
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
  const mayChange = useMayChange();
  if (host.state === 'revoked' || !(mayChange || hasReport(host))) return null;
  return (
    <Group gap="xs" wrap="nowrap" justify="flex-end">
      {mayChange && host.state === 'waiting' && (
        <Button size="xs" onClick={() => act('confirm', host)} aria-label={`Confirm ${host.hostname}`}>
          Confirm
        </Button>
      )}
      {mayChange && host.state === 'quarantined' && (
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
          {hasReport(host) && <Menu.Item onClick={() => act('report', host)}>What it says of itself</Menu.Item>}
          {mayChange && <Menu.Item onClick={() => act('break-glass', host)}>Break-glass password</Menu.Item>}
          {mayChange && (
            <Menu.Item className="tone-text-bad" onClick={() => act('revoke', host)}>
              Revoke
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
    </Group>
  );
}

/** Where one host is looked at. */
const pageOf = ({ id }: Host) => `/hosts?host=${id}`;

const about = (host: Host) =>
  [host.group && `group ${host.group}`, host.osInfo].filter(Boolean).join(' · ') || host.remoteAddr;

function Remark({ host }: { host: Host }) {
  const remark = remarkOf(host);
  return (
    remark !== null && (
      <Text size="sm" fw={600} className="tone-text-bad">
        {remark}
      </Text>
    )
  );
}

const columns = (act: Act): Column<Host>[] => [
  {
    name: 'host',
    head: 'Host',
    width: 16,
    cell: (host) => (
      <>
        <Anchor component={Link} href={pageOf(host)} size="sm" fw={600} className="name">
          {host.hostname}
        </Anchor>
        <Text size="sm" c="dimmed" className="break">
          {about(host)}
        </Text>
        <Remark host={host} />
      </>
    ),
  },
  { name: 'state', head: 'State', width: 8.5, cell: (host) => <State host={host} /> },
  { name: 'seen', head: 'Last seen', width: 9.5, className: 'nowrap', cell: (host) => <LastSeen host={host} /> },
  { name: 'agent', head: 'Agent', width: 6, cell: (host) => host.agentVersion ?? '–' },
  { name: 'clock', head: 'Clock', width: 7.5, className: 'nowrap', cell: (host) => <Clock host={host} /> },
  { name: 'actions', head: 'Actions', plain: true, width: 9.5, cell: (host) => <Actions host={host} act={act} /> },
];

const RANK: Record<Host['state'], number> = { quarantined: 0, waiting: 1, active: 2, revoked: 3 };
const byName: Order<Host> = (a, b) => byText(a.hostname, b.hostname);

/** What needs an operator comes first, unless another order is asked for. */
const ORDERS: Record<string, Order<Host>> = {
  host: byName,
  state: (a, b) => RANK[a.state] - RANK[b.state] || byName(a, b),
  seen: (a, b) => (a.lastSeenAt ?? 0) - (b.lastSeenAt ?? 0),
  agent: (a, b) => byText(a.agentVersion ?? '', b.agentVersion ?? ''),
  clock: (a, b) => Math.abs(a.clockSkewMs ?? 0) - Math.abs(b.clockSkewMs ?? 0),
};

const textOf = (host: Host) =>
  [
    host.hostname,
    STATE[host.state].text,
    host.group && `group ${host.group}`,
    host.osInfo,
    host.agentVersion,
    host.remoteAddr,
    remarkOf(host),
  ].join(' ');

function HostCard({ host, act }: { host: Host; act: Act }) {
  return (
    <article aria-label={host.hostname}>
      <Group justify="space-between" align="flex-start" gap="xs">
        <Anchor component={Link} href={pageOf(host)} fw={600} className="break">
          {host.hostname}
        </Anchor>
        <State host={host} />
      </Group>
      <Text size="sm" c="dimmed" mb="sm" className="break">
        {about(host)}
      </Text>
      <Remark host={host} />
      <dl className="facts compact">
        <dt>Last seen</dt>
        <dd>
          <LastSeen host={host} />
        </dd>
        <dt>Agent</dt>
        <dd>{host.agentVersion ?? '–'}</dd>
        <dt>Clock</dt>
        <dd>
          <Clock host={host} />
        </dd>
      </dl>
      <div className="card-foot">
        <Actions host={host} act={act} />
      </div>
    </article>
  );
}

/** The fleet: searched, sorted and a page at a time. */
export function HostList({ hosts, act }: { hosts: readonly Host[]; act: Act }) {
  return (
    <List
      nouns={['host', 'hosts']}
      entries={hosts}
      columns={columns(act)}
      orders={ORDERS}
      usual="state"
      textOf={textOf}
      placeholder="Name, group, system or address"
      keyOf={({ id }) => id}
      card={(host) => <HostCard host={host} act={act} />}
    />
  );
}
