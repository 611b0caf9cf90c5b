import { isDeepStrictEqual } from 'node:util';
import { encodeFilter } from '../../server/src/ldap/testing/filters.ts';
import type { Asker, Reply } from './ask.ts';
import { canonical } from './canonical.ts';
import { DIFFERENCES, type Difference } from './differences.ts';
import type { Generated } from './searches.ts';
import type { RulesOf } from './slapd-schema.ts';

export type Verdict =
  | { kind: 'same'; replies: readonly Reply[] }
  | { kind: 'explained'; replies: readonly Reply[]; by: readonly Difference[] }
  | { kind: 'different'; ours: string[][]; theirs: string[][] };

/** What one search finds on both servers. */
interface Pair {
  ours: Reply[];
  theirs: Reply[];
}

const LEVELS = DIFFERENCES.filter(({ level }) => level !== undefined);
const SIMPLER = DIFFERENCES.filter(({ without }) => without !== undefined);

/** Replies without what only one of the two servers says. */
export function level(replies: readonly Reply[], search: Generated, rows: readonly Difference[] = LEVELS): Reply[] {
  return replies.map((reply) => rows.reduce((sofar, row) => row.level!(sofar, search), reply));
}

function facts(replies: readonly Reply[], search: Generated, rows: readonly Difference[]): string[][] {
  return level(replies, search, rows).map(canonical);
}

const agree = ({ ours, theirs }: Pair, search: Generated, rows: readonly Difference[]): boolean =>
  isDeepStrictEqual(facts(ours, search, rows), facts(theirs, search, rows));

/** Rows of `LEVELS` without which the replies would differ; null when they differ anyway. */
function neededLevels(pair: Pair, search: Generated): Difference[] | null {
  if (!agree(pair, search, LEVELS)) return null;
  return LEVELS.filter(
    (row) =>
      !agree(
        pair,
        search,
        LEVELS.filter((other) => other !== row),
      ),
  );
}

/** Asks both servers the same and says whether they answer the same, or which rows of the table tell why not. */
export async function compare(ours: Asker, theirs: Asker, rulesOf: RulesOf, search: Generated): Promise<Verdict> {
  const ask = async (wanted: Generated): Promise<Pair> => {
    const query = { ...wanted, filter: encodeFilter(wanted.filter) };
    const [first, second] = await Promise.all([ours.ask(query), theirs.ask(query)]);
    return { ours: first, theirs: second };
  };
  const pair = await ask(search);
  const levels = neededLevels(pair, search);
  const replies = pair.ours;
  if (levels !== null)
    return levels.length === 0 ? { kind: 'same', replies } : { kind: 'explained', replies, by: levels };
  const applicable: Difference[] = [];
  let simplest = search;
  for (const row of SIMPLER) {
    const simpler = row.without!(search, rulesOf);
    if (simpler === null) continue;
    if (neededLevels(await ask(simpler), simpler) !== null) return { kind: 'explained', replies, by: [row] };
    applicable.push(row);
    simplest = row.without!(simplest, rulesOf) ?? simplest;
  }
  // More than one thing at once.
  if (applicable.length > 1 && neededLevels(await ask(simplest), simplest) !== null) {
    return { kind: 'explained', replies, by: applicable };
  }
  return { kind: 'different', ours: facts(pair.ours, search, LEVELS), theirs: facts(pair.theirs, search, LEVELS) };
}
