import type { Database } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { type ChainProblem, checkChain } from '../events/store.ts';

/** What a client was told, once, with the time that it took, milliseconds. Without an answer it was told nothing. */
export type Told =
  | { kind: 'created'; id: string; status: 'pending' | 'approved'; ms: number }
  | { kind: 'cancelled'; id: string; ms: number }
  /** `at`: when it was asked for, milliseconds. */
  | { kind: 'refused'; code: string; message: string; at: number; ms: number };

/** What the database says of requests. */
export interface Kept {
  chain: ChainProblem | null;
  challenges: readonly { id: string; status: string; verdict: string | null }[];
  events: readonly { event: string; challenge_id: string | null }[];
}

/** Reads what {@link findContradictions} looks at. */
export async function readKept({ query }: Pick<Database, 'query'>): Promise<Kept> {
  return {
    chain: await checkChain(query),
    challenges: await kysely(query).selectFrom('challenges').select(['id', 'status', 'verdict']).execute(),
    events: await kysely(query).selectFrom('events').select(['event', 'challenge_id']).execute(),
  };
}

const ENDS: Record<string, string> = { approved: 'auto_approved', cancelled: 'challenge_cancelled' };

/** How what is kept differs from what clients were told, and from itself: a sentence each; none when all is well. */
export function findContradictions(told: readonly Told[], { chain, challenges, events }: Kept): string[] {
  const found: string[] = [];
  if (chain !== null) found.push(`the chain breaks at event ${chain.seq}: ${chain.problem}`);
  const kept = new Map(challenges.map((challenge) => [challenge.id, challenge]));
  const counts = new Map<string, number>();
  for (const { event, challenge_id } of events) {
    const key = `${event} ${challenge_id}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const often = (event: string, id: string): number => counts.get(`${event} ${id}`) ?? 0;
  for (const { id, status, verdict } of challenges) {
    for (const [end, event] of Object.entries(ENDS)) {
      const wanted = status === end ? 1 : 0;
      if (often(event, id) !== wanted)
        found.push(`${id} is ${status} and has the event ${event} ${often(event, id)} times`);
    }
    if ((status === 'pending') !== (verdict === null)) found.push(`${id} is ${status} and its verdict says otherwise`);
  }
  for (const [key] of counts) {
    const [event, id] = key.split(' ');
    if (event?.startsWith('challenge_') && id !== 'null' && !kept.has(id!))
      found.push(`${id} is lost, its event is not`);
  }
  const created = new Set<string>();
  for (const one of told) {
    if (one.kind === 'refused') continue;
    const status = kept.get(one.id)?.status;
    if (status === undefined) found.push(`${one.id} was ${one.kind} and is lost`);
    else if (one.kind === 'cancelled' && status !== 'cancelled') found.push(`${one.id} was cancelled and is ${status}`);
    else if (one.kind === 'created' && one.status === 'approved' && status !== 'approved')
      found.push(`${one.id} was approved and is ${status}`);
    if (one.kind === 'created' && created.has(one.id)) found.push(`${one.id} was made twice`);
    if (one.kind === 'created') created.add(one.id);
  }
  return found;
}
