import { Button } from '@mantine/core';
import { IconExternalLink } from '@tabler/icons-react';
import { desktop, useUnreached } from '../bridge.ts';
import type { Request } from '../server/api.ts';

/** Opens the approval page: in this tab, or from the desktop app in the system browser. */
export function ReviewButton({ request }: { request: Request }) {
  // The desktop session itself may not approve; the page that it opens in the browser may.
  const review = request.can.approve || request.approveRefusal === 'session_kind';
  const label = review ? 'Review' : 'View';
  const about = `${label} the request of ${request.user} on ${request.host.name}`;
  const unreached = useUnreached();
  if (desktop) {
    return (
      <Button
        aria-label={`${about}, in the browser`}
        rightSection={<IconExternalLink size={16} aria-hidden />}
        disabled={unreached !== null}
        onClick={() => desktop?.openApproval(request.userCode)}
      >
        {label}
      </Button>
    );
  }
  return (
    <Button component="a" href={`/approve/${request.userCode}`} aria-label={about}>
      {label}
    </Button>
  );
}
