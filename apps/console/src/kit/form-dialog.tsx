import { Alert, Button, type ButtonProps, Group, Modal, type ModalProps, Stack } from '@mantine/core';
import type { ComponentType, ReactNode } from 'react';
import { messageOf } from '../server/api.ts';

/** What a dialog's content gets: what the dialog is about, and how to close it. */
export interface DialogContent<T> {
  about: T;
  close: () => void;
}

/**
 * Makes a dialog of its content. It is open while it is about something; what was typed is gone with the content, so
 * that the next one begins empty.
 *
 * @param title a text, or made from what the dialog is about (null: it is closing).
 */
export function formDialog<T = true>(
  title: string | ((about: T | null) => string),
  Content: ComponentType<DialogContent<T>>,
  size: ModalProps['size'] = 'md',
): ComponentType<{ about: T | null | false; close: () => void }> {
  return function FormDialog({ about, close }) {
    const open = about !== null && about !== false;
    return (
      <Modal
        opened={open}
        onClose={close}
        title={typeof title === 'string' ? title : title(open ? about : null)}
        size={size}
        centered
      >
        {open && <Content about={about} close={close} />}
      </Modal>
    );
  };
}

/** What went wrong. */
export function Problem({ children }: { children: ReactNode }) {
  return (
    <Alert color="red" className="tone tone-red" role="alert">
      {children}
    </Alert>
  );
}

interface Actions {
  /** What went wrong; null or undefined: nothing did. */
  error?: unknown;
  /** What went wrong, where the page knows better words than the server. */
  problem?: ReactNode;
  close: () => void;
  /** What the dialog does; null: nothing any more, there is only the way back. */
  label: string | null;
  pending?: boolean;
  disabled?: boolean;
  /** `danger`: it takes something away that does not come back by itself. */
  tone?: 'danger';
  backLabel?: string;
  /** The action is in focus when the dialog opens: it has no field. */
  focused?: boolean;
}

const DANGER: ButtonProps['color'] = 'red.9';

/** The foot of a dialog: what went wrong, a way back, and the one thing that it does. */
export function DialogActions({
  error,
  problem,
  close,
  label,
  pending = false,
  disabled = false,
  tone,
  backLabel = 'Back',
  focused = false,
}: Actions) {
  const said = problem ?? (error ? messageOf(error) : null);
  return (
    <>
      {said !== null && <Problem>{said}</Problem>}
      <Group justify="flex-end" className="dialog-actions">
        <Button variant="default" onClick={close}>
          {backLabel}
        </Button>
        {label !== null && (
          <Button
            type="submit"
            loading={pending}
            disabled={disabled}
            color={tone === 'danger' ? DANGER : undefined}
            data-autofocus={focused || undefined}
          >
            {label}
          </Button>
        )}
      </Group>
    </>
  );
}

/** What is asked for or said in a dialog, and its foot. `submit` is called only while the action is enabled. */
export function DialogForm({ submit, children, ...actions }: Actions & { submit: () => void; children: ReactNode }) {
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!actions.disabled && actions.label !== null) submit();
      }}
    >
      <Stack gap="md">
        {children}
        <DialogActions {...actions} />
      </Stack>
    </form>
  );
}

/** The foot of a dialog that only shows something. */
export function DialogDone({ close }: { close: () => void }) {
  return (
    <Group justify="flex-end" className="dialog-actions">
      <Button onClick={close}>Done</Button>
    </Group>
  );
}
