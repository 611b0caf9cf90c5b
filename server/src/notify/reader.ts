import type { UnitOfWork } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import type { EventReader } from '../platform/module.ts';
import { hurry, insertDeliveries, unfold } from './delivery-store.ts';
import type { Planning } from './planning.ts';

/** How many events are routed at a time: what is written of them is written with the cursor. */
const BATCH = 50;

/**
 * The reader of the log that writes down whom each event is told to. Not in the event's own transaction: who may decide is
 * read of people, accounts and rules, and whoever asks for something meanwhile would wait at the head of the log for it. What
 * is written here is written with the cursor, both or neither, so that each event is routed once however often it is read.
 *
 * @param deps.wake called once it is durable
 */
export function createNotifyReader(deps: {
  planning: Pick<Planning, 'plan'>;
  clock: Clock;
  wake: () => void;
}): EventReader {
  return {
    from: 'now',
    batch: BATCH,
    // The ids of what is to be told follow from the events: what is sent once more is known by the id that it had.
    mayRepeat: true,
    async handle(events) {
      const { deliveries, ended, gone } = await deps.planning.plan(events);
      if (deliveries.length === 0 && ended.length === 0) return undefined;
      let due = deliveries.length;
      return {
        async write(work: UnitOfWork) {
          await insertDeliveries(work, deliveries);
          // What waits for a later step, or for the end of the night, is seen to be over now and not only then.
          if (ended.length > 0) due += await hurry(work, ended, deps.clock.now());
          due += await unfold(work, gone);
        },
        done: () => (due > 0 ? deps.wake() : undefined),
      };
    },
  };
}
