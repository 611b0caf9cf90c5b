import { Alert, List, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { ImportField } from '../../parts/import-field.tsx';
import { browserApi, browserClient, refresh } from '../../server/api.ts';
import { listed, plural, sentence } from '../../words/text.ts';

/** What the server takes at once; larger files are a matter for its command line. */
const MAX_BODY = 60_000;

/** Takes over channels, routes and preferences of the Go identree, from a file or pasted. */
export const ImportDialog = formDialog(
  'Import from the Go identree',
  function ImportForm({ close }) {
    const [text, setText] = useState('');
    const tooLarge = JSON.stringify(text).length > MAX_BODY;
    const send = useMutation({
      mutationFn: () => browserClient.notify.channels.import.mutate({ content: text }),
      onSettled: () => void refresh(browserApi.notify.pathKey()),
    });
    const done = send.data?.ok ? send.data : null;
    const change = (next: string) => {
      setText(next);
      send.reset();
    };
    return (
      <DialogForm
        submit={() => send.mutate()}
        close={close}
        label={done === null ? 'Import' : null}
        backLabel={done === null ? 'Back' : 'Done'}
        error={send.error}
        problem={send.data?.ok === false ? `${sentence(send.data.problem)} Nothing was imported.` : null}
        pending={send.isPending}
        disabled={text.trim() === '' || tooLarge}
      >
        {done === null ? (
          <>
            <Text size="sm">
              A <code className="mono">notification-channels.json</code> or{' '}
              <code className="mono">admin-notifications.json</code>. What is here already stays as it is. Secrets are
              not taken over: they belong into the environment of the server.
            </Text>
            <ImportField
              text={text}
              error={tooLarge ? 'Too large for this page. Run identree-server notify import on the server.' : undefined}
              change={change}
            />
          </>
        ) : (
          <>
            <Text size="sm" role="status">
              Taken over:{' '}
              {listed([
                plural(done.channels, 'channel'),
                plural(done.routes, 'route'),
                ...(done.people === 0 ? [] : [`what ${plural(done.people, 'person', 'people')} had chosen`]),
              ])}
              .
            </Text>
            {done.left.length > 0 && (
              <Alert className="tone tone-yellow" color="yellow" variant="light" title="Not taken over">
                <List size="sm" spacing={4}>
                  {done.left.map((line) => (
                    <List.Item key={line} className="break">
                      {sentence(line)}
                    </List.Item>
                  ))}
                </List>
              </Alert>
            )}
          </>
        )}
      </DialogForm>
    );
  },
  'lg',
);
