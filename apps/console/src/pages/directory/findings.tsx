import { Badge, Button, Card, Group, Stack, Text, TextInput, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconCircleCheck, IconSearch } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { api, browserApi, type Lint, refresh, refusalOf } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { FINDINGS } from '../../words/directory.ts';

const FIRST = 10;
/** The server tells so many at most. */
const TOLD = 1000;

const ReleaseDialog = formDialog<string>('Release this name?', function ReleaseForm({ about: name, close }) {
  const release = useMutation(
    browserApi.directory.releaseName.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'green', message: `${name} is released.` });
        close();
      },
      onSettled: () => void refresh(api.directory.pathKey()),
    }),
  );
  const gone = refusalOf(release.error) === 'not_found';
  return (
    <DialogForm
      submit={() => release.mutate({ name })}
      close={close}
      label={gone ? null : 'Release the name'}
      backLabel={gone ? 'Close' : 'Back'}
      error={release.error}
      problem={gone ? 'The name is not kept any more. Nothing was done.' : null}
      pending={release.isPending}
      tone="danger"
    >
      <Text size="sm">
        <strong>{name}</strong> was somebody else’s until lately. Whoever gets it now also gets whatever hosts still
        give to that name: files in sudoers.d, cron.allow, AllowUsers, home folders.
      </Text>
    </DialogForm>
  );
});

function FindingCard({
  code,
  lints,
  release,
}: {
  code: Lint['code'];
  lints: readonly Lint[];
  release: ((name: string) => void) | null;
}) {
  const [all, setAll] = useState(false);
  const { title, means, todo } = FINDINGS[code];
  const shown = all ? lints : lints.slice(0, FIRST);
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-labelledby={`finding-${code}`}>
      <Group gap="sm" mb={4}>
        <Title order={2} size="h5" id={`finding-${code}`}>
          {title}
        </Title>
        <Badge className="tone tone-gray" color="gray" variant="light" aria-label={`${lints.length} times`} role="img">
          {lints.length}
        </Badge>
      </Group>
      <Text size="sm" c="dimmed">
        {means}
      </Text>
      <Text size="sm">{todo}</Text>
      <ul className="plain-list findings">
        {shown.map((lint, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two findings may be word for word the same.
          <li key={index}>
            <span className="grow">
              <strong className="break">
                <MarkedText text={lint.subject} />
              </strong>
              <span className="break">
                <MarkedText text={lint.detail} />
              </span>
            </span>
            {release && lint.name !== undefined && (
              <Button
                size="xs"
                variant="default"
                aria-label={`Release the name ${lint.name}`}
                onClick={() => release(lint.name!)}
              >
                Release the name
              </Button>
            )}
          </li>
        ))}
      </ul>
      {lints.length > FIRST && (
        <Button variant="subtle" size="compact-sm" className="text-button" mt="xs" onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${lints.length}`}
        </Button>
      )}
    </Card>
  );
}

/** What the source or a rule says that cannot be served as it is, or should be meant. */
export function Findings() {
  const query = useQuery(api.directory.lints.queryOptions());
  const mayChange = useMayChange();
  const [typed, setTyped] = useState('');
  const [releasing, setReleasing] = useState<string | null>(null);
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (lint: Lint) => {
    const text = `${lint.subject} ${lint.detail} ${FINDINGS[lint.code].title} ${lint.code}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return (
    <QueryState query={query} label="Loading findings">
      {(lints) => {
        if (lints.length === 0) {
          return (
            <EmptyState
              icon={IconCircleCheck}
              tone="green"
              title="No findings"
              text="Everything that the source and the rules say is served as it was written."
            />
          );
        }
        const found = lints.filter(matches);
        const groups = Map.groupBy(found, ({ code }) => code);
        const codes = (Object.keys(FINDINGS) as Lint['code'][]).filter((code) => groups.has(code));
        return (
          <Stack gap="md">
            <TextInput
              aria-label="Search findings"
              placeholder="User, group, rule or value"
              leftSection={<IconSearch size={18} aria-hidden="true" />}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
            />
            {lints.length >= TOLD && (
              <Text size="sm" c="dimmed">
                These are the first {TOLD.toLocaleString('en')}. More appear when some of them are mended.
              </Text>
            )}
            {codes.map((code) => (
              <FindingCard key={code} code={code} lints={groups.get(code)!} release={mayChange ? setReleasing : null} />
            ))}
            {found.length === 0 && <EmptyState text="Nothing matches. Try fewer words." />}
            <div className="sr-only" role="status">
              {found.length === 1 ? '1 finding' : `${found.length} findings`}
            </div>
            <ReleaseDialog about={releasing} close={() => setReleasing(null)} />
          </Stack>
        );
      }}
    </QueryState>
  );
}
