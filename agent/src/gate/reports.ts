import type { OutcomeRequest } from '#shared/host-api.ts';
import type { RunRequest } from '#shared/host-run.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Reply } from '../client/reply.ts';
import type { Clock } from '../platform/clock.ts';
import { createTurns } from '../platform/in-turn.ts';
import type { Log } from '../platform/log.ts';

/** What the server is told of a request afterwards. Nobody waits for it; each is tried a few times. */
export interface Reports {
  /** Nobody waits for the answer any more. Resolves when the server knows, or is not told any more. */
  withdraw(challengeId: string): Promise<void>;
  /** What became of an answer. */
  outcome(challengeId: string, outcome: OutcomeRequest, when?: 'now' | 'once_started'): Promise<void>;
  /** What became of a command. */
  run(challengeId: string, run: RunRequest): Promise<void>;
}

/**
 * How long a report waits for the command that it is about to start, milliseconds. The work for it, here and at a server
 * that waits for its disk, would take the processor from the sudo that somebody is looking at.
 */
const STARTING_MS = 50;
/** Pauses before each try to tell the server what became of a request. */
const RETRIES_MS = [0, 1000, 5000, 15_000];

export function createReports(deps: {
  client: Pick<HostClient, 'cancel' | 'outcome' | 'run'>;
  clock: Pick<Clock, 'sleep'>;
  log: Log;
}): Reports {
  const { client, clock, log } = deps;

  async function deliver(what: string, send: () => Promise<Reply<unknown>>): Promise<void> {
    for (const pause of RETRIES_MS) {
      await clock.sleep(pause);
      const reply = await send();
      if (reply.kind === 'ok') return;
      if (reply.kind === 'refused') return log.warn(`the server did not take ${what}: ${reply.message}`);
    }
    log.warn(`${what} could not be reported`);
  }

  /** They are told in their order: a start that overtakes an end would be lost. */
  const inTurn = createTurns(clock);

  return {
    /** Until the server knows, an approver sees a request of a person who has gone. */
    async withdraw(challengeId) {
      for (const pause of RETRIES_MS) {
        await clock.sleep(pause);
        const { kind } = await client.cancel(challengeId);
        if (kind === 'ok' || kind === 'refused') return;
      }
      log.warn(`${challengeId} could not be withdrawn; the server lets go of it by itself`);
    },
    outcome: (challengeId, outcome, when = 'now') =>
      inTurn(challengeId, when === 'now' ? 0 : STARTING_MS, () =>
        deliver(`the outcome of ${challengeId}`, () => client.outcome(challengeId, outcome)),
      ),
    run: (challengeId, run) =>
      inTurn(challengeId, run.state === 'started' ? STARTING_MS : 0, () =>
        deliver(`what became of ${challengeId}`, () => client.run(challengeId, run)),
      ),
  };
}
