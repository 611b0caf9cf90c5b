import type { HeldGrants } from '../offline-grants/held-grants.ts';

/** A host that takes no offline grants. */
export const NO_GRANTS: HeldGrants = {
  moment: () => ({ boot: 0, wall: 0 }),
  answered: async () => undefined,
  hear: () => undefined,
  take: () => null,
  refused: () => undefined,
  end: () => undefined,
  any: () => false,
};
