import { IconAddressBook } from '@tabler/icons-react';
import { EmptyState } from '../kit/empty-state.tsx';

/** In place of the pages that need a directory. */
export function NoDirectory({ children }: { children: string }) {
  return (
    <EmptyState
      icon={IconAddressBook}
      title="This server serves no directory"
      text={`${children} Set IDENTREE_LDAP_BASE_DN, for example to dc=example,dc=com, and start the server again.`}
    />
  );
}
