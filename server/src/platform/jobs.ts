import type { Logger } from 'pino';
import { DatabaseTrouble } from '../db/trouble.ts';
import type { Job } from './module.ts';

/** Runs jobs until they are stopped. */
export interface RunningJobs {
  /** Names of those that are at work. */
  atWork(): string[];
  /** No turn begins after this; resolves when those under way have ended. */
  stop(): Promise<void>;
}

/**
 * Runs each job every so many milliseconds, the first time after that long.
 *
 * @param deps.mayRun whether it is this process that has to do it.
 */
export function startJobs(
  jobs: readonly Job[],
  deps: { mayRun: (job: Job) => Promise<boolean>; log: Pick<Logger, 'error'> },
): RunningJobs {
  const running = new Map<Job, Promise<void>>();
  const timers = jobs.map((job) =>
    setInterval(() => {
      // One that takes longer than its interval skips turns instead of piling up.
      if (running.has(job)) return;
      const turn = (async () => {
        try {
          if (await deps.mayRun(job)) await job.run();
        } catch (err) {
          // What is wrong with the database is told once for all who fail of it.
          if (!(err instanceof DatabaseTrouble)) {
            deps.log.error({ err, job: job.name }, 'a job failed; its next turn comes anyway');
          }
        } finally {
          running.delete(job);
        }
      })();
      running.set(job, turn);
    }, job.everyMs).unref(),
  );
  return {
    atWork: () => [...running.keys()].map(({ name }) => name),
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(running.values());
    },
  };
}
