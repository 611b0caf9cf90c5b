import { Button, Divider, Drawer, Group, Stack, Text, Title } from '@mantine/core';
import { skipToken, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { mayChangeUntilItRuns } from '#shared/request-risk.ts';
import { useUnreached } from '../bridge.ts';
import { CommandText } from '../kit/command-text.tsx';
import { CopyLine } from '../kit/copy-line.tsx';
import { QueryState } from '../kit/query-state.tsx';
import { Countdown, Moment } from '../kit/times.tsx';
import { api, type Request } from '../server/api.ts';
import { useMe } from '../server/me.ts';
import { outcomeText } from '../words/outcome.ts';
import { USE_PROBLEMS } from '../words/use-problem.ts';
import { EnvironmentNames, NotableEnvironment } from './request-environment.tsx';
import { classText, RequestStatus } from './request-status.tsx';
import { ReviewButton } from './review-button.tsx';

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </>
  );
}

const ASSURANCE = { derived: 'derived from what was typed', resolved: 'resolved by sudo' } as const;

type Settings = NonNullable<NonNullable<Request['record']['resolved']>['settings']>;

/** What sudo sets of this command that others do not get. */
function settingsOf(settings: Settings): [label: string, value: string][] {
  const { keepsGroups, groups = [], groupsMore, umask, timeoutSeconds } = settings;
  const more = groupsMore === undefined ? '' : ` and ${groupsMore} more`;
  const all: [string, string | undefined | false][] = [
    ['More groups', groups.length > 0 && `${groups.join(', ')}${more}`],
    ['Groups', keepsGroups && 'those of who asks stay'],
    ['umask', umask],
    ['Time limit', timeoutSeconds !== undefined && `sudo ends it after ${timeoutSeconds} s`],
    ['SELinux role', settings.selinuxRole],
    ['SELinux type', settings.selinuxType],
    ['AppArmor profile', settings.apparmorProfile],
  ];
  return all.filter((fact): fact is [string, string] => typeof fact[1] === 'string');
}

function Details({ request, deny }: { request: Request; deny: (request: Request) => void }) {
  const me = useMe();
  const unreached = useUnreached();
  const { record } = request;
  const { resolved } = record;
  return (
    <Stack gap="lg">
      <Group justify="space-between">
        <RequestStatus status={request.status} />
        {request.status === 'pending' && <Countdown from={request.createdAt} until={request.expiresAt} />}
      </Group>
      <div className="command-box">
        <CommandText text={request.command} />
        {resolved?.intercepted && (
          <Text size="sm" c="dimmed" mt="xs">
            A command that was allowed before starts it, and sudo asks about it as well.
          </Text>
        )}
      </div>
      <NotableEnvironment request={request} />
      {request.status === 'pending' && (
        <Group grow>
          {request.can.deny && (
            <Button variant="default" disabled={unreached !== null} onClick={() => deny(request)}>
              Deny
            </Button>
          )}
          <ReviewButton request={request} />
        </Group>
      )}
      <dl className="facts">
        <Fact label="Asked by">
          {request.user}
          {request.userDisplayName && ` (${request.userDisplayName})`}
        </Fact>
        <Fact label="Host">{request.host.name}</Fact>
        <Fact label="Asked">
          <Moment at={request.createdAt} />
        </Fact>
        <Fact label="Reason">{record.reason ?? 'none given'}</Fact>
        {record.gate !== 'ssh' && (
          <>
            <Fact label="Runs as">
              {record.runAs.user}
              {record.runAs.group !== null && `, group ${record.runAs.group}`} · {ASSURANCE[record.runAs.assurance]}
            </Fact>
            {record.target && (
              <Fact label="Program">
                <code>{record.target.path}</code> · {ASSURANCE[record.target.assurance]}
                {mayChangeUntilItRuns(record) && ' · may change until it runs'}
              </Fact>
            )}
            <Fact label="Directory">{record.cwd ? <code>{record.cwd}</code> : 'not known'}</Fact>
            {resolved && resolved.chroot !== null && (
              <Fact label="Root folder">
                <code>{resolved.chroot}</code>
              </Fact>
            )}
            {resolved && resolved.descriptors.length > 0 && (
              <Fact label="Open files">
                stay open as {resolved.descriptors.join(', ')}
                {resolved.descriptorsMore !== undefined && ` and ${resolved.descriptorsMore} more`}
              </Fact>
            )}
            {settingsOf(resolved?.settings ?? {}).map(([label, value]) => (
              <Fact key={label} label={label}>
                {value}
              </Fact>
            ))}
            {resolved && (
              <Fact label="Environment">
                <EnvironmentNames {...resolved.environment} />
              </Fact>
            )}
          </>
        )}
        {record.tty !== null && (
          <Fact label="Terminal">
            <code>{record.tty}</code>
          </Fact>
        )}
        {record.origin !== null && (
          <Fact label="From">
            <code>{record.origin}</code>
          </Fact>
        )}
        <Fact label="Code">
          <code>{request.userCode}</code>
        </Fact>
      </dl>
      {request.status !== 'pending' && (
        <>
          <Divider />
          <dl className="facts">
            <Fact label="Decided by">{request.decidedBy ?? (request.class ? 'the policy' : 'nobody')}</Fact>
            {request.decidedAt !== null && (
              <Fact label="Decided">
                <Moment at={request.decidedAt} />
              </Fact>
            )}
            {request.offline !== null && (
              <>
                <Fact label="Used">
                  <Moment at={request.offline.usedAt} /> by the clock of the host, under a grant of{' '}
                  <Moment at={request.offline.grantedAt} />
                </Fact>
                {request.offline.problem !== null && (
                  <Fact label="Not as granted">{USE_PROBLEMS[request.offline.problem]}</Fact>
                )}
                <Fact label="Told">
                  <Moment at={request.createdAt} />
                </Fact>
              </>
            )}
            {request.reason && <Fact label="Said">“{request.reason}”</Fact>}
            {request.status === 'approved' && <Fact label="Evidence">{classText(request)}</Fact>}
            <Fact label="Outcome">{outcomeText(request)}</Fact>
            <Fact label="Rule">
              <code>{request.policy.rule}</code>
            </Fact>
          </dl>
        </>
      )}
      {request.class === 'passkey' && me.role === 'admin' && (
        <Stack gap="xs">
          <Title order={3} size="h5">
            Signed evidence
          </Title>
          <Text size="sm" c="dimmed">
            Export it on the server, then check it offline with <code>identree verify-approval</code>.
          </Text>
          <CopyLine text={`identree-server export-approval ${request.id}`} label="Copy the command" />
        </Stack>
      )}
    </Stack>
  );
}

/** Everything about one request, from the side. `code` null: closed. */
export function RequestDrawer({
  code,
  close,
  deny,
}: {
  code: string | null;
  close: () => void;
  deny: (request: Request) => void;
}) {
  const query = useQuery(api.challenges.get.queryOptions(code === null ? skipToken : { code, open: true }));
  return (
    <Drawer
      opened={code !== null}
      onClose={close}
      position="right"
      size="lg"
      title="Request"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <QueryState query={query} label="Loading the request">
        {({ view }) => <Details request={view} deny={deny} />}
      </QueryState>
    </Drawer>
  );
}
