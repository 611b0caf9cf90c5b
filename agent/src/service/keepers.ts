import type { Log } from '../platform/log.ts';

/** Work that goes on beside the gate for as long as the agent runs. It looks after the failures that it expects. */
export interface Keeper {
  name: string;
  /** Resolves once `stopping` is aborted. */
  run(stopping: AbortSignal): Promise<void>;
}

/**
 * Runs keepers until they are stopped; never rejects. One that ends by itself is `broken`, and the agent with it: a host
 * that goes on without a heartbeat or without a new certificate looks well until it is too late. systemd starts a whole one.
 */
export async function keep(
  keepers: readonly Keeper[],
  deps: { stopping: AbortSignal; broken: (why: Error) => void; log: Log },
): Promise<void> {
  const { stopping, broken, log } = deps;
  await Promise.all(
    keepers.map(async ({ name, run }) => {
      let why = 'it ended by itself';
      try {
        await run(stopping);
        if (stopping.aborted) return;
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      const wasStopping = stopping.aborted;
      log.error(`${name} broke: ${why}`);
      if (!wasStopping) broken(new Error(`${name} broke, and the agent ends with it.`));
    }),
  );
}
