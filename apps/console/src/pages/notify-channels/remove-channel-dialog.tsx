import { List, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { browserApi, browserClient, type Outputs, refresh, refusalOf } from '../../server/api.ts';
import { plural } from '../../words/text.ts';

type Uses = Outputs['notify']['channels']['uses'];

/** What goes with a channel, a sentence each. */
function lossesOf(name: string, { routes, people, waiting, dead }: Uses): string[] {
  const alone = routes.filter(({ rule }) => rule.channels.every((one) => one === name)).length;
  const others = routes.length - alone;
  return [
    ...(alone > 0
      ? [`${plural(alone, 'route')} ${alone === 1 ? 'leads' : 'lead'} to it alone, and to nothing after that.`]
      : []),
    ...(others > 0
      ? [`${plural(others, 'route')} ${others === 1 ? 'names' : 'name'} it beside others, which are told as before.`]
      : []),
    ...(people > 0 ? [`${plural(people, 'person', 'people')} chose it for what they are told.`] : []),
    ...(waiting > 0
      ? [
          `${plural(waiting, 'delivery', 'deliveries')} ${waiting === 1 ? 'waits' : 'wait'} for it, and will be told to nobody.`,
        ]
      : []),
    ...(dead > 0 ? [`${plural(dead, 'delivery', 'deliveries')} that failed can be sent again no more.`] : []),
  ];
}

/** Removes a shared channel, after what depends on it was said. */
export const RemoveChannelDialog = formDialog<string>(
  (name) => `Remove ${name ?? ''}?`,
  function RemoveChannelForm({ about: name, close }) {
    const remove = useMutation({
      mutationFn: () => browserClient.notify.channels.remove.mutate({ name }),
      onSuccess: () => {
        notifications.show({ color: 'gray', message: `${name} is removed.` });
        close();
      },
      onSettled: () => void refresh(browserApi.notify.pathKey()),
    });
    const uses = useQuery({
      ...browserApi.notify.channels.uses.queryOptions({ name }),
      staleTime: 0,
      // Of what is being removed nobody asks again what depends on it.
      enabled: remove.isIdle || remove.isError,
    });
    const gone = [uses.error, remove.error].some((error) => refusalOf(error) === 'not_found');
    const losses = uses.data === undefined ? [] : lossesOf(name, uses.data);
    return (
      <DialogForm
        submit={() => remove.mutate()}
        close={close}
        label={gone ? null : 'Remove channel'}
        error={remove.error ?? uses.error}
        problem={gone ? 'Somebody else has removed it already.' : null}
        pending={remove.isPending}
        disabled={uses.data === undefined}
        tone="danger"
      >
        {uses.data !== undefined && losses.length === 0 && <Text size="sm">Nothing depends on it.</Text>}
        {losses.length > 0 && (
          <List size="sm" spacing={4}>
            {losses.map((text) => (
              <List.Item key={text}>{text}</List.Item>
            ))}
          </List>
        )}
        <Text size="sm">Its settings are gone with it. To stop it for a while, pause it instead.</Text>
      </DialogForm>
    );
  },
);
