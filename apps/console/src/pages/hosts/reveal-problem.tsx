import { Button, Stack } from '@mantine/core';
import { Link } from '../../router.tsx';
import { refusalOf } from '../../server/api.ts';
import { wordsFor } from '../passkeys/webauthn.ts';

/** Signs in again and comes back to where it was asked for. */
const stepUpPath = () =>
  `/sessions/login?step_up=1&return_to=${encodeURIComponent(location.pathname + location.search)}`;

/** Why a password is not shown, and the way on where there is one. */
export function RevealProblem({ error }: { error: unknown }) {
  return (
    <Stack gap="xs" align="flex-start">
      {wordsFor(error)}
      {refusalOf(error) === 'passkey_required' && (
        <Link href="/passkeys" className="event-link">
          Add your first passkey
        </Link>
      )}
      {refusalOf(error) === 'fresh_sign_in_required' && (
        <Button size="xs" variant="default" component="a" href={stepUpPath()}>
          Sign in again
        </Button>
      )}
    </Stack>
  );
}
