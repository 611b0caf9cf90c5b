import type { TestResult } from './results.ts';

/** A promise that tests are held against: their names begin with `[id]`. */
export interface PromisedId {
  readonly id: string;
  readonly text: string;
  /** Why no test is to have it; absent: one has to. */
  readonly none?: string;
}

export interface IdResult extends PromisedId {
  readonly status: 'passed' | 'failed' | 'skipped' | 'no test' | 'none';
  /** Why it was skipped, or how many tests there are. */
  readonly detail: string;
}

const ID = /\[([A-Z]+-[A-Z]?\d+[a-z]?)\]/g;

/** Ids in a text: the name of a test with those of its suites, or a file of tests. */
export const idsIn = (text: string): string[] => [...text.matchAll(ID)].map(([, id]) => id!);

/**
 * What the tests say of each id. One test that fails fails its id; one is skipped when all of its tests are.
 *
 * @returns with ids that no promise has, which are typing errors
 */
export function resultsOf(
  promised: readonly PromisedId[],
  results: readonly TestResult[],
): { ids: IdResult[]; unknown: string[] } {
  const byId = Map.groupBy(
    results.flatMap((result) => [...new Set(idsIn(result.name.join(' ')))].map((id) => ({ id, result }))),
    ({ id }) => id,
  );
  const ids = promised.map((one): IdResult => {
    const own = (byId.get(one.id) ?? []).map(({ result }) => result);
    const having = (status: TestResult['status']) => own.filter((result) => result.status === status);
    if (own.length === 0 && one.none !== undefined) return { ...one, status: 'none', detail: one.none };
    if (own.length === 0) return { ...one, status: 'no test', detail: '' };
    const failed = [...having('failed'), ...having('unsteady')];
    if (failed.length > 0)
      return { ...one, status: 'failed', detail: failed.map(({ name }) => name.at(-1)).join('; ') };
    const passed = having('passed').length;
    const skipped = having('skipped');
    const why = [...new Set(skipped.map(({ detail }) => detail ?? 'no reason given'))].join('; ');
    if (passed === 0) return { ...one, status: 'skipped', detail: why };
    return {
      ...one,
      status: 'passed',
      detail: `${passed}${skipped.length > 0 ? `, skipped ${skipped.length}: ${why}` : ''}`,
    };
  });
  const known = new Set(promised.map(({ id }) => id));
  return { ids, unknown: [...byId.keys()].filter((id) => !known.has(id)) };
}
