import type { Channel, Delivery, Exchange, Notice } from '../channel.ts';
import type { StoredChannel } from '../channel-store.ts';

/** One attempt on a channel, as its receiver sees it. */
export interface Told {
  readonly channel: string;
  readonly notice: Notice;
}

type Answer = (told: Told, signal: AbortSignal) => Delivery | Promise<Delivery>;

/** Ways to tell somebody that note what they were given. One whose settings have `bad` cannot be made. */
export function createTestChannels(answer: Answer = () => ({ outcome: 'delivered' })) {
  const told: Told[] = [];
  const self = {
    /** Every attempt, in its order. */
    told,
    /** What becomes of the next ones. */
    answer,
    /** What is seen of each exchange. */
    exchange: null as Exchange | null,
    /** Events that were told on a channel, with the request's code where there is one. */
    on: (channel: string): string[] =>
      told
        .filter((one) => one.channel === channel)
        .map(({ notice: { event, request } }) => [event, request?.userCode ?? []].flat().join(' ')),
    createChannel({ name, kind, settings }: StoredChannel): Channel {
      if (settings === null || 'bad' in settings) throw new Error('the address is not one');
      return {
        name,
        kind,
        async deliver(notice, signal, seen) {
          const one = { channel: name, notice };
          told.push(one);
          if (self.exchange !== null) seen?.(self.exchange);
          return self.answer(one, signal);
        },
      };
    },
  };
  return self;
}
