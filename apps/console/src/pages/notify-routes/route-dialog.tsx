import { MultiSelect, SimpleGrid, Switch, TagsInput, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { EVENT_NAMES } from '#shared/event-outcome.ts';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { LinesInput } from '../../kit/lines-input.tsx';
import { browserApi, browserClient, messageOf, type NotifyRoute, refresh, refusalOf } from '../../server/api.ts';
import { routeText, SEVERITIES } from '../../words/notify.ts';
import { sentence } from '../../words/text.ts';
import { formOf, type LineField, type RouteForm, ruleOf } from './route-form.ts';

const SEVERITY_CHOICES = Object.entries(SEVERITIES).map(([value, label]) => ({ value, label }));

/** Makes a route (null) or changes one. */
export const RouteDialog = formDialog<{ route: NotifyRoute | null }>(
  (about) => (about?.route ? 'Route' : 'New route'),
  function RouteFields({ about: { route }, close }) {
    const channels = useQuery(browserApi.notify.channels.list.queryOptions());
    const [form, setForm] = useState<RouteForm>(() => formOf(route?.rule ?? null));
    const [enabled, setEnabled] = useState(route?.enabled ?? true);
    const rule = ruleOf(form);
    const save = useMutation({
      mutationFn: async (): Promise<{ ok: boolean; problem?: string }> =>
        route === null
          ? browserClient.notify.routes.add.mutate({ rule, enabled })
          : browserClient.notify.routes.change.mutate({ id: route.id, revision: route.revision, rule, enabled }),
      onSuccess: (result) => {
        if (!result.ok) return;
        notifications.show({ color: 'green', message: 'The route is saved. It counts for what happens from now on.' });
        close();
      },
      onSettled: () => void refresh(browserApi.notify.pathKey()),
    });
    const set = <Name extends keyof RouteForm>(name: Name, value: RouteForm[Name]) =>
      setForm({ ...form, [name]: value });
    const lines = (name: LineField) => ({
      value: form[name],
      problems: [],
      minRows: 1,
      onChange: (value: string) => set(name, value),
    });
    const shared = (channels.data ?? []).filter((one) => one.shared).map(({ name }) => name);
    // A channel that is gone can be taken out.
    const known = [...new Set([...shared, ...form.channels])];
    const problem =
      refusalOf(save.error) === 'bad_request'
        ? 'One of the patterns cannot be read. A * stands for anything, a ? for one character.'
        : save.error
          ? messageOf(save.error)
          : save.data?.problem === undefined
            ? null
            : sentence(save.data.problem);
    return (
      <DialogForm
        submit={() => save.mutate()}
        close={close}
        label={route === null ? 'Make route' : 'Save route'}
        problem={problem}
        pending={save.isPending}
        disabled={form.channels.length === 0}
      >
        <MultiSelect
          label="Channels"
          description="Who is told."
          placeholder={form.channels.length === 0 ? 'At least one' : ''}
          data={known}
          value={[...form.channels]}
          onChange={(next) => set('channels', next)}
          searchable
          data-autofocus
        />
        <Text size="sm">Each list below that is empty means all. What is filled in has to fit, all of it.</Text>
        <TagsInput
          label="Events"
          description="Names or patterns, such as challenge_*. Empty: all events."
          data={EVENT_NAMES}
          value={[...form.events]}
          onChange={(next) => set('events', next)}
          acceptValueOnBlur
          clearable
          clearButtonProps={{ 'aria-label': 'All events' }}
        />
        <MultiSelect
          label="Severity"
          description="How urgent an event is. Empty: however urgent."
          data={SEVERITY_CHOICES}
          value={[...form.severities]}
          onChange={(next) => set('severities', next as RouteForm['severities'])}
        />
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
          <LinesInput
            {...lines('hosts')}
            label="Hosts"
            description="Patterns, one on each line. Empty: all hosts."
            placeholder="db*"
          />
          <LinesInput
            {...lines('hostGroups')}
            label="Host groups"
            description="Names, one on each line. Empty: all groups."
          />
          <LinesInput {...lines('users')} label="Users" description="Patterns, one on each line. Empty: all users." />
          <LinesInput
            {...lines('policies')}
            label="Rules of the approval policy"
            description="Names, one on each line. Empty: all rules."
          />
        </SimpleGrid>
        <Switch label="Switched on" checked={enabled} onChange={(event) => setEnabled(event.currentTarget.checked)} />
        {form.channels.length > 0 && (
          <Text size="sm" c="dimmed" className="break" role="status">
            Sends {routeText({ rule })}.
          </Text>
        )}
      </DialogForm>
    );
  },
  'lg',
);
