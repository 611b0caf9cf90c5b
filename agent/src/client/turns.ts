import { type Random, randomText } from '../platform/random.ts';
import type { Counter } from '../state/counter.ts';
import type { Sent } from './send-once.ts';

/** A number, and the nonce of the signature that it is sent with: a server takes both, or neither. */
export interface Mark {
  counter: number;
  nonce: string;
}

/**
 * Sends with a number. Null: nothing was sent. `isAgain`: somebody else was refused with the same one.
 * `known` resolves to true when no server could take it, because what was sent before with the number was taken.
 */
export type Turn = (mark: Mark, isAgain: boolean) => (Pick<Sent, 'settled'> & { known: Promise<boolean> }) | null;

/**
 * Everybody who asks gets a number of their own, one after the other: the next one follows when the one before is taken, or
 * can be taken no more. A refusal takes none, and what hangs elsewhere may still arrive with it. Who comes then is sent with
 * the same number and nonce: whatever arrives later with both is a repetition to a server, and no sign of a clone.
 */
export function createTurns({ counter, random }: { counter: Pick<Counter, 'next'>; random: Random }) {
  const waiting: Turn[] = [];
  let stir: () => void = () => undefined;

  async function serve(number: number): Promise<void> {
    const mark = { counter: number, nonce: randomText(random, 18) };
    const underWay = new Set<Sent['settled']>();
    let isTaken = false;
    let isAgain = false;
    while (!isTaken) {
      const turn = waiting.shift();
      if (turn === undefined) {
        if (underWay.size === 0) return;
        await new Promise<void>((resolve) => {
          stir = resolve;
        });
        continue;
      }
      const sent = turn(mark, isAgain);
      if (sent === null) continue;
      isAgain = true;
      const { settled } = sent;
      underWay.add(settled);
      const end = settled.then((fate) => {
        if (fate === 'taken') isTaken = true;
        underWay.delete(settled);
        stir();
        return fate === 'taken' ? false : sent.known;
      });
      if (await Promise.race([sent.known, end])) {
        waiting.unshift(turn);
        return;
      }
    }
  }

  return {
    /** @param failed told why there is no number, where nothing was sent yet */
    take(turn: Turn, failed: (error: unknown) => void): void {
      waiting.push(turn);
      stir();
      counter.next(serve).catch((error: unknown) => {
        const at = waiting.indexOf(turn);
        if (at < 0) return;
        waiting.splice(at, 1);
        failed(error);
      });
    },
  };
}
