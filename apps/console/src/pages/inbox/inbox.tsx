import { Anchor, Badge, Button, Card, Group, Stack, Text } from '@mantine/core';
import { IconBell, IconBellOff, IconCircleCheck } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { notableVariables } from '#shared/request-risk.ts';
import { desktop, useUnreached } from '../../bridge.ts';
import { isUnreadable } from '../../kit/arrange.ts';
import { CommandText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago, Countdown } from '../../kit/times.tsx';
import { UnreadableCard } from '../../kit/unreadable-row.tsx';
import { useNotifications } from '../../notify.ts';
import { DenyDialog } from '../../parts/deny-dialog.tsx';
import { RequestDrawer } from '../../parts/request-drawer.tsx';
import { isUnrestricted } from '../../parts/request-status.tsx';
import { ReviewButton } from '../../parts/review-button.tsx';
import { Link, useQueryValue } from '../../router.tsx';
import { api, type Request } from '../../server/api.ts';
import { useMe } from '../../server/me.ts';

/** What a request is about, in one sentence. */
function summary(request: Request) {
  const { record } = request;
  const who = <strong>{request.user}</strong>;
  const host = <strong>{request.host.name}</strong>;
  if (record.gate === 'ssh') {
    return (
      <>
        {who} signs in to {host}
      </>
    );
  }
  return (
    <>
      {who} on {host} as <strong>{record.runAs.user}</strong>
    </>
  );
}

function RequestCard({ request, deny }: { request: Request; deny: () => void }) {
  const unreached = useUnreached();
  return (
    <Card
      component="article"
      withBorder
      padding="lg"
      radius="lg"
      aria-label={`${request.user} on ${request.host.name}`}
    >
      <Stack gap="sm">
        <Group justify="space-between" align="flex-start" wrap="nowrap" gap="md">
          <Text className="break">{summary(request)}</Text>
          <Countdown from={request.createdAt} until={request.expiresAt} />
        </Group>
        <div className="command-box">
          <CommandText text={request.command} clamp />
        </div>
        {request.record.reason && (
          <Text size="sm" className="break">
            “{request.record.reason}”
          </Text>
        )}
        <Group justify="space-between" gap="md">
          <Group gap="xs">
            {isUnrestricted(request) && (
              <Badge className="tone tone-red" color="red" variant="light">
                Unrestricted {request.record.runAs.user}
              </Badge>
            )}
            {notableVariables(request.record).length > 0 && (
              <Badge className="tone tone-red" color="red" variant="light">
                Risky environment
              </Badge>
            )}
            {request.record.gate === 'try' && (
              <Badge className="tone tone-gray" color="gray" variant="light">
                Rehearsal
              </Badge>
            )}
            <Text size="sm" c="dimmed">
              <Ago at={request.createdAt} /> · <span className="mono">{request.userCode}</span>
            </Text>
          </Group>
          <Group gap="sm" className="card-actions">
            {request.can.deny && (
              <Button
                variant="default"
                aria-label={`Deny the request of ${request.user} on ${request.host.name}`}
                disabled={unreached !== null}
                onClick={deny}
              >
                Deny
              </Button>
            )}
            <ReviewButton request={request} />
          </Group>
        </Group>
      </Stack>
    </Card>
  );
}

function NotifyButton() {
  const [state, ask] = useNotifications();
  if (state === 'ask') {
    return (
      <Button variant="default" leftSection={<IconBell size={18} />} onClick={ask}>
        Notify me
      </Button>
    );
  }
  if (state === 'on') {
    return (
      <Text size="sm" c="dimmed" className="with-icon">
        <IconBell size={16} aria-hidden="true" /> This browser notifies you
      </Text>
    );
  }
  if (state === 'blocked') {
    return (
      <Text size="sm" c="dimmed" className="with-icon">
        <IconBellOff size={16} aria-hidden="true" /> Notifications are blocked in this browser
      </Text>
    );
  }
  return null;
}

function Empty() {
  const me = useMe();
  return (
    <EmptyState
      icon={IconCircleCheck}
      tone="green"
      title="Nobody is waiting"
      text={
        me.role === 'admin'
          ? 'When somebody runs sudo on one of your hosts, the request appears here by itself.'
          : 'When you run sudo on a host, the request appears here by itself.'
      }
    >
      {me.passkeys === 0 && me.sessionKind === 'browser' && (
        <Button component={Link} href="/passkeys">
          Add your first passkey
        </Button>
      )}
      {!desktop && (
        <Anchor href="/approve" size="sm">
          I have a code from a terminal
        </Anchor>
      )}
    </EmptyState>
  );
}

/** Everybody who waits and whom this person may see, oldest first. */
export function InboxPage() {
  const me = useMe();
  const inbox = useQuery(api.challenges.inbox.queryOptions());
  const [denying, setDenying] = useState<Request | null>(null);
  const [code, setCode] = useQueryValue('request');
  return (
    <>
      <PageHeader
        text={me.role === 'admin' ? 'Requests that wait for an answer.' : 'Your requests that wait for an answer.'}
      >
        <NotifyButton />
      </PageHeader>
      <QueryState query={inbox} label="Loading the inbox">
        {(requests) =>
          requests.length === 0 ? (
            <Empty />
          ) : (
            <Stack gap="md" component="section" aria-label="Waiting requests">
              {requests.map((request) =>
                isUnreadable(request) ? (
                  <Card key={request.id} component="article" withBorder padding="lg" radius="lg" className="unreadable">
                    <UnreadableCard entry={request} />
                  </Card>
                ) : (
                  <RequestCard key={request.id} request={request} deny={() => setDenying(request)} />
                ),
              )}
            </Stack>
          )
        }
      </QueryState>
      <div className="sr-only" role="status">
        {inbox.data && (inbox.data.length === 1 ? '1 request waits' : `${inbox.data.length} requests wait`)}
      </div>
      <DenyDialog about={denying} close={() => setDenying(null)} />
      <RequestDrawer code={code} close={() => setCode(null)} deny={setDenying} />
    </>
  );
}
