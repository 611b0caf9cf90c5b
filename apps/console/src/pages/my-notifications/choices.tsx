import { Button, Group, MultiSelect, Select, SimpleGrid, Stack, Switch, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Problem } from '../../kit/form-dialog.tsx';
import { LinesInput } from '../../kit/lines-input.tsx';
import { api, browserClient, messageOf } from '../../server/api.ts';
import { useMe } from '../../server/me.ts';
import { sentence } from '../../words/text.ts';
import { eventWords } from './event-words.ts';
import { type Channel, type Preferences, refreshTold } from './notify-types.ts';

const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
const zones = (own: string): string[] => [...new Set([own, 'UTC', ...Intl.supportedValuesOf('timeZone')])];

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

function QuietHours({ value, change }: { value: Preferences['quiet']; change: (next: Preferences['quiet']) => void }) {
  return (
    <Stack gap="sm">
      <Switch
        label="Quiet hours"
        description="What comes then waits until they end. A request is over by then, and is not told any more."
        checked={value !== null}
        onChange={(event) =>
          change(event.currentTarget.checked ? { from: '22:00', to: '07:00', timeZone: ownZone() } : null)
        }
      />
      {value && (
        <SimpleGrid cols={{ base: 2, sm: 3 }} spacing="md">
          <TextInput
            type="time"
            label="From"
            value={value.from}
            onChange={(event) => change({ ...value, from: event.currentTarget.value })}
          />
          <TextInput
            type="time"
            label="To"
            value={value.to}
            onChange={(event) => change({ ...value, to: event.currentTarget.value })}
          />
          <Select
            label="Time zone"
            searchable
            data={zones(value.timeZone)}
            value={value.timeZone}
            allowDeselect={false}
            onChange={(timeZone) => timeZone !== null && change({ ...value, timeZone })}
          />
        </SimpleGrid>
      )}
    </Stack>
  );
}

/** What somebody is told, where, and when not. Kept until it is saved. */
export function Choices({ saved, channels }: { saved: Preferences; channels: readonly Channel[] }) {
  const me = useMe();
  const events = useQuery({ ...api.notify.events.queryOptions(), staleTime: Number.POSITIVE_INFINITY });
  const [chosen, setChosen] = useState(saved);
  const [hosts, setHosts] = useState(saved.hosts.join('\n'));
  const set = (part: Partial<Preferences>) => setChosen((before) => ({ ...before, ...part }));
  const wanted = { ...chosen, hosts: linesOf(hosts) };
  const save = useMutation({
    mutationFn: async () => {
      const done = await browserClient.notify.preferences.set.mutate(wanted);
      return done.ok ? null : done.problem;
    },
    onSuccess: (problem) => {
      if (problem === null) notifications.show({ color: 'green', message: 'Saved. It counts from the next event on.' });
    },
    onSettled: refreshTold,
  });
  const isSame = JSON.stringify(wanted) === JSON.stringify(saved);
  const problem = save.error ? messageOf(save.error) : save.data ? sentence(save.data) : null;
  const isHalf = wanted.quiet !== null && (wanted.quiet.from === '' || wanted.quiet.to === '');
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <fieldset className="form-part">
        <legend className="sr-only">What you are told</legend>
        <Stack gap="lg">
          <Switch
            label="Tell me what happens"
            checked={chosen.enabled}
            onChange={(event) => set({ enabled: event.currentTarget.checked })}
          />
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="lg">
            <MultiSelect
              label="Of these events"
              description="A request is told to those who may approve it. None chosen means all."
              searchable
              hidePickedOptions
              data={[...new Set([...(events.data ?? []), ...chosen.events])].map((name) => ({
                value: name,
                label: eventWords(name),
              }))}
              value={chosen.events}
              onChange={(next) => set({ events: next })}
            />
            <MultiSelect
              label="On these channels"
              description="None chosen means all of yours."
              hidePickedOptions
              data={[...new Set([...channels.map(({ name }) => name), ...chosen.channels])]}
              value={chosen.channels}
              onChange={(next) => set({ channels: next })}
            />
          </SimpleGrid>
          <LinesInput
            label="Only on these hosts"
            description="A name or pattern on each line, such as web*. Nothing means all."
            value={hosts}
            onChange={setHosts}
            problems={[]}
          />
          {me.role === 'admin' && (
            <Switch
              label="Also what is about others"
              description="Everything that you may see, and not only your own accounts. Requests do not depend on it."
              checked={chosen.others}
              onChange={(event) => set({ others: event.currentTarget.checked })}
            />
          )}
          <Switch
            label="Also on screen, where I am signed in"
            description="In open consoles and in the desktop app, by the same choices."
            checked={chosen.screens}
            onChange={(event) => set({ screens: event.currentTarget.checked })}
          />
          <QuietHours value={chosen.quiet} change={(quiet) => set({ quiet })} />
          {problem !== null && <Problem>{problem}</Problem>}
          <Group justify="flex-end">
            {!isSame && (
              <Text size="sm" c="dimmed">
                Not saved yet
              </Text>
            )}
            <Button type="submit" loading={save.isPending} disabled={isSame || isHalf}>
              Save
            </Button>
          </Group>
        </Stack>
      </fieldset>
    </form>
  );
}
