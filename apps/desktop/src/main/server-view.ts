import type { PendingRequest } from './pending.ts';
import type { Profile } from './profile.ts';
import type { Reach } from './reach.ts';

/** What is known of one server now. */
export interface ServerView {
  profile: Profile;
  reach: Reach;
  /** Newest first. Empty when nobody is signed in there. */
  pending: readonly PendingRequest[];
}
