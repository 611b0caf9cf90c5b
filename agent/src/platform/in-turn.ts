import type { Clock } from './clock.ts';

/** Does work of one name in its order, each after the one before has ended, however that did. */
export type InTurn = (name: string, pauseMs: number, work: () => Promise<void>) => Promise<void>;

/** @returns work that waits for nothing of its name waits for its pause, milliseconds */
export function createTurns(clock: Pick<Clock, 'sleep'>): InTurn {
  const last = new Map<string, Promise<void>>();
  return (name, pauseMs, work) => {
    const turn = (last.get(name) ?? clock.sleep(pauseMs)).then(work, work).finally(() => {
      if (last.get(name) === turn) last.delete(name);
    });
    last.set(name, turn);
    return turn;
  };
}
