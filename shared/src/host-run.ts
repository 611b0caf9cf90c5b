import { z } from 'zod';

/**
 * POST /challenges/{id}/run: what sudo did with a command that was released to it, as its audit plugin saw it. Later ones
 * add to earlier ones; what has ended stays ended, and a repetition changes nothing.
 */
export const runRequest = z.discriminatedUnion('state', [
  /** sudo has accepted everything and starts the command. */
  z.strictObject({ state: z.literal('started') }),
  /** One of `exitStatus` and `signal` is null; both are when sudo lost sight of the command, which may still run. */
  z.strictObject({
    state: z.literal('ended'),
    exitStatus: z.int().min(0).max(255).nullable(),
    signal: z
      .string()
      .regex(/^SIG[A-Z0-9+-]{1,16}$/)
      .nullable(),
    durationMs: z.int().min(0),
  }),
  /** sudo, or another of its plugins, did not start it after all. */
  z.strictObject({ state: z.literal('refused'), reason: z.string().max(500) }),
]);
export type RunRequest = z.infer<typeof runRequest>;
