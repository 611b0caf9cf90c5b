import { Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { browserApi, browserClient, type NotifyRoute, refresh, refusalOf } from '../../server/api.ts';
import { routeText } from '../../words/notify.ts';
import { sentence } from '../../words/text.ts';

/** Removes a route, as it is shown here: another version of it is not removed unseen. */
export const RemoveRouteDialog = formDialog<NotifyRoute>(
  'Remove this route?',
  function RemoveRouteForm({ about: route, close }) {
    const remove = useMutation({
      mutationFn: () => browserClient.notify.routes.remove.mutate({ id: route.id, revision: route.revision }),
      onSuccess: (result) => {
        if (!result.ok) return;
        notifications.show({ color: 'gray', message: 'The route is removed.' });
        close();
      },
      onSettled: () => void refresh(browserApi.notify.pathKey()),
    });
    const gone = refusalOf(remove.error) === 'not_found';
    return (
      <DialogForm
        submit={() => remove.mutate()}
        close={close}
        label={gone ? null : 'Remove route'}
        error={remove.error}
        problem={
          gone
            ? 'Somebody else has removed it already.'
            : remove.data?.ok === false
              ? `${sentence(remove.data.problem)} Close this and look at it again.`
              : null
        }
        pending={remove.isPending}
        tone="danger"
      >
        <Text size="sm" className="break">
          It sends {routeText(route)}.
        </Text>
        <Text size="sm">What waits already is still sent. Other routes to the same channels stay.</Text>
      </DialogForm>
    );
  },
);
