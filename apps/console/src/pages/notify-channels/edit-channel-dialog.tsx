import { Button, Card, Group, Switch, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { browserApi, browserClient, type NotifyChannel, refresh } from '../../server/api.ts';
import { listed, sentence } from '../../words/text.ts';
import { ChannelFields } from './channel-fields.tsx';
import { fieldsOf, missingOf, settingsOf, typedOf } from './channel-forms.ts';
import { PaceFields } from './pace-fields.tsx';
import { SecretNote } from './secret-note.tsx';

/** Changes a shared channel. What is masked stays as it is, or is typed anew as a whole: it cannot be read back. */
export const EditChannelDialog = formDialog<NotifyChannel>(
  (channel) => `Channel ${channel?.name ?? ''}`,
  function EditChannelForm({ about: channel, close }) {
    const { name, kind, settings, hidden } = channel;
    const all = fieldsOf(kind);
    const shown = all.flatMap(([field]) => (hidden.includes(field) ? [] : [field]));
    const masked = all.filter(([field]) => hidden.includes(field));
    // What cannot be read at all has to be typed anew.
    const [replacing, setReplacing] = useState(settings === null);
    const [typed, setTyped] = useState(() => typedOf(kind, settings, shown));
    const [pace, setPace] = useState({ ...channel });
    const [enabled, setEnabled] = useState(channel.enabled);
    const [tried, setTried] = useState(false);
    const fields = all.filter(([field]) => replacing || !hidden.includes(field));
    const missing = missingOf(
      kind,
      typed,
      fields.map(([field]) => field),
    );
    const save = useMutation({
      mutationFn: () => {
        const { perMinute, atOnce, foldFrom } = pace;
        const given = Object.fromEntries(fields.map(([field]) => [field, typed[field] ?? '']));
        return browserClient.notify.channels.change.mutate({
          ...{ name, revision: channel.revision, enabled, perMinute, atOnce, foldFrom },
          settings: settingsOf(kind, given),
          keepHidden: !replacing,
        });
      },
      onSuccess: (result) => {
        if (!result.ok) return;
        notifications.show({ color: 'green', message: `${name} is saved.` });
        close();
      },
      onSettled: () => void refresh(browserApi.notify.pathKey()),
    });
    return (
      <DialogForm
        submit={() => {
          setTried(true);
          if (missing.length === 0) save.mutate();
        }}
        close={close}
        label="Save channel"
        error={save.error}
        problem={save.data?.ok === false ? sentence(save.data.problem) : null}
        pending={save.isPending}
      >
        {masked.length > 0 && !replacing && (
          <Card withBorder padding="sm" radius="md">
            <Group justify="space-between" gap="sm">
              <Text size="sm" className="break grow">
                {listed(masked.map(([, { label }]) => label))}: kept as stored, and not shown.
              </Text>
              <Button variant="default" size="xs" onClick={() => setReplacing(true)}>
                Replace
              </Button>
            </Group>
          </Card>
        )}
        <ChannelFields fields={fields} typed={typed} missing={tried ? missing : []} change={setTyped} />
        <SecretNote kind={kind} name={name} />
        <PaceFields pace={pace} change={(next) => setPace({ ...pace, ...next })} />
        <Switch
          label="Switched on"
          description="Switched off, what is for it is skipped. To let it wait instead, pause the channel."
          checked={enabled}
          onChange={(event) => setEnabled(event.currentTarget.checked)}
        />
      </DialogForm>
    );
  },
  'lg',
);
