import type { UnitOfWork } from '../db/database.ts';

/** What the directory reports. One line each, like `EVENTS` in shared/src/events.ts. */
export const DIRECTORY_EVENTS = {
  directory_published: 'Hosts see another directory: people, groups or their claims changed.',
  directory_numbers_changed: 'Numbers of users or groups were assigned, retired or given back to their owner.',
  directory_change_held: 'A change that could give power waits for an operator.',
  directory_change_confirmed: 'An operator let a held change through.',
  directory_change_rejected: 'An operator refused a held change.',
  directory_name_released: 'An operator released a name that its former owner had left.',
  sudo_rule_modified: 'A sudo rule was made, changed or removed.',
  scim_client_created: 'An administrator made a SCIM token.',
  scim_client_revoked: 'An administrator revoked a SCIM token.',
  scim_resource_changed: 'A SCIM client changed a user or group.',
} as const;

export type DirectoryEventName = keyof typeof DIRECTORY_EVENTS;

/** The part of the event log that the directory needs. */
export interface DirectoryEvents {
  append(
    work: UnitOfWork,
    event: {
      event: DirectoryEventName;
      username: string;
      actor?: string | null;
      reason?: string | null;
      remoteAddr?: string | null;
      data?: Record<string, unknown>;
    },
  ): Promise<unknown>;
}
