import { Anchor, Badge, Button, Card, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useId } from 'react';
import { fixOf } from '#shared/host-checks.ts';
import { MarkedText } from '../../kit/command-text.tsx';
import { CopyLine } from '../../kit/copy-line.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { RequestStatus } from '../../parts/request-status.tsx';
import { Link } from '../../router.tsx';
import { api, type Host, type Outputs } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { plural } from '../../words/text.ts';
import { Standing } from './break-glass-dialog.tsx';
import { HostJournals } from './host-journals.tsx';
import type { Act } from './host-list.tsx';
import { Clock, LastSeen, State } from './host-list.tsx';
import { HostReport } from './host-report.tsx';

const HISTORY_ROWS = 8;

function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  const id = useId();
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-labelledby={id}>
      <Group justify="space-between" mb="md" gap="xs">
        <Title order={2} size="h4" id={id}>
          {title}
        </Title>
        {aside}
      </Group>
      {children}
    </Card>
  );
}

function Overview({ host }: { host: Host }) {
  return (
    <Section title="Overview" aside={<State host={host} />}>
      <dl className="facts">
        <dt>Last seen</dt>
        <dd>
          <LastSeen host={host} />
        </dd>
        <dt>Agent</dt>
        <dd>{host.agentVersion ?? '–'}</dd>
        <dt>System</dt>
        <dd>{host.osInfo || '–'}</dd>
        <dt>Address</dt>
        <dd>{host.remoteAddr ?? '–'}</dd>
        <dt>Clock</dt>
        <dd>
          <Clock host={host} />
        </dd>
        <dt>Group</dt>
        <dd>{host.group ?? '–'}</dd>
        <dt>Enrolled</dt>
        <dd>
          <Ago at={host.enrolledAt} />
        </dd>
      </dl>
    </Section>
  );
}

type Found = NonNullable<Outputs['hosts']['checks']>['lines'][number];

/** One thing that the host looked at, and what to type there when it is not in order. */
function Check({ line: { what, value, problem } }: { line: Found }) {
  const { text, fix } = fixOf(problem ?? '');
  return (
    <>
      <dt>{what}</dt>
      <dd>
        <MarkedText text={value} />
        {text !== '' && (
          <Text size="sm" fw={600} className="tone-text-bad">
            <MarkedText text={text} />
          </Text>
        )}
        {fix !== null && (
          <>
            <Text size="sm" fw={600} mt="xs" className="tone-text-bad">
              Run on the host, as root:
            </Text>
            <CopyLine text={fix} label={`Copy the command for ${what}`} />
          </>
        )}
      </dd>
    </>
  );
}

function Doctor({ host }: { host: Host }) {
  const checks = useQuery({ ...api.hosts.checks.queryOptions({ hostId: host.id }), refetchInterval: 60_000 });
  return (
    <Section
      title="Doctor"
      aside={
        host.checks !== null && (
          <Badge
            className={`tone tone-${host.checks.problems === 0 ? 'green' : 'red'}`}
            color={host.checks.problems === 0 ? 'green' : 'red'}
            variant="light"
          >
            {host.checks.problems === 0 ? 'In order' : plural(host.checks.problems, 'problem')}
          </Badge>
        )
      }
    >
      <QueryState query={checks} label="Loading what the host found">
        {(found) =>
          found === null ? (
            <Text size="sm" c="dimmed">
              This host has not looked at itself yet. Its agent does so every quarter of an hour; one of an earlier
              version does not.
            </Text>
          ) : (
            <>
              <Text size="sm" c="dimmed" mb="md">
                What <code>identree doctor</code> finds there, told <Ago at={found.at} />.
              </Text>
              <dl className="facts">
                {found.lines.map((line, index) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: the list is shown whole or not at all.
                  <Check key={index} line={line} />
                ))}
              </dl>
            </>
          )
        }
      </QueryState>
    </Section>
  );
}

const CERTIFICATE = {
  good: null,
  ends_soon: 'It should have been renewed by now. Look at the host, or run there:',
  ended: 'It has ended, and the directory refuses it. Look at the host, or run there:',
} as const;

function Certificate({ host: { certificate } }: { host: Host }) {
  const problem = certificate && CERTIFICATE[certificate.state];
  return (
    <Section title="Certificate">
      {certificate === null ? (
        <Text size="sm" c="dimmed">
          It cannot be read.
        </Text>
      ) : (
        <Text size="sm">
          Good until <strong>{new Date(certificate.until).toISOString().slice(0, 10)}</strong>. The agent renews it by
          itself.
        </Text>
      )}
      {problem && (
        <>
          <Text size="sm" fw={600} mt="xs" className="tone-text-bad">
            {problem}
          </Text>
          <CopyLine text="identree renew-cert" label="Copy the command" />
        </>
      )}
    </Section>
  );
}

function BreakGlass({ host, act }: { host: Host; act: Act }) {
  const standings = useQuery(api.breakGlass.list.queryOptions());
  const mayChange = useMayChange();
  return (
    <Section title="Break-glass">
      <QueryState query={standings} label="Loading break-glass">
        {({ hosts, escrow }) => (
          <Text size="sm">
            <Standing view={hosts.find(({ hostId }) => hostId === host.id) ?? null} escrow={escrow} />
          </Text>
        )}
      </QueryState>
      {mayChange && host.state !== 'revoked' && (
        <Button mt="md" w="fit-content" size="xs" variant="default" onClick={() => act('break-glass', host)}>
          Break-glass password
        </Button>
      )}
    </Section>
  );
}

function History({ host: { hostname } }: { host: Host }) {
  const history = useQuery(api.challenges.history.queryOptions({ search: hostname, limit: HISTORY_ROWS }));
  return (
    <Section
      title="History"
      aside={
        <Group gap="md">
          <Anchor component={Link} href={`/history?search=${encodeURIComponent(hostname)}`} size="sm">
            All requests
          </Anchor>
          <Anchor component={Link} href={`/history?view=events&host=${encodeURIComponent(hostname)}`} size="sm">
            Events
          </Anchor>
        </Group>
      }
    >
      <QueryState query={history} label="Loading requests">
        {({ requests }) => {
          const own = requests.flatMap((one) => ('unreadable' in one || one.host.name !== hostname ? [] : [one]));
          if (own.length === 0)
            return (
              <Text size="sm" c="dimmed">
                Nobody has asked on this host lately.
              </Text>
            );
          return (
            <ul className="plain-list member-list">
              {own.map((request) => (
                <li key={request.id}>
                  <Group justify="space-between" align="flex-start" gap="xs">
                    <Text size="sm" className="break" flex={1}>
                      <strong>{request.user}</strong>: <MarkedText text={request.command} />
                    </Text>
                    <RequestStatus status={request.status} />
                  </Group>
                  <Text size="sm" c="dimmed">
                    <Ago at={request.createdAt} />
                  </Text>
                </li>
              ))}
            </ul>
          );
        }}
      </QueryState>
    </Section>
  );
}

/** One host: what it is, how it stands with it by its own words, and what was done there. */
export function HostPage({ host, act }: { host: Host; act: Act }) {
  return (
    <>
      <PageHeader
        title={host.hostname}
        text={
          <Anchor component={Link} href="/hosts">
            All hosts
          </Anchor>
        }
      />
      <Stack gap="md">
        <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
          <Overview host={host} />
          <Stack gap="md">
            <Certificate host={host} />
            <BreakGlass host={host} act={act} />
          </Stack>
        </SimpleGrid>
        <Doctor host={host} />
        <Section title="Journals">
          <HostJournals host={host} act={act} />
        </Section>
        {host.report !== null && (
          <Section title="What its files say">
            <HostReport host={host} />
          </Section>
        )}
        <History host={host} />
      </Stack>
    </>
  );
}
