import { Refusal } from '#shared/errors.ts';
import type { LoggedEvent } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import { type DeliveryView, viewOf } from './deliveries.ts';
import { deliveriesOf } from './delivery-store.ts';
import type { Planning } from './planning.ts';
import type { ChannelFinding, Findings, NotTold } from './routing.ts';

/** Who is told of an event by the rules of now, who is not and why, and what was delivered when it happened. */
export interface Explanation {
  readonly event: Pick<LoggedEvent, 'seq' | 'at' | 'event' | 'username' | 'hostname'>;
  /** Why a channel that is one person's is not told stands at the person. */
  readonly channels: readonly ChannelFinding[];
  readonly routes: Findings['routes'];
  readonly people: readonly {
    readonly id: string;
    readonly username: string;
    readonly why: NotTold | null;
    /** What their decision would be refused with, where that is why. */
    readonly refusal: string | null;
  }[];
  /** Channels that rules name, and that are not there or one person's. */
  readonly unknown: readonly string[];
  readonly deliveries: readonly DeliveryView[];
}

/** @returns says of an event who is told of it. @throws Refusal `not_found` */
export function createExplain(deps: {
  db: Pick<Database, 'query'>;
  events: Pick<EventLog, 'read'>;
  planning: Pick<Planning, 'route'>;
}): (seq: number) => Promise<Explanation> {
  return async (seq) => {
    const [found] = await deps.events.read(seq - 1, 1);
    if (found?.seq !== seq) throw new Refusal('not_found');
    const { findings, people } = await deps.planning.route(found);
    const { at, event, username, hostname } = found;
    return {
      event: { seq, at, event, username, hostname },
      channels: findings.channels,
      routes: findings.routes,
      people: findings.people.map((one) => ({ ...one, username: people.get(one.id)?.person.username ?? '' })),
      unknown: findings.unknown,
      deliveries: (await deliveriesOf(deps.db.query, seq)).map(viewOf),
    };
  };
}
