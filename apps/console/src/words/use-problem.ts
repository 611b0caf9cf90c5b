import type { UseProblem } from '#shared/offline-grant.ts';

/** Why what a host ran by an offline grant is not what it was granted. */
export const USE_PROBLEMS: Record<UseProblem, string> = {
  another_request: 'What the host says it ran is another command, account or environment than the one of its grant.',
  outside_its_time: 'By the clock of the host it ran before the grant was made, or after its time was over.',
};
