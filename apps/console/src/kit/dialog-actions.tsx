import { Alert, Button, type ButtonProps, Group } from '@mantine/core';
import { messageOf } from '../server/api.ts';

/** The foot of a dialog: what went wrong, a way back, and the one thing that it does. `label` null: only the way back. */
export function DialogActions({
  error,
  note,
  close,
  label,
  pending,
  disabled = false,
  color,
  backLabel = 'Back',
}: {
  error: unknown;
  /** What went wrong, where the page knows better words than the server. */
  note?: string;
  close: () => void;
  label: string | null;
  pending: boolean;
  disabled?: boolean;
  color?: ButtonProps['color'];
  backLabel?: string;
}) {
  return (
    <>
      {(note !== undefined || Boolean(error)) && (
        <Alert color="red" className="tone tone-red" role="alert">
          {note ?? messageOf(error)}
        </Alert>
      )}
      <Group justify="flex-end" className="dialog-actions">
        <Button variant="default" onClick={close}>
          {backLabel}
        </Button>
        {label !== null && (
          <Button type="submit" loading={pending} disabled={disabled} color={color}>
            {label}
          </Button>
        )}
      </Group>
    </>
  );
}
