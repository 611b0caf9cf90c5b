import { Alert, Button, type ButtonProps, Group } from '@mantine/core';
import { messageOf } from '../api.ts';

/** The foot of a dialog: what went wrong, a way back, and the one thing that it does. */
export function DialogActions({
  error,
  close,
  label,
  pending,
  disabled = false,
  color,
  backLabel = 'Back',
}: {
  error: unknown;
  close: () => void;
  label: string;
  pending: boolean;
  disabled?: boolean;
  color?: ButtonProps['color'];
  backLabel?: string;
}) {
  return (
    <>
      {Boolean(error) && (
        <Alert color="red" className="tone tone-red" role="alert">
          {messageOf(error)}
        </Alert>
      )}
      <Group justify="flex-end" className="dialog-actions">
        <Button variant="default" onClick={close}>
          {backLabel}
        </Button>
        <Button type="submit" loading={pending} disabled={disabled} color={color}>
          {label}
        </Button>
      </Group>
    </>
  );
}
