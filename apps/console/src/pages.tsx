import {
  IconAddressBook,
  IconArrowsSplit2,
  IconBell,
  IconDevices,
  IconHistory,
  IconInbox,
  IconKey,
  IconRoute,
  IconSend,
  IconServer,
  IconTerminal2,
  IconUsers,
} from '@tabler/icons-react';
import { type ComponentType, lazy } from 'react';
import type { ConsolePath } from '#shared/console.ts';
import { Failure } from './kit/query-state.tsx';
import { InboxPage } from './pages/inbox/inbox.tsx';

const AGAIN_AFTER_MS = 500;

/** In place of a page whose program did not come: the network failed, or another version of the server has other files. */
function NotLoaded() {
  return (
    <Failure
      message="The connection failed, or the server has been updated meanwhile."
      retry={() => location.reload()}
    />
  );
}

/** A page that is loaded when it is wanted. A failure is tried again once, and told; it never leaves an empty window. */
function page(load: () => Promise<{ default: ComponentType }>): ComponentType {
  const again = () => new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS)).then(load);
  return lazy(() =>
    load()
      .catch(again)
      .catch(() => ({ default: NotLoaded })),
  );
}

/** What is behind each path; the rest about a page is in shared/src/console.ts. The inbox is there at once. */
export const PAGES: Record<ConsolePath, { icon: typeof IconInbox; Page: ComponentType }> = {
  '/': { icon: IconInbox, Page: InboxPage },
  '/history': { icon: IconHistory, Page: page(() => import('./pages/history/history.tsx')) },
  '/hosts': { icon: IconServer, Page: page(() => import('./pages/hosts/hosts.tsx')) },
  '/people': { icon: IconUsers, Page: page(() => import('./pages/people/people.tsx')) },
  '/directory': { icon: IconAddressBook, Page: page(() => import('./pages/directory/directory.tsx')) },
  '/sudo-rules': { icon: IconTerminal2, Page: page(() => import('./pages/sudo-rules/sudo-rules.tsx')) },
  '/audit-sinks': { icon: IconArrowsSplit2, Page: page(() => import('./pages/audit-sinks/audit-sinks.tsx')) },
  '/notify-channels': {
    icon: IconBell,
    Page: page(() => import('./pages/notify-channels/notify-channels.tsx')),
  },
  '/notify-routes': { icon: IconRoute, Page: page(() => import('./pages/notify-routes/notify-routes.tsx')) },
  '/notify-deliveries': {
    icon: IconSend,
    Page: page(() => import('./pages/notify-deliveries/notify-deliveries.tsx')),
  },
  '/passkeys': { icon: IconKey, Page: page(() => import('./pages/passkeys/passkeys.tsx')) },
  '/my-notifications': {
    icon: IconBell,
    Page: page(() => import('./pages/my-notifications/my-notifications.tsx')),
  },
  '/sessions': { icon: IconDevices, Page: page(() => import('./pages/sessions/sessions.tsx')) },
};
