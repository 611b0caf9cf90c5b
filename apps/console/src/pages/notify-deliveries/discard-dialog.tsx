import { Text } from '@mantine/core';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import type { Settle } from './use-settle.ts';

/** Discards everything that was given up on a channel, after a question. */
export const DiscardDialog = formDialog<{ channel: string; settle: Settle }>(
  'Discard what was given up?',
  function DiscardForm({ about: { channel, settle }, close }) {
    return (
      <DialogForm
        submit={() => {
          settle.discard({ channel });
          close();
        }}
        close={close}
        label="Discard all"
        tone="danger"
      >
        <Text size="sm" className="break">
          Nobody will be told of what was given up on <strong>{channel}</strong>. It stays in this list for thirty days,
          and in the history.
        </Text>
      </DialogForm>
    );
  },
);
