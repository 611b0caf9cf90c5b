import type { ShellPorts } from './ports.ts';

/** Two browser windows within this time are one click too many, milliseconds. */
const OPEN_INTERVAL_MS = 1000;

/** Opens the page on which a request is approved, in the person's own browser. */
export function createApprovalOpener(deps: Pick<ShellPorts, 'opener' | 'clock'> & { onNoBrowser: () => void }) {
  let openedAt = Number.NEGATIVE_INFINITY;
  return (origin: string, code: string): void => {
    const now = deps.clock.elapsed();
    if (now - openedAt < OPEN_INTERVAL_MS) return;
    openedAt = now;
    void deps.opener.open(origin, { kind: 'approve', code }).then((opened) => {
      if (!opened) deps.onNoBrowser();
    });
  };
}
