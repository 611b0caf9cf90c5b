import type { Database } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { type ChainProblem, checkChain } from '../events/store.ts';

/**
 * What a client was told, once, and the time that it took, milliseconds. Without an answer it was told nothing. `at`: when
 * it was asked for, milliseconds.
 */
export type Told = { at: number; ms: number } & (
  | { kind: 'created'; id: string; status: 'pending' | 'approved' }
  /** To somebody who waits for an answer. */
  | { kind: 'waited'; id: string; status: string }
  | { kind: 'cancelled'; id: string }
  | { kind: 'refused'; what: 'create' | 'wait' | 'cancel'; code: string; message: string }
);

/** How what is kept differs from what was told, or from itself. */
export interface Finding {
  kind: 'lost' | 'doubled' | 'contradiction';
  /** One sentence. */
  text: string;
}

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

/** How what is kept differs from what clients were told, and from itself; nothing when all is well. */
export function findContradictions(told: readonly Told[], { chain, challenges, events }: Kept): Finding[] {
  const found: Finding[] = [];
  const find = (kind: Finding['kind'], text: string): void => void found.push({ kind, text });
  if (chain !== null) find('contradiction', `the chain breaks at event ${chain.seq}: ${chain.problem}`);
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
      const times = often(event, id);
      if (times === wanted) continue;
      const kind = times > 1 ? 'doubled' : times < wanted ? 'lost' : 'contradiction';
      find(kind, `${id} is ${status} and has the event ${event} ${times} times`);
    }
    if ((status === 'pending') !== (verdict === null))
      find('contradiction', `${id} is ${status} and its verdict says otherwise`);
  }
  for (const [key] of counts) {
    const [event, id] = key.split(' ');
    if (event?.startsWith('challenge_') && id !== 'null' && !kept.has(id!))
      find('lost', `${id} is lost, its event is not`);
  }
  const created = new Set<string>();
  for (const one of told) {
    if (one.kind === 'refused') continue;
    const status = kept.get(one.id)?.status;
    if (status === undefined) find('lost', `${one.id} was ${one.kind} and is lost`);
    else if (one.kind === 'cancelled' && status !== 'cancelled')
      find(status === 'pending' ? 'lost' : 'contradiction', `${one.id} was cancelled and is ${status}`);
    else if (one.kind !== 'cancelled' && one.status !== 'pending' && status !== one.status)
      find(status === 'pending' ? 'lost' : 'contradiction', `${one.id} was ${one.status} and is ${status}`);
    if (one.kind === 'created' && created.has(one.id)) find('doubled', `${one.id} was made twice`);
    if (one.kind === 'created') created.add(one.id);
  }
  return found;
}
