import { Button } from '@mantine/core';
import type { Request } from '../api.ts';
import { desktop } from '../bridge.ts';

/** Opens the approval page: in this tab, or from the desktop app in the system browser. */
export function ReviewButton({ request }: { request: Request }) {
  const label = request.can.approve ? 'Review' : 'View';
  const which = `the request of ${request.user} on ${request.host.name}`;
  if (desktop) {
    return (
      <Button aria-label={`${label} in browser: ${which}`} onClick={() => desktop?.openApproval(request.userCode)}>
        {label} in browser
      </Button>
    );
  }
  return (
    <Button component="a" href={`/approve/${request.userCode}`} aria-label={`${label} ${which}`}>
      {label}
    </Button>
  );
}
