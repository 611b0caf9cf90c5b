import { Select, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { browserApi, browserClient, refresh } from '../../server/api.ts';
import { KIND_TITLES } from '../../words/notify-channels.ts';
import { sentence } from '../../words/text.ts';
import { ChannelFields } from './channel-fields.tsx';
import {
  CHANNEL_FORMS,
  type ChannelKind,
  fieldsOf,
  KINDS,
  missingOf,
  settingsOf,
  type Typed,
} from './channel-forms.ts';
import { SecretNote } from './secret-note.tsx';

/** What a new channel is told of at once; the rest is said under routes. */
const FIRST_ROUTES = {
  requests: { label: 'Requests that wait for approval', events: ['challenge_created'] },
  outcomes: { label: 'Requests, and what becomes of them', events: ['challenge_*'] },
  all: { label: 'Every event', events: [] },
  none: { label: 'Nothing yet', events: null },
} as const;
type FirstRoute = keyof typeof FIRST_ROUTES;

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** Sets up a shared channel, and what it is told of first. Closes with its name. */
export const NewChannelDialog = formDialog<(name: string) => void>(
  'New channel',
  function NewChannelForm({ about: made, close }) {
    const [kind, setKind] = useState<ChannelKind>('webhook');
    const [name, setName] = useState('');
    const [typed, setTyped] = useState<Typed>({});
    const [first, setFirst] = useState<FirstRoute>('requests');
    const [tried, setTried] = useState(false);
    const fields = fieldsOf(kind);
    const missing = missingOf(
      kind,
      typed,
      fields.map(([field]) => field),
    );
    const badName = !NAME.test(name);
    const save = useMutation({
      async mutationFn() {
        const settings = settingsOf(kind, typed);
        const added = await browserClient.notify.channels.add.mutate({ name, kind, settings, personal: false });
        const { events } = FIRST_ROUTES[first];
        if (!added.ok || events === null) return added;
        const routed = await browserClient.notify.routes.add.mutate({
          rule: { channels: [name], events: [...events] },
        });
        if (!routed.ok)
          notifications.show({ color: 'red', message: sentence(`the route was not made: ${routed.problem}`) });
        return added;
      },
      onSuccess: (result) => {
        if (!result.ok) return;
        close();
        made(name);
      },
      onSettled: () => void refresh(browserApi.notify.pathKey()),
    });
    return (
      <DialogForm
        submit={() => {
          setTried(true);
          if (!badName && missing.length === 0) save.mutate();
        }}
        close={close}
        label="Set up channel"
        error={save.error}
        problem={save.data?.ok === false ? sentence(save.data.problem) : null}
        pending={save.isPending}
      >
        <Select
          label="Kind"
          description={CHANNEL_FORMS[kind].about}
          data={KINDS.map((value) => ({ value, label: KIND_TITLES[value] }))}
          value={kind}
          allowDeselect={false}
          onChange={(next) => {
            setKind((next ?? kind) as ChannelKind);
            save.reset();
          }}
        />
        <TextInput
          label="Name"
          description="Small letters, digits, dots and dashes. It cannot be changed later."
          placeholder="on-call"
          value={name}
          maxLength={64}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          data-autofocus
          error={tried && badName ? 'Begin with a small letter or digit; no blanks or capitals.' : undefined}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <ChannelFields fields={fields} typed={typed} missing={tried ? missing : []} change={setTyped} />
        <SecretNote kind={kind} name={NAME.test(name) ? name : ''} />
        <Select
          label="Told of"
          description="Makes the first route to it. Routes can be changed at any time."
          data={Object.entries(FIRST_ROUTES).map(([value, { label }]) => ({ value, label }))}
          value={first}
          allowDeselect={false}
          onChange={(next) => setFirst((next ?? first) as FirstRoute)}
        />
        <Text size="sm" c="dimmed">
          Addresses of private networks and plain http are reached only where IDENTREE_NOTIFY_ALLOW_CIDRS names their
          network.
        </Text>
      </DialogForm>
    );
  },
  'lg',
);
