import type { JournalHeadsToTell } from '../journal/heads.ts';

/** A host that says nothing of its journals, as to an earlier server. */
export const NO_JOURNALS: JournalHeadsToTell = {
  said: async () => null,
  heard: () => undefined,
  kept: () => null,
  areAwaited: () => false,
};
