import { Alert, Card, Group, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { IconAddressBook, IconAlertCircle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { isUnreadable } from '../../kit/arrange.ts';
import { CopyLine } from '../../kit/copy-line.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { UnreadableCard } from '../../kit/unreadable-row.tsx';
import { api, type DirectoryStatus, type Hold } from '../../server/api.ts';
import { SOURCES, SUDO_SOURCES, stateOf } from '../../words/directory.ts';
import { plural } from '../../words/text.ts';
import { HoldChoice } from './hold-choice.tsx';
import { AnswerDialog, type Asked, HoldList } from './holds.tsx';

function Counts({ counts, people }: { counts: NonNullable<DirectoryStatus['counts']>; people: boolean }) {
  const count = (n: number, label: string) => (
    <div>
      <dt>{label}</dt>
      <dd>{n.toLocaleString('en')}</dd>
    </div>
  );
  return (
    <dl className="counts">
      {people && count(counts.people, 'People')}
      {/* Each person has a private group; what an operator made is the rest. */}
      {people && count(counts.groups - counts.people, 'Groups')}
      {count(counts.sudoRules, 'Sudo rules')}
    </dl>
  );
}

function State({ status }: { status: DirectoryStatus }) {
  const { tone, title, text } = stateOf(status);
  const bridge = status.source === null;
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-labelledby="directory-state">
      <Stack gap="lg">
        <Group gap="md" wrap="nowrap" align="flex-start">
          <ThemeIcon size={44} radius="md" variant="light" className={`tone tone-${tone}`}>
            <IconAddressBook size={24} stroke={1.75} aria-hidden="true" />
          </ThemeIcon>
          <div className="grow">
            <Title order={2} size="h4" id="directory-state">
              {title}
            </Title>
            <Text size="sm" c="dimmed">
              {bridge && status.state === 'fresh' ? 'Hosts get the sudo rules of this console.' : text}
            </Text>
          </div>
        </Group>
        {status.problem !== null && (
          <Alert
            className={`tone tone-${tone === 'red' ? 'red' : 'yellow'}`}
            variant="light"
            icon={<IconAlertCircle />}
            title="What the server says"
          >
            <Text size="sm" className="break mono">
              {status.problem}
            </Text>
          </Alert>
        )}
        {status.counts && <Counts counts={status.counts} people={!bridge} />}
        <dl className="facts compact">
          {!bridge && (
            <>
              <dt>Last heard</dt>
              <dd>{status.lastSuccessAt === null ? 'never' : <Ago at={status.lastSuccessAt} />}</dd>
            </>
          )}
          <dt>People from</dt>
          <dd>{SOURCES[status.source ?? 'none']}</dd>
          <dt>Sudo rules from</dt>
          <dd>{SUDO_SOURCES[status.sudoSource]}</dd>
          <dt>Base DN</dt>
          <dd>
            <code>{status.baseDn}</code>
          </dd>
          <dt className="beside-box">Hosts ask at</dt>
          <dd>
            <CopyLine text={status.ldapUrl} label="Copy the address" />
          </dd>
        </dl>
      </Stack>
    </Card>
  );
}

/** How the directory stands, and what waits for an administrator. */
export function Overview({ status }: { status: DirectoryStatus }) {
  const holds = useQuery(api.directory.holds.queryOptions());
  const [asked, setAsked] = useState<Asked | null>(null);
  return (
    <QueryState query={holds} label="Loading what waits">
      {(all) => {
        const broken = all.filter(isUnreadable);
        const readable = all.filter((hold): hold is Hold => !isUnreadable(hold));
        const open = readable.filter(({ state }) => state === 'open');
        const well = stateOf(status).tone === 'green';
        const rejected = readable.filter(({ state }) => state === 'rejected');
        const ignored = readable.filter(({ kind, state }) => kind === 'host_report' && state === 'confirmed');
        const more = status.held - open.length - broken.length;
        return (
          <Stack gap="xl">
            {!well && <State status={status} />}
            {open.length > 0 && (
              <section aria-labelledby="waiting">
                <Title order={2} size="h4" id="waiting">
                  Waiting for you
                </Title>
                <Text size="sm" c="dimmed" mb="md">
                  These changes could give somebody power, or take much away. Hosts do not see them until an
                  administrator lets them through.
                </Text>
                {more > 0 && (
                  <Text size="sm" mb="md">
                    These are the {open.length} gravest. {plural(more, 'further change waits', 'further changes wait')}.
                  </Text>
                )}
                <HoldChoice holds={open} />
                <HoldList holds={open} ask={setAsked} />
              </section>
            )}
            {broken.map((hold) => (
              <Card key={hold.id} component="article" withBorder padding="lg" radius="lg" className="unreadable">
                <UnreadableCard entry={hold} />
              </Card>
            ))}
            {well && <State status={status} />}
            {open.length === 0 && broken.length === 0 && status.source !== null && (
              <Text size="sm" c="dimmed">
                Nothing waits for you. New members of groups that give root, changed rules, accounts that change hands
                and mass deletions wait here, unless these guards are switched off.
              </Text>
            )}
            {rejected.length > 0 && (
              <section aria-labelledby="kept-out">
                <Title order={2} size="h4" id="kept-out">
                  Kept out
                </Title>
                <Text size="sm" c="dimmed" mb="md">
                  The source still asks for these. They stay out until somebody lets them through, or the source takes
                  them back.
                </Text>
                <HoldList holds={rejected} ask={setAsked} />
              </section>
            )}
            {ignored.length > 0 && (
              <section aria-labelledby="ignored">
                <Title order={2} size="h4" id="ignored">
                  Hosts that are not heard
                </Title>
                <Text size="sm" c="dimmed" mb="md">
                  What these hosts say about names and numbers keeps no newcomer waiting.
                </Text>
                <HoldList holds={ignored} ask={setAsked} />
              </section>
            )}
            <div className="sr-only" role="status">
              {open.length === 1 ? '1 change waits' : `${open.length} changes wait`}
            </div>
            <AnswerDialog about={asked} close={() => setAsked(null)} />
          </Stack>
        );
      }}
    </QueryState>
  );
}
