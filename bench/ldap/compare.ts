import { type BenchResult, createProgress, note, percentile, round } from '../report.ts';
import { costOf, type LoadClient, type Server, type Slice } from './load.ts';
import type { Operation } from './operations.ts';

/** What the rounds gave for one operation. */
export interface Cell {
  ours: number[];
  theirs: number[];
  ratios: number[];
  p99: number[];
}

export interface Comparison {
  load: LoadClient;
  ours: Server;
  slapd: Server;
  rounds: number;
  /** Where the load client finds its certificate. */
  env?: Record<string, string>;
}

const median = (values: readonly number[]): number => percentile(values, 0.5);

/** Both servers in turn, in slices, the order reversed every round; the first round is for code that is compiled. */
export async function compare(
  { load, ours, slapd, rounds, env }: Comparison,
  operations: readonly Operation[],
): Promise<Map<string, Cell>> {
  const cells = new Map<string, Cell>();
  for (let turn = 0; turn < rounds; turn++) {
    note(`round ${turn + 1} of ${rounds}`);
    const progress = createProgress('operations', operations.length);
    for (const operation of operations) {
      for (const connections of operation.connections) {
        const measured: { ours?: Slice; theirs?: Slice } = {};
        for (const which of turn % 2 === 0 ? (['theirs', 'ours'] as const) : (['ours', 'theirs'] as const)) {
          measured[which] = await load.slice(which === 'ours' ? ours : slapd, operation, connections, env);
        }
        if (turn === 0 && rounds > 1) continue;
        const cell = cells.get(operation.name) ?? { ours: [], theirs: [], ratios: [], p99: [] };
        cells.set(operation.name, cell);
        const [mine, theirs] = [costOf(operation, measured.ours!), costOf(operation, measured.theirs!)];
        cell.ours.push(mine);
        cell.theirs.push(theirs);
        cell.ratios.push(theirs / mine);
        cell.p99.push(measured.ours!.p99 / 1000);
      }
      progress.step();
    }
  }
  return cells;
}

/** One result per operation. @param suffix is part of the metric's name; what has one has no goal. */
export function resultsOf(
  cells: ReadonlyMap<string, Cell>,
  operations: readonly Operation[],
  slapdVersion: string,
  suffix = '',
): BenchResult[] {
  return operations.flatMap((operation) => {
    const cell = cells.get(operation.name);
    if (cell === undefined) return [];
    const unit = operation.perEntry ? 'us/entry' : 'us/op';
    const value = round(median(cell.ratios));
    return [
      {
        metric: `${operation.name}${suffix}_cpu_ratio`,
        unit: 'slapd/ours',
        value,
        ...(suffix === '' ? { goal: operation.must, target: operation.goal } : {}),
        better: 'higher' as const,
        quartiles: [round(percentile(cell.ratios, 0.25)), round(percentile(cell.ratios, 0.75))] as const,
        own: { unit, value: round(median(cell.ours)) },
        p99: round(median(cell.p99)),
        peer: { name: 'slapd', version: slapdVersion, value: round(median(cell.theirs)) },
        ratio: value,
      },
    ];
  });
}

/** slapd's own cost must be about the same at both ends, else the machine changed under the measurement. */
export function isSteady(cells: ReadonlyMap<string, Cell>): boolean {
  const { theirs = [] } = cells.get('getpwnam') ?? {};
  const third = Math.floor(theirs.length / 3);
  if (third === 0) return true;
  const [first, last] = [median(theirs.slice(0, third)), median(theirs.slice(-third))];
  return Math.max(first, last) / Math.min(first, last) <= 2;
}
